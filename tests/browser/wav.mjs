// WAV files of 16-bit mono PCM: enough to read our own sample clips and to make variants of them.

import { readFileSync, writeFileSync } from "node:fs";

/** @returns {{rate: number, samples: Int16Array}} */
export function readWav(path) {
  const bytes = readFileSync(path);
  for (let at = 12, rate = 0; at + 8 <= bytes.length; ) {
    const name = bytes.toString("latin1", at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    if (name === "fmt ") rate = bytes.readUInt32LE(at + 12);
    if (name === "data") {
      const data = bytes.subarray(at + 8, at + 8 + size);
      const samples = Int16Array.from({ length: data.length >> 1 }, (_, i) => data.readInt16LE(2 * i));
      return { rate, samples };
    }
    at += 8 + size + (size & 1);
  }
  throw new Error(`${path} has no samples`);
}

/** @param {number[][] | Int16Array[]} channels values of 16 bits, or of 24 where bits says so */
export function writeWav(path, rate, channels, bits = 16) {
  const frames = channels[0].length;
  const width = bits / 8;
  const block = width * channels.length;
  const bytes = Buffer.alloc(44 + frames * block);
  bytes.write("RIFF", 0, "latin1");
  bytes.writeUInt32LE(36 + frames * block, 4);
  bytes.write("WAVEfmt ", 8, "latin1");
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(channels.length, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * block, 28);
  bytes.writeUInt16LE(block, 32);
  bytes.writeUInt16LE(bits, 34);
  bytes.write("data", 36, "latin1");
  bytes.writeUInt32LE(frames * block, 40);
  let at = 44;
  for (let i = 0; i < frames; i += 1) {
    for (const channel of channels) {
      bytes.writeIntLE(channel[i], at, width);
      at += width;
    }
  }
  writeFileSync(path, bytes);
}

/** A silence of so many seconds before and after. */
export function withSilence(wav, before, after) {
  const samples = new Int16Array(wav.samples.length + Math.round((before + after) * wav.rate));
  samples.set(wav.samples, Math.round(before * wav.rate));
  return { rate: wav.rate, samples };
}
