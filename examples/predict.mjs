#!/usr/bin/env node
// Posts pictures with fetch (Node 18 or later; the same lines run in a browser) and prints what each is.
//
//     node predict.mjs http://127.0.0.1:8080 seven.png ...
import { readFile } from "node:fs/promises";

const [url, ...paths] = process.argv.slice(2);

async function predict(path) {
  const response = await fetch(`${url}/predict`, { method: "POST", body: await readFile(path) });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${answer.error}`);
  return answer.predictions[0];
}

for (const path of paths) {
  const { label, confidence } = await predict(path);
  console.log(path, label, confidence);
}
