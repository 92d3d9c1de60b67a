// networks.js CONVNET WORK_DIR [NAME...]: the measurements of bench/networks; see there.
'use strict';
const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');
const ort = require('onnxruntime-node');
const { onnx } = require('onnx-proto');

const [convnet, work, ...expected] = process.argv.slice(2);
const number = (name, usual) => Number(process.env[name] || usual);
const ROUNDS = number('ROUNDS', 5), SECONDS = number('SLICE', 0.15);
const BATCHES = (process.env.BATCHES || '1,8,32').split(',').map(Number);
const THREADS = number('THREADS', 1);

// Describes a network once and writes it both as a Keras Functional model and as an ONNX graph. The weights
// are random on both sides: only the shapes matter for the time.
class Network {
    constructor(height, width, channels) {
        this.layers = [{ class_name: 'InputLayer', name: 'input', inbound_nodes: [],
            config: { name: 'input', batch_shape: [null, height, width, channels] } }];
        this.nodes = [];
        this.initializers = [];
        this.shapes = { input: [height, width, channels] };
        this.input = [channels, height, width];
    }

    keras(type, config, inputs, shape) {
        const name = `l${this.layers.length}`;
        this.layers.push({ class_name: type, name, config: { name, ...config },
            inbound_nodes: [inputs.map((input) => [input, 0, 0, {}])] });
        this.shapes[name] = shape;
        return name;
    }

    node(opType, inputs, output, attributes = {}) {
        const types = onnx.AttributeProto.AttributeType;
        const attribute = Object.entries(attributes).map(([name, value]) => onnx.AttributeProto.create(
            Array.isArray(value) ? { name, type: types.INTS, ints: value }
                : { name, type: types.INT, i: value }));
        this.nodes.push(onnx.NodeProto.create({ opType, name: output, input: inputs, output: [output], attribute }));
    }

    random(name, dims, fan) {
        const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
        for (let i = 0; i < data.length; i++)
            data[i] = (Math.random() - 0.5) * Math.sqrt(12 / fan);
        this.initializers.push(onnx.TensorProto.create({ name, dims, dataType: onnx.TensorProto.DataType.FLOAT,
            rawData: new Uint8Array(data.buffer) }));
        return name;
    }

    // In Keras the layer's own activation, in ONNX a node of its own.
    activated(name, activation) {
        const operators = { relu: 'Relu', tanh: 'Tanh', sigmoid: 'Sigmoid', softmax: 'Softmax' };
        if (activation !== 'linear')
            this.node(operators[activation], [`${name}.z`], name);
        return name;
    }

    window(shape, size, stride, same) {
        const out = [0, 1].map((a) => same ? Math.ceil(shape[a] / stride)
            : Math.floor((shape[a] - size[a]) / stride) + 1);
        const pads = [0, 1].map((a) => Math.max(0, (out[a] - 1) * stride + size[a] - shape[a]));
        return { out, pads: [pads[0] >> 1, pads[1] >> 1, pads[0] - (pads[0] >> 1), pads[1] - (pads[1] >> 1)] };
    }

    conv(x, filters, size, { stride = 1, same = true, activation = 'relu', groups = 1 } = {}) {
        const shape = this.shapes[x], k = Array.isArray(size) ? size : [size, size];
        const { out, pads } = this.window(shape, k, stride, same);
        const name = this.keras('Conv2D', { filters, kernel_size: k, strides: [stride, stride],
            padding: same ? 'same' : 'valid', activation, ...(groups > 1 ? { groups } : {}) }, [x], [...out, filters]);
        const fan = k[0] * k[1] * shape[2] / groups;
        this.node('Conv', [x, this.random(`${name}.w`, [filters, shape[2] / groups, ...k], fan),
            this.random(`${name}.b`, [filters], 1)], activation === 'linear' ? name : `${name}.z`,
            { kernel_shape: k, strides: [stride, stride], pads, group: groups });
        return this.activated(name, activation);
    }

    depthwise(x, size, { stride = 1, activation = 'relu' } = {}) {
        const shape = this.shapes[x], { out, pads } = this.window(shape, [size, size], stride, true);
        const name = this.keras('DepthwiseConv2D', { kernel_size: [size, size], strides: [stride, stride],
            padding: 'same', activation }, [x], [...out, shape[2]]);
        this.node('Conv', [x, this.random(`${name}.w`, [shape[2], 1, size, size], size * size),
            this.random(`${name}.b`, [shape[2]], 1)], activation === 'linear' ? name : `${name}.z`,
            { kernel_shape: [size, size], strides: [stride, stride], pads, group: shape[2] });
        return this.activated(name, activation);
    }

