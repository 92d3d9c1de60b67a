// onnx.js: writes a model file of the published shape (Conv2D, MaxPooling2D, Dropout, Flatten, Dense) as an
// ONNX graph. Keras's arrays are channels-last and ONNX's channels-first: kernels are transposed, and the
// rows of the Dense kernel after Flatten are put into the order of ONNX's Flatten.
'use strict';
const fs = require('fs');
const { onnx } = require('onnx-proto');

function readModel(path) {
    const bytes = fs.readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
    const tensors = {};
    for (const [name, entry] of Object.entries(header)) {
        if (name === '__metadata__') continue;
        const [from, to] = entry.data_offsets.map((offset) => 8 + length + offset);
        const copy = new Uint8Array(bytes.subarray(from, to));
        tensors[name] = { shape: entry.shape, data: new Float32Array(copy.buffer) };
    }
    return { layers: JSON.parse(header.__metadata__.architecture).config.layers, tensors };
}

function tensor(name, dims, data) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return onnx.TensorProto.create({ name, dims, dataType: onnx.TensorProto.DataType.FLOAT, rawData: bytes });
}

const ints = (name, values) =>
    onnx.AttributeProto.create({ name, type: onnx.AttributeProto.AttributeType.INTS, ints: values });

// [height, width, in, out] to [out, in, height, width].
function channelsFirst({ shape: [h, w, i, o], data }) {
    const to = new Float32Array(data.length);
    for (let r = 0; r < h; r++)
        for (let s = 0; s < w; s++)
            for (let c = 0; c < i; c++)
                for (let k = 0; k < o; k++)
                    to[((k * i + c) * h + r) * w + s] = data[((r * w + s) * i + c) * o + k];
    return to;
}

// The rows of w[h * w * c, out], from channels-last order to channels-first.
function flattenedRows({ shape: [, out], data }, [h, w, c]) {
    const to = new Float32Array(data.length);
    for (let p = 0; p < h * w; p++)
        for (let k = 0; k < c; k++)
            for (let o = 0; o < out; o++)
                to[(k * h * w + p) * out + o] = data[(p * c + k) * out + o];
    return to;
}

function exportModel(path, target) {
    const { layers, tensors } = readModel(path);
    const nodes = [], initializers = [];
    let shape = layers[0].config.batch_shape.slice(1), last = 'input', count = 0;
    const input = [shape[2], shape[0], shape[1]];
    let image = shape;
    const add = (opType, inputs, attribute = []) => {
        const output = `t${count++}`;
        nodes.push(onnx.NodeProto.create({ opType, name: output, input: [last, ...inputs], output: [output], attribute }));
        last = output;
    };
    const activate = (activation) => {
        if (activation === 'relu') add('Relu', []);
        else if (activation === 'softmax') add('Softmax', []);
        else if (activation !== undefined && activation !== 'linear')
            throw new Error(`no export of activation ${activation}`);
    };
    const give = (name, dims, data) => (initializers.push(tensor(name, dims, data)), name);
    const pair = (value) => (Array.isArray(value) ? value : [value, value]);
    for (const { class_name: type, config } of layers.slice(1)) {
        if (type === 'Conv2D') {
            if (config.padding === 'same') throw new Error('no export of padded convolutions');
            const kernel = tensors[`${config.name}/kernel`], bias = tensors[`${config.name}/bias`];
            const [h, w, i, o] = kernel.shape, strides = pair(config.strides);
            add('Conv', [give(`${config.name}.w`, [o, i, h, w], channelsFirst(kernel)), give(`${config.name}.b`, [o], bias.data)],
                [ints('kernel_shape', [h, w]), ints('strides', strides)]);
            shape = [Math.floor((shape[0] - h) / strides[0]) + 1, Math.floor((shape[1] - w) / strides[1]) + 1, o];
            activate(config.activation);
        } else if (type === 'MaxPooling2D') {
            const size = pair(config.pool_size), strides = pair(config.strides ?? config.pool_size);
            const same = config.padding === 'same';
            const out = [0, 1].map((a) => same ? Math.ceil(shape[a] / strides[a]) : Math.floor((shape[a] - size[a]) / strides[a]) + 1);
            const pads = [0, 1].map((a) => Math.max(0, (out[a] - 1) * strides[a] + size[a] - shape[a]));
            add('MaxPool', [], [ints('kernel_shape', size), ints('strides', strides),
                ints('pads', [pads[0] >> 1, pads[1] >> 1, pads[0] - (pads[0] >> 1), pads[1] - (pads[1] >> 1)])]);
            shape = [...out, shape[2]];
        } else if (type === 'Flatten') {
            image = shape;
            add('Flatten', []);
        } else if (type === 'Dense') {
            const kernel = tensors[`${config.name}/kernel`], bias = tensors[`${config.name}/bias`];
            add('Gemm', [give(`${config.name}.w`, kernel.shape, flattenedRows(kernel, image)), give(`${config.name}.b`, [kernel.shape[1]], bias.data)]);
            activate(config.activation);
        } else if (type !== 'Dropout') {
            throw new Error(`no export of ${type}`);
        }
    }
    const float = (name, dims) => onnx.ValueInfoProto.create({ name, type: { tensorType: {
        elemType: onnx.TensorProto.DataType.FLOAT,
        shape: { dim: [{ dimParam: 'n' }, ...dims.map((dimValue) => ({ dimValue }))] } } } });
    const graph = onnx.GraphProto.create({ name: 'model', node: nodes, initializer: initializers,
        input: [float('input', input)], output: [float(last, [10])] });
    fs.writeFileSync(target, onnx.ModelProto.encode(onnx.ModelProto.create(
        { irVersion: 7, opsetImport: [{ domain: '', version: 13 }], graph })).finish());
    return { input, output: last };
}

module.exports = { exportModel };
