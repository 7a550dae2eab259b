#!/usr/bin/env python3
"""Writes fbank.json: features of signals that any language can make again from a formula.

    pip install kaldi-native-fbank==1.23.0 numpy==2.4.6
    python3 make_fbank.py

"kaldi" cases come from kaldi-native-fbank with the options of icefall and sherpa-onnx. "paper"
cases are computed here with numpy in 64-bit floats by torchaudio's definition of MelSpectrogram
(centred frames, reflected edges, periodic Hann window, HTK mel scale, no area normalisation).
"""

import json
import math
import pathlib

import kaldi_native_fbank as knf
import numpy as np

RATE = 16000


def noise(length, amplitude, offset=0.0):
    """Numerical Recipes' generator, seed 1; the upper 24 bits as a fraction in [-0.5, 0.5)."""
    state, out = 1, []
    for _ in range(length):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(((state >> 8) / 2**24 - 0.5) * amplitude + offset)
    return np.array(out, dtype=np.float32)


def voice(length):
    """Ten harmonics of a gliding 120 Hz with a slow beat, and a little noise."""
    out = noise(length, 0.004).astype(np.float64)
    for i in range(length):
        t = i / RATE
        phase = 2 * math.pi * (120 * t + 15 * t * t)
        beat = 0.5 - 0.5 * math.cos(2 * math.pi * 4 * t)
        out[i] += 0.1 * beat * sum(math.sin(k * phase) / k for k in range(1, 11))
    return out.astype(np.float32)


def chirp(length):
    """0 to 8000 Hz in half a second. At full scale the package's own 32-bit rounding (0.02 off the
    64-bit value in bands far from the tone) would rise above its floor; at a tenth it does not."""
    t = np.arange(length) / RATE
    return (0.1 * np.sin(2 * math.pi * 8000 * t * t)).astype(np.float32)


def signal(kind, length):
    return {
        "silence": lambda: np.zeros(length, dtype=np.float32),
        "noise": lambda: noise(length, 1.0),
        "quiet": lambda: noise(length, 2e-4),
        "offset": lambda: noise(length, 0.1, 0.25),
        "voice": lambda: voice(length),
        "chirp": lambda: chirp(length),
    }[kind]()


def kaldi(samples, n_mels, low_hz, high_hz):
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.frame_opts.frame_length_ms = 25.0
    options.frame_opts.frame_shift_ms = 10.0
    options.frame_opts.preemph_coeff = 0.97
    options.frame_opts.remove_dc_offset = True
    options.frame_opts.window_type = "povey"
    options.frame_opts.round_to_power_of_two = True
    options.mel_opts.num_bins = n_mels
    options.mel_opts.low_freq = low_hz
    options.mel_opts.high_freq = high_hz
    options.energy_floor = 1.0
    options.use_energy = False
    options.use_log_fbank = True
    options.use_power = True
    fbank = knf.OnlineFbank(options)
    if len(samples):
        fbank.accept_waveform(RATE, samples.tolist())
    fbank.input_finished()
    frames = [fbank.get_frame(i) for i in range(fbank.num_frames_ready)]
    return np.array(frames, dtype=np.float32).reshape(-1, n_mels)


def paper(samples, n_mels):
    n_fft, window_len, hop = 1024, 320, 160
    x = samples.astype(np.float64)
    window = np.zeros(n_fft)
    at = (n_fft - window_len) // 2
    window[at:at + window_len] = 0.5 - 0.5 * np.cos(
        2 * math.pi * np.arange(window_len) / window_len)
    padded = np.pad(x, n_fft // 2, mode="reflect")
    count = len(x) // hop + 1
    frames = np.stack([padded[i * hop:i * hop + n_fft] * window for i in range(count)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    to_mel = lambda hz: 2595 * np.log10(1 + hz / 700)
    edges = 700 * (10 ** (np.linspace(to_mel(0), to_mel(8000), n_mels + 2) / 2595) - 1)
    bins = np.linspace(0, 8000, n_fft // 2 + 1)
    rise = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return power @ np.maximum(0, np.minimum(rise, fall))


def case(front_end, kind, length, n_mels=80, low_hz=20.0, high_hz=-400.0):
    samples = signal(kind, length)
    if front_end == "kaldi":
        values = [round(float(v), 4) for v in kaldi(samples, n_mels, low_hz, high_hz).ravel()]
    else:
        values = [float(f"{v:.6g}") for v in paper(samples, n_mels).ravel()]
    return {"front_end": front_end, "signal": kind, "num_samples": length, "n_mels": n_mels,
            "low_hz": low_hz, "high_hz": high_hz, "values": values}


cases = [case("kaldi", "noise", n) for n in
         (0, 1, 79, 80, 100, 200, 239, 240, 400, 401, 560, 1000)]
cases += [
    case("kaldi", "silence", 480),
    case("kaldi", "quiet", 800),
    case("kaldi", "offset", 800),
    case("kaldi", "voice", 4000),
    case("kaldi", "chirp", 8000),
    case("kaldi", "voice", 1600, 40, 0.0, 0.0),
    case("kaldi", "noise", 800, 23, 100.0, 5800.0),
]
cases += [case("paper", kind, n) for kind, n in
          (("noise", 1), ("noise", 2), ("noise", 159), ("noise", 160), ("noise", 500),
           ("noise", 1000), ("silence", 400), ("voice", 2400), ("chirp", 8000))]
rows = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path = pathlib.Path(__file__).with_name("fbank.json")
path.write_text(f"[\n{rows}\n]\n")
print(len(cases), "cases,", path.stat().st_size, "bytes; kaldi-native-fbank", knf.__version__,
      "numpy", np.__version__)
