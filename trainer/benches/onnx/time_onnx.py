"""Times ONNX graphs with onnxruntime's CPU provider on one thread; one JSON line a graph.

    python time_onnx.py FILE.onnx... [--repeats 30]

Only the network is timed: features come ready and nothing is decoded.

    python time_onnx.py FILE.onnx --features FEATURES.json --log-probs LOG_PROBS.json

compares the graph's output with what `fledge transcribe --features ... --log-probs ...` wrote.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

WARM_UP = 3


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def times_ms(path, repeats):
    network = session(path)
    shape = network.get_inputs()[0].shape
    features = np.random.default_rng(1).normal(-8, 2, shape).astype(np.float32)
    times = []
    for _ in range(repeats + WARM_UP):
        started = time.perf_counter()
        network.run(None, {"features": features})
        times.append((time.perf_counter() - started) * 1e3)
    return sorted(times[WARM_UP:])


def difference(path, features, log_probs):
    features = np.array(json.loads(Path(features).read_text()), np.float32)
    expected = np.array(json.loads(Path(log_probs).read_text()), np.float32)
    found = session(path).run(None, {"features": features[None]})[0][0]
    return float(np.abs(found - expected).max())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graphs", nargs="+")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--features")
    parser.add_argument("--log-probs")
    arguments = parser.parse_args()
    if arguments.features:
        worst = difference(arguments.graphs[0], arguments.features, arguments.log_probs)
        print(f"largest difference of a log-probability: {worst:.2e}")
        sys.exit(worst > 1e-3)
    for graph in arguments.graphs:
        times = times_ms(graph, arguments.repeats)
        line = {"name": Path(graph).stem, "min_ms": times[0], "median_ms": times[len(times) // 2]}
        print(json.dumps(line), flush=True)
