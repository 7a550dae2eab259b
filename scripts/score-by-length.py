#!/usr/bin/env python3
"""How high a phrase's score must be for so many false accepts, by the length of the phrase.

    scripts/score-by-length.py --fledge fledge --model www/models/english-small \
      --said ../shared/corpus/manifests/libri-dev.jsonl --not-said ../shared/corpus/manifests/libri-train.jsonl

Listens inside read speech for pieces of its texts and for pieces of others, one to four words of 3 to 22
letters, 60 and 200 of each length. Prints for each length how many are heard rightly and wrongly at any score,
which mean over the letters and which score leave 20 false accepts an hour per thousand phrases of that length,
and how many of the right ones that leaves.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile

LENGTHS = [(3, 3), (4, 4), (5, 6), (7, 8), (9, 10), (11, 13), (14, 17), (18, 22)]
SAID, NOT_SAID = 60, 200
FALSE_ACCEPTS_PER_HOUR = 20
# As in shared-model/src/phrases/search/config.rs.
PLAIN_LETTERS = 6


def letters(text):
    return len(text.replace(" ", ""))


def pieces(texts):
    """Pieces of texts by their number of letters, in order."""
    found = {}
    for words in (text.split() for text in texts):
        for count in range(1, 5):
            for start in range(len(words) - count + 1):
                piece = " ".join(words[start:start + count])
                if "'" not in piece and 3 <= letters(piece) <= 22:
                    found.setdefault(letters(piece), set()).add(piece)
    return {length: sorted(of_length) for length, of_length in found.items()}


def read(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["path"] = str(next(folder / line["audio_filepath"] for folder in (path.parent, path.parent.parent)
                                if (folder / line["audio_filepath"]).exists()))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fledge", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--said", type=pathlib.Path, required=True, help="manifest of what is listened to")
    parser.add_argument("--not-said", type=pathlib.Path, required=True, help="manifest of other texts")
    options = parser.parse_args()
    lines, rng = read(options.said), random.Random(1)
    texts = {line["path"]: f" {line['text'].lower()} " for line in lines}
    said = pieces(line["text"].lower() for line in lines)
    others = pieces(json.loads(line)["text"].lower() for line in options.not_said.read_text().splitlines()[:900])
    phrases = {}
    for length, known in said.items():
        other = [piece for piece in others.get(length, []) if piece not in set(known)]
        phrases[length] = rng.sample(known, min(SAID, len(known))) + rng.sample(other, min(NOT_SAID, len(other)))
    with tempfile.TemporaryDirectory() as folder:
        listed = pathlib.Path(folder) / "list.txt"
        listed.write_text("".join(f"{phrase}\n" for of_length in phrases.values() for phrase in of_length))
        command = [options.fledge, "transcribe", *texts, "--model", options.model, "--phrases", str(listed), "--spot",
                   "--threshold", "0", "--json", "--quiet", "--device", "cpu"]
        heard = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    hits = {}
    for line in map(json.loads, heard.splitlines()):
        for phrase in line["phrases"]:
            is_right = f" {phrase['text']} " in texts[line["file"]]
            hits.setdefault(letters(phrase["text"]), []).append((phrase["score"], is_right))
    hours = sum(line["duration"] for line in lines) / 3600
    print("| letters | listed | right | wrong | mean over letters | score | right, left |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for low, high in LENGTHS:
        lengths = range(low, high + 1)
        listed = sum(len(phrases.get(length, [])) for length in lengths)
        means = [(score ** max(1, length / PLAIN_LETTERS), score, is_right)
                 for length in lengths for score, is_right in hits.get(length, [])]
        wrong = sorted((mean for mean, _, is_right in means if not is_right), reverse=True)
        allowed = int(FALSE_ACCEPTS_PER_HOUR * listed / 1000 * hours)
        least = wrong[allowed] if allowed < len(wrong) else 0.0
        middle = (low + high) / 2
        right = [mean for mean, _, is_right in means if is_right]
        left = sum(mean > least for mean in right)
        print(f"| {low} to {high} | {listed} | {len(right)} | {len(wrong)} | {least:.2f} "
              f"| {least ** min(1, PLAIN_LETTERS / middle):.2f} | {left} |")


if __name__ == "__main__":
    main()
