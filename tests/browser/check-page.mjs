// check-page.mjs FOLDER [VISIT...]: drives the page of a real convnetd in headless Chromium, as people use it:
// mouse, photo, paste, drop, keyboard, finger, dark scheme, another model. Each visit must end
// without console error, policy violation, failed request, request elsewhere or axe violation.
// Screenshots go to FOLDER. Run by tests/browser/run. Waits for conditions, never for a time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { deflateSync } from 'node:zlib';
import { createInterface } from 'node:readline';
import path from 'node:path';

const [, , folder, ...only] = process.argv;
const source = process.env.top_srcdir, build = process.env.top_builddir;
const require = createRequire(path.join(folder, 'package.json'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const DIGITS = path.join(source, 'models', 'digits.safetensors');
const PATIENCE = 20000; // milliseconds after which a condition counts as failed
const SEVEN = [[0.25, 0.22], [0.5, 0.22], [0.75, 0.22], [0.66, 0.42], [0.56, 0.62], [0.47, 0.85]];
let passed = 0, failed = 0;

function check(good, what) {
  if (good) passed++;
  else {
    failed++;
    console.log(`FAIL ${what}`);
  }
}

async function serve(model) {
  const process = spawn(path.join(build, 'convnetd'), [`--model=${model}`, '--port=0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: process.stderr })) {
    const url = /listening on (http:\/\/\S+)/.exec(line);
    if (url) {
      process.stderr.resume();
      return { url: url[1].replace(/\/?$/, '/'), stop: () => { process.kill(); return once(process, 'exit'); } };
    }
    console.log(line);
  }
  throw new Error('convnetd did not start');
}

// ---- A visit ----

// Opens the page in a context of its own, runs `story(page)`, looks at it with axe, and checks what
// the browser complained about. `refusals`: the story provokes error answers.
async function visit(browser, server, name, options, story, refusals = false) {
  if (only.length > 0 && !only.includes(name)) return;
  const context = await browser.newContext({ viewport: { width: 1200, height: 1000 }, ...options });
  const page = await context.newPage(), complaints = [];
  page.setDefaultTimeout(PATIENCE);
  page.on('console', (message) => {
    const refused = refusals && message.text().startsWith('Failed to load resource');
    const own = message.text().includes('willReadFrequently'); // this test reads the page's canvases
    if (['error', 'warning'].includes(message.type()) && !refused && !own) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !request.url().startsWith('blob:')) complaints.push(`a request to ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400 && !refusals) complaints.push(`${response.url()}: ${response.status()}`);
  });
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  try {
    await page.goto(server.url);
    await page.waitForSelector('#bars li');
    await story(page);
    await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
    await page.evaluate(axe); // by the debugger, which the page's policy does not bind
    const report = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    check(report.violations.length === 0, `${name}: axe: ${report.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`).join('\n  ')}`);
    check(report.passes.length > 20, `${name}: axe looked at ${report.passes.length} rules`);
    complaints.push(...await page.evaluate(() => window.violations));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${name}: ${wide} pixels wider than the window`);
  } catch (error) {
    check(false, `${name}: ${error.message}`);
    await page.screenshot({ path: path.join(folder, `${name}-failed.png`), fullPage: true }).catch(() => {});
  }
  check(complaints.length === 0, `${name}: ${complaints.join('\n  ')}`);
  await context.close();
}

const text = (page, selector) => page.textContent(selector);
const sum = (page) => page.$$eval('.fill', (fills) => fills.reduce((s, f) => s + Number(/scaleX\((.*)\)/.exec(f.style.transform)[1]), 0));
const label = (page, wanted) => page.waitForFunction((w) => document.getElementById('label').textContent === w, wanted);

// The answer is there and rests: the label, the probabilities' sum, the picture seen, the layers.
async function expect(page, name, wanted) {
  await label(page, wanted);
  await page.waitForSelector('#layers[aria-busy=false]');
  await page.waitForFunction(() => {
    const seen = document.getElementById('seen'), maps = document.querySelectorAll('.map');
    const lit = (c) => c.width > 0 && new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 3;
    return seen.ariaLabel.includes('by') && lit(seen) && [...maps].some(lit);
  });
  check(Math.abs(await sum(page) - 1) < 1e-4, `${name}: the bars' sum is ${await sum(page)}`);
  check(await text(page, '.best .name') === wanted, `${name}: the best bar is ${await text(page, '.best .name')}`);
  check(await page.isHidden('#error'), `${name}: ${await text(page, '#error')}`);
  await page.waitForFunction((w) => document.getElementById('status').textContent.startsWith(`${w}, `), wanted);
}

async function points(page, relative) {
  const box = await page.locator('#canvas').boundingBox();
  return relative.map(([x, y]) => [box.x + x * box.width, box.y + y * box.width]);
}

// ---- Stories ----

async function mouse(page) {
  const [first, ...others] = await points(page, SEVEN);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 12 });
  await page.mouse.up();
  await expect(page, 'mouse', '7');
  const times = await page.evaluate(() => performance.getEntriesByName('answer').map((entry) => entry.duration));
  times.sort((a, b) => a - b);
  const at = (q) => times[Math.min(times.length - 1, Math.floor(q * times.length))].toFixed(1);
  console.log(`live answers: ${times.length}, median ${at(0.5)} ms, 95th percentile ${at(0.95)} ms`);
  check(times.length >= 3, `${times.length} answers while drawing: not live`);
  check(await page.locator('.layer').count() >= 4, 'the layers are shown');
  check(await page.locator('.map').count() >= 32, 'the maps are shown');
  await page.screenshot({ path: path.join(folder, 'page.png'), clip: { x: 0, y: 0, width: 1200, height: 1000 } });
  for (const summary of await page.locator('summary').all()) await summary.click();
  check(await page.locator('details .sheet').count() === await page.locator('summary').count(), 'filters open');
  check((await text(page, '#curl')).startsWith('curl --data-binary @drawing.png http://127.0.0.1:'), 'the command');
  const download = page.waitForEvent('download');
  await page.click('#save');
  const saved = readFileSync(await (await download).path());
  check(saved.subarray(1, 4).toString() === 'PNG', 'the drawing is saved as a PNG');
}

async function undo(page) {
  const dots = await points(page, [[0.3, 0.3], [0.6, 0.6]]);
  for (const dot of dots) await page.mouse.click(...dot);
  await page.waitForFunction(() => document.getElementById('label').textContent !== '–');
  await page.click('#undo');
  await page.keyboard.press('Control+z');
  await label(page, '–');
  check(await sum(page) === 0 && await page.isDisabled('#undo') && await page.isDisabled('#clear'), 'undo to nothing');
  const [dot] = dots;
  await page.mouse.click(...dot);
  await page.waitForFunction(() => document.getElementById('label').textContent !== '–');
  await page.click('#clear');
  await label(page, '–');
  check(await page.isVisible('#hint'), 'the hint comes back');
}

// A photo of a 7 on paper: uneven light, noise, blue ink, off the middle; as JPEG.
const photo = (page, type = 'image/jpeg') => page.evaluate(async ([seven, kind]) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 800, height: 600 });
  const context = canvas.getContext('2d'), light = context.createLinearGradient(0, 0, 800, 600);
  light.addColorStop(0, '#f4efe2');
  light.addColorStop(1, '#a8a294');
  context.fillStyle = light;
  context.fillRect(0, 0, 800, 600);
  const image = context.getImageData(0, 0, 800, 600);
  for (let i = 0, r = 1; i < image.data.length; i++) {
    r = (r * 16807) % 2147483647;
    if (i % 4 < 3) image.data[i] += r % 9 - 4;
  }
  context.putImageData(image, 0, 0);
  Object.assign(context, { strokeStyle: '#22307a', lineWidth: 16, lineCap: 'round', lineJoin: 'round' });
  context.beginPath();
  for (const [x, y] of seven) context.lineTo(380 + 330 * x, 180 + 330 * y);
  context.stroke();
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, kind); });
  return [...new Uint8Array(await blob.arrayBuffer())];
}, [SEVEN, type]);

