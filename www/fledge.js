// Fledge on your own site: speech recognition in the visitor's browser.
//
//   import { load } from "./fledge/fledge.js";
//   const recognizer = await load("english-tiny");
//   console.log((await recognizer.transcribe(blob)).text);
//
// The types, and what each part promises, are in fledge.d.ts. Everything that this module needs lies
// beside it, on any server that allows other origins to read it (CORS).

import { openSound } from "./fledge-audio.js";
import { LiveSession } from "./fledge-live.js";
import { Segments, resultOf, wanted } from "./fledge-results.js";
import { Client, FledgeError, HERE, aborted, fetched, orAborted } from "./fledge-worker.js";

export { FledgeError };

/** The models beside this module, or of another site. */
export async function listModels(baseUrl = new URL("models/", HERE)) {
  const base = new URL(baseUrl, location.href);
  const catalog = await (await fetched(new URL("catalog.json", base), "the list of models")).json();
  const absolute = (file) => file && { ...file, url: new URL(file.url, base).href };
  return catalog.models.map(({ path, group, role, lm, large_lm, manifest }) => {
    const { name, description, parameters, files, evaluations, license } = JSON.parse(manifest);
    const needed = files.filter((file) => !/\.md$|^lm\.bin$/.test(file.name));
    return {
      id: path,
      name,
      group,
      isTeacher: role === "teacher",
      description,
      license,
      parameters,
      bytes: needed.reduce((sum, file) => sum + file.bytes, 0),
      languageModelBytes: lm?.bytes ?? 0,
      largeLanguageModelBytes: large_lm?.bytes ?? 0,
      evaluations,
      url: new URL(path, base).href,
      manifest,
      languageModel: absolute(lm),
      largeLanguageModel: absolute(large_lm),
    };
  });
}

/** Loads under way, by what they load: whoever asks twice at once gets one. */
const loading = new Map();

/** Fetches a model and gets it ready. */
export function load(model, { baseUrl, device = "auto", languageModel = true, signal, onProgress } = {}) {
  const key = JSON.stringify([model, String(baseUrl ?? ""), device, languageModel]);
  // One that can be aborted is nobody else's.
  if (signal || onProgress) return start(model, { baseUrl, device, languageModel, signal, onProgress });
  if (!loading.has(key)) {
    const recognizer = start(model, { baseUrl, device, languageModel });
    loading.set(key, recognizer);
    recognizer.finally(() => loading.delete(key)).catch(() => {});
  }
  return loading.get(key);
}

/** The file that a model is to write with, if any. */
function languageModelOf(card, wish) {
  if (!wish || wish === "none") return undefined;
  if (wish === true || wish === "small") return card.languageModel ?? undefined;
  if (wish !== "large") throw new FledgeError("unsupported", `languageModel is ${JSON.stringify(wish)}: expected true, false, "none", "small" or "large"`);
  if (!card.largeLanguageModel) throw new FledgeError("unsupported", `there is no large language model for ${card.id}`);
  return card.largeLanguageModel;
}

async function start(model, { baseUrl, device, languageModel, signal, onProgress }) {
  if (signal?.aborted) throw aborted();
  const cards = await listModels(baseUrl);
  const card = cards.find(({ id }) => id === model);
  if (!card) throw new FledgeError("unsupported", `there is no model ${JSON.stringify(model)}: there are ${cards.map(({ id }) => id).join(", ")}`);
  if (!["auto", "cpu", "webgpu"].includes(device)) throw new FledgeError("unsupported", `device is ${JSON.stringify(device)}: expected "auto", "cpu" or "webgpu"`);
  const lm = languageModelOf(card, languageModel);
  // "auto" is the processor: whether a GPU is faster is known only after both were timed.
  const backend = device === "webgpu" ? "webgpu" : "cpu";
  const client = await Client.start(backend === "webgpu" ? "engine-webgpu" : "engine-cpu");
  const request = { Load: { model_url: card.url, manifest: card.manifest, lm } };
  try {
    await client.ask(request, { signal, progress: ({ Loading }) => onProgress?.(progressOf(Loading)) });
  } catch (error) {
    client.close();
    throw error;
  }
  return new Recognizer(card, backend, client);
}

