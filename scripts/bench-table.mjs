// The table of scripts/bench-web.sh from the lines in its folder: lowest / median milliseconds.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const lines = (name) =>
  readFileSync(join(folder, name), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const cell = (line) => (line ? `${line.min_ms.toFixed(1)} / ${line.median_ms.toFixed(1)}` : "");

const browser = lines("browser.jsonl");
const find = (model, engine) => browser.find((line) => line.model === model && line.engine === engine);
const onnx = lines("onnx.jsonl");
const withLm = browser.filter((line) => line.greedy_ms);
const columns = ["model", "parameters", "native", "onnxruntime", "WASM", "onnxruntime-web", "WebGPU", "dispatches", "pipelines"];
const row = (cells) => `| ${cells.join(" | ")} |`;
console.log(row(columns));
console.log(row(columns.map((_, index) => (index ? "---:" : "---"))));
for (const native of lines("native.jsonl")) {
  const gpu = find(native.model, "engine-webgpu");
  console.log(
    row([
      native.model,
      native.parameters.toLocaleString("en"),
      cell(native),
      cell(onnx.find(({ name }) => name === native.model)),
      cell(find(native.model, "engine-cpu")),
      cell(find(native.model, "onnxruntime-web")),
      cell(gpu),
      gpu?.dispatches ?? "",
      gpu?.pipelines ?? "",
    ]),
  );
}

if (withLm.length > 0) {
  console.log("\nAll sample clips, lowest ms in WASM: greedy, with the language model, and what the beam search takes");
  console.log("as a share of the greedy time\n");
  console.log(row(["model", "greedy", "with the language model", "beam over greedy"]));
  console.log(row(["---", "---:", "---:", "---:"]));
  for (const { model, greedy_ms, beam_ms, beam_over_greedy } of withLm) {
    console.log(row([model, greedy_ms.toFixed(1), beam_ms.toFixed(1), beam_over_greedy.toFixed(2)]));
  }
}