async function upload(page) {
  const buffer = Buffer.from(await photo(page));
  await page.setInputFiles('#choose', { name: 'photo.jpg', mimeType: 'image/jpeg', buffer });
  await expect(page, 'upload', '7');
  const answer = await fetch(new URL('predict', page.url()), { method: 'POST', body: png(20, 20, (x) => (x === 9 ? 0 : 255)) });
  const report = (await answer.json()).predictions[0].preprocessing;
  check(await page.locator('#facts dt').count() > 0 === (report !== undefined), 'what preprocessing did');
}

async function pasteAndDrop(page) {
  for (const kind of ['paste', 'drop']) {
    const bytes = await photo(page, kind === 'paste' ? 'image/png' : 'image/webp');
    await page.evaluate(([data, event]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(data)], 'photo', { type: 'image/png' }));
      const options = { bubbles: true, cancelable: true };
      window.dispatchEvent(event === 'paste' ? new ClipboardEvent('paste', { ...options, clipboardData: transfer })
        : new DragEvent('drop', { ...options, dataTransfer: transfer }));
    }, [bytes, kind]);
    await expect(page, kind, '7');
    await page.click('#clear');
    await label(page, '–');
  }
}

// Everything is reached by Tab, and each place shows that it has the focus.
async function keyboard(page) {
  const reached = [];
  const press = async (key, times) => { for (let i = 0; i < times; i++) await page.keyboard.press(key); };
  const focus = async (id) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      const place = await page.evaluate(() => {
        const element = document.activeElement;
        const seen = [element, element.parentElement, element.nextElementSibling].some((e) => e && getComputedStyle(e).outlineStyle !== 'none');
        return { id: element.id || element.tagName, seen };
      });
      reached.push(place.id);
      check(place.seen, `keyboard: the focus on ${place.id} is not to be seen`);
      if (place.id === id) return;
    }
    check(false, `keyboard: Tab does not reach ${id}`);
  };
  await focus('canvas');
  await press('ArrowLeft', 13);
  await press('ArrowUp', 14);
  await page.keyboard.press('Space');
  await press('ArrowRight', 24);
  for (let i = 0; i < 15; i++) {
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowDown');
  }
  await page.keyboard.press('Space');
  await expect(page, 'keyboard', '7');
  await page.screenshot({ path: path.join(folder, 'keyboard-canvas.png') });
  await focus('copy');
  for (const id of ['pen', 'undo', 'clear', 'choose', 'save', 'SUMMARY']) check(reached.includes(id), `keyboard: Tab passes by ${id}`);
  await page.keyboard.press('Shift+Tab');
  await page.focus('#canvas');
  await page.keyboard.press('Delete');
  await label(page, '–');
}

