const sherpa = require('sherpa-onnx');

const recognizer = sherpa.createOfflineRecognizer({
  modelConfig: { zipformerCtc: { model: 'model.onnx' }, tokens: 'tokens.txt', debug: 0 },
});
const clip = sherpa.readWave(process.argv[2]);
const stream = recognizer.createStream();
stream.acceptWaveform(clip.sampleRate, clip.samples);
recognizer.decode(stream);
console.log(recognizer.getResult(stream).text.trim());
