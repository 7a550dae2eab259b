"""A model folder's network in NumPy: log-probabilities of features, as Fledge computes them.

    python log_probs.py MODEL_FOLDER features.json > log_probs.json
    (features: fledge transcribe clip.wav --model MODEL_FOLDER --log-probs ours.json --features features.json)
"""
import json, math, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file


def read(folder):
    """config.json's architecture, and every weight as f32 (int8 weights have a scale per column)."""
    stored = load_file(next(Path(folder).glob("model*.safetensors")))
    weights = {name: w.astype(np.float32) * stored.get(f"{name}.scale", np.float32(1)) for name, w in stored.items()}
    return json.loads((Path(folder) / "config.json").read_text())["architecture"], weights


def log_probs(a, w, x):  # x: features [time, n_mels] of one utterance; gives [time', vocab_size]
    linear = lambda x, part: x @ w[f"{part}.weight"] + w[f"{part}.bias"]
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    erf = np.vectorize(math.erf, otypes=[np.float32])

    def norm(x, part):
        mean, variance = w.get(f"{part}.running_mean"), w.get(f"{part}.running_var")  # batch norm has them
        if mean is None:
            mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-5) * w[f"{part}.weight"] + w[f"{part}.bias"]

    def windows(x, size, padding, stride):  # [time, c] to [time', size, c]
        x = np.pad(x, ((padding, padding), (0, 0)))
        return np.stack([x[at : at + size] for at in range(0, len(x) - size + 1, stride)])

    if a["normalization"] == "utterance":
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
    for part, padding in zip("abc"[: a["subsampling_factor"] // 4 + 1], [1, a["subsampling_padding"] == "same", 1]):
        x = linear(windows(x, 3, int(padding), 2).reshape(-1, 3 * x.shape[1]), f"frontend.conv_{part}")
        x = x * (1 + erf(x / math.sqrt(2))) / 2
        x = norm(x, "frontend.norm") if part == "a" else x
    d, heads, time = a["d_model"], a["n_heads"], len(x)
    rotary, pairs = a["positions"] == "rotary", (d // heads if a["positions"] == "rotary" else d) // 2
    angle = np.arange(time)[:, None] * 10000.0 ** (-np.arange(pairs) / pairs)
    if a["positions"] == "sinusoid":
        x = x + np.stack([np.sin(angle), np.cos(angle)], -1).reshape(time, -1)
    cos, sin = np.tile(np.cos(angle), 2), np.concatenate([-np.sin(angle), np.sin(angle)], 1)

    def feed_forward(x, part):
        y = linear(norm(x, f"{part}.norm"), f"{part}.up")
        return x + linear(y * sigmoid(y), f"{part}.down") / 2

    def attention(x, part):
        q, k, v = linear(norm(x, f"{part}.norm"), f"{part}.qkv").reshape(time, 3, heads, -1).transpose(1, 2, 0, 3)
        if rotary:
            q, k = (y * cos + np.roll(y, pairs, -1) * sin for y in (q, k))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(d / heads)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        y = scores / scores.sum(-1, keepdims=True) @ v
        return x + linear(y.transpose(1, 0, 2).reshape(time, d), f"{part}.out")

    def convolution(x, part):
        y, gate = np.split(linear(norm(x, f"{part}.norm_in"), f"{part}.gate"), 2, 1)
        kernel = w[f"{part}.depthwise.weight"]
        y = np.einsum("tkc,kc->tc", windows(y * sigmoid(gate), len(kernel), len(kernel) // 2, 1), kernel)
        y = norm(y + w[f"{part}.depthwise.bias"], f"{part}.norm")
        return x + linear(y * sigmoid(y), f"{part}.out")

    for block in (f"encoder.blocks.{index}" for index in range(a["n_layers"])):
        x = attention(feed_forward(x, f"{block}.ffn1"), f"{block}.attention")
        x = norm(feed_forward(convolution(x, f"{block}.conv"), f"{block}.ffn2"), f"{block}.norm")
    logits = linear(x, "head")
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


if __name__ == "__main__":
    architecture, weights = read(sys.argv[1])
    features = np.array(json.loads(Path(sys.argv[2]).read_text()), np.float32)
    print(json.dumps(log_probs(architecture, weights, features).tolist()))
