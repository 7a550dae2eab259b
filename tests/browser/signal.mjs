/** Noise whose level moves as that of speech does; `fledge bench inference` makes the same. */
export function signal(length) {
  const samples = new Float32Array(length);
  let state = 1;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    samples[i] = ((state >>> 16) / 32768 - 1) * 0.2 * (0.6 + 0.4 * Math.sin(i / 800));
  }
  return samples;
}

/** Lowest and median of milliseconds. */
export function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return { min_ms: sorted[0], median_ms: sorted[sorted.length >> 1] };
}
