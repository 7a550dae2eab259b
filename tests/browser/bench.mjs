// Times students in headless Chromium: our engines, and onnxruntime-web beside them.
//
//   node bench.mjs --site DIR [--models DIR...] [--onnx DIR] [--ort DIR] [--webgpu] [--repeats N] [--out FILE]
//
// `--site`: the built site; its own students are timed first. `--models`: further model folders.
// `--onnx`: NAME.onnx of each student. `--ort`: onnxruntime-web's `dist`. Prints one JSON line a
// student and engine: lowest and median milliseconds of N warm runs over 5 s of audio. Ours go from
// samples to words; onnxruntime computes the network only, from features that are ready. Students with
// a language model are timed on the site's sample clips too, greedy and with it.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";

import { launch, openPage, teachWorkers } from "./browser.mjs";
import { serve } from "./serve.mjs";
import { signal, summary } from "./signal.mjs";
import { readWav } from "./wav.mjs";

const { values: options } = parseArgs({
  options: {
    site: { type: "string" },
    models: { type: "string", multiple: true, default: [] },
    onnx: { type: "string" },
    ort: { type: "string" },
    webgpu: { type: "boolean", default: false },
    repeats: { type: "string", default: "30" },
    out: { type: "string" },
  },
});
const repeats = Number(options.repeats);

/** The site with everything that is timed in it, as one folder. */
function assemble(folder) {
  cpSync(options.site, folder, { recursive: true });
  const index = JSON.parse(readFileSync(join(folder, "models/index.json"), "utf8"));
  const models = index.models.map(({ path }) => path);
  const withLm = index.models.filter(({ lm }) => lm);
  for (const model of options.models) {
    cpSync(model, join(folder, "models", basename(model)), { recursive: true });
    models.push(basename(model));
  }
  if (options.ort) {
    mkdirSync(join(folder, "ort"));
    for (const name of readdirSync(options.ort)) {
      if (/^ort\.wasm\.min\.mjs$|^ort-wasm-simd-threaded\.(mjs|wasm)$/.test(name)) cpSync(join(options.ort, name), join(folder, "ort", name));
    }
  }
  writeFileSync(join(folder, "engine-webgpu-counted.js"), COUNTED_ENGINE);
  if (options.onnx) cpSync(options.onnx, join(folder, "onnx"), { recursive: true });
  return { models, withLm };
}

/** A worker that tells with each message how often it used the GPU. */
const COUNTED_ENGINE = `
const counts = { dispatches: 0, pipelines: 0 };
const count = (prototype, method, what) => {
  const original = prototype?.[method];
  if (original) prototype[method] = function (...given) { counts[what] += 1; return original.apply(this, given); };
};
count(self.GPUComputePassEncoder?.prototype, "dispatchWorkgroups", "dispatches");
count(self.GPUDevice?.prototype, "createComputePipeline", "pipelines");
count(self.GPUDevice?.prototype, "createComputePipelineAsync", "pipelines");
const post = self.postMessage.bind(self);
self.postMessage = (message, moved) => post(Object.assign(message, { counts: { ...counts } }), moved);
export { default } from "./engine-webgpu.js";
`;

async function timeEngine(page, engine, models, report) {
  await teachWorkers(page);
  const samples = Array.from(signal(320_000));
  for (const model of models) {
    const result = await page.evaluate(
      async ({ engine, model, samples, repeats }) => {
        const worker = await openWorker(engine);
        const model_url = new URL(`models/${model}`, document.baseURI).href;
        const loaded = await worker.ask({ Load: { model_url } });
        const run = async (num_samples = 80_000) => {
          const audio = Float32Array.from(samples.slice(0, num_samples)).buffer;
          const { body, counts } = await worker.ask({ Transcribe: { sample_rate_hz: 16000, reference: null } }, audio);
          return { ms: body.Transcribed.recognize_ms, counts };
        };
        const first = await run();
        const second = await run();
        const gpu = first.counts && {
          dispatches: second.counts.dispatches - first.counts.dispatches,
          pipelines: first.counts.pipelines,
        };
        if (gpu) {
          // Other lengths, which fall into other buckets: below ten seconds, and up to twenty.
          const after = async (...secs) => {
            let last = second;
            for (const length of secs) last = await run(length * 16_000);
            return last.counts.pipelines - first.counts.pipelines;
          };
          gpu.more_pipelines = await after(0.5, 1, 2.5, 3.5, 7, 8, 9.9);
          gpu.long_pipelines = await after(12, 15, 20);
        }
        const times = [];
        for (let i = 0; i < repeats; i += 1) times.push((await run()).ms);
        worker.close();
        return { times, gpu, first_ms: first.ms, load_ms: loaded.body.Loaded.build_ms };
      },
      { engine, model, samples, repeats: engine === "engine-cpu" ? repeats : Math.min(repeats, 3) },
    );
    const { times, gpu, first_ms, load_ms } = result;
    const name = engine.replace("-counted", "");
    report({ model, engine: name, ...summary(times), first_ms, load_ms, ...gpu });
  }
}

