// A live session: the microphone, or a track, to words as they come.

import { resultOf, wanted } from "./fledge-results.js";
import { FledgeError, HERE, aborted, fetched } from "./fledge-worker.js";

/** Milliseconds between two audio levels of a session. */
const LEVEL_INTERVAL_MS = 50;

/** Codes of what a microphone fails with. */
function microphoneError(error) {
  const code = { NotAllowedError: "not-allowed", SecurityError: "not-allowed" }[error.name] ?? "audio-capture";
  return new FledgeError(code, error.message);
}

export class LiveSession extends EventTarget {
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
    this.#client.push({ LivePush: { of: this.#session } }, samples);
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
