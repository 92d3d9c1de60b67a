// forward.js CONVNET WORK_DIR DATA_DIR: the measurements of bench/forward; see there.
'use strict';
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');
const readline = require('readline');
const { execFileSync, spawn } = require('child_process');
const ort = require('onnxruntime-node');
const { exportModel } = require('./onnx.js');

const [convnet, work, data, python] = process.argv.slice(2);
const PICTURES = path.join(data, 't10k-images-idx3-ubyte.gz');
const ROUNDS = 5, SECONDS = 0.3; // as in convnet bench, a round is the median of many short runs
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

const session = (file, threads) => ort.InferenceSession.create(file, {
    intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential',
    graphOptimizationLevel: 'all' });

function ours(model, batch, threads) {
    const text = execFileSync(convnet, ['bench', model, '--json', '--seconds', String(SECONDS),
        '--batch-size', String(batch), '--threads', String(threads)]);
    const report = JSON.parse(text);
    const row = report.results.find((result) => result.threads === threads);
    return { rate: row.images_per_second, share: row.peak_share, peak: report.peak_gflops };
}

async function theirs(peer, batch) {
    const images = new Float32Array(batch * 784).map(() => Math.random());
    const feed = { input: new ort.Tensor('float32', images, [batch, ...peer.input]) };
    const times = [];
    let taken = 0;
    while (taken < SECONDS || times.length < 5) {
        const begun = process.hrtime.bigint();
        await peer.session.run(feed);
        times.push(Number(process.hrtime.bigint() - begun) * 1e-9);
        taken += times[times.length - 1];
    }
    return batch / median(times);
}

// PyTorch in a process of its own, forward.py. `ask` sends it a line and waits for its answer.
async function torch(model, threads) {
    const child = spawn(python, [path.join(__dirname, 'forward.py'), model, PICTURES,
        String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => {
        const line = await lines.next();
        if (line.done)
            throw new Error('PyTorch ended early');
        return JSON.parse(line.value);
    };
    const probabilities = (await next()).flat();
    const ask = (batch) => {
        child.stdin.write(`${batch} ${SECONDS}\n`);
        return next();
    };
    return { probabilities, ask, end: () => child.stdin.end() };
}

// The largest difference of a probability between convnet and either peer, over the pictures of the tests'
// sample.
async function difference(model, peer, torched) {
    const bytes = zlib.gunzipSync(fs.readFileSync(PICTURES)).subarray(16);
    const count = bytes.length / 784;
    const images = new Float32Array(bytes.length).map((_, i) => bytes[i] / 255);
    const feed = { input: new ort.Tensor('float32', images, [count, ...peer.input]) };
    const expected = (await peer.session.run(feed))[peer.output].data;
    const lines = execFileSync(convnet, ['predict', '--model', model, '--format', 'ndjson',
        PICTURES], { maxBuffer: 1 << 28 }).toString().trim().split('\n');
    let largest = 0;
    lines.forEach((line, i) => JSON.parse(line).probabilities.forEach((p, k) => {
        largest = Math.max(largest, Math.abs(p - expected[i * 10 + k]),
            Math.abs(p - torched[i * 10 + k]));
    }));
    if (lines.length !== count || !(largest < 1e-4))
        throw new Error(`${lines.length} of ${count} answers, which differ by ${largest}`);
    return largest;
}

async function row(name, batch, threads, reach) {
    const model = path.join(work, `${name}.safetensors`), file = path.join(work, `${name}.onnx`);
    const names = exportModel(model, file);
    const peer = { ...names, session: await session(file, threads) };
    const third = await torch(model, threads);
    const alike = await difference(model, peer, third.probabilities);
    await theirs(peer, batch);
    await third.ask(batch);
    const left = [], right = [], torches = [], shares = [];
    for (let i = 0; i < ROUNDS; i++) {
        const result = ours(model, batch, threads);
        left.push(result.rate);
        shares.push(result.share);
        right.push(await theirs(peer, batch));
        torches.push(await third.ask(batch));
    }
    third.end();
    const a = median(left), b = median(right), c = median(torches);
    console.log([name.padEnd(15), String(batch).padStart(5), String(threads).padStart(7),
        a.toFixed(0).padStart(12), b.toFixed(0).padStart(12), (a / b).toFixed(2).padStart(7),
        reach.padStart(6), c.toFixed(0).padStart(9), (a / c).toFixed(2).padStart(7),
        (100 * median(shares)).toFixed(0).padStart(7) + ' %',
        alike.toExponential(0).padStart(10)].join(' '));
    return a;
}

async function main() {
    console.log('images/s, medians of ' + ROUNDS + ' rounds in turn');
    console.log('network         batch threads      convnet ONNX Runtime   ratio  reach   '
        + 'PyTorch   ratio   of peak difference');
    await row('seed-unstrided', 1, 1, '1.7');
    await row('seed-unstrided', 32, 1, '1.25');
    await row('seed-unstrided', 1024, 1, '1.6');
    await row('seed', 1, 1, '4');
    await row('seed', 32, 1, '1.5');
    await row('seed', 1024, 1, '1.5');
    const one = await row('seed-unstrided', 256, 1, '');
    const two = await row('seed-unstrided', 256, 2, '');
    console.log(`two threads against one thread, batch 256: ${(two / one).toFixed(2)} (reach 1.85)`);
}

main().catch((error) => {
    console.error(`bench/forward: ${error.message}`);
    process.exit(1);
});
