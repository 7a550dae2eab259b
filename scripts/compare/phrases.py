"""Hears lists of plain phrases with Fledge, PocketSphinx 5 and sherpa-onnx, and prints a table a list.

Run by scripts/compare-phrases.sh, which says what it needs. The lists are heard

- by Fledge, by the threshold of the list and with nothing rejected,
- by PocketSphinx with its own US English model: as a JSGF grammar of one phrase or more, and as a keyword
  list, with the word insertion penalty or the threshold that has the fewest errors on 20 utterances of the
  development set,
- by sherpa-onnx with Fledge's model, exported: open recognition, greedy. Its keyword spotter takes
  transducers alone.

Errors are phrases that are wrong, missed or invented over those that were said, with a 95 % interval by
bootstrap over utterances; false accepts are phrases heard in 30 utterances of other speech whose texts do not
hold them.
"""

import argparse
import json
import pathlib
import random
import subprocess
import tempfile
import time

import numpy as np
import pocketsphinx
import sherpa_onnx

# The first is PocketSphinx's own.
INSERTION_PENALTIES = [0.65, 1e-3, 1e-5]
KEYWORD_THRESHOLDS = [1, 1e5, 1e10]
DEV_CLIPS, OTHER_CLIPS = 20, 30
RATE_HZ = 16_000


def phrases(path):
    """The phrases of a list, one a line."""
    lines = (line.split("#")[0].strip().lower() for line in path.read_text().splitlines())
    found = [line for line in lines if line]
    if any(set(line) & set("()[]<>|{}*+=") for line in found):
        raise SystemExit(f"{path}: only lists of plain phrases can be compared")
    return found


