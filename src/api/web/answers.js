// One model's answer to the picture: its label and the bars, or other numbers. Only probabilities
// are shown as probabilities. It knows no model: the server tells what the numbers mean.
import { make } from './layers.js';

const MOST_BARS = 20; // with more classes only the first in order are shown

export function percent(p) {
  if (p > 0.9995 && p < 1) return '> 99.9 %';
  return p > 0 && p < 0.0005 ? '< 0.1 %' : `${(100 * p).toFixed(1)} %`;
}

const short = (value) => String(Number(value.toPrecision(5)));
const PROBABLE = ['softmax', 'sigmoid', 'sigmoids'];
const TITLES = {
  softmax: 'Probability of each class', sigmoid: 'Probability of each class', sigmoids: 'Independent probability of each label',
  logits: 'Number of each class (not a probability)',
};

export class Answer {
  // The elements that it fills: the label, the sentence beside it, and the list of bars.
  constructor({ label, sure, bars }) {
    Object.assign(this, { label, sure, bars, rows: [], labels: [], kind: 'softmax' });
    this.map = make('canvas', { className: 'map', role: 'img', hidden: true });
    bars.before(this.map);
  }

  // Prepares for a model with other labels, or with another kind of numbers.
  meet({ labels, kind }) {
    Object.assign(this, { labels, kind });
    const shown = Math.min(labels.length, MOST_BARS);
    this.rows = Array.from({ length: shown }, () => {
      const name = make('span', { className: 'name' });
      const fill = make('div', { className: 'fill' }), value = make('span', { className: 'value' });
      return { name, fill, value, item: make('li', {}, name, make('div', { className: 'track' }, fill), value) };
    });
    this.bars.classList.toggle('named', labels.some((label) => label.length > 2));
    this.bars.replaceChildren(...this.rows.map((row) => row.item));
    this.bars.hidden = shown === 0 || kind === 'number' || kind === 'map';
    this.bars.ariaLabel = TITLES[kind] ?? '';
    this.#showBars(labels.map(() => 0));
  }

  // Shows the prediction, and returns it as a sentence for screen readers.
  show(prediction) {
    const { kind } = this;
    this.map.hidden = kind !== 'map';
    if (kind === 'number') return this.#say(short(prediction.value), 'A number: a regression');
    if (kind === 'map') return this.#showMap(prediction);
    const values = prediction.probabilities ?? prediction.values;
    this.#showBars(values);
    if (kind === 'sigmoids') {
      const { labels } = prediction;
      return this.#say(labels.length > 0 ? labels.join(', ') : 'none',
        `${labels.length} of ${values.length} labels with a probability of one half or more`, labels.length > 0);
    }
    if (kind === 'logits') return this.#say(prediction.label ?? `${prediction.class}`, 'The largest number (not a probability)');
    const sure = prediction.confidence >= 0.5;
    this.#say(prediction.label, `${sure ? '' : 'Not sure: '}${percent(prediction.confidence)}`, sure);
    return `${prediction.label}, ${percent(prediction.confidence)}`;
  }

  clear(sentence) {
    this.map.hidden = true;
    this.#showBars(this.labels.map(() => 0), false);
    this.#say('–', sentence, false);
  }

  #say(text, sentence, sure = true) {
    this.label.textContent = text;
    this.label.classList.toggle('long', text.length > 2);
    this.sure.textContent = sentence;
    this.label.parentElement.classList.toggle('unsure', !sure);
    return `${text}. ${sentence}`;
  }

  // Draws bars: of probabilities from 0 to 1, of other numbers from the least to the largest.
  #showBars(values, answered = true) {
    let order = values.map((_, i) => i);
    const best = order.reduce((a, b) => (values[b] > values[a] ? b : a), 0);
    if (order.length > MOST_BARS) order = order.sort((a, b) => values[b] - values[a]);
    const probable = PROBABLE.includes(this.kind), low = probable ? 0 : Math.min(...values), high = probable ? 1 : Math.max(...values);
    this.rows.forEach(({ item, name, fill, value }, row) => {
      const v = values[order[row]];
      name.textContent = this.labels[order[row]];
      fill.style.transform = `scaleX(${high > low ? (v - low) / (high - low) : 0})`;
      value.textContent = probable || !answered ? percent(v) : short(v);
      item.classList.toggle('best', this.kind === 'sigmoids' ? v >= 0.5 : order[row] === best && (v > 0 || !probable) && answered);
    });
  }

  // Draws a map: one channel from its least value to its largest, or of several channels the number
  // of the largest one.
  #showMap({ shape, values }) {
    const [height, width, channels = 1] = shape;
    const level = (i) => {
      if (channels === 1) return values[i];
      let best = 0;
      for (let c = 1; c < channels; c++) if (values[i * channels + c] > values[i * channels + best]) best = c;
      return best;
    };
    const levels = Array.from({ length: height * width }, (_, i) => level(i));
    const low = channels > 1 ? 0 : levels.reduce((a, b) => Math.min(a, b), Infinity);
    const high = channels > 1 ? channels - 1 : levels.reduce((a, b) => Math.max(a, b), -Infinity);
    const image = new ImageData(width, height);
    levels.forEach((v, i) => {
      const grey = high > low ? 255 * (v - low) / (high - low) : 0;
      image.data.set([grey, grey, grey, 255], 4 * i);
    });
    Object.assign(this.map, { width, height });
    this.map.getContext('2d').putImageData(image, 0, 0);
    this.map.style.aspectRatio = width / height;
    this.map.ariaLabel = `The map of ${height} by ${width}`;
    return this.#say('map', channels > 1 ? `${shape.join(' × ')}: the largest of ${channels} channels` : `${height} × ${width}: ${short(low)} black to ${short(high)} white`);
  }
}
