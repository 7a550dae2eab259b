// What a recogniser is asked for, and the form of its answers.

import { FledgeError } from "./fledge-worker.js";

/** What an engine is told of phrases and boosts; nothing where any words are wanted, all as likely as they are. */
export function wanted({ phrases, spot = false, threshold, boost = [] }) {
  if (!Array.isArray(boost)) throw new FledgeError("bad-grammar", "boost: expected an array of phrases");
  const boosts = boost.map((one) => (typeof one === "string" ? { phrase: one } : { phrase: String(one.phrase), weight: one.weight }));
  const likelier = boosts.length ? { Each: boosts } : "None";
  if (phrases === undefined || phrases === null) return { boosts: likelier };
  const list = Array.isArray(phrases) ? phrases.join("\n") : phrases;
  if (typeof list !== "string") throw new FledgeError("bad-grammar", "phrases: expected a text, or an array of phrases");
  if (threshold !== undefined && typeof threshold !== "number") throw new FledgeError("bad-grammar", "threshold: expected a number of 0 to 1");
  return { phrases: { list, inside_speech: Boolean(spot), threshold }, boosts: likelier };
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

const otherOf = ({ text, start_secs, end_secs, nearest }) => ({ text, start: start_secs, end: end_secs, ...(nearest && { nearest }) });

export function resultOf(id, transcript, isFinal, more) {
  const words = transcript.words.map(wordOf);
  const phrases = transcript.phrases && { phrases: transcript.phrases.map(phraseOf), ...(transcript.others && { others: transcript.others.map(otherOf) }) };
  return { id: String(id), text: transcript.text, words, ...phrases, isFinal, start: words[0]?.start ?? 0, end: words.at(-1)?.end ?? 0, ...more };
}

/** What is found in a recording: segments, each told once, and what there is so far. */
export class Segments {
  #run;
  #hearsPhrases;
  #onSegment;
  #onPartial;
  #count = 0;
  #all = { words: [], phrases: [] };

  constructor(run, phrases, onSegment, onPartial) {
    this.#run = run;
    this.#hearsPhrases = Boolean(phrases);
    this.#onSegment = onSegment;
    this.#onPartial = onPartial;
  }

  add(words, phrases) {
    if (!words.length) return;
    this.#all.words.push(...words);
    this.#all.phrases.push(...phrases);
    this.#count += 1;
    this.#onSegment?.(this.#result(`${this.#run}.${this.#count}`, { words, phrases }, true));
    // Made only for who asks: it grows with the recording.
    this.#onPartial?.(this.#result(this.#run, this.#all, false));
  }

  /** What is left of the whole transcript. */
  finish({ words, phrases }) {
    this.add(words.slice(this.#all.words.length), phrases?.slice(this.#all.phrases.length) ?? []);
  }

  #result(id, { words, phrases }, isFinal) {
    const text = words.map((word) => word.text).join(" ");
    return resultOf(id, { text, words, ...(this.#hearsPhrases && { phrases }) }, isFinal);
  }
}
