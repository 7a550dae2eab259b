#!/usr/bin/env python3
"""Reads weights files of Fledge with the Python `safetensors` package and numpy.

    read_safetensors.py FILE...

Prints one JSON object a file: the metadata and, for each weight, its dtype, shape, sum and sum of
absolute values. An I8 weight is first multiplied by the scales of its output channels (the last
axis of a weight with two axes, the first axis with more), and its scales are no weight of their
own. Exits with 1 and one line if a file cannot be read.
"""

import json
import sys

import numpy as np
from safetensors import SafetensorError, safe_open


def expand(name, values, scales):
    """An I8 weight as f32."""
    if values.ndim < 2:
        raise ValueError(f"{name} is int8 and has {values.ndim} axes")
    axis = values.ndim - 1 if values.ndim == 2 else 0
    if scales.shape != (values.shape[axis],):
        raise ValueError(f"{name} has shape {values.shape}, its scales {scales.shape}")
    shape = [1] * values.ndim
    shape[axis] = -1
    return values.astype(np.float32) * scales.reshape(shape)


def read(path):
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    quantised = {name for name, values in tensors.items() if values.dtype == np.int8}
    scales = {f"{name}.scale" for name in quantised}
    weights = {}
    for name, values in sorted(tensors.items()):
        if name in scales:
            continue
        dtype = str(values.dtype)
        if name in quantised:
            values = expand(name, values, tensors[f"{name}.scale"])
        values = values.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds a value that is not finite")
        weights[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "sum": float(values.sum()),
            "sum_abs": float(np.abs(values).sum()),
        }
    return {"file": path, "metadata": metadata, "weights": weights}


def main():
    for path in sys.argv[1:]:
        try:
            print(json.dumps(read(path)))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
