// Starts a convnetd, visits its page, and checks what every visit must fulfil.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { SEVEN } from './pictures.mjs';

const [, , where, ...visits] = process.argv;
export const folder = path.resolve(where), only = visits;
export const source = path.resolve(process.env.top_srcdir), build = path.resolve(process.env.top_builddir);
const require = createRequire(path.join(folder, 'package.json'));
export const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
export const PATIENCE = 60000; // milliseconds after which a condition counts as failed
export const counts = { passed: 0, failed: 0 };

export function check(good, what) {
  if (good) counts.passed++;
  else {
    counts.failed++;
    console.log(`FAIL ${what}`);
  }
}

export async function serve(model, ...options) {
  const process = spawn(path.join(build, 'convnetd'), [...(model ? [`--model=${model}`] : []), '--port=0', ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
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

// Opens the page in a context of its own, runs `story(page)`, checks it with axe, and checks the messages of
// the browser. `refusals`: the story causes error answers.
export async function visit(browser, server, name, options, story, refusals = false) {
  if (only.length > 0 && !only.includes(name)) return;
  const begun = performance.now(), before = counts.passed + counts.failed;
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
    window.answers = []; // [milliseconds that the page reports for an answer, milliseconds until it was painted]
    addEventListener('DOMContentLoaded', () => new MutationObserver(() => {
      const told = Number(/\d+/.exec(document.getElementById('time').textContent)), at = performance.now();
      if (!told) return;
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel(); // its message comes after the frame
        port1.onmessage = () => window.answers.push([told, told + performance.now() - at]);
        port2.postMessage(0);
      });
    }).observe(document.getElementById('time'), { childList: true }));
    addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  try {
    await page.goto(server.url);
    await page.waitForSelector('#bars li, #door:not([hidden])');
    await story(page);
    await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
    await page.evaluate(axe); // set by the debugger, which the page's policy does not restrict
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
  console.log(`${name}: ${counts.passed + counts.failed - before} checks in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

export const text = (page, selector) => page.textContent(selector);
export const sum = (page) => page.$$eval('.fill', (fills) => fills.reduce((s, f) => s + Number(/scaleX\((.*)\)/.exec(f.style.transform)[1]), 0));
export const label = (page, expected) => page.waitForFunction((w) => document.getElementById('label').textContent === w, expected);

// The answer is complete and stable: the label, the sum of the probabilities, the image seen, the layers.
export async function expect(page, name, expected) {
  await label(page, expected);
  await page.waitForSelector('#layers[aria-busy=false]');
  await page.waitForFunction(() => {
    const seen = document.getElementById('seen'), maps = document.querySelectorAll('canvas.tiles');
    const lit = (c) => c.width > 0 && new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size > 3;
    return seen.ariaLabel.includes('by') && lit(seen) && [...maps].some(lit);
  });
  check(Math.abs(await sum(page) - 1) < 1e-4, `${name}: the bars' sum is ${await sum(page)}`);
  check(await text(page, '.best .name') === expected, `${name}: the best bar is ${await text(page, '.best .name')}`);
  check(await page.isHidden('#error'), `${name}: ${await text(page, '#error')}`);
  await page.waitForFunction((w) => document.getElementById('status').textContent.startsWith(`${w}, `), expected);
}

export async function points(page, relative) {
  const box = await page.locator('#canvas').boundingBox();
  return relative.map(([x, y]) => [box.x + x * box.width, box.y + y * box.width]);
}

// Draws a 7 without waiting for the answer.
export async function mouseOnly(page) {
  const [first, ...others] = await points(page, SEVEN);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 4 });
  await page.mouse.up();
}
