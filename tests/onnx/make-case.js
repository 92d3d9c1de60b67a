// make_case.js MODEL FOLDER [NAME=SHAPE...]: runs an ONNX model once with ONNX Runtime on generated inputs,
// and writes a case to FOLDER in the form of ONNX's conformance suite, for tests/support/onnx_cases. Needs
// onnxruntime-node (npm), found by NODE_PATH.
const fs = require('fs'), path = require('path');
const ort = require('onnxruntime-node');

const varint = n => { const out = []; n = BigInt(n); do { let b = Number(n & 127n); n >>= 7n; out.push(n ? b | 128 : b); } while (n); return Buffer.from(out); };
function tensorProto(dims, type, bytes) {
  const parts = dims.map(d => Buffer.concat([Buffer.from([8]), varint(d)]));
  parts.push(Buffer.concat([Buffer.from([16]), varint(type)]));
  parts.push(Buffer.concat([Buffer.from([0x4a]), varint(bytes.length), bytes]));
  return Buffer.concat(parts);
}
const types = {float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9};

async function main(model, folder, ...shapes) {
  const session = await ort.InferenceSession.create(model, {graphOptimizationLevel: 'disabled', intraOpNumThreads: 1});
  const given = Object.fromEntries(shapes.map(s => [s.slice(0, s.lastIndexOf('=')), s.slice(s.lastIndexOf('=') + 1).split(',').map(Number)]));
  const data = path.join(folder, 'test_data_set_0');
  fs.mkdirSync(data, {recursive: true});
  if (path.resolve(model) !== path.resolve(folder, 'model.onnx')) {
    fs.rmSync(path.join(folder, 'model.onnx'), {force: true});
    fs.symlinkSync(path.resolve(model), path.join(folder, 'model.onnx'));
  }
  const feeds = {};
  let state = 12345;
  session.inputMetadata.forEach((meta, i) => {
    const dims = given[meta.name] || meta.shape.map(d => typeof d === 'number' && d > 0 ? d : 1);
    const count = dims.reduce((a, b) => a * b, 1);
    const numbers = new Float32Array(count);
    for (let k = 0; k < count; k++) {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      numbers[k] = state / 0x7fffffff;
    }
    feeds[meta.name] = new ort.Tensor('float32', numbers, dims);
    fs.writeFileSync(path.join(data, `input_${i}.pb`), tensorProto(dims, 1, Buffer.from(numbers.buffer)));
  });
  const results = await session.run(feeds);
  session.outputNames.forEach((name, i) => {
    const t = results[name];
    fs.writeFileSync(path.join(data, `output_${i}.pb`), tensorProto(t.dims, types[t.type], Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength)));
  });
}
main(...process.argv.slice(2)).catch(error => { console.error(error.message); process.exit(1); });
