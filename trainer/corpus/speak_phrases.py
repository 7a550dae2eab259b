#!/usr/bin/env python3
"""Speaks sentences of a list of phrases with neural voices that no model heard: a test of the list.

    fledge sentences --phrases recipes/phrases/home.jsgf --count 200 --different >home.txt
    runs/voices/bin/python trainer/corpus/speak_phrases.py --styles runs/voices/package/voices \
      --sentences home.txt --takes 2 --out runs/spoken-home

Every sentence is spoken by --takes of the six voices of speak_words.py in turn, each time at a tempo of
its own; both follow from a fixed seed. The word "ay" is the name of a letter, which these voices read
as "eye", and is spoken as the letter. What to install: speak_text_neural.py says it.
"""

import argparse
import multiprocessing
import pathlib
import random
import re

import speak_text
import speak_text_neural
import speak_words

SEED = 13


def clips(sentences, takes, rng):
    """Voice, text and tempo of every clip."""
    voices = speak_words.VOICES
    for take in range(takes):
        for index, text in enumerate(sentences):
            yield voices[(index + take) % len(voices)], text, rng.uniform(0.85, 1.2)


def speak(task):
    folder, index, voice, text, speed = task
    engine = speak_words.engine
    spoken = re.sub(r"\bay\b", "a.", text)
    samples = engine.speak_in(engine.styles[voice], voice[0], spoken, speed)
    return speak_text_neural.keep(folder, index, samples, text, f"kokoro-{voice}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=pathlib.Path, required=True, help="one a line")
    parser.add_argument("--styles", type=pathlib.Path, required=True, help="folder of Kokoro's voices (*.bin)")
    parser.add_argument("--takes", type=int, default=1, help="of each sentence")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sentences = [line.strip() for line in options.sentences.read_text().splitlines() if line.strip()]
    drawn = clips(sentences, options.takes, random.Random(SEED))
    tasks = [(options.out, index, *clip) for index, clip in enumerate(drawn)]
    with multiprocessing.Pool(initializer=speak_words.start, initargs=(options.styles,)) as pool:
        speak_text.write_manifest(options.out, pool.imap(speak, tasks, chunksize=4))


if __name__ == "__main__":
    main()
