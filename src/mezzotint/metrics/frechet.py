"""The Fréchet distance between two sets of features, each taken as a Gaussian.

Heusel et al. (2017), "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
arXiv:1706.08500, equation 6:

    d^2 = |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))

It is called FID only where the features are those of the standard Inception network.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.metrics._large_sample import PARTS, extrapolate
from mezzotint.metrics.moments import Moments, as_features
from mezzotint.metrics.score import Z95, Estimate

Array = NDArray[np.float64]

_ROWS = 4096
_MANY = 512  # with more features each distance takes seconds


def distance_of_moments(a: Moments, b: Moments) -> float:
    """The Fréchet distance (squared, as is usual) of two means and covariances.

    The trace of the root of the product is the sum of singular values of A^T B for any C1 = A A^T and C2 = B B^T,
    which needs no root of a matrix that is not symmetric and is right for singular covariances too.

    Raises:
        DataError: one has fewer than two rows, or the numbers of features differ.

    Example:
        >>> a, b = Moments.of(np.eye(3)), Moments.of(np.eye(3) + 1.0)
        >>> round(distance_of_moments(a, b), 9)
        3.0
    """
    return _solve(_Gaussian.of(a), _Gaussian.of(b), vectors=False).distance


def frechet_distance(real: Any, fake: Any, *, seed: int = 0, interval: bool = True) -> Estimate:
    """The Fréchet distance of two sets of features, with an interval for what it tends to.

    **The value** is the usual one: that of the sample means and covariances (divided by N - 1), as everybody reports
    it. It is too high: covariances of few pictures differ even when the sets do not, by about 1/N (Chong and Forsyth
    (2020), "Effectively unbiased FID and Inception score and where to find them", arXiv:1911.07023).

    **The interval** is for the distance of the two distributions, that is, of ever larger samples of both. Its middle
    is the distance extrapolated to 1/N = 0 from the whole sets, their halves and their quarters (`details`:
    "extrapolated"); so the value itself lies at its upper end or above it when the sets are small. Its width is the
    delta method's, from the influence of each picture on the distance, and what the extrapolation adds.

    Args:
        real, fake: features [N, D] and [M, D], arrays or tensors.
        seed: of the division into halves and quarters.
        interval: False leaves the interval out, and with it most of the time when D is in the thousands.

    Returns:
        value >= 0; `details` has "extrapolated", "mean_part" (the first term) and "covariance_part" (the second).

    Raises:
        DataError: fewer than two pictures in a set, other numbers of features, or numbers that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = frechet_distance(rng.normal(size=(400, 4)), rng.normal(size=(400, 4)) + 1.0)
        >>> found.low < 4.0 < found.high
        True
    """
    x, y = as_features(real), as_features(fake)
    _check(x, y)
    d, n = x.shape[1], min(len(x), len(y))
    # Quarters with fewer pictures than features are singular, and their distances follow no series in 1/N.
    enough = n // PARTS > d + 1
    whole = _solve(_Gaussian.of_rows(x), _Gaussian.of_rows(y), vectors=interval and enough)
    details = {"mean_part": whole.mean_part, "covariance_part": whole.distance - whole.mean_part}
    warnings = _warnings(len(x), len(y), d)
    if not interval or not enough:
        words = f"none: extrapolation to large samples needs at least {PARTS * (d + 2):,} pictures of each kind"
        return Estimate(whole.distance, interval="none" if enough else words, warnings=warnings, details=details)
    middle, added = extrapolate(whole.distance, x, y, _distance, seed, 8 if d <= _MANY else 2)
    spread = whole.influence(x, 0).var() / len(x) + whole.influence(y, 1).var() / len(y)
    half = Z95 * math.sqrt(spread + added)
    words = (
        "analytic: delta method around the distance extrapolated to samples without end "
        f"from {n:,}, {n // 2:,} and {n // 4:,} pictures"
    )
    low, high = max(0.0, middle - half), max(0.0, middle + half)
    return Estimate(whole.distance, low, high, words, warnings, details | {"extrapolated": middle})


class _Solved(NamedTuple):
    """The distance, and what the influence of a row needs."""

    distance: float
    mean_part: float
    shift: Array
    means: tuple[Array, Array]
    axes: tuple[Array, Array] | None

    def influence(self, rows: Array, side: int) -> Array:
        """How much each row [N, D] pulls at the distance: its derivative when the row gets more weight.

        For x of the first set with z its whitened form and C1^(1/2) C2^(1/2) = U S V^T in the factors' coordinates, it
        is 2 (m1 - m2)^T (x - m1) + |x - m1|^2 - |S^(1/2) U^T z|^2, without a constant.
        """
        assert self.axes is not None
        parts = []
        for start in range(0, len(rows), _ROWS):
            centred = rows[start : start + _ROWS] - self.means[side]
            sign = 1 if side == 0 else -1
            parts.append(
                2 * sign * (centred @ self.shift)
                + np.square(centred).sum(1)
                - np.square(centred @ self.axes[side]).sum(1)
            )
        return np.concatenate(parts)


class _Gaussian(NamedTuple):
    """A mean [D], and a covariance as its eigenvalues [R] and vectors [D, R]: of N rows at most N - 1 are not zero."""

    mean: Array
    values: Array
    basis: Array

    @classmethod
    def of(cls, moments: Moments) -> _Gaussian:
        values, basis = np.linalg.eigh(moments.covariance)
        rank = min(moments.dims, moments.count - 1)
        # What rounding leaves of the zeros would otherwise be felt, since its root is taken.
        return cls(moments.mean, np.clip(values[-rank:], 0, None), basis[:, -rank:])

    @classmethod
    def of_rows(cls, rows: Array) -> _Gaussian:
        n, d = rows.shape
        if n > d:
            return cls.of(Moments.of(rows))
        mean = rows.mean(0)
        _, singular, basis = np.linalg.svd((rows - mean) / math.sqrt(n - 1), full_matrices=False)
        return cls(mean, np.square(singular[: n - 1]), basis[: n - 1].T)


def _solve(a: _Gaussian, b: _Gaussian, vectors: bool) -> _Solved:
    if len(a.mean) != len(b.mean):
        raise DataError(f"A distance needs the same features on both sides; got {len(a.mean)} and {len(b.mean)}.")
    shift = a.mean - b.mean
    cross = np.sqrt(a.values)[:, None] * (a.basis.T @ b.basis) * np.sqrt(b.values)
    axes = None
    if vectors:
        left, singular, right = np.linalg.svd(cross, full_matrices=False)
        root = np.sqrt(singular)
        axes = (_whiten(a.basis, a.values) @ (left * root), _whiten(b.basis, b.values) @ (right.T * root))
    else:
        singular = np.linalg.svd(cross, compute_uv=False)
    mean_part = float(shift @ shift)
    rest = float(a.values.sum() + b.values.sum() - 2 * singular.sum())
    return _Solved(max(0.0, mean_part + rest), mean_part, shift, (a.mean, b.mean), axes)


def _whiten(basis: Array, values: Array) -> Array:
    """[D, R] that takes rows to unit variance; directions without variance are left out."""
    there = values > values.max(initial=0.0) * len(basis) * np.finfo(np.float64).eps
    return basis * np.divide(1.0, np.sqrt(values), out=np.zeros_like(values), where=there)


def _distance(x: Array, y: Array) -> float:
    return _solve(_Gaussian.of_rows(x), _Gaussian.of_rows(y), vectors=False).distance


def _check(x: Array, y: Array) -> None:
    for name, rows in (("real", x), ("generated", y)):
        if len(rows) < 2:
            raise DataError(
                f"A Fréchet distance needs at least 2 pictures of each kind; got {len(rows)} {name}. Give more."
            )


def _warnings(n: int, m: int, d: int) -> tuple[str, ...]:
    few = min(n, m)
    if few >= 4 * d:
        return ()
    more = "the value is far too high" if few < d else "the value is clearly too high"
    return (
        f"{few:,} pictures are {'fewer than' if few < d else 'few for'} the {d:,} features: {more}; compare it only "
        f"with values at the same numbers, and give at least {4 * d:,} pictures.",
    )
