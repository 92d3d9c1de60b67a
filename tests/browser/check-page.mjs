// check-page.mjs FOLDER [VISIT...]: operates the page of a real convnetd in headless Chromium as people do:
// mouse, photo, paste, drop, keyboard, finger, dark scheme, with an API key, another model, many models. No
// visit may cause a console error, a policy violation, a failed request, a request to another origin or an
// axe violation. Screenshots are written to FOLDER. tests/browser/run runs this program. It waits for
// conditions, never for a fixed time.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import path from 'node:path';
import { makeModels } from './models.mjs';
import { SEVEN, photo, png } from './pictures.mjs';
import { PATIENCE, build, check, chromium, counts, expect, folder, label, mouseOnly, only, points, serve, source, sum, text, visit } from './visit.mjs';

const KEY = 'a-key-for-the-browser-test';
const DIGITS = path.join(source, 'models', 'digits.safetensors');

// ---- Stories ----

async function mouse(page) {
  const [first, ...others] = await points(page, SEVEN);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 12 });
  await page.mouse.up();
  await expect(page, 'mouse', '7');
  const answers = await page.evaluate(() => window.answers);
  const middle = (i) => answers.map((a) => a[i]).sort((a, b) => a - b)[answers.length >> 1].toFixed(0);
  check(answers.length >= 3, `${answers.length} answers while drawing: not live`);
  console.log(`live: ${answers.length} answers; from pointer event to bars, median: ${middle(0)} ms, painted: ${middle(1)} ms`);
  check(await page.locator('.layer').count() >= 4, 'the layers are shown');
  check(await page.locator('canvas.tiles').count() >= 4, 'the maps are shown');
  check(await page.locator('canvas').count() < 40, 'not a canvas for each map: the browser composes each anew in each frame');
  await page.screenshot({ path: path.join(folder, 'page.png'), clip: { x: 0, y: 0, width: 1200, height: 1000 } });
  for (const summary of await page.locator('summary').all()) await summary.click();
  const filters = () => document.querySelectorAll('details .sheet').length === document.querySelectorAll('summary').length;
  check(await page.waitForFunction(filters), 'filters open');
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

async function upload(page) {
  const buffer = Buffer.from(await photo(page), 'base64');
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
      transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], 'photo', { type: 'image/png' }));
      const options = { bubbles: true, cancelable: true };
      window.dispatchEvent(event === 'paste' ? new ClipboardEvent('paste', { ...options, clipboardData: transfer })
        : new DragEvent('drop', { ...options, dataTransfer: transfer }));
    }, [bytes, kind]);
    await expect(page, kind, '7');
    await page.click('#clear');
    await label(page, '–');
  }
}

// Tab reaches every control, and each control shows that it has the focus.
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
  check(await page.$eval('#seen', (c) => c.width) === 0, 'after a refusal nothing was seen');
  await page.screenshot({ path: path.join(folder, 'refused.png'), fullPage: true });
  await page.setInputFiles('#choose', { name: 'junk.png', mimeType: 'image/png', buffer: Buffer.from('junk') });
  await page.waitForFunction(() => document.getElementById('error').textContent.includes('junk.png'));
  await page.click('#clear');
  await page.waitForSelector('#error', { state: 'hidden' });
  await mouseOnly(page);
  await expect(page, 'after a refusal', '7');
}

// If a server needs a key, the page says so, asks for it, and keeps it until it is closed.
async function key(page) {
  await mouseOnly(page);
  await page.waitForSelector('#door:not([hidden])');
  await page.waitForSelector('#error:not([hidden])');
  check(/key/i.test(await text(page, '#error')), `without a key: ${await text(page, '#error')}`);
  await page.screenshot({ path: path.join(folder, 'key-asked.png'), fullPage: true });
  for (const [given, good] of [['not-the-key-of-this-server', false], [KEY, true]]) {
    await page.fill('#key', given);
    const refused = good ? null : page.waitForResponse((response) => response.status() === 401);
    await page.press('#key', 'Enter');
    await refused;
    if (!good) await page.waitForSelector('#door:not([hidden])');
  }
  await expect(page, 'with the key', '7');
  check(await page.isHidden('#door'), 'the key is no longer asked for');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  check(!kept.includes(KEY), 'the key is kept in memory alone');
  check(!(await text(page, '#curl')).includes(KEY), 'the command names the key, and does not show it');
}

// The page's own encoder against zlib: runs of all lengths, and noise.
async function encoder() {
  const script = readFileSync(path.join(source, 'src/api/web/png.js'), 'utf8');
  const { deflateRuns } = await import(`data:text/javascript,${encodeURIComponent(script)}`);
  const data = [];
  for (let run = 1, r = 1; run < 600; run++) {
    r = (r * 16807) % 2147483647;
    for (let i = 0; i < run; i++) data.push(r % 256);
    data.push((r >> 8) % 256, (r >> 16) % 256);
  }
  check(inflateSync(deflateRuns(Uint8Array.from(data))).equals(Buffer.from(data)), 'the encoder: what it packs, zlib unpacks');
  check(inflateSync(deflateRuns(new Uint8Array(0))).length === 0, 'the encoder: nothing');
}