    pool(x, type, size, stride = size, same = false) {
        const shape = this.shapes[x], { out, pads } = this.window(shape, [size, size], stride, same);
        const name = this.keras(`${type}Pooling2D`, { pool_size: [size, size], strides: [stride, stride],
            padding: same ? 'same' : 'valid' }, [x], [...out, shape[2]]);
        this.node(`${type === 'Max' ? 'Max' : 'Average'}Pool`, [x], name,
            { kernel_shape: [size, size], strides: [stride, stride], pads });
        return name;
    }

    globalAverage(x) {
        const name = this.keras('GlobalAveragePooling2D', {}, [x], [this.shapes[x][2]]);
        this.node('GlobalAveragePool', [x], `${name}.p`);
        this.node('Flatten', [`${name}.p`], name);
        return name;
    }

    flatten(x) {
        const name = this.keras('Flatten', {}, [x], [this.shapes[x].reduce((a, b) => a * b, 1)]);
        this.node('Flatten', [x], name);
        return name;
    }

    dense(x, units, activation = 'relu') {
        const [inputs] = this.shapes[x];
        const name = this.keras('Dense', { units, activation }, [x], [units]);
        this.node('Gemm', [x, this.random(`${name}.w`, [inputs, units], inputs), this.random(`${name}.b`, [units], 1)],
            activation === 'linear' ? name : `${name}.z`);
        return this.activated(name, activation);
    }

    add(a, b) {
        const name = this.keras('Add', {}, [a, b], this.shapes[a]);
        this.node('Add', [a, b], name);
        return name;
    }

    relu(x) {
        const name = this.keras('Activation', { activation: 'relu' }, [x], this.shapes[x]);
        this.node('Relu', [x], name);
        return name;
    }

    concatenate(...inputs) {
        const shape = [...this.shapes[inputs[0]]];
        shape[2] = inputs.reduce((sum, input) => sum + this.shapes[input][2], 0);
        const name = this.keras('Concatenate', {}, inputs, shape);
        this.node('Concat', inputs, name, { axis: 1 });
        return name;
    }

    integers(name, values) {
        this.initializers.push(onnx.TensorProto.create({ name, dims: [values.length],
            dataType: onnx.TensorProto.DataType.INT64,
            rawData: new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer) }));
        return name;
    }

    // The second or the first half of the channels.
    half(x, second) {
        const [height, width, channels] = this.shapes[x], size = channels / 2, begin = second ? size : 0;
        const name = this.keras('Slice', { begin: [0, 0, begin], size: [height, width, size], strides: [1, 1, 1] },
            [x], [height, width, size]);
        this.node('Slice', [x, this.integers(`${name}.from`, [begin]), this.integers(`${name}.to`, [begin + size]),
            this.integers(`${name}.axis`, [1])], name);
        return name;
    }

    // Interleaves the channels of two groups.
    shuffle(x) {
        const [height, width, channels] = this.shapes[x];
        const parts = this.keras('Reshape', { target_shape: [height, width, 2, channels / 2] }, [x],
            [height, width, 2, channels / 2]);
        const turned = this.keras('Permute', { dims: [1, 2, 4, 3] }, [parts], [height, width, channels / 2, 2]);
        const name = this.keras('Reshape', { target_shape: [height, width, channels] }, [turned],
            [height, width, channels]);
        this.node('Reshape', [x, this.integers(`${name}.parts`, [0, 2, channels / 2, height, width])], `${name}.a`);
        this.node('Transpose', [`${name}.a`], `${name}.b`, { perm: [0, 2, 1, 3, 4] });
        this.node('Reshape', [`${name}.b`, this.integers(`${name}.whole`, [0, channels, height, width])], name);
        return name;
    }

    // Each pixel becomes four pixels.
    larger(x) {
        const [height, width, channels] = this.shapes[x];
        const name = this.keras('UpSampling2D', { size: [2, 2] }, [x], [2 * height, 2 * width, channels]);
        const scales = `${name}.scales`;
        this.initializers.push(onnx.TensorProto.create({ name: scales, dims: [4],
            dataType: onnx.TensorProto.DataType.FLOAT, rawData: new Uint8Array(new Float32Array([1, 1, 2, 2]).buffer) }));
        this.node('Resize', [x, '', scales], name);
        return name;
    }

    // FILE.json and FILE.onnx.
    write(file, output) {
        const chained = this.layers.every((layer, i) => i === 0 || JSON.stringify(layer.inbound_nodes) ===
            JSON.stringify([[[this.layers[i - 1].name, 0, 0, {}]]]));
        const config = chained
            ? { name: 'network', layers: this.layers.map(({ class_name, config }) => ({ class_name, config })) }
            : { name: 'network', layers: this.layers, input_layers: [['input', 0, 0]], output_layers: [[output, 0, 0]] };
        fs.writeFileSync(`${file}.json`, JSON.stringify({ class_name: chained ? 'Sequential' : 'Functional', config }));
        const float = (name, dims) => onnx.ValueInfoProto.create({ name, type: { tensorType: {
            elemType: onnx.TensorProto.DataType.FLOAT,
            shape: { dim: [{ dimParam: 'n' }, ...dims.map((dimValue) => ({ dimValue }))] } } } });
        const graph = onnx.GraphProto.create({ name: 'network', node: this.nodes, initializer: this.initializers,
            input: [float('input', this.input)], output: [float(output, [...this.shapes[output].slice(2), ...this.shapes[output].slice(0, 2)])] });
        fs.writeFileSync(`${file}.onnx`, onnx.ModelProto.encode(onnx.ModelProto.create(
            { irVersion: 7, opsetImport: [{ domain: '', version: 13 }], graph })).finish());
    }
}

