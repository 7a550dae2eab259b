// Sound on its way to an engine, block by block: `rate`, `expectedSecs` where that is known, `next(spare)`,
// which may write into that buffer, and `close()`. What is held of it does not grow with its length.

import { Client, FledgeError, isUnknownAudio, orAborted } from "./fledge-worker.js";

/** Of samples that are there already. */
const BLOCK_SECS = 30;
/** After a longer file its reader goes, and its memory with it. */
const LONG_SECS = 60;
/** Readers of audio files: the usual kinds, then all. The browser's own decoder takes a recording as a whole. */
const READERS = ["audio-file", "audio-file-all"];

/** Readers with nothing to do, one of a kind; a file has a reader for itself. */
const resting = new Map();

async function takeReader(name) {
  const reader = resting.get(name);
  resting.delete(name);
  return reader ?? Client.start(name);
}

function putBack(name, reader) {
  if (reader.isDead || resting.has(name)) reader.close();
  else resting.set(name, reader);
}

/** A reader that died did so over the file. */
function overFile(error) {
  return error.code === "device-lost" ? new FledgeError("bad-audio", "it cannot be decoded: the decoder gave up on it") : error;
}

class FileSound {
  #name;
  #reader;
  #numSamples = 0;

  constructor(name, reader, { sample_rate_hz, expected_secs }) {
    this.#name = name;
    this.#reader = reader;
    this.rate = sample_rate_hz;
    this.expectedSecs = expected_secs ?? undefined;
  }

  static async open(file) {
    for (const name of READERS) {
      const reader = await takeReader(name);
      try {
        const { body } = await reader.ask("OpenFile", { file });
        return new FileSound(name, reader, body.Opened);
      } catch (error) {
        putBack(name, reader);
        if (name === READERS.at(-1) || !isUnknownAudio(error)) throw overFile(error);
      }
    }
  }

  async next(spare) {
    try {
      const { body, payload } = await this.#reader.ask("NextBlock", { payload: spare });
      const samples = new Float32Array(payload);
      this.#numSamples += samples.length;
      return { samples, isLast: body.Block.is_last, notices: body.Block.notices };
    } catch (error) {
      throw overFile(error);
    }
  }

  close() {
    if (this.#numSamples > LONG_SECS * this.rate) this.#reader.close();
    else putBack(this.#name, this.#reader);
  }
}

/** Samples of one channel, or the mean of several. */
class SamplesSound {
  #channels;
  #at = 0;

  constructor(channels, rate) {
    this.#channels = channels;
    this.rate = rate;
    this.expectedSecs = channels[0].length / rate;
  }

  async next(spare) {
    const end = this.#at + Math.ceil(BLOCK_SECS * this.rate);
    const [first, ...others] = this.#channels.map((channel) => channel.subarray(this.#at, end));
    const samples = spare?.byteLength === first.byteLength ? new Float32Array(spare) : new Float32Array(first.length);
    samples.set(first);
    for (const other of others) other.forEach((value, i) => (samples[i] += value));
    if (others.length) samples.forEach((value, i) => (samples[i] = value / this.#channels.length));
    this.#at = end;
    return { samples, isLast: end >= this.#channels[0].length, notices: [] };
  }

  close() {}
}

/** What `transcribe` was given, as sound. */
export async function openSound(audio, sampleRate, signal) {
  if (audio instanceof Float32Array) {
    if (!sampleRate) throw new FledgeError("bad-audio", "samples need their sampleRate");
    return new SamplesSound([audio], sampleRate);
  }
  if (typeof AudioBuffer !== "undefined" && audio instanceof AudioBuffer) {
    const channels = Array.from({ length: audio.numberOfChannels }, (_, channel) => audio.getChannelData(channel));
    return new SamplesSound(channels, audio.sampleRate);
  }
  if (!(audio instanceof Blob)) throw new FledgeError("bad-audio", "expected a Float32Array, an AudioBuffer, a File or a Blob");
  const opening = FileSound.open(audio);
  return orAborted(opening, signal).catch((error) => {
    // It may still open, for nobody.
    opening.then((sound) => sound.close(), () => {});
    throw error;
  });
}
