#!/usr/bin/env python3
"""Speaks digits and command words with neural voices: a test for models that never heard these voices.

    runs/voices/bin/python trainer/corpus/speak_words.py --styles runs/voices/package/voices \
      --manifest ../shared/corpus/manifests/train-short.jsonl --out runs/spoken-words

The words are those of the manifest. Each of the six voices says --clips clips of one to six words, half
of them digits alone and half any words, at a tempo of its own; words and tempo follow from a fixed seed.
What to install: speak_text_neural.py says it. Every second clip is MP3 of 24 kbit/s.
"""

import argparse
import json
import multiprocessing
import pathlib
import random

import speak_text
import speak_text_neural

SEED = 11
# Three women and three men, two of each American and one British.
VOICES = ["af_bella", "af_sarah", "bf_emma", "am_fenrir", "am_michael", "bm_george"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

engine = None


def start(styles):
    global engine
    engine = speak_text_neural.Kokoro(styles)


def speak(task):
    folder, index, voice, text, speed = task
    samples = engine.speak_in(engine.styles[voice], voice[0], text, speed)
    return speak_text_neural.keep(folder, index, samples, text, f"kokoro-{voice}")


def clips(words, count, rng):
    """Voice, text and tempo of every clip."""
    for voice in VOICES:
        for number in range(count):
            among = DIGITS if number % 2 == 0 else words
            text = " ".join(rng.choice(among) for _ in range(rng.randint(1, 6)))
            yield voice, text, rng.uniform(0.85, 1.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=pathlib.Path, required=True, help="whose words are spoken")
    parser.add_argument("--styles", type=pathlib.Path, required=True, help="folder of Kokoro's voices (*.bin)")
    parser.add_argument("--clips", type=int, default=270, help="of each voice")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with options.manifest.open() as lines:
        words = sorted({word for line in lines for word in json.loads(line)["text"].split()})
    drawn = clips(words, options.clips, random.Random(SEED))
    tasks = [(options.out, index, *clip) for index, clip in enumerate(drawn)]
    with multiprocessing.Pool(initializer=start, initargs=(options.styles,)) as pool:
        speak_text.write_manifest(options.out, pool.imap(speak, tasks, chunksize=4))


if __name__ == "__main__":
    main()
