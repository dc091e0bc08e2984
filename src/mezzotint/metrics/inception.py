"""The inception score: are pictures of one clear class each, and are all classes there?

Salimans et al. (2016), "Improved techniques for training GANs", arXiv:1606.03498, section 4:

    IS = exp(E_x KL(p(y|x) || p(y)))
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import logsumexp

from mezzotint.core.errors import DataError
from mezzotint.metrics.moments import as_features
from mezzotint.metrics.score import Z95, Estimate

_ROWS = 4096


def inception_score(logits: Any) -> Estimate:
    """The inception score of all pictures together, with an interval for what it tends to.

    **The value** is taken over all N pictures at once. The usual mean over ten tenths is lower, by more the fewer the
    pictures: each tenth's own p(y) fits it too well. It is between 1 and the number of classes, and it looks at
    no real picture: classes that the classifier does not know, and memorising, are not seen.

    **The interval** is for the score of pictures without end. The logarithm is a mean of KL(p(y|x) || p(y)), whose
    spread gives the width (to first order the error in p(y) does not matter: its derivative is zero); p(y) from N
    pictures makes the logarithm too low by 1/(2N) sum_k Var p(k|x) / p(k) on average, by which the middle is moved up.

    Args:
        logits: [N, K], of generated pictures, from a classifier.

    Returns:
        `details` has "corrected", the middle of the interval.

    Raises:
        DataError: there is no picture, fewer than two classes, or a number that is not finite.

    Example:
        >>> round(inception_score(100.0 * np.eye(4)).value, 6)  # four pictures, each surely of another class
        4.0
    """
    values = as_features(logits)
    n, k = values.shape
    if n < 1 or k < 2:
        raise DataError(f"An inception score needs pictures and at least 2 classes; got logits [{n}, {k}].")
    p, surprise = np.empty_like(values), np.empty(n)
    for start in range(0, n, _ROWS):  # some rows at a time: many pictures of many classes would fill the memory
        part = slice(start, start + _ROWS)
        log_p = values[part] - logsumexp(values[part], axis=1, keepdims=True)
        p[part] = np.exp(log_p)
        surprise[part] = (p[part] * log_p).sum(1)
    marginal = p.mean(0)
    divergence = surprise - p @ np.log(marginal, out=np.zeros(k), where=marginal > 0)
    mean = float(divergence.mean())
    warnings: tuple[str, ...] = ()
    if n < 50 * k:
        warnings = (
            f"{n:,} pictures are few for {k:,} classes: the score is too low; give at least {50 * k:,}, or compare it "
            "only with values at the same number.",
        )
    if n < 2:
        return Estimate(math.exp(mean), warnings=warnings)
    variance = (np.einsum("nk,nk->k", p, p) - n * marginal**2) / (n - 1)
    ratio = np.divide(variance, marginal, out=np.zeros(k), where=marginal > 0)
    middle = mean + float(ratio.sum()) / (2 * n)
    half = Z95 * float(divergence.std(ddof=1)) / math.sqrt(n)
    words = "analytic: delta method on the logarithm, its bias of order 1/N taken off"
    low, high = math.exp(max(0.0, middle - half)), min(float(k), math.exp(middle + half))
    return Estimate(math.exp(mean), low, high, words, warnings, {"corrected": math.exp(middle)})