// ---- Another model: other classes, not square, colour ----

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

// ---- Many models: each kind of answer, and two side by side ----

async function many(page) {
  const choose = async (name) => {
    await page.selectOption('#model', name);
    await page.waitForFunction((n) => document.getElementById('curl').textContent.includes(`predict/${n}`), name);
  };
  const answered = async () => {
    await page.waitForFunction(() => document.getElementById('label').textContent !== '–' || !document.getElementById('error').hidden);
    await page.waitForSelector('#layers[aria-busy=false]');
  };
  check(await page.locator('#model option').count() === 6, 'many: six models to choose from');
  check((await text(page, '#hint')).startsWith('Draw one of these: 0 1'), 'many: digits are drawn');
  await mouseOnly(page);
  await expect(page, 'many', '7');
  await page.selectOption('#rival', 'digits-small');
  await page.waitForFunction(() => document.getElementById('label-2').textContent === '7');
  check(await text(page, '#agree') === 'Both say the same.', `many: ${await text(page, '#agree')}`);
  check(await page.locator('#bars-2 li').count() === 10 && await text(page, '#answer-name') === 'digits', 'many: two answers with their names');
  await page.screenshot({ path: path.join(folder, 'compared.png'), fullPage: true });
  await page.selectOption('#rival', '');
  check(await page.isHidden('#other'), 'many: one answer again');
  await choose('labels');
  await answered();
  check((await text(page, '#sure')).includes('of one half or more') && await page.locator('#bars li').count() === 3, `many: sigmoids: ${await text(page, '#sure')}`);
  check(!/\bink\b|drawn/i.test(await page.evaluate(() => document.body.innerText)), 'many: no word of ink where none is looked for');
  check(await text(page, '#draw-title') === 'Picture', 'many: a picture, not a drawing');
  await page.screenshot({ path: path.join(folder, 'labels.png'), fullPage: true });
  await choose('scores');
  await answered();
  check((await text(page, '#sure')).includes('not a probability') && !(await text(page, '#bars')).includes('%'), `many: logits: ${await text(page, '#bars')}`);
  await choose('age');
  await answered();
  check(Number.isFinite(Number(await text(page, '#label'))) && await page.isHidden('#bars'), `many: a number: ${await text(page, '#label')}`);
  await choose('segments');
  await answered();
  check(await page.isVisible('canvas.map') && await page.isHidden('#bars'), 'many: a map is shown as one');
  await page.screenshot({ path: path.join(folder, 'segments.png'), fullPage: true });
  // The server may read pictures that the browser cannot show.
  await choose('age');
  const tiff = readFileSync(path.join(source, 'tests/data/pictures/plain.tif'));
  await page.setInputFiles('#choose', { name: 'scan.tif', mimeType: 'image/tiff', buffer: tiff });
  await page.waitForFunction(() => document.getElementById('hint').textContent.startsWith('scan.tif') && document.getElementById('seen').width > 0);
  check(await page.isHidden('#error'), `many: a TIFF: ${await text(page, '#error')}`);
  await page.click('#clear');
  await label(page, '–');
  await choose('digits');
}

// ---- All visits ----

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--disable-gpu'], timeout: PATIENCE });
const digits = await serve(DIGITS);
const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
await visit(browser, digits, 'mouse', {}, mouse);
await visit(browser, digits, 'undo', {}, undo);
await visit(browser, digits, 'photo', {}, upload);
await visit(browser, digits, 'photo-dark', { colorScheme: 'dark' }, upload);
await visit(browser, digits, 'paste-and-drop', {}, pasteAndDrop);
await visit(browser, digits, 'keyboard', { reducedMotion: 'reduce' }, keyboard);
await visit(browser, digits, 'phone', phone, finger);
await visit(browser, digits, 'phone-dark', { ...phone, colorScheme: 'dark' }, finger);
await visit(browser, digits, 'tablet', { viewport: { width: 820, height: 1100 } }, mouseOnly);
await visit(browser, digits, 'dark', { colorScheme: 'dark' }, mouse);
await visit(browser, digits, 'empty', {}, async () => {});
await visit(browser, digits, 'refusals', {}, refusals, true);
await digits.stop();
if (only.length === 0 || only.includes('key')) {
  const keys = path.join(folder, 'keys');
  writeFileSync(keys, `${KEY} browser\n`, { mode: 0o600 });
  const guarded = await serve(DIGITS, `--api-keys-file=${keys}`);
  await visit(browser, guarded, 'key', {}, key, true);
  await guarded.stop();
}
if (only.length === 0 || only.includes('other-model')) {
  const another = await serve(trainOther());
  await visit(browser, another, 'other-model', {}, other);
  await another.stop();
}
if (only.length === 0 || only.some((name) => name.startsWith('many'))) {
  const models = await serve(null, `--model-dir=${makeModels(path.join(folder, 'models'), source)}`, '--default-model=digits');
  await visit(browser, models, 'many', {}, many);
  await visit(browser, models, 'many-dark', { colorScheme: 'dark' }, many);
  await visit(browser, models, 'many-phone', phone, many);
  await models.stop();
}
await browser.close();
await encoder();
console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`);
process.exitCode = counts.failed > 0 ? 1 : 0;
