"""The sliced Wasserstein distance: transport between two sets of features or pixels, seen along many lines.

Rabin et al. (2012), "Wasserstein barycenter and its application to texture mixing"; Bonneel et al. (2015), "Sliced and
Radon Wasserstein barycenters of measures":

    SW^2 = mean over directions u of W_2^2(u^T x, u^T y)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.metrics._large_sample import PARTS, extrapolate
from mezzotint.metrics.moments import as_features
from mezzotint.metrics.score import Z95, Estimate

Array = NDArray[np.float64]
_LINES = 32  # sorted at a time


def sliced_wasserstein(real: Any, fake: Any, *, directions: int = 128, seed: int = 0) -> Estimate:
    """The sliced 2-Wasserstein distance, with an interval for what it tends to.

    **The value** is the root of the mean of the squared distances along the lines; along a line the distance is that
    of the sorted numbers, exactly, also for sets of different size. Like every plug-in distance it is too high for few
    pictures. The lines are drawn from the seed and are part of what is measured.

    **The interval** is for the distance of the two distributions along the same lines. Its middle is the squared
    distance extrapolated to samples without end (see `mezzotint.metrics.frechet.frechet_distance`), its width the
    delta method's: the influence of a picture is its Kantorovich potential.

    Args:
        real, fake: features or flattened pictures [N, D] and [M, D], arrays or tensors.
        directions: how many lines.
        seed: of the lines.

    Returns:
        The value, in the units of the features; `details` has "extrapolated".

    Raises:
        DataError: fewer than two rows, other numbers of features, no line, or numbers that are not finite.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 1))
        >>> round(sliced_wasserstein(x, x + 3.0).value, 9)
        3.0
    """
    x, y = as_features(real), as_features(fake)
    if min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1] or directions < 1:
        raise DataError(
            "A sliced distance needs at least 2 rows of each kind, of the same features, and at least 1 line; got "
            f"{list(x.shape)}, {list(y.shape)} and {directions} lines."
        )
    lines = draw_lines(x.shape[1], directions, seed)
    a, b = x @ lines, y @ lines
    squared, pulls = _along(a, b, potentials=True)
    few = min(len(x), len(y))
    if few < 10 * PARTS:
        words = f"none: needs at least {10 * PARTS} pictures of each kind"
        return Estimate(math.sqrt(squared), interval=words)
    middle, added = extrapolate(squared, a, b, lambda one, other: _along(one, other)[0], seed, repeats=4)
    assert pulls is not None
    half = Z95 * math.sqrt(sum(pull.var() / len(pull) for pull in pulls) + added)
    low, high = (math.sqrt(max(0.0, end)) for end in (middle - half, middle + half))
    words = "analytic: delta method around the squared distance extrapolated to samples without end, then the root"
    warnings = (f"{few} pictures are few: the value is too high.",) if few < 1000 else ()
    return Estimate(math.sqrt(squared), low, high, words, warnings, {"extrapolated": math.sqrt(max(0.0, middle))})


def draw_lines(dims: int, directions: int, seed: int) -> Array:
    """[dims, directions], directions of length 1, uniform on the sphere."""
    lines: Array = stream(seed, "sliced", dims).standard_normal((directions, dims)).T
    return lines / np.linalg.norm(lines, axis=0)


def _along(a: Array, b: Array, potentials: bool = False) -> tuple[float, tuple[Array, Array] | None]:
    """Mean over the columns of a [N, L] and b [M, L] of W_2^2, and for each row its mean potential [N] and [M]."""
    width, i, j = _couple(len(a), len(b))
    total, pulls = 0.0, (np.zeros(len(a)), np.zeros(len(b)))
    for start in range(0, a.shape[1], _LINES):
        one, other = a[:, start : start + _LINES], b[:, start : start + _LINES]
        orders = np.argsort(one, 0), np.argsort(other, 0)
        one, other = (np.take_along_axis(*pair, 0) for pair in ((one, orders[0]), (other, orders[1])))
        total += float((width @ np.square(one[i] - other[j])).sum())
        if potentials:
            _potentials(one, _mean_partner(other[j], width, i, len(a)), orders[0], pulls[0])
            _potentials(other, _mean_partner(one[i], width, j, len(b)), orders[1], pulls[1])
    for pull in pulls:
        pull /= a.shape[1]
    return total / a.shape[1], pulls if potentials else None


def _couple(n: int, m: int) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """The monotone coupling of n and m equal weights: shares of mass, and which of each they join."""
    if n == m:
        rows = np.arange(n)
        return np.full(n, 1 / n), rows, rows
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1 / (n m), so that all is exact
    starts = np.concatenate([[0], ends[:-1]])
    return (ends - starts) / (n * m), starts // m, starts // n


def _mean_partner(partners: Array, width: Array, rows: NDArray[np.int64], count: int) -> Array:
    """[count, L], where the mass of each row goes on average."""
    if len(partners) == count:
        return partners
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    return np.add.reduceat(partners * width[:, None], begins, 0) * count


def _potentials(rows: Array, partners: Array, order: NDArray[np.int64], into: Array) -> None:
    """Add up over lines the potential phi, phi' = 2 (x - T(x)), of each row in its place before sorting."""
    slope = rows - partners
    steps = np.diff(rows, axis=0) * (slope[1:] + slope[:-1])
    phi = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(steps, 0)])
    phi -= phi.mean(0)
    for column in range(rows.shape[1]):
        into[order[:, column]] += phi[:, column]
