// The page: sends the picture to the server while it is drawn, and shows the answers. The models, the
// kinds of their answers and the input's shape come from the server.
import { Answer } from './answers.js';
import { Drawing } from './drawing.js';
import { Layers, make, showInput } from './layers.js';

const MOST_RUNNING = 2; // requests at once: a change need not wait for the previous answer
const LONGEST_PAUSE = 400; // milliseconds for which the layers may stay unchanged while the user draws
const find = (id) => document.getElementById(id);
const drawing = new Drawing(find('canvas'), changed);
const NOBODY = { name: null, labels: [], input_shape: [], kind: 'softmax', fit: 'mnist' };
let layers = new Layers(find('layers'));
let names = []; // of the models that are served
let served = NOBODY; // the model that is asked
let rival = null; // the model beside it; null: none
const first = new Answer({ label: find('label'), sure: find('sure'), bars: find('bars') });
const second = new Answer({ label: find('label-2'), sure: find('sure-2'), bars: find('bars-2') });
let version = 0; // of the drawing
let asked = 0; // the newest version that was sent
let shown = 0; // the newest version whose answer is shown: answers to older ones may arrive later
let since = null; // when the oldest change came that was not sent yet
let running = 0; // requests
let body = null; // the picture that was answered last
let explaining = false;
let explained = null; // the picture whose layers are shown
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

const get = (path) => ask(path, { headers: { Accept: 'application/json' } });
const post = (path, body) => ask(path, { method: 'POST', body, headers: { 'Content-Type': body.type || 'image/png', Accept: 'application/json' } });
const place = (action, model) => `${action}/${encodeURIComponent(model.name)}`;
const rest = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

function changed() {
  version++;
  since ??= performance.now();
  find('undo').disabled = find('clear').disabled = drawing.empty;
  find('hint').hidden = !drawing.empty && !drawing.file;
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
      fail(drawing.file ? `${drawing.file.name}: ${error.message}` : error.message);
    }
  }
  running--;
  if (running === 0) followLayers();
}

async function answer(own) {
  const begun = since;
  since = null;
  const picture = await drawing.picture();
  if (picture && served === NOBODY) await meet();
  const own_rival = rival;
  const [reply, other] = picture ? await Promise.all([post(`${place('predict', served)}?image=png`, picture),
    own_rival && post(place('predict', own_rival), picture).catch((error) => error)]) : [];
  const prediction = reply?.predictions[0];
  if (own < shown) return;
  const values = prediction?.probabilities ?? prediction?.values;
  if (values && served.kind !== 'map' && values.length !== served.labels.length) await choose(served.name); // another file since
  shown = own;
  body = picture;
  find('save').hidden = !picture || drawing.file !== null;
  if (!picture) return showNothing();
  showAnswer(prediction);
  if (own_rival && own_rival === rival) showOther(other);
  find('time').textContent = `in ${Math.max(1, performance.now() - (begun ?? 0)).toFixed(0)} ms`;
  showInput(find('seen'), prediction.image).catch((error) => fail(error.message));
  followLayers();
}

// Updates the layers after the answers, which get most of the time.
async function followLayers() {
  if (explaining) return;
  explaining = true;
  while (body && body !== explained) {
    await rest(Math.min(LONGEST_PAUSE, Math.max(60, 4 * explainTime)));
    const latest = body;
    if (latest) await explain(latest).catch((error) => showNoLayers(error.message));
    explained = latest;
  }
  explaining = false;
  find('layers').classList.toggle('stale', !body);
  find('layers').ariaBusy = running > 0;
}

async function explain(picture) {
  const begun = performance.now();
  const known = explainedModel === served.name;
  const answer = await post(`${place('explain', served)}?values=bytes&filters=${known ? 0 : 1}`, picture);
  if (answer.model !== served.name) return;
  layers.show(answer);
  explainedModel = answer.model;
  explainTime = performance.now() - begun;
}

function showNoLayers(sentence) {
  explainedModel = null;
  layers = new Layers(find('layers'), served.fit === 'mnist');
  find('layers').replaceChildren(make('p', { className: 'small' }, sentence));
}

// ---- The models ----

async function describe(name) {
  const { parameters } = await get(`v2/models/${encodeURIComponent(name)}/config`);
  return { name, ...parameters };
}

// The models that are served, and the default model.
async function meet() {
  const known = await get('./');
  // Only clients with a key may list the models: a user without one is asked for it.
  names = (await get('v2/models')).models;
  fill(find('model'), names);
  fill(find('rival'), ['none', ...names]);
  find('rival').parentElement.hidden = names.length < 2;
  await choose(known.model ?? names[0]);
}

function fill(select, options) {
  select.replaceChildren(...options.map((name, i) => make('option', { value: select.id === 'rival' && i === 0 ? '' : name }, name)));
}

