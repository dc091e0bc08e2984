"""Modes: how many of the known ones samples show, and how good the samples are.

The rules are those of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761, section 4.1) and PacGAN (Lin et al. 2018,
arXiv:1712.04086, section 4.1): of points of the plane,

- a sample is *good* if it lies within three standard deviations of the mode nearest to it;
- a mode is *found* if it is the nearest one to at least one good sample;
- every sample, good or not, counts for its nearest mode in the histogram whose KL divergence from the true one
  is taken.

Of pictures with classes, such as Stacked MNIST's (section 4.2 of both), a class is a mode, found if a sample shows it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.metrics.score import Z95, Estimate

REACH = 3.0
"""A good sample lies within so many standard deviations of its mode; exp(-9 / 2) = 1.1 % of true samples do not."""


class PointModes(NamedTuple):
    """What `point_modes` finds: modes found, share of good samples in [0, 1], KL divergence in nats."""

    found: Estimate
    good: Estimate
    kl: Estimate


class ClassModes(NamedTuple):
    """What `class_modes` finds: modes found, KL divergence in nats."""

    found: Estimate
    kl: Estimate


def point_modes(points: Any, modes: Any, sigma: float) -> PointModes:
    """Modes found, share of good samples, and how unevenly samples lie on the modes, of points of the plane.

    Args:
        points: [N, D] generated points.
        modes: [K, D] the true modes, all of the same weight.
        sigma: standard deviation of each mode along every axis.

    Returns:
        The intervals are: for the modes found as in `class_modes`; for the share, Clopper and Pearson's (exact); for
        the divergence as in `class_modes`. `found.details` has the number of modes, "of"; `good.details` has
        "expected", the share of true samples that are good.

    Raises:
        DataError: there is no sample or no mode, they have other numbers of coordinates, or one is not finite.

    Example:
        >>> found = point_modes([[0.1, 0.0], [0.0, 0.2], [1.0, 1.0], [2.5, 2.5]], [[0, 0], [1, 1], [2, 2]], 0.1)
        >>> found.found.value, found.good.value
        (2.0, 0.75)
    """
    places, centres = _places(points, "samples"), _places(modes, "modes")
    if places.shape[1] != centres.shape[1]:
        raise DataError(f"Samples have {places.shape[1]} coordinates and modes have {centres.shape[1]}.")
    if not sigma > 0:
        raise DataError(f"The standard deviation of a mode is above 0; got {sigma:g}.")
    from scipy.spatial import cKDTree
    from scipy.stats import binomtest, chi2

    distance, nearest = cKDTree(centres).query(places)
    good = distance <= REACH * sigma
    count, n = len(centres), len(places)
    interval = binomtest(int(good.sum()), n).proportion_ci(0.95, "exact")
    share = Estimate(
        float(good.mean()),
        float(interval.low),
        float(interval.high),
        f"analytic: Clopper and Pearson's for {n:,} samples",
        details={"expected": float(chi2.cdf(REACH**2, places.shape[1]))},
    )
    found = _found(np.bincount(nearest[good], minlength=count))
    return PointModes(found, share, _divergence(np.bincount(nearest, minlength=count), np.full(count, 1 / count)))


def class_modes(classes: Any, count: int, real: Any = None) -> ClassModes:
    """Classes that samples show, and KL(samples || real) of the two histograms in nats.

        KL = sum_k p_k log(p_k / q_k),  p_k the share of samples of class k, q_k that of real pictures

    This is the plain estimate of the papers. It is above zero for a perfect model too, by about (K - 1) / 2N, which is
    `kl.details["expected"]`; compare only numbers of equally many samples.

    **The intervals** are of these samples, not of other trainings. Classes found: how many the model would show if
    samples never ended (Chao 1987, from the numbers of classes that were seen once and twice), at most K; the lower
    end is what was seen. KL: the delta method, with the term of second order that is left where p = q.

    Args:
        classes: [N] class of each sample, 0 to count - 1.
        count: K, how many classes there are.
        real: how often each class occurs among the real pictures, [K] counts or shares; equally often when left out.

    Raises:
        DataError: there is no sample, or a class is out of range.

    Example:
        >>> found = class_modes([0, 0, 1, 1], 4)
        >>> found.found.value, round(found.kl.value, 4)  # log 2
        (2.0, 0.6931)
    """
    given = np.asarray(classes)
    if given.ndim != 1 or not len(given) or not np.issubdtype(given.dtype, np.integer):
        raise DataError(f"Modes are counted of class numbers [N], N at least 1; got {given.dtype} {list(given.shape)}.")
    if given.min() < 0 or given.max() >= count:
        raise DataError(f"Class numbers go from 0 to {count - 1}; got {given.min()} to {given.max()}.")
    truth = np.full(count, 1 / count) if real is None else np.asarray(real, np.float64)
    if truth.shape != (count,) or not np.isfinite(truth).all() or truth.min() < 0 or truth.sum() <= 0:
        raise DataError(f"The real histogram has {count} numbers that are not negative; got {list(truth.shape)}.")
    counts = np.bincount(given, minlength=count)
    return ClassModes(_found(counts), _divergence(counts, truth / truth.sum()))


def _found(counts: NDArray[np.int64]) -> Estimate:
    """How many of the K modes were hit, with Chao's interval for how many can be."""
    seen, once, twice = (int(x) for x in ((counts > 0).sum(), (counts == 1).sum(), (counts == 2).sum()))
    unseen = once * (once - 1) / (2 * (twice + 1))  # the bias-corrected form, which needs no class seen twice
    high = float(seen)
    if unseen > 0:
        share = once / (twice + 1)
        variance = (
            unseen
            + share * (2 * once - 1) ** 2 / (4 * (twice + 1))
            + twice * (share * (once - 1)) ** 2 / (4 * (twice + 1) ** 2)
        )
        high += unseen * math.exp(Z95 * math.sqrt(math.log1p(variance / unseen**2)))
    words = "analytic: Chao's for the modes of endlessly many samples"
    high = min(float(len(counts)), high)
    return Estimate(float(seen), float(seen), high, words, details={"of": float(len(counts))})


def _divergence(counts: NDArray[np.int64], truth: NDArray[np.float64]) -> Estimate:
    n, hit = int(counts.sum()), counts > 0
    expected = (int((truth > 0).sum()) - 1) / (2 * n)
    details = {"expected": expected}
    impossible = int(counts[truth == 0].sum())
    if impossible:
        said = f"{impossible:,} samples are of modes that the real pictures do not have, so the divergence is infinite."
        return Estimate(math.inf, warnings=(said,), details=details)
    p = counts[hit] / n
    log_ratio = np.log(p / truth[hit])
    value = max(0.0, float(p @ log_ratio))
    first = max(0.0, float(p @ log_ratio**2) - value**2) / n
    sd = math.sqrt(first + expected / n)
    few = (f"{n:,} samples are few for {len(truth):,} modes.",) if n < 5 * len(truth) else ()
    words = "analytic: the delta method, at this number of samples"
    return Estimate(value, max(0.0, value - Z95 * sd), value + Z95 * sd, words, few, details)


def _places(values: Any, what: str) -> NDArray[np.float64]:
    found = np.asarray(values, np.float64)
    if found.ndim != 2 or 0 in found.shape:
        raise DataError(f"There must be {what} [N, D], N at least 1; got {list(found.shape)}.")
    if not np.isfinite(found).all():
        raise DataError(f"Some of the {what} are not finite numbers.")
    return found
