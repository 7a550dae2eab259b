#!/usr/bin/env python3
"""MP3 copies of training clips: speech as it comes over the web, whose fine spectrum a coder has cut out.

    python3 trainer/corpus/encode_mp3.py --manifest FILE... --out runs/mp3

Every clip of the manifests that is not MP3 already becomes one of 16 kHz, mono, at 24 or 32 kbit/s,
drawn by a fixed seed; mp3.jsonl lists them. Debian packages: sox lame.
"""

import argparse
import json
import multiprocessing
import pathlib
import random
import subprocess

SEED = 11
# Two in three as the narrowest speech of the corpus.
BIT_RATES_KBITPS = [24, 24, 32]


def clips(manifests):
    """Lines of the manifests that are not MP3, with their files found and a bit rate drawn for each."""
    rng = random.Random(SEED)
    drawn = []
    for manifest in manifests:
        for line in manifest.read_text().splitlines():
            entry = json.loads(line)
            name = entry["audio_filepath"]
            folders = [manifest.parent, manifest.parent.parent]
            audio = next((folder / name for folder in folders if (folder / name).is_file()), None)
            if audio is None:
                raise SystemExit(f"{manifest}: no file {name} beside it or above")
            rate_kbitps = rng.choice(BIT_RATES_KBITPS)
            if audio.suffix != ".mp3":
                drawn.append((entry, audio, rate_kbitps))
    return drawn


def encode(folder, index, entry, audio, rate_kbitps):
    """Writes one clip; its line of the manifest."""
    raw, clip = folder / f"{index:06d}.raw.wav", folder / f"{index:06d}.mp3"
    subprocess.run(["sox", "-D", "-V1", str(audio), "-r", "16000", "-c", "1", "-b", "16", str(raw)],
                   check=True)
    subprocess.run(["lame", "--quiet", "-m", "m", "-b", str(rate_kbitps), str(raw), str(clip)],
                   check=True)
    raw.unlink()
    return {**entry, "audio_filepath": clip.name}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tasks = [(options.out, index, *clip) for index, clip in enumerate(clips(options.manifest))]
    with multiprocessing.Pool() as pool:
        lines = pool.starmap(encode, tasks, chunksize=16)
    with open(options.out / "mp3.jsonl", "w") as manifest:
        manifest.writelines(json.dumps(line) + "\n" for line in lines)
    hours = sum(line["duration"] for line in lines) / 3600
    print(f"{len(lines)} clips, {hours:.2f} h in {options.out / 'mp3.jsonl'}")


if __name__ == "__main__":
    main()
