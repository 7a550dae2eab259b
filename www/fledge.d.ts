/** Seconds from the beginning of the sound; a confidence of 0 to 1. */
export interface Word {
  text: string;
  start: number;
  end: number;
  confidence: number;
}

/** A phrase of a list that was heard. */
export interface Phrase {
  /** With `{name}` where a slot was filled: "set a timer for {minutes} minutes". */
  phrase: string;
  /** What was said. */
  text: string;
  /** Values by the names of the slots; those of `<number>` are numbers. */
  slots: Record<string, string | number>;
  /** Tags of the list outside of slots. */
  tags: string[];
  /** Seconds from the beginning of the sound. */
  start: number;
  end: number;
  /** How probable the network holds it, by the letter, 0 to 1. */
  score: number;
  /** Whether to act on it; false only in partial results of live sound. */
  settled: boolean;
}

/** What was said that is no phrase, from pause to pause. */
export interface OtherSpeech {
  /** What would have been written without phrases. */
  text: string;
  start: number;
  end: number;
  /** The phrase that came nearest: its score is below `threshold`, or other words stand beside it. */
  nearest?: { text: string; score: number; threshold: number };
}

/** What a transcription took, in milliseconds; `rtf` is computing time over the length of the sound. */
export interface Metrics {
  audioMs: number;
  resampleMs: number;
  totalMs: number;
  rtf: number;
  backend: "webgpu" | "cpu";
  /** The first of a recognizer is slower than the others. */
  firstRun: boolean;
}

export interface Result {
  /** Opaque; the partial and final results of a live segment share it. */
  id: string;
  text: string;
  words: Word[];
  /** There if phrases were asked for; empty: none of them was said. */
  phrases?: Phrase[];
  /** There if phrases were asked for, in final results but those of `onSegment`. */
  others?: OtherSpeech[];
  isFinal: boolean;
  start: number;
  end: number;
  metrics?: Metrics;
  /** Of a file: what is odd about it, each a sentence that begins with the file: "ends in the middle of …". */
  notices?: string[];
}

/** `loaded` of `total` bytes while files come; later phases have no length. */
export interface Progress {
  phase: "download" | "check" | "warmup";
  loaded: number;
  total?: number;
  file?: string;
}

/** Named as the Web Speech API names them, where it does. */
export type ErrorCode =
  | "not-allowed"
  | "audio-capture"
  | "aborted"
  | "network"
  | "insecure-context"
  | "unsupported"
  | "device-lost"
  | "integrity"
  | "bad-grammar"
  | "bad-audio";

export class FledgeError extends Error {
  readonly code: ErrorCode;
  /** Of "bad-grammar": where the phrases are wrong, both from 1; columns count characters. */
  readonly line?: number;
  readonly column?: number;
}

/** A measured word error rate, a fraction, with its 95 % interval. */
export interface Evaluation {
  set: string;
  decoder: "greedy" | "beam";
  lm: string | null;
  wer: number;
  wer_low: number;
  wer_high: number;
  words: number;
}

export interface ModelCard {
  /** What `load` takes. */
  id: string;
  name: string;
  group: string;
  isTeacher: boolean;
  description: string;
  license: string;
  parameters: number;
  /** Of the download, without the language model. */
  bytes: number;
  languageModelBytes: number;
  /** Of the large one; 0 where there is none. */
  largeLanguageModelBytes: number;
  evaluations: Evaluation[];
  url: string;
}

/** The models of a folder with a `catalog.json`; by default the one beside this module. */
export function listModels(baseUrl?: string | URL): Promise<ModelCard[]>;

export interface LoadOptions {
  /** The folder that holds `catalog.json`. */
  baseUrl?: string | URL;
  /** "auto" is the CPU, which is there everywhere. */
  device?: "auto" | "cpu" | "webgpu";
  /**
   * What to write with. "small", or true, is the default: the language model that goes with the model, none where it
   * has none. "large" gets more words right for a larger download, and rejects with "unsupported" where there is none.
   */
  languageModel?: boolean | "none" | "small" | "large";
  signal?: AbortSignal;
  onProgress?(progress: Progress): void;
}

