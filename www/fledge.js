// Fledge on your own site: speech recognition in the visitor's browser.
//
//   import { load } from "./fledge/fledge.js";
//   const recognizer = await load("english-tiny");
//   console.log((await recognizer.transcribe(blob)).text);
//
// The types, and what each part promises, are in fledge.d.ts. Everything that this module needs lies
// beside it, on any server that allows other origins to read it (CORS).

const HERE = new URL("./", import.meta.url);
/** What the engines of this build speak. */
const PROTOCOL_VERSION = 6;
/** Milliseconds between two audio levels of a session. */
const LEVEL_INTERVAL_MS = 50;

export class FledgeError extends Error {
  /** @param {string} code @param {string} message @param {{line: number, column: number}} [at] */
  constructor(code, message, at) {
    super(message);
    this.name = "FledgeError";
    this.code = code;
    if (at) Object.assign(this, at);
  }
}

/** What went wrong in a worker, by the kind that it gives. */
const CODES = { UnknownAudio: "bad-audio", BadAudio: "bad-audio", Download: "network", Model: "integrity", Phrases: "bad-grammar", Device: "device-lost", State: "unsupported" };

/** Errors of a reader that does not know the kind of a file; another one may. */
const unknownAudio = new WeakSet();

const aborted = () => new FledgeError("aborted", "it was aborted");

async function fetched(url, what) {
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new FledgeError("network", `${what} could not be fetched: ${error.message}`);
  }
  if (!response.ok) throw new FledgeError("network", `${what}: the server answered ${response.status}`);
  return response;
}

/** Compiled programs by their address: every worker of a kind shares one. */
const programs = new Map();

function program(name) {
  const url = new URL(`${name}_bg.wasm`, HERE).href;
  if (!programs.has(url)) {
    const compiled = fetched(url, name).then(async (response) => WebAssembly.compile(await response.arrayBuffer()));
    programs.set(url, compiled);
    // A failure is not for ever.
    compiled.catch(() => programs.delete(url));
  }
  return programs.get(url);
}

/** A worker and what was asked of it. */
class Client {
  #worker;
  #address;
  #next = 1;
  #pending = new Map();
  #sessions = new Map();
  #dead;

  static async start(name) {
    const client = new Client();
    const module = await program(name);
    await client.#start(name, module);
    return client;
  }

  #start(name, module) {
    const script = new URL("worker.js", HERE).href;
    // A worker must come from the page's own origin; what it imports need not.
    const foreign = HERE.origin !== location.origin;
    if (foreign) this.#address = URL.createObjectURL(new Blob([`import ${JSON.stringify(script)};`], { type: "text/javascript" }));
    this.#worker = new Worker(this.#address ?? script, { type: "module" });
    return new Promise((resolve, reject) => {
      this.#pending.set(0, { resolve, reject });
      this.#worker.onerror = (event) => this.#die(new FledgeError("unsupported", event.message || "the engine's program could not be loaded"));
      this.#worker.onmessage = ({ data }) => this.#receive(data);
      this.#worker.postMessage({ script: new URL(`${name}.js`, HERE).href, module });
    });
  }

  #receive({ id, body, payload }) {
    const ready = body.Ready ?? body.ReaderReady;
    if (ready && ready.protocol !== PROTOCOL_VERSION) return this.#die(new FledgeError("unsupported", "fledge.js and its engines are of different versions"));
    if (ready) return this.#settle(0, "resolve", ready);
    if (body.Unusable) return this.#die(new FledgeError("unsupported", body.Unusable.reason));
    if (body.Crashed) return this.#die(new FledgeError("device-lost", body.Crashed.message));
    if (body.Live) return this.#sessions.get(id)?.(body.Live);
    if (body.Failed) {
      const { kind, message, at } = body.Failed;
      const error = new FledgeError(CODES[kind] ?? "unsupported", message, at);
      if (kind === "UnknownAudio") unknownAudio.add(error);
      return this.#settle(id, "reject", error);
    }
    if (body.Loading || body.Transcribing || body === "Taken") return this.#pending.get(id)?.progress?.(body);
    this.#settle(id, "resolve", { body, payload });
  }

  #settle(id, how, value) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.[how](value);
  }

  #die(error) {
    this.#dead ??= error;
    this.#worker.terminate();
    if (this.#address) URL.revokeObjectURL(this.#address);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#sessions.clear();
  }

  /** One request; `signal` stops it, and the worker goes on. */
  ask(body, { payload, file, progress, signal, onLive } = {}) {
    if (this.#dead) return Promise.reject(this.#dead);
    if (signal?.aborted) return Promise.reject(aborted());
    const id = this.#next++;
    if (onLive) this.#sessions.set(id, onLive);
    const answer = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject, progress }));
    const stop = () => {
      this.#worker.postMessage({ id: this.#next++, body: { Cancel: { request: id } } });
      this.#settle(id, "reject", aborted());
    };
    signal?.addEventListener("abort", stop, { once: true });
    this.#worker.postMessage({ id, body, payload, file }, payload ? [payload] : []);
    return answer.finally(() => signal?.removeEventListener("abort", stop)).then((value) => Object.assign(value, { id }));
  }

  /** Sound of a live session, which has no answer. */
  push(session, samples) {
    if (!this.#dead) this.#worker.postMessage({ id: this.#next++, body: { LivePush: { of: session } }, payload: samples.buffer }, [samples.buffer]);
  }

  forget(session) {
    this.#sessions.delete(session);
  }

  close() {
    this.#die(new FledgeError("aborted", "it was disposed of"));
  }
}