async function finger(page) {
  const session = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => session.send('Input.dispatchTouchEvent', { type, touchPoints });
  const places = await points(page, SEVEN);
  await touch('touchStart', [{ x: places[0][0], y: places[0][1] }]);
  for (let i = 1; i < places.length; i++) {
    for (let t = 1; t <= 8; t++) {
      const [x, y] = [0, 1].map((k) => places[i - 1][k] + (places[i][k] - places[i - 1][k]) * t / 8);
      await touch('touchMove', [{ x, y }]);
    }
  }
  await touch('touchEnd', []);
  await expect(page, 'finger', '7');
  check(await page.evaluate(() => scrollY) === 0, 'finger: drawing does not scroll the page');
  check(await page.isVisible('.camera'), 'finger: the camera is offered');
}

async function refusals(page) {
  await page.setInputFiles('#choose', { name: 'white.png', mimeType: 'image/png', buffer: png(40, 40, () => 255) });
  await page.waitForSelector('#error:not([hidden])');
  check(/blank/.test(await text(page, '#error')), `the server's sentence: ${await text(page, '#error')}`);
  await page.setInputFiles('#choose', { name: 'junk.png', mimeType: 'image/png', buffer: Buffer.from('junk') });
  await page.waitForFunction(() => document.getElementById('error').textContent.includes('junk.png'));
  await page.click('#clear');
  await page.waitForSelector('#error', { state: 'hidden' });
  await mouseOnly(page);
  await expect(page, 'after a refusal', '7');
}

async function mouseOnly(page) {
  const [first, ...others] = await points(page, SEVEN);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 4 });
  await page.mouse.up();
}