def lines_of(path, most=None):
    """Utterances with whole paths; `most` of them from all over the manifest."""
    path = pathlib.Path(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if most and most < len(lines):
        lines = [lines[index * len(lines) // most] for index in range(most)]
    for line in lines:
        places = [folder / line["audio_filepath"] for folder in (path.parent, path.parent.parent)]
        line["audio_filepath"] = str(next(place for place in places if place.exists()).resolve())
    return lines


def samples_of(lines):
    """Texts with 16-bit samples at 16 kHz."""
    clips = []
    for line in lines:
        raw = subprocess.run(["sox", "-D", "-V1", line["audio_filepath"], "-t", "raw", "-r", str(RATE_HZ), "-c", "1",
                              "-b", "16", "-e", "signed", "-"], check=True, stdout=subprocess.PIPE)
        clips.append((line["text"].lower(), raw.stdout))
    return clips


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
    """A text as phrases, the longest first at each place, and its other words one by one."""
    words, found = text.split(), []
    while words:
        count = next((n for n in range(len(words), 0, -1) if " ".join(words[:n]) in known), 1)
        found.append(" ".join(words[:count]))
        words = words[count:]
    return found


def interval(pairs):
    """95 % interval of errors over phrases, in percent."""
    rng = random.Random(1)
    draws = ([rng.choice(pairs) for _ in pairs] for _ in range(1000))
    rates = sorted(100 * sum(e for e, _ in draw) / sum(n for _, n in draw) for draw in draws)
    return rates[24], rates[974]


class Score:
    """Counts of one recogniser, a function from samples to phrases in order."""

    def __init__(self, hear, known, said_clips, other_clips=()):
        started, self.pairs, self.false_accepts, self.secs = time.process_time(), [], 0, 0.0
        for text, samples in said_clips:
            said, self.secs = taken_apart(text, known), self.secs + len(samples) / 2 / RATE_HZ
            self.pairs.append((edits(said, hear(samples)), len(said)))
        self.factor = (time.process_time() - started) / self.secs
        self.hours = sum(len(samples) for _, samples in other_clips) / 2 / RATE_HZ / 3600
        for text, samples in other_clips:
            self.false_accepts += sum(f" {phrase} " not in f" {text} " for phrase in hear(samples) if phrase in known)

    @property
    def errors(self):
        return 100 * sum(e for e, _ in self.pairs) / sum(n for _, n in self.pairs)

    def row(self, name):
        low, high = interval(self.pairs)
        accepts = f"{self.false_accepts / self.hours:.1f}" if self.hours else "-"
        return f"| {name} | {self.errors:.1f} ({low:.1f} to {high:.1f}) | {accepts} | {self.factor:.3f} |"


def by_pocketsphinx(decoder, known):
    """Phrases in the order of their beginning."""
    def hear(samples):
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        pieces = sorted(decoder.seg() or [], key=lambda piece: piece.start_frame)
        words = [piece.word.split("(")[0].strip() for piece in pieces]
        return taken_apart(" ".join(word for word in words if word and word[0] not in "<["), known)
    return hear


def grammar(folder, known, penalty):
    path = folder / "list.gram"
    path.write_text("#JSGF V1.0;\ngrammar list;\npublic <said> = ( " + " | ".join(known) + " )+;\n")
    return pocketsphinx.Decoder(jsgf=str(path), lm=None, wip=penalty, loglevel="FATAL")


def keywords(folder, known, threshold):
    path = folder / "list.kws"
    path.write_text("".join(f"{phrase} /{threshold:g}/\n" for phrase in known))
    return pocketsphinx.Decoder(kws=str(path), lm=None, loglevel="FATAL")


def best_of(make, values, folder, known, dev):
    """The value with the fewest errors on the development set, and what hears with it."""
    hearing = [by_pocketsphinx(make(folder, known, value), known) for value in values]
    errors = [Score(hear, known, dev).errors for hear in hearing]
    best = errors.index(min(errors))
    return values[best], hearing[best]


def by_sherpa(folder, known):
    model = sherpa_onnx.OfflineRecognizer.from_zipformer_ctc(
        model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"), num_threads=1)

    def hear(samples):
        stream = model.create_stream()
        stream.accept_waveform(RATE_HZ, np.frombuffer(samples, "<i2").astype("f4") / 32768)
        model.decode_stream(stream)
        return taken_apart(stream.result.text.lower(), known)
    return hear


def fledge_rows(options, model, listed, test, reject):
    """Fledge counts by itself; its real-time factor is a thread's, too."""
    for name, more in [("by its threshold", []), ("nothing rejected", ["--spot", "--threshold", "0"])]:
        figures = []
        for manifest in [test, reject]:
            command = [options.fledge, "evaluate", "--model", model, "--phrases", listed, "--manifest", manifest,
                       "--device", "cpu", "--threads", "1", "--quiet", "--json", *more]
            figures.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        said, other = figures
        low, high = 100 * said["phrase_error_low"], 100 * said["phrase_error_high"]
        errors = f"{100 * said['phrase_error_rate']:.1f} ({low:.1f} to {high:.1f})"
        yield (f"| Fledge, {pathlib.Path(model).name}, {name} | {errors} "
               f"| {other['false_accepts_per_hour']:.1f} | {said['real_time_factor']:.3f} |")


def compare(options, listed, test, dev):
    """The rows of one list."""
    known, said = phrases(pathlib.Path(listed)), samples_of(lines_of(test))
    dev, other_lines = samples_of(lines_of(dev, DEV_CLIPS)), lines_of(options.reject, OTHER_CLIPS)
    other = samples_of(other_lines)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        reject = folder / "other.jsonl"
        reject.write_text("".join(json.dumps(line) + "\n" for line in other_lines))
        for model in options.models:
            yield from fledge_rows(options, model, listed, test, str(reject))
        for name, make, values in [("grammar, word insertion penalty", grammar, INSERTION_PENALTIES),
                                   ("keywords at", keywords, KEYWORD_THRESHOLDS)]:
            value, hear = best_of(make, values, folder, known, dev)
            yield Score(hear, known, said, other).row(f"PocketSphinx 5, {name} {value:g}")
        for model in options.models:
            exported = folder / "onnx"
            command = [options.fledge, "export", "--model", model, "--format", "onnx", "--for", "sherpa",
                       "--out", str(exported)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            name = f"{pathlib.Path(model).name}-sherpa"
            heard = Score(by_sherpa(exported / name, known), known, said, other)
            yield heard.row(f"sherpa-onnx, {pathlib.Path(model).name}, greedy")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fledge", required=True, help="the program")
    parser.add_argument("--reject", required=True, help="manifest of other speech")
    parser.add_argument("--list", nargs=3, action="append", metavar=("PHRASES", "TEST", "DEV"), required=True)
    parser.add_argument("models", nargs="+", help="model folders")
    options = parser.parse_args()
    for listed, test, dev in options.list:
        print(f"\n{listed}, {test}; other speech: {options.reject}\n")
        print("| recogniser | errors % | false accepts an hour | real-time factor |\n| --- | ---: | ---: | ---: |", flush=True)
        for row in compare(options, listed, test, dev):
            print(row, flush=True)


if __name__ == "__main__":
    main()
