// Sends the microphone's samples to the page, at the device's own rate. It runs in the audio
// thread, where only a script can be.

/** Samples gathered before they are sent: 2048 is 43 ms at 48 kHz. */
const BLOCK = 2048;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {Float32Array} */
    this.block = new Float32Array(BLOCK);
    /** @type {number} */
    this.filled = 0;
    /** @type {boolean} */
    this.open = true;
    // Any message means: send what is left, say so with null, and end.
    this.port.onmessage = () => {
      this.open = false;
      this.send();
      this.port.postMessage(null);
    };
  }

  send() {
    const part = this.block.slice(0, this.filled);
    this.filled = 0;
    this.port.postMessage(part, [part.buffer]);
  }

  /**
   * @param {Float32Array[][]} inputs
   * @returns {boolean} whether the processor wants to live on
   */
  process(inputs) {
    const channels = inputs[0];
    const frames = channels.length ? channels[0].length : 0;
    for (let i = 0; this.open && i < frames; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.block[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === BLOCK) this.send();
    }
    return this.open;
  }
}

registerProcessor("recorder", Recorder);