function chain(height, width, channels, build) {
    const net = new Network(height, width, channels);
    return [net, build(net, 'input')];
}

function stack3x3(size, channels, widths, strided) {
    return chain(size, size, channels, (net, x) => {
        for (const width of widths) {
            x = net.conv(x, width, 3, { stride: strided ? 2 : 1 });
            x = net.conv(x, width, 3);
            if (!strided)
                x = net.pool(x, 'Max', 2);
        }
        return net.dense(net.globalAverage(x), 10, 'softmax');
    });
}

function residual(net, x, width, stride) {
    const short = stride > 1 || net.shapes[x][2] !== width ? net.conv(x, width, 1, { stride, activation: 'linear' }) : x;
    const long = net.conv(net.conv(x, width, 3, { stride }), width, 3, { activation: 'linear' });
    return net.relu(net.add(long, short));
}

function resnet(size, stem, blocks, widths, classes) {
    return chain(size, size, 3, (net, input) => {
        let x = stem(net, input);
        widths.forEach((width, stage) => {
            for (let b = 0; b < blocks; b++)
                x = residual(net, x, width, stage > 0 && b === 0 ? 2 : 1);
        });
        return net.dense(net.globalAverage(x), classes, 'softmax');
    });
}

function mobilenetV2() {
    return chain(224, 224, 3, (net, input) => {
        let x = net.conv(input, 32, 3, { stride: 2 });
        for (const [expand, width, count, stride] of [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2],
            [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]])
            for (let b = 0; b < count; b++) {
                const from = x;
                if (expand > 1)
                    x = net.conv(x, expand * net.shapes[x][2], 1);
                x = net.depthwise(x, 3, { stride: b === 0 ? stride : 1 });
                x = net.conv(x, width, 1, { activation: 'linear' });
                if (b > 0)
                    x = net.add(from, x);
            }
        return net.dense(net.globalAverage(net.conv(x, 1280, 1)), 1000, 'softmax');
    });
}

// 1.0 x.
function shufflenetV2() {
    return chain(224, 224, 3, (net, input) => {
        let x = net.pool(net.conv(input, 24, 3, { stride: 2 }), 'Max', 3, 2, true);
        for (const [width, count] of [[116, 4], [232, 8], [464, 4]])
            for (let b = 0; b < count; b++) {
                const down = b === 0, stride = down ? 2 : 1, linear = { stride, activation: 'linear' };
                const left = down ? net.conv(net.depthwise(x, 3, linear), width / 2, 1) : net.half(x, false);
                const right = net.conv(net.depthwise(net.conv(down ? x : net.half(x, true), width / 2, 1), 3, linear),
                    width / 2, 1);
                x = net.shuffle(net.concatenate(left, right));
            }
        return net.dense(net.globalAverage(net.conv(x, 1024, 1)), 1000, 'softmax');
    });
}

