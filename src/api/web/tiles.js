// The maps of a layer side by side in one canvas, each above its filter where it has one. A canvas
// per map would be too slow: a browser composes every canvas anew in each frame, which for hundreds
// takes longer than the network's answer. It knows no layer.
const GAP = 6; // pixels of the page, as all below
const KERNEL = 32; // a filter's width
const COLUMNS = 16; // of a wide page: counts of maps are mostly powers of two

// Fills a canvas of width x height; `at` gives the level of a pixel or -1 for none.
export function paint(canvas, width, height, colours, at) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  const packed = colours.map(([r, g, b]) => new Uint32Array(Uint8Array.of(r, g, b, 255).buffer)[0]);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const level = at(y, x);
      if (level >= 0) pixels[to] = packed[level];
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}

// `count` pictures of width x height, one below the other in a hidden canvas.
class Strip {
  constructor(width, height, count) {
    Object.assign(this, { width, height, count, canvas: document.createElement('canvas') });
    this.canvas.getContext('2d', { willReadFrequently: true }); // in memory: it is small
  }

  // `at(i, y, x)` gives the level of picture i.
  fill(colours, at) {
    const { width, height, count } = this;
    paint(this.canvas, width, height * count, colours, (row, x) => at(Math.floor(row / height), row % height, x));
  }

  draw(context, i, x, y, width, height) {
    context.drawImage(this.canvas, 0, i * this.height, this.width, this.height, x, y, width, height);
  }
}

export class Tiles {
  constructor(width, height, count) {
    this.maps = new Strip(width, height, count);
    this.canvas = Object.assign(document.createElement('canvas'), { className: 'tiles', role: 'img' });
    this.element = document.createElement('div');
    this.element.append(this.canvas);
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  // The filters of the maps, of width x height.
  addKernels(width, height) {
    this.kernels = new Strip(width, height, this.maps.count);
  }

  fill(colours, at) {
    this.maps.fill(colours, at);
    this.#draw();
  }

  #draw() {
    const { canvas, maps, kernels } = this, room = this.element.clientWidth;
    if (room === 0 || maps.canvas.height !== maps.height * maps.count) return; // hidden, or not filled
    const wide = Math.floor((room + GAP) / COLUMNS) - GAP;
    const tile = room < 500 ? 46 : Math.max(wide, 56), tall = tile * maps.height / maps.width;
    const kernelTall = kernels ? KERNEL * kernels.height / kernels.width : 0;
    const row = tall + GAP + (kernels ? kernelTall + 2 * GAP : 0);
    const columns = Math.min(maps.count, Math.max(1, Math.floor((room + GAP) / (tile + GAP))));
    const width = columns * (tile + GAP) - GAP, height = Math.ceil(maps.count / columns) * row - GAP;
    const ratio = devicePixelRatio, sharp = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (canvas.width !== sharp.width || canvas.height !== sharp.height) {
      Object.assign(canvas, sharp);
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    }
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = false;
    for (let i = 0; i < maps.count; i++) {
      const x = i % columns * (tile + GAP), y = Math.floor(i / columns) * row;
      maps.draw(context, i, x, y, tile, tall);
      kernels?.draw(context, i, x, y + tall + GAP, KERNEL, kernelTall);
    }
  }
}
