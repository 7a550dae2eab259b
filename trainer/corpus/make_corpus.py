#!/usr/bin/env python3
"""Makes the starter corpus: digit strings and short commands spoken by free synthetic voices.

Debian packages: flite festival festvox-kdlpc16k festvox-us-slt-hts espeak-ng
sox vorbis-tools. Run in this folder; rewrites audio/, *.jsonl and the page's sample clips.
"""

import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import wave

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = HERE.parent.parent / "www" / "samples"
RATE_HZ = 16_000
CLIPS_PER_FILE = 20

# (name, engine, settings, clips). Two voices are held out whole, one for development and one for
# the test; both are variants of espeak-ng, of which the training voices hold others.
TRAIN_VOICES = [
    ("slt", "flite", {}, 75),
    ("awb", "flite", {}, 75),
    ("rms", "flite", {}, 75),
    ("kal16", "flite", {}, 60),
    ("ked", "festival", {"voice": "ked_diphone"}, 60),
    ("slt-hts", "festival", {"voice": "cmu_us_slt_arctic_hts"}, 45),
    ("espeak-us-m1", "espeak", {"voice": "en-us+m1"}, 21),
    ("espeak-us-m2", "espeak", {"voice": "en-us+m2"}, 21),
    ("espeak-us-m3", "espeak", {"voice": "en-us+m3"}, 21),
    ("espeak-us-m6", "espeak", {"voice": "en-us+m6"}, 21),
    ("espeak-us-m7", "espeak", {"voice": "en-us+m7"}, 21),
    ("espeak-us-f1", "espeak", {"voice": "en-us+f1"}, 21),
    ("espeak-us-f2", "espeak", {"voice": "en-us+f2"}, 21),
    ("espeak-us-f5", "espeak", {"voice": "en-us+f5"}, 21),
    ("espeak-gb-m8", "espeak", {"voice": "en-gb+m8"}, 21),
    ("espeak-gb-f4", "espeak", {"voice": "en-gb+f4"}, 21),
    ("espeak-scot-m5", "espeak", {"voice": "en-gb-scotland+m5"}, 21),
    ("espeak-rp-klatt2", "espeak", {"voice": "en-gb-x-rp+klatt2"}, 21),
    ("espeak-us-steph", "espeak", {"voice": "en-us+steph"}, 21),
    ("espeak-us-adam", "espeak", {"voice": "en-us+adam"}, 21),
]
DEV_VOICES = [("espeak-us-m4", "espeak", {"voice": "en-us+m4"}, 60)]
TEST_VOICES = [("espeak-us-f3", "espeak", {"voice": "en-us+f3"}, 100)]

DIGITS = "zero one two three four five six seven eight nine".split()
THINGS = ["light", "fan", "music", "radio", "heater"]
PLACES = ["kitchen", "bedroom", "garden"]


def sentence(rng):
    if rng.random() < 0.5:
        return " ".join(rng.choice(DIGITS) for _ in range(rng.randint(3, 8)))
    form = rng.randrange(10)
    if form == 0:
        return f"turn {rng.choice(['on', 'off'])} the {rng.choice(THINGS)}"
    if form == 1:
        return f"turn {rng.choice(['on', 'off'])} the {rng.choice(PLACES)} {rng.choice(THINGS)}"
    if form == 2:
        return f"{rng.choice(['open', 'close'])} the {rng.choice(['door', 'window'])}"
    if form == 3:
        return f"set a timer for {rng.choice(DIGITS[2:])} minutes"
    if form == 4:
        return f"go {rng.choice(['up', 'down', 'left', 'right', 'back', 'home'])}"
    if form == 5:
        return f"{rng.choice(['volume', 'page'])} {rng.choice(['up', 'down'])}"
    if form == 6:
        return f"call {rng.choice(['home', 'the office'])}"
    if form == 7:
        return f"{rng.choice(['play', 'stop', 'pause'])} the {rng.choice(['music', 'radio'])}"
    if form == 8:
        return rng.choice(["yes", "no", "stop", "start", "pause", "next", "back", "help"])
    return f"{rng.choice(['yes', 'no'])} {rng.choice(['start', 'stop', 'next', 'go back'])}"


