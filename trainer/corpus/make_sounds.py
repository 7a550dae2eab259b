#!/usr/bin/env python3
"""Makes noise and music that hold no speech: what a list of phrases must not answer to.

    runs/voices/bin/python trainer/corpus/make_sounds.py --out runs/sounds

Writes --clips clips of 20 s and sounds.jsonl, whose lines have no text. Kinds take turns, and everything
about a clip follows from a fixed seed: noise of several colours, wind, rain, fans, drums, plucked strings,
chords, and the two that are most like a voice, a whistle with vibrato and a siren. Needs NumPy.
"""

import argparse
import json
import pathlib
import wave

import numpy as np

SEED = 17
RATE_HZ = 16_000
CLIP_SECS = 20
LENGTH = RATE_HZ * CLIP_SECS
TIMES_SECS = np.arange(LENGTH) / RATE_HZ


def colored(rng, exponent):
    """Noise whose power falls with frequency to the exponent."""
    spectrum = np.fft.rfft(rng.standard_normal(LENGTH))
    frequencies = np.maximum(np.fft.rfftfreq(LENGTH, 1 / RATE_HZ), 20)
    return np.fft.irfft(spectrum * frequencies ** (-exponent / 2), LENGTH)


def slow(rng, period_secs):
    """A curve from 0 to 1 that wanders."""
    knots = rng.random(int(CLIP_SECS / period_secs) + 2)
    return np.interp(TIMES_SECS, np.arange(len(knots)) * period_secs, knots)


def wind(rng):
    return colored(rng, 1.7) * (0.1 + slow(rng, rng.uniform(0.5, 2))) ** 2


def rain(rng):
    drops = np.zeros(LENGTH)
    places = rng.integers(0, LENGTH, int(rng.uniform(20, 400)) * CLIP_SECS)
    drops[places] = rng.exponential(1, len(places))
    decay = np.exp(-np.arange(200) / 30)
    return np.convolve(drops * rng.choice([-1, 1], LENGTH), decay)[:LENGTH] + 0.02 * rng.standard_normal(LENGTH)


def fan(rng):
    base_hz = rng.uniform(40, 140)
    tones = sum(np.sin(2 * np.pi * base_hz * k * TIMES_SECS) / k for k in range(1, 12))
    noise = colored(rng, 1)
    return tones + rng.uniform(0.2, 2) * noise / np.std(noise)


def drums(rng):
    step = int(RATE_HZ * rng.uniform(0.12, 0.3))
    out = np.zeros(LENGTH)
    for beat, start in enumerate(range(0, LENGTH - step, step)):
        since_secs = np.arange(step) / RATE_HZ
        if beat % 4 == 0:
            out[start:start + step] += np.sin(2 * np.pi * (50 + 60 * np.exp(-30 * since_secs)) * since_secs)
        elif rng.random() < 0.7:
            out[start:start + step] += 0.5 * rng.standard_normal(step) * np.exp(-since_secs * rng.uniform(10, 60))
    return out


def scale_hz(rng):
    steps = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    return rng.uniform(70, 300) * 2 ** (steps / 12)


def plucked(rng, voices=1):
    """Strings by Karplus and Strong (Computer Music Journal 7, 1983)."""
    out = np.zeros(LENGTH)
    notes_hz, step = scale_hz(rng), int(RATE_HZ * rng.uniform(0.2, 1.2))
    for start in range(0, LENGTH, step):
        for _ in range(voices):
            string = rng.uniform(-1, 1, int(RATE_HZ / rng.choice(notes_hz)))
            periods = min(2 * RATE_HZ, LENGTH - start) // len(string)
            sound = []
            for _ in range(periods):
                sound.append(string)
                string = 0.498 * (string + np.roll(string, -1))
            if sound:
                sound = np.concatenate(sound)
                out[start:start + len(sound)] += sound
    return out


def chords(rng):
    notes_hz, step = scale_hz(rng), int(RATE_HZ * rng.uniform(0.4, 2))
    decay, out = rng.choice([0, 1.5, 4]), np.zeros(LENGTH)
    for start in range(0, LENGTH, step):
        since_secs = np.arange(min(step, LENGTH - start)) / RATE_HZ
        envelope = np.minimum(since_secs / 0.02, 1) * np.exp(-decay * since_secs)
        for hz in rng.choice(notes_hz, 3, replace=False):
            out[start:start + step] += envelope * sum(np.sin(2 * np.pi * hz * k * since_secs) / k for k in range(1, 8))
    return out


def gliding(hz):
    """A tone with some harmonics whose pitch is a curve."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    return sum(np.sin(k * phase) / k ** 2 for k in range(1, 5))


def whistle(rng):
    notes_hz = 3 * scale_hz(rng)
    step = rng.uniform(0.25, 0.9)
    hz = notes_hz[rng.integers(0, 8, int(CLIP_SECS / step) + 1)][(TIMES_SECS / step).astype(int)]
    vibrato = 1 + 0.015 * np.sin(2 * np.pi * rng.uniform(4, 7) * TIMES_SECS)
    return gliding(hz * vibrato) * np.minimum(TIMES_SECS % step / 0.03, 1)


def siren(rng):
    sweep = 0.5 + 0.5 * np.sin(2 * np.pi * TIMES_SECS / rng.uniform(0.5, 4))
    return gliding(rng.uniform(300, 600) * (1 + sweep))


def band(rng):
    parts = [drums(rng), plucked(rng, 2), chords(rng)]
    return sum(part / np.std(part) for part in parts)


KINDS = {
    "white": lambda rng: colored(rng, 0), "pink": lambda rng: colored(rng, 1), "brown": lambda rng: colored(rng, 2),
    "wind": wind, "rain": rain, "fan": fan, "drums": drums, "plucked": plucked, "strummed": lambda rng: plucked(rng, 4),
    "chords": chords, "whistle": whistle, "siren": siren, "band": band,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=360)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = list(KINDS)
    with (options.out / "sounds.jsonl").open("w") as manifest:
        for index in range(options.clips):
            kind, rng = names[index % len(names)], np.random.default_rng([SEED, index])
            sound = KINDS[kind](rng)
            level = 10 ** (rng.uniform(-30, -3) / 20)
            samples = np.clip(level * sound / np.max(np.abs(sound)), -1, 1)
            path = options.out / f"{index:04d}-{kind}.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes((samples * 32767).astype("<i2").tobytes())
            line = {"audio_filepath": path.name, "duration": CLIP_SECS, "text": "", "source": f"made-{kind}"}
            manifest.write(json.dumps(line) + "\n")
    print(f"{options.clips} clips, {options.clips * CLIP_SECS / 3600:.2f} hours")


if __name__ == "__main__":
    main()
