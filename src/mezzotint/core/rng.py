"""Randomness as a function of where we are, so that nothing about it has to be remembered.

Every random number of a run is drawn from a stream named by the run's seed and a path such as
`("train", step, phase, turn)`. Step 700 draws the same numbers whether or not the process was killed at
step 699, which is what makes exact resume simple. Streams are Philox, a counter-based generator, so
they are the same on every platform.
"""

from __future__ import annotations

import hashlib
import operator
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = 2**64


def derive(seed: int, *path: str | int) -> int:
    """A 64-bit seed for the stream `path` of `seed`; different paths give independent streams.

    Example:
        >>> derive(0, "train", 7) == derive(0, "train", 7) != derive(0, "train", 8)
        True
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in (seed, *path):
        if isinstance(part, str):
            text = part.encode()
            digest.update(b"s" + struct.pack("<I", len(text)) + text)
        else:  # a NumPy integer is as good as one of Python's
            digest.update(b"i" + struct.pack("<Q", operator.index(part) % _WORD))
    return int.from_bytes(digest.digest(), "little")


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """A NumPy generator for the stream `path` of `seed`.

    Example:
        >>> float(stream(3, "demo").random()) == float(stream(3, "demo").random())
        True
    """
    return np.random.Generator(np.random.Philox(key=derive(seed, *path)))


def normal(shape: Sequence[int], seed: int, *path: str | int) -> NDArray[np.float32]:
    """Standard normal numbers [*shape], float32. The first rows do not depend on how many rows are asked for."""
    return stream(seed, *path).standard_normal(tuple(shape), dtype=np.float32)