function unet() {
    return chain(64, 64, 1, (net, x) => {
        const twice = (y, width) => net.conv(net.conv(y, width, 3), width, 3);
        const kept = [];
        for (const width of [16, 32, 64]) {
            x = twice(x, width);
            kept.push(x);
            x = net.pool(x, 'Max', 2);
        }
        x = twice(x, 128);
        for (const width of [64, 32, 16])
            x = twice(net.concatenate(net.larger(x), kept.pop()), width);
        return net.conv(x, 2, 1, { activation: 'linear' });
    });
}

function squeezenet() {
    return chain(224, 224, 3, (net, input) => {
        const fire = (x, squeeze, expand) => {
            const s = net.conv(x, squeeze, 1);
            return net.concatenate(net.conv(s, expand, 1), net.conv(s, expand, 3));
        };
        let x = net.pool(net.conv(input, 64, 3, { stride: 2, same: false }), 'Max', 3, 2);
        x = net.pool(fire(fire(x, 16, 64), 16, 64), 'Max', 3, 2);
        x = net.pool(fire(fire(x, 32, 128), 32, 128), 'Max', 3, 2);
        x = fire(fire(fire(fire(x, 48, 192), 48, 192), 64, 256), 64, 256);
        return net.globalAverage(net.conv(x, 1000, 1));
    });
}

function separable(net, x, width, stride) {
    return net.conv(net.depthwise(x, 3, { stride, activation: 'linear' }), width, 1);
}

const networks = {
    'seed': () => chain(28, 28, 1, (net, x) => {
        x = net.pool(net.conv(x, 32, 4, { stride: 4, same: false }), 'Max', 2);
        x = net.pool(net.conv(x, 32, 3, { stride: 3, same: false }), 'Max', 2, 2, true);
        return net.dense(net.flatten(x), 10, 'softmax');
    }),
    'seed-unstrided': () => chain(28, 28, 1, (net, x) => {
        x = net.pool(net.conv(x, 32, 4, { same: false }), 'Max', 2);
        x = net.pool(net.conv(x, 32, 3, { same: false }), 'Max', 2);
        return net.dense(net.flatten(x), 10, 'softmax');
    }),
    'lenet5': () => chain(28, 28, 1, (net, x) => {
        x = net.pool(net.conv(x, 6, 5, { activation: 'tanh' }), 'Average', 2);
        x = net.pool(net.conv(x, 16, 5, { same: false, activation: 'tanh' }), 'Average', 2);
        x = net.dense(net.dense(net.flatten(x), 120, 'tanh'), 84, 'tanh');
        return net.dense(x, 10, 'softmax');
    }),
    'mlp': () => chain(28, 28, 1, (net, x) =>
        net.dense(net.dense(net.dense(net.flatten(x), 512), 512), 10, 'softmax')),
    'stack-32': () => stack3x3(32, 3, [32, 64, 128], false),
    'stack-64': () => stack3x3(64, 3, [16, 32, 64, 128], false),
    'stack-224': () => stack3x3(224, 3, [32, 64, 128, 256], true),
    'convnet-1d': () => chain(1, 256, 4, (net, x) => {
        for (const width of [32, 64, 128])
            x = net.conv(net.conv(x, width, [1, 5]), width, [1, 5], { stride: 2 });
        return net.dense(net.globalAverage(x), 10, 'softmax');
    }),
    'resnet-20': () => resnet(32, (net, x) => net.conv(x, 16, 3), 3, [16, 32, 64], 10),
    'mini-xception': () => chain(48, 48, 1, (net, input) => {
        let x = net.conv(net.conv(input, 8, 3), 8, 3);
        for (const width of [16, 32, 64, 128]) {
            const short = net.conv(x, width, 1, { stride: 2, activation: 'linear' });
            x = net.add(net.pool(separable(net, separable(net, x, width, 1), width, 1), 'Max', 3, 2, true), short);
        }
        return net.dense(net.globalAverage(net.conv(x, 128, 3)), 7, 'softmax');
    }),
    'resnet-18': () => resnet(224, (net, x) => net.pool(net.conv(x, 64, 7, { stride: 2 }), 'Max', 3, 2, true), 2,
        [64, 128, 256, 512], 1000),
    'mobilenet-v2': mobilenetV2,
    'shufflenet-v2': shufflenetV2,
    'unet': unet,
    'squeezenet': squeezenet,
    'vgg-11': () => chain(224, 224, 3, (net, x) => {
        for (const widths of [[64], [128], [256, 256], [512, 512], [512, 512]])
            x = net.pool(widths.reduce((y, width) => net.conv(y, width, 3), x), 'Max', 2);
        return net.dense(net.dense(net.dense(net.flatten(x), 4096), 4096), 1000, 'softmax');
    }),
};

