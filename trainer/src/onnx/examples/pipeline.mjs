import { pipeline } from '@huggingface/transformers';

const transcribe = await pipeline('automatic-speech-recognition', 'NAME');
const { text } = await transcribe(samples); // Float32Array, 16 kHz, mono
