"""Calibration against scikit-learn's logistic regression and Platt's own property."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mezzotint.metrics.calibration import platt, sigmoid


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_many_scores_give_what_logistic_regression_gives(scale: float) -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(1, 1, 3000), rng.normal(0, 1, 2000)])
    truth = np.repeat([1.0, 0.0], [3000, 2000])
    fit = LogisticRegression(C=1e6).fit(scores[:, None], truth)
    slope, offset = platt(scores * scale, truth)
    assert slope * scale == pytest.approx(fit.coef_[0, 0], rel=5e-3)
    assert offset == pytest.approx(fit.intercept_[0], abs=5e-3)


def test_what_can_be_told_apart_keeps_a_finite_slope() -> None:
    """Platt's targets for n and m examples are (n + 1) / (n + 2) and 1 / (m + 2), and the fit's mean is theirs."""
    scores, truth = np.array([5.0, 5.0, 5.0, -5.0]), np.array([1.0, 1.0, 1.0, 0.0])
    slope, offset = platt(scores, truth)
    assert sigmoid(slope * scores + offset) == pytest.approx([0.8, 0.8, 0.8, 1 / 3], abs=1e-6)
