// The workers of fledge.js: what is asked of them, and what they fail with.

export const HERE = new URL("./", import.meta.url);
/** What the engines of this build speak. */
const PROTOCOL_VERSION = 7;

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

export const aborted = () => new FledgeError("aborted", "it was aborted");

/** Whether another reader may know the kind of a file. */
export const isUnknownAudio = (error) => unknownAudio.has(error);

/** The promise, or "aborted" as soon as the signal says so. */
export function orAborted(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

export async function fetched(url, what) {
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
export class Client {
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
    if (body.Loading || body.Transcribing || body === "Taken") return this.#pending.get(id)?.progress?.(body, id, payload);
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

  /** Sound that belongs to an earlier request, without an answer of its own. */
  push(body, samples) {
    if (!this.#dead) this.#worker.postMessage({ id: this.#next++, body, payload: samples.buffer }, [samples.buffer]);
  }

  get isDead() {
    return Boolean(this.#dead);
  }

  forget(session) {
    this.#sessions.delete(session);
  }

  close() {
    this.#die(new FledgeError("aborted", "it was disposed of"));
  }
}

