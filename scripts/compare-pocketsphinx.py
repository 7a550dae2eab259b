#!/usr/bin/env python3
"""Hears a list of words with PocketSphinx 5 and its own US English model, beside `fledge evaluate --phrases`.

    python3 -m venv venv && venv/bin/pip install pocketsphinx==5.0.4
    venv/bin/python scripts/compare-pocketsphinx.py --fledge fledge --phrases recipes/phrases/speech-commands.txt \
      --manifest ../shared/corpus/manifests/commands-test.jsonl

The list must be of plain phrases, one a line. It is heard as a JSGF grammar, one phrase or more, and
with --keywords as a keyword list at each of some thresholds. Errors are phrases that are wrong, missed
or invented over those that were said; utterances with other words count as other speech, whose phrases
are false accepts unless their text has them. Audio is decoded by sox.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import pocketsphinx

KEYWORD_THRESHOLDS = [1e-30, 1e-20, 1e-10, 1e-5, 1e-2]


def phrases(path):
    lines = [line.split("#")[0].strip().lower() for line in path.read_text().splitlines()]
    found = [line for line in lines if line]
    if any(set(line) & set("()[]<>|{}*+=") for line in found):
        raise SystemExit(f"{path}: only lists of plain phrases can be compared")
    return found


def utterances(path):
    """Texts with 16-bit samples at 16 kHz."""
    with path.open() as lines:
        for line in map(json.loads, lines):
            audio = next(folder / line["audio_filepath"] for folder in (path.parent, path.parent.parent)
                         if (folder / line["audio_filepath"]).exists())
            raw = subprocess.run(["sox", "-D", "-V1", str(audio), "-t", "raw", "-r", "16000", "-c", "1",
                                  "-b", "16", "-e", "signed", "-"], check=True, stdout=subprocess.PIPE)
            yield line["text"].lower(), raw.stdout


def edits(said, heard):
    """Least number of changes that make one list of the other."""
    row = list(range(len(heard) + 1))
    for index, one in enumerate(said, 1):
        diagonal, row[0] = row[0], index
        for column, other in enumerate(heard, 1):
            changed = diagonal + (one != other)
            diagonal = row[column]
            row[column] = min(changed, row[column] + 1, row[column - 1] + 1)
    return row[-1]


def taken_apart(text, known):
    """A text as phrases, the longest first at each place; none if it has other words."""
    words, found = text.split(), []
    while words:
        count = next((n for n in range(len(words), 0, -1) if " ".join(words[:n]) in known), 0)
        if not count:
            return None
        found.append(" ".join(words[:count]))
        words = words[count:]
    return found


def score(decoder, known, clips):
    said_count = errors = outside = accepts = 0
    secs = outside_secs = spent = 0.0
    for text, samples in clips:
        started = time.process_time()
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        spent += time.process_time() - started
        length = len(samples) / 32000
        secs += length
        hypothesis = decoder.hyp()
        heard = hypothesis.hypstr.strip().lower() if hypothesis else ""
        # A keyword list joins its hits with two spaces.
        heard = [part.strip() for part in heard.split("  ")] if "  " in heard else heard.split()
        heard = taken_apart(" ".join(heard), known) or [part for part in heard if part]
        said = taken_apart(text, known)
        if said is None:
            outside, outside_secs = outside + 1, outside_secs + length
            accepts += sum(1 for phrase in heard if f" {phrase} " not in f" {text} ")
        else:
            said_count, errors = said_count + len(said), errors + edits(said, heard)
    return said_count, errors, accepts, outside_secs / 3600, spent / max(secs, 1e-9)


def show(name, result):
    said, errors, accepts, hours, factor = result
    line = f"{name}: "
    if said:
        line += f"{errors} errors in {said} phrases, {100 * errors / said:.1f} %"
    if hours:
        line += f"; {accepts} false accepts in {hours:.2f} h"
    print(f"{line}; real-time factor {factor:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phrases", type=pathlib.Path, required=True)
    parser.add_argument("--manifest", type=pathlib.Path, required=True)
    parser.add_argument("--fledge", help="the program; with it and --model its figures come first")
    parser.add_argument("--model", action="append", default=[], help="model folder for fledge")
    parser.add_argument("--keywords", action="store_true", help="as a keyword list, too")
    options = parser.parse_args()
    known = phrases(options.phrases)
    for model in options.model:
        print(model, flush=True)
        subprocess.run([options.fledge, "evaluate", "--model", model, "--phrases", str(options.phrases),
                        "--manifest", str(options.manifest), "--device", "cpu", "--quiet"], check=True)
    clips = list(utterances(options.manifest))
    with tempfile.TemporaryDirectory() as folder:
        grammar = pathlib.Path(folder) / "list.gram"
        grammar.write_text("#JSGF V1.0;\ngrammar list;\npublic <said> = ( " + " | ".join(known) + " )+;\n")
        decoder = pocketsphinx.Decoder(jsgf=str(grammar), loglevel="FATAL")
        show("PocketSphinx, grammar", score(decoder, known, clips))
        for threshold in KEYWORD_THRESHOLDS if options.keywords else []:
            keywords = pathlib.Path(folder) / "list.kws"
            keywords.write_text("".join(f"{phrase} /{threshold:g}/\n" for phrase in known))
            decoder = pocketsphinx.Decoder(kws=str(keywords), lm=None, loglevel="FATAL")
            show(f"PocketSphinx, keywords at {threshold:g}", score(decoder, known, clips))


if __name__ == "__main__":
    main()