def run(command, **kwargs):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def speak(voice, text, out, rng, folder):
    """One clip, 16 kHz mono 16-bit, trimmed, with 0.1 to 0.3 s of its own silence at both ends."""
    name, engine, settings, _ = voice
    raw = folder / "raw.wav"
    if engine == "flite":
        stretch = f"{rng.uniform(0.88, 1.18):.3f}"
        run(["flite", "-voice", name, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", str(raw)])
    elif engine == "festival":
        stretch = f"{rng.uniform(0.9, 1.15):.3f}"
        run(
            ["text2wave", "-o", str(raw), "-eval", f"(voice_{settings['voice']})",
             "-eval", f"(Parameter.set 'Duration_Stretch {stretch})"],
            input=text.encode(),
        )
    else:
        run(["espeak-ng", "-v", settings["voice"], "-s", str(rng.randint(130, 185)),
             "-p", str(rng.randint(35, 65)), "-w", str(raw), text])
    level = rng.uniform(-12, -3)
    run(
        ["sox", "-D", str(raw), "-r", str(RATE_HZ), "-c", "1", "-b", "16", str(out),
         "silence", "1", "0.01", "0.3%", "reverse", "silence", "1", "0.01", "0.3%", "reverse",
         "norm", f"{level:.2f}", "pad", f"{rng.uniform(0.1, 0.3):.3f}", f"{rng.uniform(0.1, 0.3):.3f}"]
    )


def samples_of(path):
    with wave.open(str(path), "rb") as clip:
        assert clip.getframerate() == RATE_HZ and clip.getnchannels() == 1
        return clip.readframes(clip.getnframes())


def make_split(split, voices, rng, folder):
    lines = []
    serial = 1
    for voice in voices:
        count, done = voice[3], 0
        while done < count:
            take = min(CLIPS_PER_FILE, count - done)
            name = f"{split}-{voice[0]}-{done // CLIPS_PER_FILE}"
            pcm, entries = b"", []
            for index in range(take):
                text = sentence(rng)
                clip = folder / "clip.wav"
                speak(voice, text, clip, rng, folder)
                data = samples_of(clip)
                entries.append((f"{name}-{index:02d}", text, len(pcm) // 2, len(data) // 2))
                pcm += data
            target = HERE / "audio" / f"{name}.ogg"
            run(["oggenc", "-Q", "-r", "-B", "16", "-C", "1", "-R", str(RATE_HZ), "-q", "-1",
                 "-s", str(serial), "-o", str(target), "-"], input=pcm)
            serial += 1
            for clip_id, text, start, length in entries:
                lines.append({
                    "id": clip_id,
                    "audio_filepath": f"audio/{name}.ogg",
                    "offset": round(start / RATE_HZ, 4),
                    "duration": round(length / RATE_HZ, 4),
                    "text": text,
                    "speaker": voice[0],
                    "source": "synthetic",
                })
            done += take
    with open(HERE / f"{split}.jsonl", "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line) + "\n")
    seconds = sum(line["duration"] for line in lines)
    print(f"{split}: {len(lines)} clips, {seconds:.0f} s, {len(voices)} voices")


def make_samples(rng, folder):
    """Clips of the held-out test voice for the page, as uncompressed WAV."""
    texts = [
        "turn on the kitchen light", "seven two nine four", "set a timer for five minutes",
        "open the window", "zero eight three six one five", "stop the music",
    ]
    SAMPLES.mkdir(parents=True, exist_ok=True)
    index = []
    for text in texts:
        name = re.sub(r"[^a-z]+", "-", text) + ".wav"
        speak(TEST_VOICES[0], text, folder / "clip.wav", rng, folder)
        shutil.copy(folder / "clip.wav", SAMPLES / name)
        index.append({"file": name, "text": text})
    note = "Synthesised (espeak-ng, variant f3), a voice that the quick students never heard in training."
    (SAMPLES / "index.json").write_text(json.dumps({"note": note, "clips": index}, indent=2) + "\n")


def main():
    for tool in ("flite", "text2wave", "espeak-ng", "sox", "oggenc"):
        if shutil.which(tool) is None:
            sys.exit(f"make_corpus.py: {tool} is missing; see the package list at the top of this script")
    shutil.rmtree(HERE / "audio", ignore_errors=True)
    (HERE / "audio").mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        make_split("train", TRAIN_VOICES, random.Random(1), folder)
        make_split("dev", DEV_VOICES, random.Random(2), folder)
        make_split("test", TEST_VOICES, random.Random(3), folder)
        make_samples(random.Random(4), folder)
    total = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{total / 1e6:.2f} MB in all")


if __name__ == "__main__":
    main()