/** The models beside this module, or of another site. */
export async function listModels(baseUrl = new URL("models/", HERE)) {
  const base = new URL(baseUrl, location.href);
  const catalog = await (await fetched(new URL("catalog.json", base), "the list of models")).json();
  return catalog.models.map(({ path, group, role, lm, manifest }) => {
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
      evaluations,
      url: new URL(path, base).href,
      manifest,
      languageModel: lm && { ...lm, url: new URL(lm.url, base).href },
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

async function start(model, { baseUrl, device, languageModel, signal, onProgress }) {
  if (signal?.aborted) throw aborted();
  const cards = await listModels(baseUrl);
  const card = cards.find(({ id }) => id === model);
  if (!card) throw new FledgeError("unsupported", `there is no model ${JSON.stringify(model)}: there are ${cards.map(({ id }) => id).join(", ")}`);
  if (!["auto", "cpu", "webgpu"].includes(device)) throw new FledgeError("unsupported", `device is ${JSON.stringify(device)}: expected "auto", "cpu" or "webgpu"`);
  // "auto" is the processor: whether a GPU is faster is known only after both were timed.
  const backend = device === "webgpu" ? "webgpu" : "cpu";
  const client = await Client.start(backend === "webgpu" ? "engine-webgpu" : "engine-cpu");
  const request = { Load: { model_url: card.url, manifest: card.manifest, lm: (languageModel && card.languageModel) || undefined } };
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

/** What an engine is told of phrases and boosts; nothing where any words are wanted, all as likely as they are. */
function wanted({ phrases, spot = false, threshold, boost = [] }) {
  if (!Array.isArray(boost)) throw new FledgeError("bad-grammar", "boost: expected an array of phrases");
  const boosts = boost.map((one) => (typeof one === "string" ? { phrase: one } : { phrase: String(one.phrase), weight: one.weight }));
  if (phrases === undefined || phrases === null) return { boosts };
  const list = Array.isArray(phrases) ? phrases.join("\n") : phrases;
  if (typeof list !== "string") throw new FledgeError("bad-grammar", "phrases: expected a text, or an array of phrases");
  if (threshold !== undefined && typeof threshold !== "number") throw new FledgeError("bad-grammar", "threshold: expected a number of 0 to 1");
  return { phrases: { list, inside_speech: Boolean(spot), threshold }, boosts };
}

const wordOf = ({ text, start_secs, end_secs, confidence }) => ({ text, start: start_secs, end: end_secs, confidence });

const phraseOf = ({ phrase, text, slots, tags, start_secs, end_secs, score, is_settled }) => ({
  phrase,
  text,
  slots: Object.fromEntries(slots.map(([name, value]) => [name, value.Number ?? value.Text])),
  tags,
  start: start_secs,
  end: end_secs,
  score,
  settled: is_settled,
});

function resultOf(id, transcript, isFinal, more) {
  const words = transcript.words.map(wordOf);
  const phrases = transcript.phrases && { phrases: transcript.phrases.map(phraseOf) };
  return { id: String(id), text: transcript.text, words, ...phrases, isFinal, start: words[0]?.start ?? 0, end: words.at(-1)?.end ?? 0, ...more };
}

/** Readers of audio files by their programs, each started by the first file that needs it. */
const readers = new Map();

function reader(name) {
  if (!readers.has(name)) {
    const started = Client.start(name);
    readers.set(name, started);
    started.catch(() => readers.delete(name));
  }
  return readers.get(name);
}

/**
 * Mono samples of a file, and their rate. The browser's own decoder is not asked: it takes a recording
 * as a whole, gigabytes for an hour.
 */
async function decoded(file, signal) {
  try {
    return await read(await reader("audio-file"), file, signal);
  } catch (error) {
    if (!unknownAudio.has(error)) throw error;
    return read(await reader("audio-file-all"), file, signal);
  }
}

/** Files are read one after another. */
let reading = Promise.resolve();

function read(client, file, signal) {
  const result = reading.then(async () => {
    const { body } = await client.ask("OpenFile", { file, signal });
    const parts = [];
    for (let last = false; !last; ) {
      const block = await client.ask("NextBlock", { signal });
      parts.push(new Float32Array(block.payload));
      last = block.body.Block.is_last;
    }
    const samples = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      samples.set(part, at);
      at += part.length;
    }
    return { samples, rate: body.Opened.sample_rate_hz };
  });
  reading = result.catch(() => {});
  return result;
}

/** The mean of all channels. */
function mono(audio) {
  const samples = new Float32Array(audio.length);
  for (let channel = 0; channel < audio.numberOfChannels; channel += 1) {
    audio.getChannelData(channel).forEach((value, i) => (samples[i] += value / audio.numberOfChannels));
  }
  return samples;
}

async function samplesOf(audio, sampleRate, signal) {
  if (audio instanceof Float32Array) {
    if (!sampleRate) throw new FledgeError("bad-audio", "samples need their sampleRate");
    return { samples: audio.slice(), rate: sampleRate };
  }
  if (audio instanceof Blob) return decoded(audio, signal);
  if (typeof AudioBuffer !== "undefined" && audio instanceof AudioBuffer) return { samples: mono(audio), rate: audio.sampleRate };
  throw new FledgeError("bad-audio", "expected a Float32Array, an AudioBuffer, a File or a Blob");
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

  async transcribe(audio, { sampleRate, signal, onPartial, ...listening } = {}) {
    const { phrases, boosts } = wanted(listening);
    const { samples, rate } = await samplesOf(audio, sampleRate, signal);
    const id = (this.#runs += 1);
    const found = { words: [], phrases: phrases && [] };
    const progress = ({ Transcribing }) => {
      if (!Transcribing || !onPartial) return;
      found.words.push(...Transcribing.words);
      found.phrases?.push(...Transcribing.phrases);
      onPartial(resultOf(id, { ...found, text: found.words.map(({ text }) => text).join(" ") }, false));
    };
    const request = { Transcribe: { sample_rate_hz: Math.round(rate), phrases, boosts } };
    const { body } = await this.#client.ask(request, { payload: samples.buffer, signal, progress });
    const { transcript, audio_secs, resample_ms, recognize_ms } = body.Transcribed;
    const totalMs = resample_ms + recognize_ms;
    const metrics = { audioMs: audio_secs * 1e3, resampleMs: resample_ms, totalMs, rtf: audio_secs ? totalMs / audio_secs / 1e3 : 0, backend: this.backend, firstRun: id === 1 };
    return resultOf(id, transcript, true, { metrics });
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

/** Codes of what a microphone fails with. */
function microphoneError(error) {
  const code = { NotAllowedError: "not-allowed", SecurityError: "not-allowed" }[error.name] ?? "audio-capture";
  return new FledgeError(code, error.message);
}

class LiveSession extends EventTarget {
  #client;
  #options;
  #session;
  #open = new Set();
  /** Phrases of open segments that were told of. */
  #told = new Map();
  #state = "idle";
  #stream;
  #context;
  #node;
  #level = 0;

  constructor(client, options) {
    super();
    this.#client = client;
    this.#options = options;
  }

  get state() {
    return this.#state;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#emit("state", state);
  }

  /** Asks for the microphone, unless a track was given, and listens. */
  async start() {
    if (this.#state !== "idle") throw new FledgeError("unsupported", "a session starts once; ask for another");
    if (!globalThis.isSecureContext) throw new FledgeError("insecure-context", "browsers give the microphone only to pages served by https or from this machine");
    this.#enter("requesting");
    try {
      await this.#listen();
    } catch (error) {
      const told = error instanceof FledgeError ? error : microphoneError(error);
      this.#release();
      if (this.#state !== "stopped") {
        this.#emit("error", told);
        this.#enter("stopped");
      }
      throw told;
    }
  }

  async #listen() {
    // Before anything is awaited: browsers tie sound to the visitor's action.
    this.#context = new AudioContext();
    const { deviceId, track } = this.#options;
    const { phrases, boosts } = wanted(this.#options);
    // A mistake is told before the microphone is asked for.
    if (phrases) await this.#client.ask({ CheckPhrases: { list: phrases.list } });
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, ...(deviceId && { deviceId }) };
    this.#stream = track ? new MediaStream([track]) : await navigator.mediaDevices.getUserMedia({ audio });
    if (this.#state !== "requesting") throw aborted();
    const context = this.#context;
    await context.audioWorklet.addModule(await workletAddress());
    await context.resume();
    const request = { LiveStart: { sample_rate_hz: context.sampleRate, phrases, boosts } };
    const { id } = await this.#client.ask(request, { onLive: (segments) => this.#hear(segments) });
    this.#session = id;
    if (this.#state !== "requesting") throw aborted();
    this.#node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    this.#node.port.onmessage = ({ data }) => (data ? this.#push(data) : this.#finish?.());
    context.createMediaStreamSource(this.#stream).connect(this.#node);
    this.#enter("listening");
  }

  #push(samples) {
    const now = performance.now();
    if (now - this.#level > LEVEL_INTERVAL_MS) {
      this.#level = now;
      const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
      this.#emit("level", Math.sqrt(power));
    }
    this.#client.push(this.#session, samples);
  }

  /** A segment opens once, and ends with exactly one final. */
  #hear(segments) {
    for (const { segment, is_final, transcript } of segments) {
      if (this.#state === "stopped") return;
      const result = resultOf(segment, transcript, is_final);
      if (!is_final) {
        if (!this.#open.has(segment)) this.#enter("speech");
        this.#open.add(segment);
        if (this.#options.interim !== false) this.#emit("partial", result);
        this.#tellPhrases(segment, result);
      } else {
        this.#open.delete(segment);
        this.#tellPhrases(segment, result);
        this.#told.delete(segment);
        this.#emit("final", result);
        if (this.#state === "speech") this.#enter("silence");
      }
    }
  }

  /** Each stretch of speech is one phrase, whatever later results make of it: it was acted on. */
  #tellPhrases(segment, { phrases = [] }) {
    const told = this.#told.get(segment) ?? [];
    this.#told.set(segment, told);
    const holds = ({ start, end }, other) => start <= (other.start + other.end) / 2 && (other.start + other.end) / 2 <= end;
    for (const phrase of phrases) {
      if (this.#state === "stopped") return;
      if (!phrase.settled || told.some((one) => holds(one, phrase) || holds(phrase, one))) continue;
      told.push(phrase);
      this.#emit("phrase", phrase);
    }
  }

  #finish;

  /** Ends the session; the open segment's final still comes, before this resolves. */
  async stop() {
    if (this.#state === "stopped" || this.#state === "idle") return;
    if (this.#node) {
      // A suspended audio thread answers nothing.
      await new Promise((resolve) => {
        this.#finish = resolve;
        this.#node.port.postMessage(true);
        setTimeout(resolve, 1_000);
      });
    }
    this.#release();
    if (this.#session && this.#state !== "stopped") {
      await this.#client.ask({ LiveStop: { of: this.#session } }).catch((error) => this.#state === "stopped" || this.#emit("error", error));
    }
    this.#end();
  }

  /** Ends the session at once; no event follows but that it is stopped. */
  abort() {
    if (this.#state === "stopped") return;
    this.#release();
    if (this.#session) this.#client.ask({ LiveStop: { of: this.#session } }).catch(() => {});
    this.#end();
  }

  #end() {
    if (this.#session) this.#client.forget(this.#session);
    this.#enter("stopped");
  }

  /** The browser's recording sign goes out. */
  #release() {
    if (!this.#options.track) for (const track of this.#stream?.getTracks() ?? []) track.stop();
    if (this.#node) this.#node.port.onmessage = null;
    if (this.#context && this.#context.state !== "closed") this.#context.close();
    this.#node = undefined;
  }
}

/** The worklet's script, from this page's origin: a foreign one may not be added. */
let worklet;
function workletAddress() {
  const url = new URL("recorder.js", HERE);
  if (url.origin === location.origin) return url.href;
  worklet ??= fetched(url, "recorder.js").then(async (response) => URL.createObjectURL(await response.blob()));
  return worklet;
}
