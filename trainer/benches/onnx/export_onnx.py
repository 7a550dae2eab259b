"""A model folder as an ONNX graph, for a comparison of speed only.

    python export_onnx.py MODEL_DIR OUT.onnx [--frames 500]

The graph maps log-mel features [1, frames, 80] to log-probabilities [1, frames', vocab] with the
folder's own weights: utterance normalisation, convolutional front end, Conformer blocks, CTC head.
The number of frames is fixed and constants are folded where that is exact (attention's scale, the
half steps of the feed-forward modules): the form that suits an inference engine best.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

NORMALIZATION_EPSILON = 1e-3
NORM_EPSILON = 1e-5


def read_weights(folder):
    """Weights by name as float32; int8 ones are expanded."""
    path = next(Path(folder).glob("*.safetensors"))
    stored = load_file(path)
    weights = {}
    for name, values in stored.items():
        if name.endswith(".scale"):
            continue
        scale = stored.get(name + ".scale")
        values = values.astype(np.float32)
        weights[name] = values * scale if scale is not None else values
    return weights


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = {}

    def constant(self, values, name=None):
        name = name or f"constant_{len(self.constants)}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def add(self, op, *inputs, **attributes):
        name = f"{op}_{len(self.nodes)}"
        inputs = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def linear(self, x, part, scale=1.0, column_scale=None):
        weight, bias = self.weights[f"{part}.weight"], self.weights[f"{part}.bias"]
        factor = np.float32(scale) if column_scale is None else column_scale
        return self.add("Add", self.add("MatMul", x, weight * factor), bias * factor)

    def norm(self, x, part):
        weight, bias = self.weights[f"{part}.weight"], self.weights[f"{part}.bias"]
        if f"{part}.running_mean" in self.weights:
            std = np.sqrt(self.weights[f"{part}.running_var"] + NORM_EPSILON)
            scale = (weight / std).astype(np.float32)
            shift = bias - self.weights[f"{part}.running_mean"] * scale
            return self.add("Add", self.add("Mul", x, scale), shift)
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=NORM_EPSILON)

    def silu(self, x):
        return self.add("Mul", x, self.add("Sigmoid", x))

    def split(self, x, sizes, axis):
        name = f"Split_{len(self.nodes)}"
        outputs = [f"{name}_{i}" for i in range(len(sizes))]
        sizes = self.constant(np.array(sizes, np.int64))
        self.nodes.append(helper.make_node("Split", [x, sizes], outputs, name=name, axis=axis))
        return outputs

    def reshape(self, x, shape):
        return self.add("Reshape", x, np.array(shape, np.int64))

    def transpose(self, x, order):
        return self.add("Transpose", x, perm=order)


def normalized(graph, x):
    axes = np.array([1], np.int64)
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, axes, keepdims=1))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes, keepdims=1)
    std = graph.add("Sqrt", graph.add("Add", variance, np.float32([NORMALIZATION_EPSILON])))
    return graph.add("Div", centred, std)


def front_end(graph, x, config, frames):
    """[1, frames, mels] to [1, frames', d_model]."""
    second = config["subsampling_padding"] == "same"
    padded = [True, second, True][: 3 if config["subsampling_factor"] == 8 else 2]
    x = graph.transpose(x, [0, 2, 1])
    for index, (name, is_padded) in enumerate(zip("abc", padded)):
        part = f"frontend.conv_{name}"
        weight = graph.weights[f"{part}.weight"]
        kernel = weight.reshape(3, -1, weight.shape[1]).transpose(2, 1, 0)
        pad = int(is_padded)
        x = graph.add(
            "Conv", x, kernel, graph.weights[f"{part}.bias"],
            kernel_shape=[3], strides=[2], pads=[pad, pad],
        )
        frames = -(-frames // 2) if is_padded else (frames - 1) // 2
        x = graph.add("Gelu", x)
        if index == 0:
            x = graph.norm(graph.transpose(x, [0, 2, 1]), "frontend.norm")
            x = graph.transpose(x, [0, 2, 1])
    return graph.transpose(x, [0, 2, 1]), frames


def feed_forward(graph, x, part):
    y = graph.silu(graph.linear(graph.norm(x, f"{part}.norm"), f"{part}.up"))
    return graph.add("Add", x, graph.linear(y, f"{part}.down", scale=0.5))


def angles(frames, pairs):
    rates = 10000.0 ** (-np.arange(pairs) / pairs)
    return np.arange(frames)[:, None] * rates


def attention(graph, x, part, config, frames):
    d_model, heads = config["d_model"], config["n_heads"]
    d_head = d_model // heads
    scale = np.ones(3 * d_model, np.float32)
    scale[:d_model] = d_head**-0.5
    qkv = graph.linear(graph.norm(x, f"{part}.norm"), f"{part}.qkv", column_scale=scale)
    qk, v = graph.split(qkv, [2 * d_model, d_model], 2)
    qk = graph.transpose(graph.reshape(qk, [1, frames, 2 * heads, d_head]), [0, 2, 1, 3])
    if config["positions"] == "rotary":
        angle = angles(frames, d_head // 2)
        cos = np.tile(np.cos(angle), 2).astype(np.float32)
        sin = np.concatenate([-np.sin(angle), np.sin(angle)], 1).astype(np.float32)
        first, second = graph.split(qk, [d_head // 2] * 2, 3)
        swapped = graph.add("Concat", second, first, axis=3)
        qk = graph.add("Add", graph.add("Mul", qk, cos), graph.add("Mul", swapped, sin))
    q, k = graph.split(qk, [heads, heads], 1)
    v = graph.transpose(graph.reshape(v, [1, frames, heads, d_head]), [0, 2, 1, 3])
    scores = graph.add("MatMul", q, graph.transpose(k, [0, 1, 3, 2]))
    attended = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), v)
    attended = graph.reshape(graph.transpose(attended, [0, 2, 1, 3]), [1, frames, d_model])
    return graph.add("Add", x, graph.linear(attended, f"{part}.out"))


def convolution(graph, x, part, config):
    d_model, kernel = config["d_model"], config["conv_kernel"]
    gate = graph.linear(graph.norm(x, f"{part}.norm_in"), f"{part}.gate")
    value, gate = graph.split(gate, [d_model, d_model], 2)
    y = graph.add("Mul", value, graph.add("Sigmoid", gate))
    weight = graph.weights[f"{part}.depthwise.weight"].T[:, None, :]
    y = graph.add(
        "Conv", graph.transpose(y, [0, 2, 1]), weight, graph.weights[f"{part}.depthwise.bias"],
        kernel_shape=[kernel], group=d_model, pads=[kernel // 2] * 2,
    )
    y = graph.silu(graph.norm(graph.transpose(y, [0, 2, 1]), f"{part}.norm"))
    return graph.add("Add", x, graph.linear(y, f"{part}.out"))


def export(folder, frames):
    config = json.loads((Path(folder) / "config.json").read_text())["architecture"]
    graph = Graph(read_weights(folder))
    num_features = frames
    x = "features"
    if config["normalization"] == "utterance":
        x = normalized(graph, x)
    x, frames = front_end(graph, x, config, frames)
    if config["positions"] == "sinusoid":
        angle = angles(frames, config["d_model"] // 2)
        table = np.stack([np.sin(angle), np.cos(angle)], 2).reshape(frames, -1)
        x = graph.add("Add", x, table.astype(np.float32))
    for block in range(config["n_layers"]):
        part = f"encoder.blocks.{block}"
        x = feed_forward(graph, x, f"{part}.ffn1")
        x = attention(graph, x, f"{part}.attention", config, frames)
        x = convolution(graph, x, f"{part}.conv", config)
        x = feed_forward(graph, x, f"{part}.ffn2")
        x = graph.norm(x, f"{part}.norm")
    out = graph.add("LogSoftmax", graph.linear(x, "head"), axis=-1)
    shape = lambda *sizes: [TensorProto.FLOAT, list(sizes)]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "fledge",
            [helper.make_tensor_value_info("features", *shape(1, num_features, config["n_mels"]))],
            [helper.make_tensor_value_info(out, *shape(1, frames, config["vocab_size"]))],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--frames", type=int, default=500)
    arguments = parser.parse_args()
    onnx.save(export(arguments.model, arguments.frames), arguments.out)