// ---- Another model: other classes, not square, colour ----

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// An 8-bit grey PNG; grey(x, y).
function png(width, height, grey) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]), out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 0, 0, 0, 0]);
  const rows = Array.from({ length: height }, (_, y) => Buffer.from([0, ...Array.from({ length: width }, (_, x) => grey(x, y))]));
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.concat(rows))), chunk('IEND', Buffer.alloc(0))]);
}

function trainOther() {
  const classes = { 'left & <b>right': (x, y) => (x > 3 && x < 20 && y > 6 && y < 10 ? 20 : 240), upright: (x, y) => (x > 10 && x < 14 && y > 1 && y < 15 ? 20 : 240), spot: (x, y) => ((x - 12) ** 2 + (y - 8) ** 2 < 12 ? 20 : 240) };
  for (const [name, grey] of Object.entries(classes)) {
    const place = path.join(folder, 'other', name);
    mkdirSync(place, { recursive: true });
    for (let i = 0; i < 12; i++) writeFileSync(path.join(place, `${i}.png`), png(24, 16, (x, y) => grey(x + i % 3 - 1, y + i % 2)));
  }
  const layer = (class_name, config) => ({ class_name, config });
  writeFileSync(path.join(folder, 'other.json'), JSON.stringify({ class_name: 'Sequential', config: { name: 'other', layers: [
    layer('InputLayer', { batch_shape: [null, 16, 24, 3] }), layer('Conv2D', { filters: 6, kernel_size: 3, padding: 'same' }), layer('BatchNormalization', {}),
    layer('Activation', { activation: 'relu' }), layer('MaxPooling2D', { pool_size: 2 }), layer('Flatten', {}), layer('Dense', { units: 3, activation: 'softmax' })] } }));
  const model = path.join(folder, 'other.safetensors');
  const done = spawnSync(path.join(build, 'convnet'), ['train', '--architecture', path.join(folder, 'other.json'), '--data', path.join(folder, 'other'), '--output', model, '--epochs', '30', '--quiet'], { encoding: 'utf8' });
  check(done.status === 0, `training another model: ${done.stderr}`);
  return model;
}

async function other(page) {
  check(await page.locator('#bars li').count() === 3, 'another model: three bars');
  check((await text(page, '#served')).includes('16 × 24 × 3'), `another model: ${await text(page, '#served')}`);
  check(await page.$eval('#canvas', (c) => Math.abs(c.clientWidth / c.clientHeight - 1.5) < 0.01), 'another model: the area has the shape of the input');
  const [from, to] = await points(page, [[0.5, 0.08], [0.5, 0.6]]);
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move(...to, { steps: 10 });
  await page.mouse.up();
  await page.waitForFunction(() => document.getElementById('label').textContent !== '–');
  await page.waitForSelector('#layers[aria-busy=false]');
  await expect(page, 'another model', await text(page, '#label'));
  check((await text(page, '#bars')).includes('left & <b>right'), 'another model: a label is text');
}

// ---- All of it ----

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--disable-gpu'] });
const digits = await serve(DIGITS);
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
await visit(browser, digits, 'mouse', {}, mouse);
await visit(browser, digits, 'undo', {}, undo);
await visit(browser, digits, 'photo', {}, upload);
await visit(browser, digits, 'paste-and-drop', {}, pasteAndDrop);
await visit(browser, digits, 'keyboard', { reducedMotion: 'reduce' }, keyboard);
await visit(browser, digits, 'phone', phone, finger);
await visit(browser, digits, 'phone-dark', { ...phone, colorScheme: 'dark' }, finger);
await visit(browser, digits, 'tablet', { viewport: { width: 820, height: 1100 } }, mouseOnly);
await visit(browser, digits, 'dark', { colorScheme: 'dark' }, mouse);
await visit(browser, digits, 'empty', {}, async () => {});
await visit(browser, digits, 'refusals', {}, refusals, true);
await digits.stop();
const another = await serve(trainOther());
await visit(browser, another, 'other-model', {}, other);
await another.stop();
await browser.close();
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed > 0 ? 1 : 0;