/** All sample clips one after the other, greedy and by beam search with the language model. */
async function timeLanguageModels(page, site, entries, report) {
  const samples = join(site, "samples");
  const names = readdirSync(samples).filter((name) => name.endsWith(".wav"));
  const clips = names.map((name) => readWav(join(samples, name)));
  const sound = clips.map(({ rate, samples }) => ({ rate, values: Array.from(samples, (value) => value / 32768) }));
  for (const { path, lm } of entries) {
    const result = await page.evaluate(
      async ({ path, lm, sound, repeats }) => {
        const at = (file) => new URL(`models/${file}`, document.baseURI).href;
        const time = async (lm) => {
          const worker = await openWorker("engine-cpu");
          await worker.ask({ Load: { model_url: at(path), lm } });
          const times = [];
          for (let i = 0; i < repeats + 1; i += 1) {
            let ms = 0;
            for (const { rate, values } of sound) {
              const request = { Transcribe: { sample_rate_hz: rate, reference: null } };
              const { body } = await worker.ask(request, Float32Array.from(values).buffer);
              ms += body.Transcribed.recognize_ms;
            }
            if (i > 0) times.push(ms);
          }
          worker.close();
          return times.sort((a, b) => a - b);
        };
        return { greedy: await time(null), beam: await time({ url: at(lm) }) };
      },
      { path, lm, sound, repeats: Math.min(repeats, 10) },
    );
    const [greedy_ms, beam_ms] = [result.greedy[0], result.beam[0]];
    const more = (beam_ms - greedy_ms) / greedy_ms;
    report({ model: path, engine: "engine-cpu, language model", greedy_ms, beam_ms, beam_over_greedy: more });
  }
}

async function timeOnnx(page, models, report) {
  for (const model of models) {
    if (!existsSync(join(options.onnx, `${model}.onnx`))) continue;
    const times = await page.evaluate(
      async ({ model, repeats }) => {
        const ort = await import(new URL("ort/ort.wasm.min.mjs", document.baseURI).href);
        ort.env.wasm.numThreads = 1;
        ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
        const bytes = await (await fetch(`onnx/${model}.onnx`)).arrayBuffer();
        const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
        const features = new ort.Tensor("float32", Float32Array.from({ length: 500 * 80 }, (_, i) => -8 + 2 * Math.sin(i)), [1, 500, 80]);
        const times = [];
        for (let i = 0; i < repeats + 3; i += 1) {
          const started = performance.now();
          await session.run({ features });
          if (i >= 3) times.push(performance.now() - started);
        }
        await session.release();
        return times;
      },
      { model, repeats },
    );
    report({ model, engine: "onnxruntime-web", ...summary(times) });
  }
}

const folder = mkdtempSync(join(tmpdir(), "fledge-bench-"));
const lines = [];
const report = (line) => {
  lines.push(line);
  console.log(JSON.stringify(line));
};
try {
  const { models, withLm } = assemble(join(folder, "site"));
  const site = await serve(join(folder, "site"), "/");
  const browser = await launch({ webgpu: options.webgpu });
  const { page } = await openPage(browser, site.url);
  await timeEngine(page, "engine-cpu", models, report);
  await timeLanguageModels(page, join(folder, "site"), withLm, report);
  if (options.ort && options.onnx) await timeOnnx(page, models, report);
  if (options.webgpu) await timeEngine(page, "engine-webgpu-counted", models, report);
  await browser.close();
  await site.close();
  if (options.out) writeFileSync(options.out, `${JSON.stringify(lines, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
