"""What a score of two sets tends to when both grow, from the score of parts of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.rng import stream

Array = NDArray[np.float64]

PARTS = 4
"""The smallest parts are quarters."""


def extrapolate(
    whole: float, x: Array, y: Array, distance: Callable[[Array, Array], float], seed: int, repeats: int = 8
) -> tuple[float, float]:
    """The distance at 1/N = 0 from those at N, N/2 and N/4, and the variance that this adds.

    With d(N) = d + c1/N + c2/N^2 (Chong and Forsyth (2020), arXiv:1911.07023, have the first term) the three give
    d = (8 d(N) - 6 d(N/2) + d(N/4)) / 3. The sets are divided anew several times, since one division adds more noise
    than the pictures themselves; what noise is left is seen from how the divisions differ, and the step from the
    formula without c2, 2 d(N) - d(N/2), stands for what terms of higher order are left.

    Args:
        whole: distance(x, y).
        x, y: rows of the two sets.
        seed: of the divisions.
        repeats: how many.
    """
    found, steps = [], []
    for repeat in range(repeats):
        pairs = [_divide(len(rows), seed, repeat, name) for name, rows in (("x", x), ("y", y))]
        half, quarter = 0.0, 0.0
        for i in range(PARTS):
            one, other = (side[i] for side in pairs)
            quarter += distance(x[one], y[other]) / PARTS
        for i in range(0, PARTS, 2):
            one, other = (np.concatenate(side[i : i + 2]) for side in pairs)
            half += distance(x[one], y[other]) / 2
        found.append((8 * whole - 6 * half + quarter) / 3)
        steps.append(found[-1] - (2 * whole - half))
    noise = np.var(found, ddof=1) / repeats
    return float(np.mean(found)), float(noise + np.mean(steps) ** 2)


def _divide(count: int, seed: int, repeat: int, name: str) -> list[NDArray[np.int64]]:
    order = stream(seed, "divide", name, repeat).permutation(count)
    return np.array_split(order, PARTS)
