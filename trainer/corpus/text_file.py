"""Text files, packed or not."""

import gzip
import lzma
import pathlib

OPENERS = {".gz": gzip.open, ".xz": lzma.open}


def opened(path):
    """A text to read: plain, .gz or .xz."""
    return OPENERS.get(pathlib.Path(path).suffix, open)(path, "rt", encoding="utf-8")