// Everything that depends on the model; the picture stays.
async function choose(name) {
  if (name === undefined) return;
  served = await describe(name);
  const { input_shape: shape, labels, kind } = served, ink = served.fit === 'mnist';
  const [height, width, channels] = shape;
  find('model').value = name;
  drawing.aspect = shape.length === 3 ? height / width : 1;
  find('canvas').style.aspectRatio = 1 / drawing.aspect;
  drawing.look();
  find('served').textContent = `${shape.length === 3 ? `${height} × ${width}${channels > 1 ? ` × ${channels}` : ''}` : shape.join(' × ')} in, ${WORDS[kind]?.(labels.length) ?? 'numbers'} out`;
  find('draw-title').textContent = ink ? 'Draw' : 'Picture';
  if (drawing.empty) find('hint').textContent = ink ? `Draw one of these: ${list(labels)}` : 'Drop or paste a picture here, choose one, or draw';
  first.meet(served);
  showNoLayers(`${ink ? 'Draw something' : 'Show a picture'}, and the layers appear here.`);
  explained = null;
  showNothing();
  showCommand();
}

async function compare(name) {
  rival = name ? await describe(name) : null;
  find('other').hidden = !rival;
  find('other-name').textContent = name;
  find('answer-name').textContent = rival ? served.name : 'Answer';
  if (rival) {
    second.meet(rival);
    second.clear('Nothing asked yet');
  }
  find('agree').textContent = '';
}

const WORDS = {
  softmax: (n) => `${n} classes`, sigmoid: () => 'two classes', sigmoids: (n) => `${n} labels`, logits: (n) => `${n} numbers`,
  number: () => 'a number', map: () => 'a map',
};
const list = (labels) => (labels.length <= 12 ? labels.join(' ') : `${labels.slice(0, 10).join(', ')} …`);

// ---- Showing ----

let speaking;
function speak(text) {
  clearTimeout(speaking); // not while the drawing goes on
  speaking = setTimeout(() => { find('status').textContent = text; }, 700);
}

function showAnswer(prediction) {
  speak(first.show(prediction));
  showFacts(prediction.preprocessing);
}

// The other model's answer to the same picture, or why it has none.
function showOther(reply) {
  const failed = reply instanceof Error;
  if (failed) second.clear(reply.message);
  else second.show(reply.predictions[0]);
  const [a, b] = [find('label').textContent, find('label-2').textContent];
  find('agree').textContent = failed ? '' : a === b ? 'Both say the same.' : 'They differ.';
}

function showNothing() {
  const sentence = served.fit === 'mnist' ? 'Nothing drawn yet' : 'No picture yet';
  first.clear(sentence);
  if (rival) second.clear(sentence);
  find('agree').textContent = '';
  showFacts();
  find('time').textContent = '';
  showInput(find('seen'), null);
  speak('The drawing area is empty');
}

// What the preprocessing did, as the server reports it, in words where they are known. If it did not
// look for ink, these are the part of the picture that was used, and the scale.
const PLAIN_FACTS = { crop: 'Part taken', scale: 'Scaled by' };
const FACTS = {
  unchanged: 'Used unchanged', inverted: 'Dark on light', uneven: 'Light evened', sheet: 'Sheet cut out',
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
  const ink = served.fit === 'mnist', words = ink ? FACTS : PLAIN_FACTS;
  if (factsShown === (factsShown = JSON.stringify([ink, report]))) return;
  find('facts').replaceChildren(...Object.entries(report)
    .filter(([name, value]) => (ink || words[name]) && (typeof value !== 'object' || Array.isArray(value)))
    .flatMap(([name, value]) => [make('dt', {}, words[name] ?? name), make('dd', {}, said(value))]));
}

function fail(text) {
  find('error').textContent = text;
  find('error').hidden = false;
  first.clear('No answer');
  if (rival) second.clear('No answer');
  find('agree').textContent = '';
  showFacts();
  find('time').textContent = '';
  showInput(find('seen'), null);
  speak('');
}

// The picture that was sent, for the command below.
find('save').addEventListener('click', () => {
  const url = URL.createObjectURL(body);
  make('a', { href: url, download: 'drawing.png' }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000); // long after the download has begun
});

// ---- Pictures ----

async function take(file) {
  if (!file) return;
  try {
    drawing.show(await createImageBitmap(file));
  } catch { // the server reads more formats than a browser
    find('hint').textContent = `${file.name || 'A file'}: this browser cannot show it, but sends it to the server`;
    drawing.send(file);
  }
}

for (const id of ['choose', 'photo']) {
  find(id).addEventListener('change', (event) => {
    take(event.target.files[0]);
    event.target.value = ''; // the same file may be chosen again
  });
}
addEventListener('paste', (event) => take([...event.clipboardData.files][0]));
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
const again = (promise) => promise.then(changed, (error) => fail(error.message));
find('model').addEventListener('change', (event) => again(choose(event.target.value).then(() => compare(rival?.name ?? ''))));
find('rival').addEventListener('change', (event) => again(compare(event.target.value)));
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
  const path = served.name === null || names.length < 2 ? 'predict' : place('predict', served);
  find('curl').textContent = `curl ${key}--data-binary @drawing.png ${new URL(path, location.href)}`;
}
showCommand();
find('copy').addEventListener('click', async () => {
  const done = await navigator.clipboard?.writeText(find('curl').textContent).then(() => true, () => false);
  find('copy').textContent = done ? 'Copied' : 'Select it by hand';
  await rest(1500);
  find('copy').textContent = 'Copy';
});
meet().catch((error) => fail(error.message));