function progressOf(phase) {
  if (phase.Downloading) return { phase: "download", loaded: phase.Downloading.received, total: phase.Downloading.total };
  if (phase.DownloadingLm) return { phase: "download", file: "language model", loaded: phase.DownloadingLm.received, total: phase.DownloadingLm.total };
  return { phase: phase === "Checking" ? "check" : "warmup", loaded: 1, total: 1 };
}

class Recognizer {
  #client;
  #runs = 0;
  #sessions = new Set();

  constructor(card, backend, client) {
    this.card = card;
    this.backend = backend;
    this.#client = client;
  }

  async transcribe(audio, { sampleRate, signal, onSegment, onPartial, onProgress, ...listening } = {}) {
    const wish = wanted(listening);
    if (signal?.aborted) throw aborted();
    const run = (this.#runs += 1);
    const sound = await openSound(audio, sampleRate, signal);
    try {
      const heard = new Segments(run, wish.phrases, onSegment, onPartial);
      const { transcript, notices, ...spent } = await this.#hear(sound, wish, signal, ({ done_secs, words, phrases }) => {
        heard.add(words, phrases);
        onProgress?.({ done: done_secs, total: sound.expectedSecs });
      });
      heard.finish(transcript);
      const audioMs = spent.audio_secs * 1e3;
      const totalMs = spent.resample_ms + spent.recognize_ms;
      const metrics = { audioMs, resampleMs: spent.resample_ms, totalMs, rtf: audioMs ? totalMs / audioMs : 0, backend: this.backend, firstRun: run === 1 };
      return resultOf(run, transcript, true, { ...(notices.length && { notices }), metrics });
    } finally {
      sound.close();
    }
  }

  /** Gives the engine block after block, each when the one before was taken. */
  async #hear(sound, wish, signal, found) {
    let block = await orAborted(sound.next(), signal);
    const { notices } = block;
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal?.addEventListener("abort", abort, { signal: stop.signal });
    let failure;
    /** Read while the engine is busy with the block before. */
    let ahead = block.isLast ? undefined : sound.next();
    // A buffer that the engine has taken goes back to the reader: none becomes garbage.
    const send = async (id, spare) => {
      block = await ahead;
      if (stop.signal.aborted) return;
      notices.push(...block.notices);
      ahead = block.isLast ? undefined : sound.next(spare);
      this.#client.push({ Piece: { of: id, more: !block.isLast } }, block.samples);
    };
    const progress = ({ Transcribing }, id, spare) => {
      if (Transcribing) return found(Transcribing);
      send(id, spare).catch((error) => {
        failure = error;
        stop.abort();
      });
    };
    const request = { Transcribe: { sample_rate_hz: Math.round(sound.rate), more: !block.isLast, ...wish } };
    try {
      const { body } = await this.#client.ask(request, { payload: block.samples.buffer, signal: stop.signal, progress });
      return { ...body.Transcribed, notices };
    } catch (error) {
      throw failure ?? error;
    } finally {
      stop.abort();
      // What was read for nothing fails for nobody.
      ahead?.catch(() => {});
    }
  }

  async checkPhrases(phrases) {
    const { list } = wanted({ phrases: phrases ?? "" }).phrases;
    const { body } = await this.#client.ask({ CheckPhrases: { list } });
    return { phrases: body.PhrasesChecked.phrases, warnings: body.PhrasesChecked.warnings.map(({ at, message }) => ({ ...at, message })) };
  }

  live(options = {}) {
    const session = new LiveSession(this.#client, options);
    this.#sessions.add(session);
    session.addEventListener("state", ({ detail }) => detail === "stopped" && this.#sessions.delete(session));
    return session;
  }

  async dispose() {
    for (const session of this.#sessions) session.abort();
    this.#client.close();
  }
}
