// The drawing: strokes over a picture, drawn by mouse, pen, finger or keyboard. Units: the drawing
// area is 1 wide and `aspect` high. It knows no network.
import { encodeGrey } from './png.js';

const SENT_WIDTH = 224; // pixels of a drawing when it is sent
const LARGEST_PICTURE = 1024; // pixels of a picture's longer side when it is sent
const STEP = 0.02; // of the keyboard's pen

export class Drawing {
  strokes = [];
  shown = null; // the picture below the strokes
  file = null; // a picture that the browser cannot show: it is sent as it is
  aspect = 1;
  pen = 0.07; // the stroke's width
  cursor = null; // the keyboard's pen: [x, y], once it is used
  down = false; // whether the keyboard's pen is on the paper

  // `changed` is called after each change of what will be sent.
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.sent = document.createElement('canvas');
    this.sent.getContext('2d', { willReadFrequently: true }); // in memory, where it is read from
    this.changed = changed;
    canvas.addEventListener('pointerdown', (event) => this.#press(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(end, () => { this.pointer = null; });
    }
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('blur', () => { this.down = false; this.cursor = null; this.paint(); });
    new ResizeObserver(() => this.look()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.look());
    this.look();
  }

  // Remembers the page's colours and sizes for painting, since reading them in each event costs a
  // layout.
  look() {
    const style = getComputedStyle(this.canvas);
    this.colours = Object.fromEntries(['paper', 'ink', 'accent'].map((name) => [name, style.getPropertyValue(`--${name}`)]));
    this.width = Math.round(this.canvas.clientWidth * devicePixelRatio);
    this.paint();
  }

  get empty() { return this.strokes.length === 0 && !this.shown && !this.file; }

  undo() {
    if (this.strokes.length > 0) this.strokes.pop();
    else this.shown = this.file = null;
    this.down = false;
    this.#update();
  }

  clear() {
    this.strokes = [];
    this.shown = this.file = null;
    this.down = false;
    this.#update();
  }

  show(picture) {
    this.strokes = [];
    this.shown = picture;
    this.file = null;
    this.#update();
  }

  send(file) {
    this.strokes = [];
    this.shown = null;
    this.file = file;
    this.#update();
  }

  #update() {
    this.paint();
    this.changed();
  }

  #place(event) {
    const { box } = this;
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.width];
  }

  #press(event) {
    if (event.button !== 0 || this.pointer != null) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true, focusVisible: false });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.box = this.canvas.getBoundingClientRect(); // it stays there until the pen is lifted
    this.cursor = null;
    this.file = null;
    this.strokes.push({ width: this.pen, points: [this.#place(event)] });
    this.#update();
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length > 0 ? events : [event]) {
      this.strokes.at(-1).points.push(this.#place(one));
    }
    this.#update();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 4 * STEP : STEP;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) this.#walk(...moves[event.key]);
    else if (event.key === ' ') this.#lift();
    else if (event.key === 'Backspace') this.undo();
    else if (event.key === 'Delete') this.clear();
    else return;
    event.preventDefault();
  }

  #walk(dx, dy) {
    const [x, y] = this.cursor ?? [0.5, this.aspect / 2];
    this.cursor = [Math.min(Math.max(x + dx, 0), 1), Math.min(Math.max(y + dy, 0), this.aspect)];
    if (!this.down) return this.paint();
    this.strokes.at(-1).points.push(this.cursor);
    this.#update();
  }

  #lift() {
    this.cursor ??= [0.5, this.aspect / 2];
    this.down = !this.down;
    if (!this.down) return this.paint();
    this.file = null;
    this.strokes.push({ width: this.pen, points: [this.cursor] });
    this.#update();
  }

  // The place of the picture: as large as fits, in the middle.
  #frame() {
    const { width, height } = this.shown;
    const scale = Math.min(1 / width, this.aspect / height);
    return { x: (1 - width * scale) / 2, y: (this.aspect - height * scale) / 2, scale };
  }

  #stroke(context, ink) {
    Object.assign(context, { lineCap: 'round', lineJoin: 'round', strokeStyle: ink, fillStyle: ink });
    for (const { width, points } of this.strokes) {
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points) context.lineTo(...point);
      context.stroke();
      context.beginPath(); // a dot is a stroke, too
      context.arc(...points[0], width / 2, 0, 7);
      context.fill();
    }
  }

  // Draws on the screen, in the colours of the page.
  paint() {
    const { canvas, width, colours } = this;
    const height = Math.round(width * this.aspect);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d');
    context.setTransform(width, 0, 0, width, 0, 0);
    context.fillStyle = colours.paper;
    context.fillRect(0, 0, 1, this.aspect);
    if (this.shown) {
      const { x, y, scale } = this.#frame();
      context.drawImage(this.shown, x, y, this.shown.width * scale, this.shown.height * scale);
    }
    this.#stroke(context, this.shown ? '#000' : colours.ink);
    if (!this.cursor) return;
    context.lineWidth = 0.006;
    context.strokeStyle = colours.accent;
    context.beginPath();
    context.arc(...this.cursor, Math.max(this.pen / 2, 0.02) + (this.down ? 0 : 0.015), 0, 7);
    context.stroke();
  }

  // The Blob that is sent: a drawing as a PNG, dark on light whatever the page's colours are; a
  // picture unchanged.
  async picture() {
    if (this.empty) return null;
    if (this.file) return this.file;
    const { sent } = this, context = sent.getContext('2d');
    sent.width = 1; // empty, and without a transformation
    if (this.shown) {
      const { width, height } = this.shown;
      const scale = Math.min(1, LARGEST_PICTURE / Math.max(width, height));
      sent.width = Math.max(1, Math.round(width * scale));
      sent.height = Math.max(1, Math.round(height * scale));
      context.drawImage(this.shown, 0, 0, sent.width, sent.height);
      const frame = this.#frame(), zoom = scale / frame.scale;
      context.setTransform(zoom, 0, 0, zoom, -frame.x * zoom, -frame.y * zoom);
    } else {
      sent.width = SENT_WIDTH;
      sent.height = Math.round(SENT_WIDTH * this.aspect);
      context.fillStyle = '#fff';
      context.fillRect(0, 0, sent.width, sent.height);
      context.setTransform(sent.width, 0, 0, sent.width, 0, 0);
    }
    this.#stroke(context, '#000');
    if (this.shown) {
      return new Promise((resolve) => { sent.toBlob(resolve, 'image/png'); });
    }
    const { width, height } = sent, { data } = context.getImageData(0, 0, width, height);
    const grey = new Uint8Array(width * height);
    for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i];
    return new Blob([encodeGrey(grey, width, height)], { type: 'image/png' });
  }
}
