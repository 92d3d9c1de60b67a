// The page: asks the server about the drawing while it is drawn, and shows what it says. The number
// of classes, their names and the input's shape come from the server.
import { Drawing } from './drawing.js';
import { Layers, make, showInput } from './layers.js';

const MOST_BARS = 20; // with more classes only the likeliest are shown
const MOST_RUNNING = 2; // requests about the drawing: a change need not wait for the answer before
const LONGEST_PAUSE = 400; // milliseconds for which the layers may stand still while one draws
const find = (id) => document.getElementById(id);
const drawing = new Drawing(find('canvas'), changed);
const layers = new Layers(find('layers'));
let served = { model: null, labels: [], input_shape: [] };
let version = 0; // of the drawing
let asked = 0; // the newest version that was sent
let shown = 0; // the newest version whose answer is shown: an older one may come later
let since = null; // when the oldest change came that was not sent yet
let running = 0; // requests
let body = null; // the PNG that was answered last
let explaining = false;
let explained = null; // the PNG whose layers are shown
let explainedModel = null; // whose filters are on the page
let explainTime = 0;
let apiKey = ''; // asked for when the server wants one; kept as long as the page is open

// ---- Asking ----

async function ask(path, options = {}) {
  let response;
  if (apiKey) options.headers.Authorization = `Bearer ${apiKey}`;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('The server does not answer.');
  }
  if (response.status === 401) find('door').hidden = false;
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

const post = (path, body) => ask(path, { method: 'POST', body, headers: { 'Content-Type': 'image/png', Accept: 'application/json' } });
const rest = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

function changed() {
  version++;
  since ??= performance.now();
  find('undo').disabled = find('clear').disabled = drawing.empty;
  find('hint').hidden = !drawing.empty;
  find('layers').ariaBusy = true;
  follow();
}

// Follows the drawing until it rests.
async function follow() {
  if (running === MOST_RUNNING) return;
  running++;
  while (asked !== version) {
    const own = asked = version;
    try {
      await answer(own);
      if (own === shown) find('error').hidden = true;
    } catch (error) {
      if (own < shown) continue;
      shown = own;
      body = null;
      find('save').hidden = true;
      fail(error.message);
    }
  }
  running--;
  if (running === 0) followLayers();
}

async function answer(own) {
  const begun = since;
  since = null;
  const png = await drawing.png();
  const reply = png && await post('predict?image=png', png);
  const prediction = reply?.predictions[0];
  if (reply && (reply.model !== served.model || prediction.probabilities.length !== served.labels.length)) await meet();
  if (own < shown) return;
  shown = own;
  body = png;
  find('save').hidden = !png;
  if (!png) return showNothing();
  showAnswer(prediction);
  find('time').textContent = `in ${Math.max(1, performance.now() - (begun ?? 0)).toFixed(0)} ms`;
  showInput(find('seen'), prediction.image).catch((error) => fail(error.message));
  followLayers();
}

// The layers follow the answers, and leave them most of the time.
async function followLayers() {
  if (explaining) return;
  explaining = true;
  while (body && body !== explained) {
    await rest(Math.min(LONGEST_PAUSE, Math.max(60, 4 * explainTime)));
    const latest = body;
    if (latest) await explain(latest).catch((error) => fail(error.message));
    explained = latest;
  }
  explaining = false;
  find('layers').classList.toggle('stale', !body);
  find('layers').ariaBusy = running > 0;
}

async function explain(png) {
  const begun = performance.now();
  const known = explainedModel === served.model;
  const answer = await post(`explain?values=bytes&filters=${known ? 0 : 1}`, png);
  layers.show(answer);
  explainedModel = answer.model;
  explainTime = performance.now() - begun;
}

// What is served here.
async function meet() {
  const known = await ask('./', { headers: { Accept: 'application/json' } });
  // The model is told to those with a key alone: who has none is asked for it.
  if (known.model === null) await ask('v2/models', { headers: { Accept: 'application/json' } });
  served = { ...served, ...known };
  const [height, width, channels] = served.input_shape;
  drawing.aspect = served.input_shape.length === 3 ? height / width : 1;
  find('canvas').style.aspectRatio = 1 / drawing.aspect;
  drawing.look();
  find('served').replaceChildren('Model ', make('code', {}, served.model ?? 'none'),
    ` · ${served.input_shape.length === 3 ? `${height} × ${width}${channels > 1 ? ` × ${channels}` : ''}` : served.input_shape} in, ${served.labels.length} classes out`);
  find('hint').textContent = `Draw one of these: ${list(served.labels)}`;
  makeBars();
}

const list = (labels) => (labels.length <= 12 ? labels.join(' ') : `${labels.slice(0, 10).join(', ')} …`);

// ---- Showing ----

function percent(p) {
  if (p > 0.9995 && p < 1) return '> 99.9 %';
  return p > 0 && p < 0.0005 ? '< 0.1 %' : `${(100 * p).toFixed(1)} %`;
}

let bars = [];
function makeBars() {
  const shown = Math.min(served.labels.length, MOST_BARS);
  bars = Array.from({ length: shown }, () => {
    const name = make('span', { className: 'name' });
    const fill = make('div', { className: 'fill' }), value = make('span', { className: 'value' });
    return { name, fill, value, item: make('li', {}, name, make('div', { className: 'track' }, fill), value) };
  });
  find('bars').classList.toggle('named', served.labels.some((label) => label.length > 2));
  find('bars').replaceChildren(...bars.map((bar) => bar.item));
  showBars(served.labels.map(() => 0));
}

