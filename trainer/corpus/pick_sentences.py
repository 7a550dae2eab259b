#!/usr/bin/env python3
"""Picks sentences for synthetic voices: those whose words real speech lacks.

    python3 trainer/corpus/pick_sentences.py --text books.txt.xz --heard train.jsonl --sentences 30000 \\
      --out picked.txt

A word is worth 1 / (1 + times that it was heard in the manifests and in what is picked so far), a
sentence the mean of its words. The text is gone through again and again, in an order drawn by a fixed
seed, for sentences of less and less worth until there are enough. Words that the text has fewer than
--least times are left out with their sentences: most are misread or foreign.
"""

import argparse
import collections
import json
import pathlib
import random

from text_file import opened

SEED = 7
WORDS_OF_A_SENTENCE = range(5, 26)


def lines_of(path):
    with opened(path) as text:
        yield from (line.split() for line in text)


def words_heard(manifests):
    """How often each word is in the transcripts."""
    heard = collections.Counter()
    for manifest in manifests:
        for line in manifest.read_text().splitlines():
            heard.update(json.loads(line)["text"].split())
    return heard


def candidates(texts, least):
    """Sentences that can be spoken and whose words are all known, in a random order."""
    letters = set("abcdefghijklmnopqrstuvwxyz'")
    written = collections.Counter(word for path in texts for line in lines_of(path) for word in line)
    known = {word for word, times in written.items() if times >= least and set(word) <= letters}
    found = [" ".join(line) for path in texts for line in lines_of(path)
             if len(line) in WORDS_OF_A_SENTENCE and known.issuperset(line)]
    random.Random(SEED).shuffle(found)
    return found


def pick(found, heard, count):
    """The sentences picked; `heard` grows by their words."""
    picked, worth = [], 0.5
    while len(picked) < count and worth > 0.01:
        left = []
        for sentence in found:
            words = sentence.split()
            mean = sum(1 / (1 + heard[word]) for word in words) / len(words)
            if mean < worth or len(picked) == count:
                left.append(sentence)
            else:
                picked.append(sentence)
                heard.update(words)
        found, worth = left, worth * 0.8
    return picked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--heard", type=pathlib.Path, nargs="+", required=True, help="manifests")
    parser.add_argument("--sentences", type=int, default=30_000)
    parser.add_argument("--least", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    heard = words_heard(options.heard)
    before = len(heard)
    picked = pick(candidates(options.text, options.least), heard, options.sentences)
    random.Random(SEED).shuffle(picked)
    options.out.write_text("\n".join(picked) + "\n")
    print(f"{len(picked)} sentences; {before} words were heard before, {len(heard)} are now")


if __name__ == "__main__":
    main()
