"""The kernel distance between two sets of features: an unbiased squared maximum mean discrepancy.

Bińkowski et al. (2018), "Demystifying MMD GANs", arXiv:1801.01401, section 4, with the kernel

    k(x, y) = (x^T y / D + 1)^3
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.metrics.moments import as_features
from mezzotint.metrics.score import Z95, Estimate

Array = NDArray[np.float64]

_BLOCK = 1024
_SECOND_ORDER = 1000
"""Pictures of each kind from which the (small) second-order part of the variance is estimated."""


def kernel_distance(real: Any, fake: Any, *, seed: int = 0) -> Estimate:
    """KID: the unbiased estimate of MMD^2 over all pairs, with the interval from its variance.

        1/(N(N-1)) sum_(i != j) k(x_i, x_j) + 1/(M(M-1)) sum_(i != j) k(y_i, y_j) - 2/(NM) sum_(i, j) k(x_i, y_j)

    All pictures are used at once, in blocks, instead of the usual mean over random subsets: that is the same
    quantity with less noise, and nothing is drawn. The value is unbiased, so it can be below zero for equal sets.

    **The interval** is for the distance of the two distributions. The variance is that of the two-sample U-statistic
    (Sutherland et al. (2017), arXiv:1611.04488; Sutherland (2019), arXiv:1906.02104): the first-order part from how
    the mean kernel value differs from picture to picture, the second-order part, which is all there is for equal
    distributions, from the doubly centred kernel of up to 1,000 pictures of each kind.

    Args:
        real, fake: features [N, D] and [M, D], arrays or tensors.
        seed: of the choice of those 1,000.

    Returns:
        `details` has the standard deviation, "sd".

    Raises:
        DataError: fewer than two pictures of a kind, other numbers of features, or numbers that are not finite.

    Example:
        >>> found = kernel_distance([[0.0], [2.0]], [[1.0], [3.0]])  # (1 + 64 - (1 + 1 + 27 + 343) / 2)
        >>> round(found.value, 9)
        -121.0
    """
    x, y = as_features(real), as_features(fake)
    for name, rows in (("real", x), ("generated", y)):
        if len(rows) < 2:
            raise DataError(f"A kernel distance needs at least 2 pictures of each kind; got {len(rows)} {name}.")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"A distance needs the same features on both sides; got {x.shape[1]} and {y.shape[1]} of them.")
    n, m = len(x), len(y)
    means = _row_means(x, y)
    value = float(means.xx.mean() + means.yy.mean() - 2 * means.xy.mean())
    sd = math.sqrt(_variance(means, n, m, _second_order(x, y, seed)))
    few = min(n, m)
    warnings = (f"{few} pictures are few for the interval, which supposes about 100.",) if few < 100 else ()
    words = "analytic: variance of the two-sample U-statistic"
    return Estimate(value, value - Z95 * sd, value + Z95 * sd, words, warnings, {"sd": sd})


class _Means(NamedTuple):
    """Of each row the mean kernel value: with the others of its set, and with the other set."""

    xx: Array
    yy: Array
    xy: Array
    yx: Array


def _row_means(x: Array, y: Array) -> _Means:
    """By whichever way is less work.

    In pairs that is (N + M)^2 D products. But the cube of an inner product is an inner product of third powers, so a
    mean over y needs only the first three moments of y: (N + M) D^3 products, and memory for D^3 / 2 numbers.
    """
    n, m, d = len(x), len(y), x.shape[1]
    if d <= 256 and 3 * d * d < n + m:
        about = [_third_moments(x), _third_moments(y)]
        (xx, xy), (yx, yy) = (_by_moments(rows, about) for rows in (x, y))
    else:
        xx, xy, yx, yy = (_by_pairs(a, b) for a in (x, y) for b in (x, y))
    own = [(np.square(rows).sum(1) / d + 1) ** 3 for rows in (x, y)]
    return _Means((xx * n - own[0]) / (n - 1), (yy * m - own[1]) / (m - 1), xy, yx)


def _by_pairs(x: Array, y: Array) -> Array:
    sums = np.zeros(len(x))
    for i in range(0, len(x), _BLOCK):
        for j in range(0, len(y), _BLOCK):
            sums[i : i + _BLOCK] += kernel(x[i : i + _BLOCK], y[j : j + _BLOCK]).sum(1)
    return sums / len(y)


def _third_moments(y: Array) -> tuple[Array, Array, Array]:
    """Mean of y, of y y^T, and of the products of two features with a third, [D (D + 1) / 2, D]."""
    d = y.shape[1]
    third = np.zeros((d * (d + 1) // 2, d))
    for start in range(0, len(y), _BLOCK):
        rows = y[start : start + _BLOCK]
        third += _products(rows).T @ rows
    # Each product of two different features stands for two of the D^2.
    first, second = np.triu_indices(d)
    third *= np.where(first == second, 1.0, 2.0)[:, None] / len(y)
    return y.mean(0), y.T @ y / len(y), third


def _by_moments(x: Array, about: list[tuple[Array, Array, Array]]) -> tuple[Array, ...]:
    """For each set whose moments are given, the mean kernel value [N] of each row of x with it."""
    d = x.shape[1]
    found = tuple(np.empty(len(x)) for _ in about)
    for start in range(0, len(x), _BLOCK):
        rows = x[start : start + _BLOCK]
        products = _products(rows)
        for (first, second, third), into in zip(about, found, strict=True):
            one = rows @ first / d
            two = ((rows @ second) * rows).sum(1) / d**2
            three = ((products @ third) * rows).sum(1) / d**3
            into[start : start + _BLOCK] = 1 + 3 * one + 3 * two + three
    return found


def _products(rows: Array) -> Array:
    """[N, D (D + 1) / 2], the products of two features."""
    i, j = np.triu_indices(rows.shape[1])
    return rows[:, i] * rows[:, j]


def kernel(x: Array, y: Array) -> Array:
    """[N, M] values of the cubic kernel."""
    inner = x @ y.T
    inner /= x.shape[1]
    inner += 1
    return inner * inner * inner


def _variance(means: _Means, n: int, m: int, second: tuple[float, float, float]) -> float:
    """Variance of the U-statistic. `second` has E k~^2 of the doubly centred kernel: within x, within y, across.

    With s the variance of the row means, 4 s_x / N + 4 s_y / M counts the first-order part once and the second-order
    part twice, since the row means are themselves means of finitely many; what is too much is taken off. It is never
    below the second-order part alone.
    """
    xx, yy, xy = second
    pairs = 2 * xx / (n * (n - 1)) + 2 * yy / (m * (m - 1)) + 4 * xy / (n * m)
    first = 4 * (means.xx - means.xy).var(ddof=1) / n + 4 * (means.yy - means.yx).var(ddof=1) / m
    return float(max(first - pairs, pairs))


def _second_order(x: Array, y: Array, seed: int) -> tuple[float, float, float]:
    few = []
    for name, rows in (("x", x), ("y", y)):
        take = stream(seed, "kid", name).permutation(len(rows))[:_SECOND_ORDER]
        few.append(rows[take])
    a, b = few
    return _centred_square(kernel(a, a), True), _centred_square(kernel(b, b), True), _centred_square(kernel(a, b))


def _centred_square(k: Array, same: bool = False) -> float:
    """E k~^2 off the diagonal, where k~ is k less its row and column means (of the others, if `same`)."""
    n, m = k.shape
    if not same:
        centred = k - k.mean(1, keepdims=True) - k.mean(0, keepdims=True) + k.mean()
        return float(np.square(centred).sum() / max(1, (n - 1) * (m - 1)))
    if n < 4:
        return float(np.square(k - k.mean()).mean())
    np.fill_diagonal(k, 0.0)
    # The U-centring of Székely and Rizzo (2014), whose mean square is unbiased with N (N - 3).
    rows = k.sum(1)
    centred = k - rows[:, None] / (n - 2) - rows / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return float(np.square(centred).sum() / (n * (n - 3)))