/**
 * Fetches a model, or takes it from the browser's cache, and gets it ready. Files are checked against
 * their SHA-256.
 */
export function load(model: string, options?: LoadOptions): Promise<Recognizer>;

/** Phrases that are all that is heard, or none of them. */
export interface PhraseOptions {
  /** One a line or an item, or a grammar that begins with "#JSGF"; docs/own-words.md has the forms. */
  phrases?: string | string[];
  /** Whether they are heard inside other speech, too. Default: false. */
  spot?: boolean;
  /** Least score, 0 to 1. Default: what the list holds for the model, else 0.35. */
  threshold?: number;
}

/** A phrase that is likelier than the model believes. */
export interface Boost {
  phrase: string;
  /** Nats for each of its words, 0 to 100. Default: 4. */
  weight?: number;
}

export interface ListeningOptions extends PhraseOptions {
  /** Names and words that are likelier, where any words are heard. */
  boost?: (string | Boost)[];
}

/** Seconds that were heard, of so many in all where the file tells. */
export interface Heard {
  done: number;
  total?: number;
}

export interface TranscribeOptions extends ListeningOptions {
  /** Of a Float32Array, in Hz. */
  sampleRate?: number;
  /** Stops the work at once; the recognizer stays usable. */
  signal?: AbortSignal;
  /**
   * Words as they are found, some seconds of sound at a time, in order: each word in exactly one segment, none of
   * which changes. The last one comes before the promise resolves, and none after it rejects.
   */
  onSegment?(segment: Result): void;
  /** All words so far, after each segment. Of a long recording each of these is long: `onSegment` has only what is new. */
  onPartial?(result: Result): void;
  /** How far the sound is heard. The first three minutes of a longer one are read before any of them is told. */
  onProgress?(heard: Heard): void;
}

export interface Recognizer {
  readonly card: ModelCard;
  readonly backend: "webgpu" | "cpu";
  /**
   * Mono samples, an AudioBuffer, or an audio file of any length: WAV, FLAC, MP3, Ogg, MP4, AAC, WebM, AIFF, CAF or
   * NIST SPHERE. A file is read and heard block by block, so that memory does not grow with it; samples must not be
   * changed meanwhile. What is no audio is refused as "bad-audio"; the browser's decoder is not asked. Several at once
   * take turns, those of different recognizers run side by side.
   */
  transcribe(audio: Float32Array | AudioBuffer | Blob, options?: TranscribeOptions): Promise<Result>;
  /** How many phrases a list has, and which of them sound alike; rejects with "bad-grammar" as the others do. */
  checkPhrases(phrases: string | string[]): Promise<{ phrases: number; warnings: { line: number; column: number; message: string }[] }>;
  /** A session with the microphone, or with the track that is given. Several may run at once. */
  live(options?: LiveOptions): LiveSession;
  /** Ends its sessions and gives its memory back. */
  dispose(): Promise<void>;
}

export interface LiveOptions extends ListeningOptions {
  deviceId?: string;
  track?: MediaStreamTrack;
  /** Whether to send partial results. Default: true. */
  interim?: boolean;
}

export type LiveState = "idle" | "requesting" | "listening" | "speech" | "silence" | "stopped";

export interface LiveEvents {
  state: CustomEvent<LiveState>;
  /** Root mean square of the sound, 0 to 1, some twenty times a second. */
  level: CustomEvent<number>;
  partial: CustomEvent<Result>;
  /** A phrase, as soon as it is settled, and once: what to act on. */
  phrase: CustomEvent<Phrase>;
  final: CustomEvent<Result>;
  error: CustomEvent<FledgeError>;
}

/**
 * A segment opens once; partial results come only while it is open; it ends with exactly one final,
 * which never changes. A phrase is told of once, at the latest right before the final of its segment. After `stop()` its last final still comes, before the promise resolves; after
 * `abort()` nothing comes but the state "stopped".
 */
export interface LiveSession extends EventTarget {
  readonly state: LiveState;
  start(): Promise<void>;
  stop(): Promise<void>;
  abort(): void;
  addEventListener<K extends keyof LiveEvents>(
    type: K,
    listener: (event: LiveEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
