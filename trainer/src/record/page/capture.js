// Hands blocks of samples to the page, in the audio thread.
registerProcessor('capture', class extends AudioWorkletProcessor {
  process([input]) {
    if (input[0]) this.port.postMessage(input[0].slice());
    return true;
  }
});
