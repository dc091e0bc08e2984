"""Fidelity and diversity apart: how many generated pictures look real, and how much of the real set is covered.

Precision and recall by Kynkäänniemi et al. (2019), "Improved precision and recall metric for assessing generative
models", arXiv:1904.06991, equations 1 and 2; density and coverage by Naeem et al. (2020), "Reliable fidelity and
diversity metrics for generative models", arXiv:2002.09797, equations 7 and 9. A ball reaches from each picture to
its k-th nearest neighbour among its own kind.

    precision  share of generated pictures within a ball of a real one
    recall     share of real pictures within a ball of a generated one
    density    balls of real pictures a generated one lies in, on average, divided by k
    coverage   share of balls of real pictures that hold a generated one
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.metrics.moments import as_features
from mezzotint.metrics.score import Estimate

Array = NDArray[np.float64]

NAMES = ("precision", "recall", "density", "coverage")
_BLOCK = 512
_GROUPS, _DIVISIONS = 5, 4


def prdc(real: Any, fake: Any, k: int = 5, *, seed: int = 0) -> dict[str, Estimate]:
    """Precision, recall, density and coverage, each with an interval.

    **The intervals** hold the value that other pictures of the same two kinds would give on average *at the same
    numbers of pictures*. There is no other value to aim at: balls shrink as sets grow, so each of the four depends on
    the numbers (of two overlapping Gaussians, precision and recall both tend to 1 whatever their distance), and only
    scores at equal numbers can be compared. The width comes from disjoint fifths of both sets, scored apart
    (subsampling, Politis and Romano (1994)): a fifth varies sqrt(5) times as much as the whole. As fifths have other
    values, the variance of a share p is taken relative to p (1 - p). The sets are divided anew four times, and
    Student's t allows for what is not known of the spread: with 12 degrees of freedom, between the 4 of one division
    and the 16 of four independent ones.

    Args:
        real, fake: features [N, D] and [M, D], arrays or tensors.
        k: which neighbour a ball reaches to.
        seed: of the divisions.

    Returns:
        name -> estimate, in the order of `NAMES`. All are in [0, 1] but density, which may exceed 1.

    Raises:
        DataError: k is not positive, a set has no more than k pictures, other numbers of features, or numbers that
            are not finite.

    Example:
        >>> x = np.arange(6.0)[:, None]
        >>> [found.value for found in prdc(x, x, k=1).values()]
        [1.0, 1.0, 2.6666666666666665, 1.0]
    """
    x, y = as_features(real), as_features(fake)
    few = min(len(x), len(y))
    if k < 1:
        raise DataError(f"k is at least 1, the nearest neighbour; got {k}.")
    if few <= k:
        raise DataError(f"Neighbour {k} needs at least {k + 1} pictures of each kind; got {few}. Give more pictures.")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"A distance needs the same features on both sides; got {x.shape[1]} and {y.shape[1]} of them.")
    values = _values(x, y, k)
    size = few // _GROUPS
    if size <= 2 * k:
        words = f"none: needs at least {_GROUPS * (2 * k + 1):,} pictures of each kind"
        return {name: Estimate(value, interval=words) for name, value in zip(NAMES, values, strict=True)}
    fifths = np.array([_fifths(x, y, k, seed, i) for i in range(_DIVISIONS)])  # [divisions, fifths, 4]
    spread = np.sqrt(fifths.var(1, ddof=1).mean(0) / _GROUPS) * _rescale(np.array(values), fifths)
    half = t.ppf(0.975, 3 * (_GROUPS - 1)) * spread
    warnings = (f"{few:,} pictures are few: with fewer than 1,000 the intervals are rough.",) if few < 1000 else ()
    words = "subsampling: disjoint fifths; for the value expected at these numbers of pictures"
    made = {}
    for name, value, width in zip(NAMES, values, half.tolist(), strict=True):
        top = math.inf if name == "density" else 1.0
        # Where every fifth says 0 or 1, nothing varies that could be seen; the rule of three says what may be hidden.
        width = max(width, 3.0 / few) if width == 0 else width
        made[name] = Estimate(value, max(0.0, value - width), min(top, value + width), words, warnings)
    return made


def _fifths(x: Array, y: Array, k: int, seed: int, division: int) -> list[tuple[float, float, float, float]]:
    """The four values of each fifth."""
    parts = []
    for name, rows in (("x", x), ("y", y)):
        order = stream(seed, "prdc", name, division).permutation(len(rows))
        parts.append([rows[part] for part in np.array_split(order, _GROUPS)])
    return [_values(a, b, k) for a, b in zip(*parts, strict=True)]


def _rescale(values: Array, fifths: Array) -> Array:
    """[4], by how much the standard deviation of a share differs at its value from that at those of the fifths."""
    whole, part = (np.clip(p * (1 - p), 0, None) for p in (values, fifths))
    part = part.mean((0, 1))
    share = np.array([name != "density" for name in NAMES]) & (whole > 0) & (part > 0)
    return np.where(share, np.sqrt(np.divide(whole, part, out=np.ones(4), where=share)), 1.0)


def _values(x: Array, y: Array, k: int) -> tuple[float, float, float, float]:
    around_real, around_fake = radii(x, k), radii(y, k)
    within = np.zeros(len(y), np.int64)  # balls of real pictures that each generated one lies in
    recalled = np.zeros(len(x), bool)
    covered = np.zeros(len(x), bool)
    for start in range(0, len(x), _BLOCK):
        part = slice(start, start + _BLOCK)
        apart = squared_distances(x[part], y)
        inside = apart <= around_real[part, None]
        within += inside.sum(0)
        covered[part] = inside.any(1)
        recalled[part] = (apart <= around_fake).any(1)
    density = within.sum() / (k * len(y))
    return float((within > 0).mean()), float(recalled.mean()), float(density), float(covered.mean())


def radii(x: Array, k: int) -> Array:
    """[N] squared distances of each row to its k-th nearest other row."""
    found = np.empty(len(x))
    for start in range(0, len(x), _BLOCK):
        apart = squared_distances(x[start : start + _BLOCK], x)
        rows = np.arange(len(apart))
        apart[rows, start + rows] = -1.0  # itself comes first, before any twin
        found[start : start + _BLOCK] = np.partition(apart, k, axis=1)[:, k]
    return found


def squared_distances(x: Array, y: Array) -> Array:
    """[N, M], in float64; never below zero."""
    apart = x @ y.T
    apart *= -2
    apart += np.square(x).sum(1)[:, None]
    apart += np.square(y).sum(1)
    return np.maximum(apart, 0, out=apart)
