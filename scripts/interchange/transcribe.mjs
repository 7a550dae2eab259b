// The clips of a list in transformers.js: one line of JSON a clip.
//   node transcribe.mjs FOLDER LIST NODE_MODULES
import fs from 'fs';
import { createRequire } from 'module';
import path from 'path';
import { pathToFileURL } from 'url';

const [folder, list, modules] = process.argv.slice(2);
const resolve = createRequire(path.join(path.resolve(modules), 'x.js')).resolve;
const { env, pipeline } = await import(pathToFileURL(resolve('@huggingface/transformers')));
env.allowRemoteModels = false;
env.localModelPath = path.dirname(path.resolve(folder)) + '/';
const options = { session_options: { intraOpNumThreads: 1 } };
const transcribe = await pipeline('automatic-speech-recognition', path.basename(folder), options);
for (const file of fs.readFileSync(list, 'utf8').trim().split('\n')) {
  const bytes = fs.readFileSync(file);
  const data = bytes.subarray(44); // written by check.py: 16 bits, one channel, no other chunks
  const samples = Float32Array.from({ length: data.length / 2 }, (_, at) => data.readInt16LE(2 * at) / 32768);
  const start = performance.now();
  const { text } = await transcribe(samples);
  console.log(JSON.stringify({ file, text, ms: performance.now() - start }));
}
