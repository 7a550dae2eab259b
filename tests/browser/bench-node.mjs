// Times students in Node by the processor time they take, which a busy machine does not stretch:
// our CPU engine's module, and onnxruntime-web's on one thread.
//
//   node bench-node.mjs --site DIR [--models DIR...] [--onnx DIR --ort DIR] [--repeats N]
//
// One JSON line a student and engine, lowest and median of N runs over 5 s of audio. Ours go from
// samples to words; onnxruntime computes the network only, from features that are ready.

import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { signal, summary } from "./signal.mjs";

const { values: options } = parseArgs({
  options: {
    site: { type: "string" },
    models: { type: "string", multiple: true, default: [] },
    onnx: { type: "string" },
    ort: { type: "string" },
    repeats: { type: "string", default: "30" },
  },
});
const repeats = Number(options.repeats);
const WARM_UP = 3;

async function cpuTimes(run) {
  const times = [];
  for (let i = 0; i < repeats + WARM_UP; i += 1) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    if (i >= WARM_UP) times.push((user + system) / 1e3);
  }
  return summary(times);
}

/** The engine's module with as much of a worker around it as it asks for. */
async function openEngine(site) {
  class DedicatedWorkerGlobalScope {
    static [Symbol.hasInstance](value) {
      return value === globalThis;
    }
  }
  const waiting = new Map();
  let receive;
  let started;
  const ready = new Promise((resolve) => (started = resolve));
  Object.assign(globalThis, { DedicatedWorkerGlobalScope, self: globalThis });
  Object.defineProperty(globalThis, "onmessage", { set: (handler) => (receive = handler) });
  globalThis.postMessage = ({ id, body }) => {
    if (body.Ready) started();
    else if (body.Unusable || body.Crashed) throw new Error(JSON.stringify(body));
    else if (!body.Loading && !body.Transcribing) waiting.get(id)?.(body);
  };
  // Model folders are read from disk under made-up addresses.
  globalThis.fetch = async (request) => new Response(readFileSync(decodeURIComponent(new URL(request.url).pathname)));
  const module = await import(pathToFileURL(resolve(site, "engine-cpu.js")));
  await module.default({ module_or_path: readFileSync(join(site, "engine-cpu_bg.wasm")) });
  await ready;
  let next = 1;
  return (body, payload) =>
    new Promise((resolve, reject) => {
      const id = next++;
      waiting.set(id, (answer) => (answer.Failed ? reject(new Error(answer.Failed.message)) : resolve(answer)));
      receive({ data: { id, body, payload } });
    });
}

const index = JSON.parse(readFileSync(join(options.site, "models/index.json"), "utf8"));
const folders = [...index.models.map(({ path }) => join(options.site, "models", path)), ...options.models].map((folder) => resolve(folder));

const ask = await openEngine(options.site);
const samples = signal(80_000);
for (const folder of folders) {
  await ask({ Load: { model_url: `http://localhost${folder}` } });
  const times = await cpuTimes(() => ask({ Transcribe: { sample_rate_hz: 16000, reference: null } }, samples.slice().buffer));
  console.log(JSON.stringify({ model: basename(folder), engine: "engine-cpu", ...times }));
}

if (options.onnx && options.ort) {
  const dist = resolve(options.ort);
  const ort = await import(pathToFileURL(join(dist, "ort.wasm.min.mjs")));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = `${dist}/`;
  ort.env.wasm.wasmBinary = readFileSync(join(dist, "ort-wasm-simd-threaded.wasm"));
  for (const name of folders.map((folder) => basename(folder))) {
    const file = join(options.onnx, `${name}.onnx`);
    if (!existsSync(file)) continue;
    const session = await ort.InferenceSession.create(readFileSync(file), { executionProviders: ["wasm"] });
    const values = Float32Array.from({ length: 500 * 80 }, (_, i) => -8 + 2 * Math.sin(i));
    const features = new ort.Tensor("float32", values, [1, 500, 80]);
    console.log(JSON.stringify({ model: name, engine: "onnxruntime-web", ...(await cpuTimes(() => session.run({ features }))) }));
  }
}
process.exit(0);
