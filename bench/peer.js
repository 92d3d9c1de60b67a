// peer.js MODEL.safetensors PORT: a typical server written with Node, for bench/peers: Node's HTTP, pngjs and
// ONNX Runtime in one process.
'use strict';
const http = require('http');
const ort = require('onnxruntime-node');
const { PNG } = require('pngjs');
const { exportModel } = require('./onnx.js');

async function main([model, port]) {
    const { input, output } = exportModel(model, `${model}.onnx`);
    const session = await ort.InferenceSession.create(`${model}.onnx`,
        { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' });
    async function predict(body) {
        const { width, height, data } = PNG.sync.read(body);
        const pixels = Float32Array.from({ length: width * height }, (_, i) => data[4 * i] / 255);
        const answer = await session.run({ input: new ort.Tensor('float32', pixels, [1, ...input]) });
        const probabilities = Array.from(answer[output].data);
        return JSON.stringify({ class: probabilities.indexOf(Math.max(...probabilities)), probabilities });
    }
    http.createServer((request, response) => {
        const parts = [];
        request.on('data', (part) => parts.push(part));
        request.on('end', () => predict(Buffer.concat(parts)).then((text) => {
            response.writeHead(200, { 'Content-Type': 'application/json' });
            response.end(text);
        }, (error) => {
            response.writeHead(400);
            response.end(error.message);
        }));
    }).listen(Number(port), '127.0.0.1');
}

main(process.argv.slice(2));
