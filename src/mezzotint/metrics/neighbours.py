"""Nearest training pictures, and whether a model gives back what it was trained on.

The test is the two-sample test of Meehan, Chaudhuri and Dasgupta (2020), "A non-parametric test to detect
data-copying in generative models", arXiv:2004.05675, section 3: are generated pictures nearer to the training set than
held-out pictures of the same kind are? Held-out pictures are the right yardstick, since any good model is near. We
chose it before the authenticity of Alaa et al. (2022), which has no yardstick: its value for a perfect model depends
on the data, so that no level of it means copying.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, mannwhitneyu, rankdata

from mezzotint.core.errors import DataError
from mezzotint.metrics.moments import as_features
from mezzotint.metrics.prdc import squared_distances
from mezzotint.metrics.score import Z95, Estimate

Array = NDArray[np.float64]

_BLOCK = 256
_SPARE = 4
_NEAR = 0.01


def nearest(samples: Any, training: Any, k: int = 1) -> tuple[NDArray[np.int64], Array]:
    """The k nearest training pictures of each sample, and how far they are.

    Args:
        samples, training: features [N, D] and [M, D].

    Returns:
        (indices [N, k], Euclidean distances [N, k]), the nearest first. Distances are exact: 0 for a copy.

    Raises:
        DataError: fewer than k training pictures, other numbers of features, or numbers that are not finite.

    Example:
        >>> where, far = nearest([[1.2], [5.0]], [[0.0], [1.0], [5.0]])
        >>> where.tolist(), far.round(3).tolist()
        ([[1], [2]], [[0.2], [0.0]])
    """
    x, y = as_features(samples), as_features(training)
    if not 1 <= k <= len(y):
        raise DataError(f"{k} nearest neighbours need at least 1 and as many training pictures; got {len(y)}.")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"A distance needs the same features on both sides; got {x.shape[1]} and {y.shape[1]} of them.")
    middle = y.mean(0)  # distances do not change, and less is lost to rounding
    x, y = x - middle, y - middle
    kept = min(len(y), k + _SPARE)
    where, far = np.empty((len(x), k), np.int64), np.empty((len(x), k))
    for start in range(0, len(x), _BLOCK):
        rows = x[start : start + _BLOCK]
        found = np.argpartition(squared_distances(rows, y), kept - 1, axis=1)[:, :kept]
        found.sort(1)  # of equal distances the first picture wins
        # Once more by differences, since x^2 - 2xy + y^2 is not exact where x and y are close.
        exact = np.linalg.norm(rows[:, None] - y[found], axis=2)
        best = np.argsort(exact, 1, kind="stable")[:, :k]
        where[start : start + _BLOCK] = np.take_along_axis(found, best, 1)
        far[start : start + _BLOCK] = np.take_along_axis(exact, best, 1)
    return where, far


def memorising(samples: Any, held_out: Any, training: Any) -> Estimate:
    """Whether samples are nearer to the training set than held-out pictures are.

    **The value** is the probability that a sample is nearer to its nearest training picture than a held-out
    picture is to its own (ties count half): 0.5 for a model that has learned the distribution, near 1 for one that
    copies, near 0 for one whose pictures are unlike any. It is Mann-Whitney's U divided by the number of pairs, and its
    z-score is Meehan's C_T (`details`: "c_t", below -3 means copying).

    A model that copies only now and then hides from a mean. So `details` also has the share of samples that are
    nearer than all but 1 % of the held-out pictures ("near", to be compared with "near_expected") and the p-value of
    Fisher's exact test for it ("near_p").

    **The interval** is for the probability with samples and held-out pictures without end, and this training set: by
    DeLong et al. (1988), on the logit so that it stays within 0 and 1.

    Args:
        samples, held_out, training: features [N, D], [M, D], [T, D]. Held-out pictures must be of the same kind as the
            training pictures and not among them.

    Returns:
        `details`: "c_t", "p" (one-sided, small means copying), "near", "near_expected", "near_p", "copies" (samples at
        distance 0).

    Raises:
        DataError: fewer than two samples or held-out pictures, or no training picture.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> training = rng.normal(size=(200, 4))
        >>> memorising(training[:100] + 0.01, rng.normal(size=(100, 4)), training).low > 0.5
        True
    """
    a, b = as_features(samples), as_features(held_out)
    if min(len(a), len(b)) < 2:
        raise DataError(
            f"The memorising test needs at least 2 samples and 2 held-out pictures; got {len(a)} and {len(b)}."
        )
    mine, theirs = nearest(a, training)[1][:, 0], nearest(b, training)[1][:, 0]
    n, m = len(mine), len(theirs)
    value, sd = _superiority(mine, theirs)
    test = mannwhitneyu(mine, theirs, alternative="less", method="asymptotic", use_continuity=False)
    details = {"c_t": _z(mine, theirs), "p": float(test.pvalue), "copies": float((mine == 0).sum())}
    details |= _tail(mine, theirs)
    low, high = _on_the_logit(value, sd, min(n, m))
    few = min(n, m)
    warnings = [f"{few} pictures are few for the memorising test; give at least 100."] if few < 100 else []
    if value > 0.5 and details["p"] < 0.001:
        warnings.append("Samples are nearer to the training pictures than held-out pictures are: the model copies.")
    elif details["near_p"] < 0.001:
        warnings.append(
            f"{details['near']:.1%} of the samples are as near to a training picture as {details['near_expected']:.1%} "
            "of the held-out pictures are: the model copies some of them."
        )
    words = "analytic: DeLong, on the logit; for this training set"
    return Estimate(value, low, high, words, tuple(warnings), details)


def _superiority(mine: Array, theirs: Array) -> tuple[float, float]:
    """P(mine < theirs) + P(equal) / 2 and its standard deviation (DeLong's, from placements)."""
    n, m = len(mine), len(theirs)
    ranks = rankdata(np.concatenate([mine, theirs]))
    # Of each the share of the other kind that it is below, or above.
    below = 1 - (ranks[:n] - rankdata(mine)) / m
    above = (ranks[n:] - rankdata(theirs)) / n
    return float(below.mean()), math.sqrt(below.var(ddof=1) / n + above.var(ddof=1) / m)


def _z(mine: Array, theirs: Array) -> float:
    """Meehan's C_T: U less its mean, over its standard deviation when nothing is copied, ties allowed for."""
    n, m = len(mine), len(theirs)
    both = np.concatenate([mine, theirs])
    u = rankdata(both)[:n].sum() - n * (n + 1) / 2
    ties = np.unique(both, return_counts=True)[1].astype(np.float64)
    size = n + m
    variance = n * m / 12 * (size + 1 - (ties**3 - ties).sum() / (size * (size - 1)))
    return float((u - n * m / 2) / math.sqrt(variance)) if variance > 0 else 0.0


def _tail(mine: Array, theirs: Array) -> dict[str, float]:
    """How many samples are nearer than the nearest 1 % of held-out pictures."""
    m = len(theirs)
    rank = max(1, round(_NEAR * m))
    bound = np.partition(theirs, rank - 1)[rank - 1]
    near, expected = int((mine <= bound).sum()), int((theirs <= bound).sum())
    table = [[near, len(mine) - near], [expected, m - expected]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    return {"near": near / len(mine), "near_expected": expected / m, "near_p": p}


def _on_the_logit(value: float, sd: float, few: int) -> tuple[float, float]:
    if value in (0.0, 1.0) or sd == 0:
        width = min(1.0, 3.0 / few)  # the rule of three: nothing was seen in so many
        return max(0.0, value - width), min(1.0, value + width)
    logit = math.log(value / (1 - value))
    half = Z95 * sd / (value * (1 - value))
    return 1 / (1 + math.exp(min(700.0, half - logit))), 1 / (1 + math.exp(max(-700.0, -half - logit)))
