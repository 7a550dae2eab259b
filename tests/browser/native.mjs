// What the native binary says about the same clips.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLEDGE = process.env.FLEDGE_BIN;

function fledge(...args) {
  if (!FLEDGE) throw new Error("FLEDGE_BIN must name the native fledge binary");
  return execFileSync(FLEDGE, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function transcript(model, clip, ...decoder) {
  return JSON.parse(fledge("transcribe", clip, "--model", model, "--device", "cpu", "--json", ...decoder));
}

/** Text of a clip, from the CPU, without a language model. */
export function transcribe(model, clip) {
  return transcript(model, clip).text;
}

/** The phrases of a clip; `options`: of `fledge transcribe`, such as `--phrases FILE`. */
export function phrases(model, clip, ...options) {
  return transcript(model, clip, ...options).phrases;
}

/** Text of a clip by beam search with a language model. */
export function transcribeWith(lm, model, clip, ...options) {
  return transcript(model, clip, "--decoder", "beam", "--lm", lm, ...options).text;
}

/** Word errors over clips whose texts are known, by beam search with a language model. */
export function wordErrors(lm, model, clips) {
  const folder = mkdtempSync(join(tmpdir(), "fledge-"));
  try {
    const manifest = join(folder, "clips.jsonl");
    // Whole files, as the page hears them: the lengths in the list of clips are rounded.
    const line = ({ path, text }) => `${JSON.stringify({ audio_filepath: path, text })}\n`;
    writeFileSync(manifest, clips.map(line).join(""));
    const told = fledge("evaluate", "--model", model, "--manifest", manifest, "--lm", lm, "--device", "cpu", "--json");
    const { substitutions, insertions, deletions } = JSON.parse(told);
    return substitutions + insertions + deletions;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Makes a language model of sentences. */
export function languageModel(sentences, file) {
  const text = `${file}.txt`;
  writeFileSync(text, `${sentences.join("\n")}\n`);
  fledge("lm", "--text", text, "--order", "2", "--out", file);
}

/** Confidence of the least sure word of a clip. */
export function confidence(model, clip) {
  return Math.min(...transcript(model, clip).words.map((word) => word.confidence));
}

/**
 * The clip that a model is surest of. Kernels round differently natively and in WebAssembly, and what
 * lies on the edge between two letters may fall to either side.
 */
export function surest(model, clips) {
  const sure = clips.map((clip) => ({ clip, confidence: confidence(model, clip.path) }));
  return sure.sort((a, b) => b.confidence - a.confidence)[0].clip;
}

/** Log-probabilities `[num_frames, vocab_size]` of a clip, from the CPU; `options`: of `fledge transcribe`. */
export function logProbs(model, clip, ...options) {
  const folder = mkdtempSync(join(tmpdir(), "fledge-"));
  try {
    const file = join(folder, "log-probs.json");
    fledge("transcribe", clip, "--model", model, "--device", "cpu", "--log-probs", file, ...options);
    return JSON.parse(readFileSync(file, "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
