#!/usr/bin/env python3
"""Which words are recognised wrongly: by how often the training transcripts hold them, as a table.

    fledge evaluate --model DIR --manifest dev.jsonl --lm lm.bin --hypotheses hypotheses.jsonl
    scripts/errors-by-frequency.py hypotheses.jsonl --train MANIFEST... --lm-text FILE.gz

A word of the transcript is wrong if the cheapest alignment substitutes or deletes it; inserted words
are not counted.
"""

import argparse
import collections
import gzip
import json
import pathlib

CLASSES = ["unknown to the language model", "0", "1 to 5", "6 to 50", "more"]


def words_heard(reference, hypothesis):
    """For each word of the reference, whether the alignment of least cost keeps it."""
    rows = [list(range(len(hypothesis) + 1))]
    for i, word in enumerate(reference):
        row = [i + 1]
        for j, other in enumerate(hypothesis):
            row.append(min(rows[i][j] + (word != other), rows[i][j + 1] + 1, row[j] + 1))
        rows.append(row)
    heard = [False] * len(reference)
    i, j = len(reference), len(hypothesis)
    while i and j:
        differs = reference[i - 1] != hypothesis[j - 1]
        if rows[i][j] == rows[i - 1][j - 1] + differs:
            heard[i - 1] = not differs
            i, j = i - 1, j - 1
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return heard


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hypotheses", type=pathlib.Path)
    parser.add_argument("--train", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--lm-text", type=pathlib.Path, required=True)
    options = parser.parse_args()
    with gzip.open(options.lm_text, "rt") as text:
        known = set(text.read().split())
    transcripts = [line["text"] for manifest in options.train for line in lines(manifest)]
    trained = collections.Counter(word for text in transcripts for word in text.split())
    counts, wrong = collections.Counter(), collections.Counter()
    for line in lines(options.hypotheses):
        reference = line["text"].split()
        for word, is_heard in zip(reference, words_heard(reference, line["pred_text"].split())):
            times = trained[word]
            place = 0 if word not in known else 1 + sum(times > most for most in (0, 5, 50))
            counts[CLASSES[place]] += 1
            wrong[CLASSES[place]] += not is_heard
    print("| times in the training transcripts | of the words | wrong | of the wrong words |")
    print("| --- | ---: | ---: | ---: |")
    for name in CLASSES:
        if counts[name]:
            print(f"| {name} | {counts[name] / counts.total():.1%} | {wrong[name] / counts[name]:.1%} "
                  f"| {wrong[name] / max(wrong.total(), 1):.1%} |".replace("%", " %"))


if __name__ == "__main__":
    main()
