// Shows what the network does with the image: tiles for feature maps and filters, from an answer of
// /explain?values=bytes. It knows no type of layer: shapes decide how a layer is shown.
import { Tiles, paint } from './tiles.js';

const MOST_TILES = 128; // of one layer
const MOST_KERNELS = 64; // rows and columns of one sheet of filters
const ROW = 40; // values in a row of a vector
const MOST_ROWS = 200;

export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const count = (n, word) => `${n.toLocaleString('en')} ${word}${n === 1 ? '' : 's'}`;

function colour(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim().slice(1);
  const wide = hex.length === 3 ? [...hex].map((c) => c + c).join('') : hex;
  return [0, 2, 4].map((i) => parseInt(wide.slice(i, i + 2), 16));
}

const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);

// Colours for the 256 levels of a tensor: `low` at zero (or at the least value of a map) to `high`;
// below zero towards `negative`.
function ramp({ minimum, maximum }, signed) {
  const [low, high, negative] = ['--low', '--high', '--negative'].map(colour);
  const largest = Math.max(Math.abs(minimum), Math.abs(maximum)) || 1;
  return Array.from({ length: 256 }, (_, i) => {
    const value = (minimum + (maximum - minimum) * i / 255) / largest;
    if (!signed) return mix(low, high, i / 255);
    return mix(low, value < 0 ? negative : high, Math.abs(value));
  });
}

let shownInputs = 0; // number of inputs shown so far: a later one may be decoded first

// The PNG, in base64, of what the network saw; null for nothing.
export async function showInput(canvas, png) {
  const own = ++shownInputs;
  if (png == null) {
    canvas.width = 0;
    canvas.ariaLabel = 'Nothing yet';
    return;
  }
  const image = await createImageBitmap(new Blob([bytes(png)], { type: 'image/png' }));
  if (own !== shownInputs) return;
  const { width, height } = image;
  Object.assign(canvas, { width, height });
  canvas.style.aspectRatio = width / height;
  canvas.getContext('2d').drawImage(image, 0, 0);
  canvas.ariaLabel = `The ${width} by ${height} image that the network saw`;
}

// A convolution's kernel [height, width, in, out], with one column per output and one row per input;
// or a dense kernel [in, out], with one row per output and one column per input.
function sheet({ shape, minimum, maximum, values }) {
  const canvas = make('canvas', { className: 'sheet' }), data = bytes(values);
  const colours = ramp({ minimum, maximum }, true);
  if (shape.length === 2) {
    const [rows, columns] = shape;
    paint(canvas, rows, columns, colours, (y, x) => data[x * columns + y]);
    canvas.style.width = `${Math.max(rows, 320)}px`;
    canvas.style.height = `${Math.max(columns * 8, 16)}px`;
    return canvas;
  }
  const [height, width, inputs, outputs] = shape;
  const down = Math.min(inputs, MOST_KERNELS), across = Math.min(outputs, MOST_KERNELS);
  paint(canvas, across * (width + 1) - 1, down * (height + 1) - 1, colours, (y, x) => {
    const ky = y % (height + 1), kx = x % (width + 1);
    if (ky === height || kx === width) return -1;
    const i = Math.floor(y / (height + 1)), o = Math.floor(x / (width + 1));
    return data[((ky * width + kx) * inputs + i) * outputs + o];
  });
  canvas.style.width = `${canvas.width * Math.max(1, Math.round(15 / width))}px`;
  return canvas;
}

// One layer's place on the page; `show` fills it with an explanation's values.
class Layer {
  constructor(layer, ink) {
    this.ink = ink;
    const { name, type, output_shape: shape, tensors } = layer;
    this.shape = shape;
    this.kernel = tensors?.find((tensor) => tensor.shape.length > 1);
    this.body = make('div');
    this.element = make('article', { className: 'layer' },
      make('header', {}, make('h3', {}, name), make('p', {}, `${type} · ${this.#size()}`)), this.body);
    if (shape.length === 3) this.#makeMaps(name);
    else this.body.append(this.vector = make('canvas', { className: 'sheet', role: 'img', ariaLabel: `The values of ${name}` }));
    if (this.kernel && !this.maps?.kernels) this.#makeSheet(name);
  }

