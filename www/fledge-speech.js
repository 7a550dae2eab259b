// The Web Speech API's `SpeechRecognition`, by a recognizer in the page: scripts that were written for
// it run unchanged, in every browser, and no sound leaves the machine.
//
//   import { install } from "./fledge/fledge-speech.js";
//   install({ model: "english-small" });        // globalThis.SpeechRecognition is ours from here on

import { load } from "./fledge.js";

let settings = { model: "english-small" };
let recognizer;

const loaded = () => (recognizer ??= load(settings.model, settings).catch((error) => {
  recognizer = undefined;
  throw error;
}));

/** Grammars of which nothing else is heard; JSGF, or phrases one a line. */
export class FledgeGrammarList {
  #grammars = [];

  get length() {
    return this.#grammars.length;
  }

  item(index) {
    return this.#grammars[index];
  }

  addFromString(src, weight = 1) {
    this.#grammars.push({ src, weight });
  }
}

/** A phrase that is likelier by a boost of 0 to 10. */
export class FledgeSpeechPhrase {
  constructor(phrase, boost = 1) {
    this.phrase = phrase;
    this.boost = boost;
  }
}

/** One result of one alternative, with the array's ways that scripts expect. */
function resultOf({ text, words, phrases, isFinal }) {
  const confidence = words.length ? words.reduce((sum, word) => sum + word.confidence, 0) / words.length : 0;
  const alternative = { transcript: text, confidence, ...(phrases && { phrases }) };
  return { 0: alternative, length: 1, isFinal, item: () => alternative };
}

function listOf(results) {
  return Object.assign([...results], { item: (index) => results[index] });
}

export class FledgeSpeechRecognition extends EventTarget {
  continuous = false;
  interimResults = false;
  lang = "en-US";
  maxAlternatives = 1;
  /** Sound is never sent anywhere. */
  processLocally = true;
  /** Of the first one every phrase is heard, and nothing else. */
  grammars = new FledgeGrammarList();
  /** Phrases that are likelier, where there is no grammar. */
  phrases = [];

  #session;
  #finals = [];
  #heard = false;

  /** Whether this language is recognised. */
  static async available({ langs = ["en-US"] } = {}) {
    return langs.every((lang) => /^en\b/i.test(lang)) ? "available" : "unavailable";
  }

  /** Fetches what the first `start` would wait for. */
  static async install() {
    await loaded();
    return true;
  }

  #emit(type, more = {}) {
    const event = Object.assign(new Event(type), more);
    this.dispatchEvent(event);
  }

  start(track) {
    if (this.#session) throw new DOMException("recognition has started already", "InvalidStateError");
    this.#finals = [];
    this.#heard = false;
    // Taken at once: a second start is an error from here on.
    this.#session = { abort() {}, async stop() {} };
    this.#begin(this.#session, track);
  }

  async #begin(place, track) {
    try {
      if (!/^en\b/i.test(this.lang || "en")) throw Object.assign(new Error(`${this.lang} is not recognised`), { code: "language-not-supported" });
      const phrases = this.grammars?.length ? this.grammars.item(0).src : undefined;
      const boost = phrases ? [] : Array.from(this.phrases ?? [], ({ phrase, boost }) => ({ phrase, weight: boost }));
      if (this.grammars?.length > 1) throw Object.assign(new Error("there are several grammars: put their rules into one"), { code: "bad-grammar" });
      const session = (await loaded()).live({ track, interim: this.interimResults, phrases, boost });
      if (this.#session !== place) return;
      this.#session = session;
      this.#listen(session);
      await session.start();
      this.#emit("start");
      this.#emit("audiostart");
    } catch (error) {
      if (this.#session === undefined) return;
      this.#emit("error", { error: error.code ?? "aborted", message: error.message });
      this.#end();
    }
  }

  #listen(session) {
    session.addEventListener("state", ({ detail }) => {
      if (detail === "speech") {
        this.#emit("soundstart");
        this.#emit("speechstart");
      }
      if (detail === "silence") {
        this.#emit("speechend");
        this.#emit("soundend");
      }
    });
    session.addEventListener("partial", ({ detail }) => this.#tell(detail));
    session.addEventListener("final", ({ detail }) => {
      if (!detail.text && detail.phrases) this.#emit("nomatch");
      if (!detail.text) return;
      this.#tell(detail);
      this.#finals.push(resultOf(detail));
      this.#heard = true;
      if (!this.continuous) this.stop();
    });
    session.addEventListener("error", ({ detail }) => this.#emit("error", { error: detail.code, message: detail.message }));
  }

  #tell(result) {
    if (!result.text) return;
    const results = listOf([...this.#finals, resultOf(result)]);
    this.#emit("result", { results, resultIndex: this.#finals.length });
  }

  async stop() {
    const session = this.#session;
    if (!session) return;
    await session.stop();
    if (this.#session === session) {
      if (!this.#heard) this.#emit("nomatch");
      this.#end();
    }
  }

  abort() {
    if (!this.#session) return;
    this.#session.abort();
    this.#emit("error", { error: "aborted", message: "recognition was aborted" });
    this.#end();
  }

  #end() {
    this.#session = undefined;
    this.#emit("audioend");
    this.#emit("end");
  }
}

// `recognition.onresult = ...` as well as `addEventListener`.
for (const type of ["start", "audiostart", "soundstart", "speechstart", "result", "nomatch", "speechend", "soundend", "audioend", "error", "end"]) {
  const handlers = new WeakMap();
  Object.defineProperty(FledgeSpeechRecognition.prototype, `on${type}`, {
    get() {
      return handlers.get(this) ?? null;
    },
    set(handler) {
      const old = handlers.get(this);
      if (old) this.removeEventListener(type, old);
      if (typeof handler === "function") {
        handlers.set(this, handler);
        this.addEventListener(type, handler);
      } else handlers.delete(this);
    },
  });
}

/** Makes it the page's `SpeechRecognition`; `options`: `model`, and those of `load`. */
export function install(options = {}) {
  settings = { ...settings, ...options };
  recognizer = undefined;
  globalThis.SpeechRecognition = FledgeSpeechRecognition;
  globalThis.webkitSpeechRecognition = FledgeSpeechRecognition;
  globalThis.SpeechRecognitionPhrase = FledgeSpeechPhrase;
  globalThis.SpeechGrammarList = FledgeGrammarList;
  globalThis.webkitSpeechGrammarList = FledgeGrammarList;
}
