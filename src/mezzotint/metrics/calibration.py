"""Probabilities out of scores: Platt (1999), "Probabilistic outputs for support vector machines"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def platt(scores: Array, truth: Array) -> tuple[float, float]:
    """Slope a and offset b of P(true) = sigmoid(a * score + b), with the paper's targets, which keep both finite.

    Args:
        scores: [N], on any scale.
        truth: [N], 1 or 0.

    Returns:
        (a, b), by Newton's method on the cross-entropy, which is convex. The slope is below 0 for scores that are lower
        for what is true.

    Example:
        >>> a, b = platt(np.array([3.0, 4.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0, 0.0]))
        >>> a > 0, round(-b / a, 3)
        (True, 2.5)
    """
    middle, scale = scores.mean(), scores.std() or 1.0
    x = np.stack([(scores - middle) / scale, np.ones_like(scores)], 1)
    ones, zeros = truth.sum(), (1 - truth).sum()
    target = np.where(truth > 0, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    weights, loss = np.zeros(2), np.inf
    for _ in range(100):
        q = sigmoid(x @ weights)
        gradient = x.T @ (q - target)
        curvature = (x.T * (q * (1 - q))) @ x + 1e-9 * np.eye(2)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while size > 1e-6 and _entropy(x @ (weights - size * step), target) > loss + 1e-12:
            size /= 2
        weights = weights - size * step
        before, loss = loss, _entropy(x @ weights, target)
        if before - loss < 1e-9:
            break
    return float(weights[0] / scale), float(weights[1] - weights[0] * middle / scale)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), for any size of x."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def _entropy(logits: Array, target: Array) -> float:
    return float((np.logaddexp(0, logits) - target * logits).sum())
