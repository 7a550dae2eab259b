#!/usr/bin/env python3
"""Speaks sentences of a text with free synthetic voices: training data beside real speech.

    python3 trainer/corpus/speak_text.py --text FILE.gz --sentences 5000 --out runs/synthetic

Takes sentences of 4 to 30 words, one a line, drawn by a fixed seed, and writes 16 kHz clips and
synthetic.jsonl. Four in five are spoken by flite's voices, the rest by variants of espeak-ng; tempo
and pitch vary. Every second clip is MP3 of 24 kbit/s, the others are WAV. Debian packages: flite
espeak-ng sox lame. speak_text_neural.py has better voices, and takes longer.
"""

import argparse
import json
import multiprocessing
import pathlib
import random
import subprocess
import wave

from text_file import opened

SEED = 7
LONGEST_SECS = 16.5
# Mean pitch, Hz. The better voices come more often.
FLITE_PITCH_HZ = {"slt": 180, "rms": 100, "awb": 120, "kal16": 105}
FLITE_DRAWN = ["slt", "rms", "awb"] * 5 + ["kal16"] * 2
ESPEAK_DRAWN = [
    "en-us+m1", "en-us+m2", "en-us+m3", "en-us+m6", "en-us+m7", "en-us+f1", "en-us+f2", "en-us+f5",
    "en-gb+m8", "en-gb+f4", "en-us+steph", "en-us+adam", "en-us+m4", "en-us+f3",
]


def sentences(path, rng):
    """Sentences of the text that can be spoken, in a random order."""
    with opened(path) as text:
        lines = [line.strip() for line in text]
    written = set("abcdefghijklmnopqrstuvwxyz' ")
    lines = [line for line in lines if 4 <= len(line.split()) <= 30 and set(line) <= written]
    rng.shuffle(lines)
    return lines


def drawn_voices(lines, rng):
    """A voice, a tempo and a pitch for each sentence."""
    drawn = []
    for index, line in enumerate(lines):
        if rng.random() < 0.2:
            engine, voice = "espeak", rng.choice(ESPEAK_DRAWN)
        else:
            engine, voice = "flite", rng.choice(FLITE_DRAWN)
        drawn.append((index, line, engine, voice, rng.uniform(0.85, 1.2), rng.uniform(0.85, 1.18)))
    return drawn


def finish_clip(folder, index, raw, text, speaker):
    """Levels a spoken file, brings it to 16 kHz and its codec; its line of the manifest."""
    clip = folder / f"{index:06d}.wav"
    subprocess.run(["sox", "-D", "-V1", str(raw), "-r", "16000", "-c", "1", "-b", "16", str(clip),
                    "gain", "-n", "-6"], check=True)
    raw.unlink()
    with wave.open(str(clip)) as samples:
        seconds = samples.getnframes() / samples.getframerate()
    if index % 2 == 1:
        spoken, clip = clip, clip.with_suffix(".mp3")
        subprocess.run(["lame", "--quiet", "-m", "m", "-b", "24", str(spoken), str(clip)], check=True)
        spoken.unlink()
    return {"audio_filepath": clip.name, "duration": round(seconds, 4), "text": text,
            "speaker": speaker, "source": "synthetic"}


def write_manifest(folder, lines):
    """Writes synthetic.jsonl of the clips that are long and short enough, as they come."""
    count, seconds = 0, 0.0
    with (folder / "synthetic.jsonl").open("w", buffering=1) as manifest:
        for line in lines:
            if 1 <= line["duration"] <= LONGEST_SECS:
                manifest.write(json.dumps(line) + "\n")
                count, seconds = count + 1, seconds + line["duration"]
    print(f"{count} clips, {seconds / 3600:.2f} hours")


def speak(folder, index, text, engine, voice, stretch, pitch):
    """Writes one clip; its line of the manifest."""
    raw = folder / f"{index:06d}.raw.wav"
    if engine == "flite":
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}",
                   "--setf", f"int_f0_target_mean={FLITE_PITCH_HZ[voice] * pitch:.0f}",
                   "-t", text, "-o", str(raw)]
    else:
        command = ["espeak-ng", "-v", voice, "-s", str(int(165 / stretch)),
                   "-p", str(int(50 * pitch)), "-w", str(raw), text]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return finish_clip(folder, index, raw, text, f"{engine}-{voice}")


def options(description):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--sentences", type=int, default=5000)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    return parser


def main():
    chosen = options(__doc__).parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    lines = sentences(chosen.text, rng)[:chosen.sentences]
    tasks = [(chosen.out, *drawn) for drawn in drawn_voices(lines, rng)]
    with multiprocessing.Pool() as pool:
        write_manifest(chosen.out, pool.starmap(speak, tasks, chunksize=16))


if __name__ == "__main__":
    main()
