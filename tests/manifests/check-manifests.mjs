// Checks each document of the folder's YAML files against the published schema of its kind: types, required
// fields, and fields that the schema does not know. KServe publishes no schema as a package: the containers
// and volumes of its ServingRuntime are checked as Kubernetes's, the fields around them by name.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// The folder of the installed packages, the manifests, and the folder of compose.yaml.
const [folder, manifests, container] = process.argv.slice(2);
const require = createRequire(join(folder, "package.json"));
const { parseAllDocuments } = require("yaml");
const { Deployment } = require("kubernetes-models/apps/v1");
const { HorizontalPodAutoscaler } = require("kubernetes-models/autoscaling/v2");
const { Pod, Service } = require("kubernetes-models/v1");

let failures = 0;
let documents = 0;
function fail(text) {
  console.log(text);
  failures++;
}

// A copy of value that records which fields the validator reads: the schema does not know the fields that it
// never reads. A validator that reads all fields, such as those of labels, knows them all.
function watched(value, path, unknown) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item, i) => watched(item, `${path}[${i}]`, unknown));
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, watched(item, `${path}.${key}`, unknown)]));
  for (const key of Object.keys(value)) unknown.add(`${path}.${key}`);
  return new Proxy(copy, {
    get(target, key) {
      unknown.delete(`${path}.${String(key)}`);
      return target[key];
    },
    ownKeys(target) {
      for (const key of Object.keys(target)) unknown.delete(`${path}.${key}`);
      return Reflect.ownKeys(target);
    },
  });
}

// The faults of the document as a `kind`, one per line.
function faults(kind, document) {
  const { apiVersion, kind: name, metadata, spec, ...others } = document;
  if (apiVersion !== kind.apiVersion || name !== kind.kind)
    return [`${apiVersion} ${name} is no ${kind.apiVersion} ${kind.kind}`];
  const unknown = new Set();
  const model = Object.assign(new kind({}), watched({ metadata, spec }, "", unknown));
  const found = [...Object.keys(others).map((key) => `.${key} is no field`)];
  try {
    model.validate();
  } catch (error) {
    found.push(error.message);
  }
  return [...found, ...[...unknown].map((path) => `${path} is no field`)];
}

const formatFields = ["name", "version", "autoSelect", "priority"];
const runtimeFields = ["supportedModelFormats", "protocolVersions", "multiModel", "containers", "volumes"];
function runtimeFaults(document) {
  const { containers, volumes, ...spec } = document.spec;
  const found = faults(Pod, {
    apiVersion: "v1", kind: "Pod", metadata: document.metadata, spec: { containers, volumes } });
  for (const key of Object.keys(document.spec))
    if (!runtimeFields.includes(key)) found.push(`.spec.${key} is no field`);
  for (const format of spec.supportedModelFormats)
    for (const key of Object.keys(format))
      if (!formatFields.includes(key)) found.push(`.spec.supportedModelFormats.${key} is no field`);
  if (containers[0].name !== "kserve-container") found.push("the first container is not kserve-container");
  if (typeof spec.multiModel !== "boolean") found.push(".spec.multiModel must be a boolean");
  for (const version of spec.protocolVersions)
    if (!["v1", "v2"].includes(version)) found.push(`.spec.protocolVersions: ${version}`);
  return found;
}

const kinds = {
  Deployment: (document) => faults(Deployment, document),
  HorizontalPodAutoscaler: (document) => faults(HorizontalPodAutoscaler, document),
  Service: (document) => faults(Service, document),
  ServingRuntime: runtimeFaults,
};
const seen = {};
for (const file of readdirSync(manifests).filter((name) => name.endsWith(".yaml"))) {
  for (const parsed of parseAllDocuments(readFileSync(join(manifests, file), "utf8"))) {
    for (const error of parsed.errors) fail(`${file}: ${error.message}`);
    const document = parsed.toJS();
    documents++;
    if (!kinds[document.kind]) fail(`${file}: nothing checks a ${document.kind}`);
    else for (const fault of kinds[document.kind](document)) fail(`${file}: ${document.kind}: ${fault}`);
    seen[document.kind] = document;
  }
}
for (const kind of Object.keys(kinds)) if (!seen[kind]) fail(`there is no ${kind}`);
const compose = parseAllDocuments(readFileSync(join(container, "compose.yaml"), "utf8"));
if (compose.length !== 1 || compose[0].errors.length > 0 || !compose[0].toJS().services.convnetd.read_only)
  fail("compose.yaml: no service convnetd, or its root can be written to");

// The check must find these faults.
function planted(kind, change) {
  const document = structuredClone(seen[kind]);
  change(document);
  if (kinds[kind](document).length === 0) fail(`a fault of a ${kind} was not found: ${change}`);
}
planted("Deployment", (d) => (d.spec.template.spec.containers[0].livenesProbe = {}));
planted("Deployment", (d) => (d.spec.replicas = "two"));
planted("Deployment", (d) => delete d.spec.selector);
planted("Service", (d) => (d.spec.ports[0].port = "eighty"));
planted("Service", (d) => (d.spec.selectors = {}));
planted("HorizontalPodAutoscaler", (d) => delete d.spec.maxReplicas);
planted("HorizontalPodAutoscaler", (d) => (d.spec.metrics[0].pods.metric.nam = "x"));
planted("ServingRuntime", (d) => (d.spec.containers[0].arg = []));

console.log(`${documents} documents, ${failures} failures`);
process.exit(failures === 0 ? 0 : 1);