const ordered = (values) => [...values].sort((a, b) => a - b);
const median = (values) => ordered(values)[values.length >> 1];
const fastest = (values) => ordered(values)[Math.floor(values.length * 0.1)]; // the best decile of times

// Times per image, in seconds, of one slice of runs.
function ours(file, batch) {
    const text = execFileSync(convnet, ['bench', `${file}.json`, '--json', '--seconds', String(SECONDS),
        '--batch-size', String(batch), '--threads', String(THREADS)], { stdio: ['ignore', 'pipe', 'pipe'] });
    const report = JSON.parse(text);
    const row = report.results.find((result) => result.threads === THREADS);
    return { median: 1 / row.images_per_second, best: 1 / (row.best_images_per_second || row.images_per_second),
        flops: report.flops_per_image, peak: report.peak_gflops, set: report.instruction_set };
}

// With one thread the time is processor time, which other programs hardly change, as in convnet bench.
function clock() {
    const { user, system } = process.cpuUsage();
    return THREADS > 1 ? Number(process.hrtime.bigint()) * 1e-9 : (user + system) * 1e-6;
}

async function theirs(session, shape, batch) {
    const images = new Float32Array(batch * shape.reduce((a, b) => a * b)).map(() => Math.random());
    const feed = { input: new ort.Tensor('float32', images, [batch, ...shape]) };
    const times = [];
    await session.run(feed);
    for (let taken = 0; taken < SECONDS || times.length < 3;) {
        const begun = clock();
        await session.run(feed);
        times.push(clock() - begun);
        taken += times[times.length - 1];
    }
    return { median: median(times) / batch, best: fastest(times) / batch };
}

async function row(name, batch, totals) {
    const file = path.join(work, name), [net, output] = networks[name]();
    net.write(file, output);
    const session = await ort.InferenceSession.create(`${file}.onnx`, { intraOpNumThreads: THREADS,
        interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
    const left = [], right = [];
    for (let i = 0; i < ROUNDS; i++) {
        left.push(ours(file, batch));
        right.push(await theirs(session, net.input, batch));
    }
    const a = median(left.map((x) => x.median)), b = median(right.map((x) => x.median));
    const bestA = Math.min(...left.map((x) => x.best)), bestB = Math.min(...right.map((x) => x.best));
    const { flops } = left[0], peak = Math.max(...left.map((x) => x.peak));
    totals.medians.push(b / a);
    totals.bests.push(bestB / bestA);
    totals.peak = Math.max(totals.peak, peak);
    totals.set = left[0].set;
    console.log([name.padEnd(15), String(batch).padStart(5), (1 / a).toFixed(1).padStart(11),
        (1 / b).toFixed(1).padStart(12), (b / a).toFixed(2).padStart(7), (bestB / bestA).toFixed(2).padStart(7),
        (flops / bestA / peak / THREADS / 1e7).toFixed(0).padStart(7) + ' %'].join(' '));
}

const mean = (ratios) => Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);

async function main() {
    const totals = { medians: [], bests: [], peak: 0, set: '' };
    console.log(`images/s, medians of ${ROUNDS} slices in turn, ${THREADS} thread(s); share of the peak by the best`);
    console.log('network         batch     convnet ONNX Runtime   ratio    best   of peak');
    for (const name of expected.length ? expected : Object.keys(networks))
        for (const batch of BATCHES)
            try {
                await row(name, batch, totals);
            } catch (error) {
                console.log(`${name.padEnd(15)} ${String(batch).padStart(5)} not measured: ${(error.stderr || error.message).toString().trim()}`);
            }
    console.log(`geometric mean of ${totals.medians.length} rows: ${mean(totals.medians).toFixed(2)}, `
        + `of the best ${mean(totals.bests).toFixed(2)}; ${totals.set}, peak ${totals.peak.toFixed(1)} Gflop/s`);
}

main().catch((error) => {
    console.error(`bench/networks: ${error.message}`);
    process.exit(1);
});