  #size() {
    const { shape } = this;
    return shape.length === 3 ? `${count(shape[2], 'map')} of ${shape[0]} × ${shape[1]}` : count(shape.reduce((a, b) => a * b, 1), 'value');
  }

  #makeMaps(name) {
    const [height, width, channels] = this.shape, shown = Math.min(channels, MOST_TILES);
    const own = this.kernel?.shape.length === 4 && this.kernel.shape[2] === 1; // shown below its map
    this.maps = new Tiles(width, height, shown);
    this.maps.canvas.ariaLabel = `The maps of ${name}${own ? ', each above its filter' : ''}`;
    this.body.append(this.maps.element);
    if (own) this.maps.addKernels(this.kernel.shape[1], this.kernel.shape[0]);
    if (shown < channels) this.body.append(make('p', { className: 'small' }, `These are the first ${shown}.`));
    if (own) this.body.append(key('Below each map is its filter: ', this.ink));
  }

  // One input channel: each map has one filter of its own.
  #fillKernels() {
    const [, width, , outputs] = this.kernel.shape, data = bytes(this.kernel.values);
    this.maps.kernels.fill(ramp(this.kernel, true), (o, y, x) => data[(y * width + x) * outputs + o]);
  }

  #makeSheet(name) {
    const { shape } = this.kernel;
    const title = shape.length === 4
      ? `${count(shape[2] * shape[3], 'filter')} of ${shape[0]} × ${shape[1]}: one column per map, one row per map of the layer before`
      : `${count(shape[0] * shape[1], 'weight')}: one row per value (${shape[1]}), one column per input (${shape[0].toLocaleString('en')})`;
    const place = make('div', { className: 'scroll', tabIndex: 0, role: 'region', ariaLabel: `Filters of ${name}` });
    const details = make('details', {}, make('summary', {}, title), place, key('', this.ink));
    details.addEventListener('toggle', () => {
      if (details.open) place.replaceChildren(sheet(this.kernel));
    });
    this.body.append(details);
  }

  show(layer, unchanged) {
    this.note ??= this.body.appendChild(make('p', { className: 'small' }, 'Passes its input on unchanged.'));
    this.note.hidden = !unchanged;
    for (const child of this.body.children) if (child !== this.note) child.hidden = unchanged;
    if (unchanged || layer.values === undefined) return;
    const data = bytes(layer.values), colours = ramp(layer, layer.minimum < 0);
    const [height, width, channels] = this.shape;
    if (this.vector) {
      const columns = Math.min(data.length, ROW), rows = Math.min(Math.ceil(data.length / columns), MOST_ROWS);
      paint(this.vector, columns, rows, colours, (y, x) => data[y * columns + x] ?? -1);
      this.vector.style.width = `min(100%, ${columns * 22}px)`;
    }
    if (this.maps?.kernels) this.#fillKernels();
    this.maps?.fill(colours, (c, y, x) => data[(y * width + x) * channels + c]);
  }
}

function key(text, ink) {
  return make('p', { className: 'small key' }, text, make('span', {}, make('i', { className: 'plus' }), ink ? 'looks for ink here' : 'weight above zero'),
    make('span', {}, make('i', { className: 'minus' }), ink ? 'looks for none' : 'below zero'));
}

export class Layers {
  // `ink`: whether the network reads drawings.
  constructor(place, ink = true) {
    Object.assign(this, { place, ink });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#fill());
  }

  // An `explanation` with tensors creates the places anew; one without fills the present ones.
  show({ layers }) {
    if (layers.some((layer) => layer.tensors)) {
      this.layers = layers.map((layer) => new Layer(layer, this.ink));
      this.place.replaceChildren(...this.layers.map((layer) => layer.element));
    }
    this.values = layers;
    this.#fill();
  }

  #fill() {
    this.values?.forEach((layer, i) => {
      this.layers[i].show(layer, i > 0 && layer.values === this.values[i - 1].values);
    });
  }
}