function showBars(probabilities) {
  let order = probabilities.map((_, i) => i);
  const best = order.reduce((a, b) => (probabilities[b] > probabilities[a] ? b : a), 0);
  if (order.length > MOST_BARS) order = order.sort((a, b) => probabilities[b] - probabilities[a]);
  bars.forEach(({ item, name, fill, value }, row) => {
    const p = probabilities[order[row]];
    name.textContent = served.labels[order[row]];
    fill.style.transform = `scaleX(${p})`;
    value.textContent = percent(p);
    item.classList.toggle('best', order[row] === best && p > 0);
  });
}

let speaking;
function speak(text) {
  clearTimeout(speaking); // not while the drawing goes on
  speaking = setTimeout(() => { find('status').textContent = text; }, 700);
}

function showLabel(text, sentence, sure) {
  find('label').textContent = text;
  find('label').classList.toggle('long', text.length > 3);
  find('sure').textContent = sentence;
  find('label').parentElement.classList.toggle('unsure', !sure);
}

function showAnswer(prediction) {
  const { label, confidence, probabilities, preprocessing } = prediction;
  const sure = confidence >= 0.5;
  showBars(probabilities);
  showLabel(label, `${sure ? '' : 'Not sure: '}${percent(confidence)}`, sure);
  showFacts(preprocessing);
  speak(`${label}, ${percent(confidence)}`);
}

function showNothing() {
  showBars(served.labels.map(() => 0));
  showLabel('–', 'Nothing drawn yet', false);
  showFacts();
  find('time').textContent = '';
  showInput(find('seen'), null);
  speak('The drawing area is empty');
}

// What preprocessing did: whatever the server reports, in words where they are known.
const FACTS = {
  unchanged: 'Taken as it is', inverted: 'Dark on light', uneven: 'Light evened', sheet: 'Sheet cut out',
  crop: 'Ink found', scale: 'Scaled by', thickened: 'Strokes widened by',
  others: 'Other parts, which were left out',
};
function said(value) {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 4 ? `${value[2]} × ${value[3]}\nat ${value[0]}, ${value[1]}` : value.join(', ');
  return typeof value === 'number' ? String(Number(value.toPrecision(3))) : String(value);
}

let factsShown = '';
function showFacts(report = {}) {
  if (factsShown === (factsShown = JSON.stringify(report))) return;
  find('facts').replaceChildren(...Object.entries(report).filter(([, value]) => typeof value !== 'object' || Array.isArray(value))
    .flatMap(([name, value]) => [make('dt', {}, FACTS[name] ?? name), make('dd', {}, said(value))]));
}

function fail(text) {
  find('error').textContent = text;
  find('error').hidden = false;
  showLabel('–', 'No answer', false);
  showBars(served.labels.map(() => 0));
  showFacts();
  find('time').textContent = '';
  showInput(find('seen'), null);
  speak('');
}

// The picture that was sent, for the command below.
find('save').addEventListener('click', () => {
  const url = URL.createObjectURL(new Blob([body], { type: 'image/png' }));
  make('a', { href: url, download: 'drawing.png' }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000); // long after the download has begun
});

// ---- Pictures ----

async function take(file) {
  if (!file) return;
  try {
    drawing.show(await createImageBitmap(file));
  } catch {
    fail(`This browser cannot read ${file.name || 'this file'} as a picture.`);
  }
}

for (const id of ['choose', 'photo']) {
  find(id).addEventListener('change', (event) => {
    take(event.target.files[0]);
    event.target.value = ''; // the same file may be chosen again
  });
}
addEventListener('paste', (event) => take([...event.clipboardData.files].find((file) => file.type.startsWith('image/'))));
addEventListener('dragover', (event) => {
  event.preventDefault();
  find('paper').classList.add('over');
});
addEventListener('dragleave', () => find('paper').classList.remove('over'));
addEventListener('drop', (event) => {
  event.preventDefault();
  find('paper').classList.remove('over');
  take(event.dataTransfer.files[0]);
});

// ---- Tools ----

find('pen').addEventListener('input', (event) => { drawing.pen = event.target.value / 100; });
find('undo').addEventListener('click', () => drawing.undo());
find('clear').addEventListener('click', () => drawing.clear());
addEventListener('keydown', (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.key !== 'z' || drawing.empty) return;
  event.preventDefault();
  drawing.undo();
});
find('door').addEventListener('submit', (event) => {
  event.preventDefault();
  apiKey = find('key').value.trim();
  find('door').hidden = true;
  find('canvas').focus({ focusVisible: false });
  showCommand();
  meet().then(changed, (error) => fail(error.message));
});
function showCommand() {
  const key = apiKey ? '-H "X-API-Key: $KEY" ' : '';
  find('curl').textContent = `curl ${key}--data-binary @drawing.png ${new URL('predict', location.href)}`;
}
showCommand();
find('copy').addEventListener('click', async () => {
  const done = await navigator.clipboard?.writeText(find('curl').textContent).then(() => true, () => false);
  find('copy').textContent = done ? 'Copied' : 'Select it by hand';
  await rest(1500);
  find('copy').textContent = 'Copy';
});
meet().catch((error) => fail(error.message));
