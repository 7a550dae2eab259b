// The clips of a list in sherpa-onnx's WebAssembly build: one line of JSON a clip.
//   node transcribe.cjs FOLDER LIST
const fs = require('fs');
const path = require('path');
const sherpa = require('sherpa-onnx');

const [folder, list] = process.argv.slice(2);
const recognizer = sherpa.createOfflineRecognizer({
  modelConfig: {
    zipformerCtc: { model: path.join(folder, 'model.onnx') },
    tokens: path.join(folder, 'tokens.txt'),
    numThreads: 1,
    debug: 0,
  },
});
for (const file of fs.readFileSync(list, 'utf8').trim().split('\n')) {
  const clip = sherpa.readWave(file);
  const start = performance.now();
  const stream = recognizer.createStream();
  stream.acceptWaveform(clip.sampleRate, clip.samples);
  recognizer.decode(stream);
  const text = recognizer.getResult(stream).text.trim();
  const ms = performance.now() - start;
  stream.free();
  console.log(JSON.stringify({ file, text, ms }));
}
