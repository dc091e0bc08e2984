"""What a normal q(z|x) tells of pictures: mutual information, the KL divergence from the prior, and active units.

Hoffman and Johnson (2016), "ELBO surgery", split what the bound pays for: E KL(q(z|x) || p(z)) = I(x; z) +
KL(q(z) || p(z)), q(z) being the latents of all pictures together. Only the first of the two tells of pictures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.metrics.score import Z95, Estimate, mean_estimate

ACTIVE = 0.01
"""A unit is active if its mean varies by more than this over pictures (Burda et al. 2016, section 5.1)."""
_ROWS = 500


def latent_information(mean: Any, log_variance: Any, seed: int = 0) -> Estimate:
    """I(x; z) in nats, where x is one of these N pictures, each as likely, and z is drawn from q(z|x).

        I = 1/N sum_n E_q(z|x_n) [ log q(z|x_n) - log 1/N sum_m q(z|x_m) ]

    with one z for each picture. It is at most log N, which it comes to where each picture has latents of its own; then
    the latent may tell more than so many pictures can show.

    Args:
        mean, log_variance: of q(z|x), [N, units].
        seed: of the draws.

    Returns:
        `details` has "most", log N.

    Raises:
        DataError: the two have other shapes, there are fewer than 2 pictures, or a number is not finite.

    Example:
        >>> far = np.array([[-9.0], [0.0], [9.0]])
        >>> round(float(np.exp(latent_information(far, np.zeros((3, 1))).value)), 2)
        3.0
    """
    mean, log_variance = _checked(mean, log_variance)
    n, units = mean.shape
    z = mean + np.exp(0.5 * log_variance) * stream(seed, "latent information").standard_normal((n, units))
    precision = np.exp(-log_variance)
    # log q(z_n | x_m) but for the constant, which cancels: squares written out, so that it is a product of matrices
    each = (mean**2 * precision + log_variance).sum(1)
    found = []
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        log_q = -0.5 * (z[rows] ** 2 @ precision.T - 2 * z[rows] @ (mean * precision).T + each)
        own = log_q[np.arange(len(log_q)), np.arange(start, start + len(log_q))]
        found.append(own - logsumexp(log_q, axis=1) + np.log(n))
    estimate = mean_estimate(np.concatenate(found), "pictures")
    return replace(estimate, details={**estimate.details, "most": float(np.log(n))})


def gaussian_kl_of(mean: Any, log_variance: Any) -> NDArray[np.float64]:
    """KL(q(z|x) || N(0, I)) in nats [N], of mean and log variance [N, units].

    Example:
        >>> gaussian_kl_of(np.ones((1, 2)), np.zeros((1, 2))).tolist()
        [1.0]
    """
    mean, log_variance = _checked(mean, log_variance, least=1)
    found: NDArray[np.float64] = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    return found


def active_units(mean: Any) -> Estimate:
    """How many units' means vary by more than 0.01 over pictures: Var_x(E[z|x]) > 0.01 (Burda et al. 2016).

    The interval counts the units whose variance is above and below it by 1.96 standard errors of a normal variance.

    Args:
        mean: of q(z|x), [N, units], N at least 2.

    Example:
        >>> active_units(np.array([[1.0, 0.0], [-1.0, 0.001], [0.5, 0.0]])).value
        1.0
    """
    mean, _ = _checked(mean, np.zeros_like(mean))
    variance = mean.var(0, ddof=1)
    error = Z95 * variance * np.sqrt(2 / (len(mean) - 1))
    low, value, high = (float((each > ACTIVE).sum()) for each in (variance - error, variance, variance + error))
    return Estimate(value, low, high, f"analytic: normal variances of {len(mean):,} means")


def _checked(mean: Any, log_variance: Any, least: int = 2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(mean, np.float64), np.asarray(log_variance, np.float64)
    if a.shape != b.shape or a.ndim != 2 or len(a) < least:
        raise DataError(
            f"Means and log variances are [N, units], N at least {least}; got {list(a.shape)} and {list(b.shape)}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError("A mean or a log variance is not finite; the model has diverged: take an earlier checkpoint.")
    return a, b
