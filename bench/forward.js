// forward.js CONVNET WORK_DIR DATA_DIR: the measurements of bench/forward; see there.
'use strict';
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');
const { execFileSync } = require('child_process');
const ort = require('onnxruntime-node');
const { exportModel } = require('./onnx.js');

const [convnet, work, data] = process.argv.slice(2);
const ROUNDS = 5, SECONDS = 0.3; // as convnet bench: a round is the median of many short runs
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

// The largest difference of a probability, over the pictures of the tests' sample.
async function difference(model, peer) {
    const file = 't10k-images-idx3-ubyte.gz';
    const bytes = zlib.gunzipSync(fs.readFileSync(path.join(data, file))).subarray(16);
    const count = bytes.length / 784;
    const images = new Float32Array(bytes.length).map((_, i) => bytes[i] / 255);
    const feed = { input: new ort.Tensor('float32', images, [count, ...peer.input]) };
    const expected = (await peer.session.run(feed))[peer.output].data;
    const lines = execFileSync(convnet, ['predict', '--model', model, '--format', 'ndjson',
        path.join(data, file)], { maxBuffer: 1 << 28 }).toString().trim().split('\n');
    let largest = 0;
    lines.forEach((line, i) => JSON.parse(line).probabilities.forEach((p, k) => {
        largest = Math.max(largest, Math.abs(p - expected[i * 10 + k]));
    }));
    if (lines.length !== count || !(largest < 1e-4))
        throw new Error(`${lines.length} of ${count} answers, which differ by ${largest}`);
    return largest;
}

async function row(name, batch, threads, reach) {
    const model = path.join(work, `${name}.safetensors`), file = path.join(work, `${name}.onnx`);
    const names = exportModel(model, file);
    const peer = { ...names, session: await session(file, threads) };
    const alike = await difference(model, peer);
    await theirs(peer, batch);
    const left = [], right = [], shares = [];
    for (let i = 0; i < ROUNDS; i++) {
        const result = ours(model, batch, threads);
        left.push(result.rate);
        shares.push(result.share);
        right.push(await theirs(peer, batch));
    }
    const a = median(left), b = median(right);
    console.log([name.padEnd(15), String(batch).padStart(5), String(threads).padStart(7),
        a.toFixed(0).padStart(12), b.toFixed(0).padStart(12), (a / b).toFixed(2).padStart(7),
        reach.padStart(6), (100 * median(shares)).toFixed(0).padStart(7) + ' %',
        alike.toExponential(0).padStart(10)].join(' '));
    return a;
}

async function main() {
    console.log('images/s, medians of ' + ROUNDS + ' rounds in turn');
    console.log('network         batch threads      convnet ONNX Runtime   ratio  reach of peak difference');
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
