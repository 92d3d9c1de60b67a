// A folder of models with each kind of answer, for a visit of check-page.mjs.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

// A model file: a Sequential network with repeated weights.
function writeModel(file, shape, layers, weights, labels) {
  const layer = ([class_name, config]) => ({ class_name, config });
  const architecture = { class_name: 'Sequential', config: { name: 'made', layers: [layer(['InputLayer', { batch_shape: [null, ...shape] }]), ...layers.map(layer)] } };
  const header = { __metadata__: { format: 'convnet/1', architecture: JSON.stringify(architecture), ...(labels && { labels: JSON.stringify(labels) }) } };
  const parts = [];
  let at = 0;
  for (const [name, dims] of Object.entries(weights)) {
    const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 37) % 11 - 5) / 60);
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [at, at += values.byteLength] };
    parts.push(Buffer.from(values.buffer));
  }
  let head = JSON.stringify(header);
  head += ' '.repeat((8 - head.length % 8) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  writeFileSync(file, Buffer.concat([length, Buffer.from(head), ...parts]));
}

export function makeModels(folder, source) {
  mkdirSync(folder, { recursive: true });
  for (const name of ['digits', 'digits-small']) copyFileSync(path.join(source, 'models', `${name}.safetensors`), path.join(folder, `${name}.safetensors`));
  const place = (name) => path.join(folder, `${name}.safetensors`), colour = [8, 12, 3], flat = 8 * 12 * 3;
  const dense = (units, activation) => [['Flatten', { name: 'f' }], ['Dense', { name: 'd', units, activation }]];
  const weights = (units) => ({ 'd/kernel': [flat, units], 'd/bias': [units] });
  writeModel(place('labels'), colour, dense(3, 'sigmoid'), weights(3), ['sunny', 'by the sea', 'crowded']);
  writeModel(place('scores'), colour, dense(4, 'linear'), weights(4), ['cat', 'dog', 'bird', 'fish']);
  writeModel(place('age'), colour, dense(1, 'linear'), weights(1));
  writeModel(place('segments'), colour, [['Conv2D', { name: 'c', filters: 3, kernel_size: 3, padding: 'same' }]], { 'c/kernel': [3, 3, 3, 3], 'c/bias': [3] });
  return folder;
}
