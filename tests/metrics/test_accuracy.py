"""The classification accuracy score against scikit-learn, and its interval against statsmodels' published values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from mezzotint.core.errors import DataError
from mezzotint.metrics.accuracy import classification_accuracy, wilson


def test_real_digits_teach_real_digits() -> None:
    x, y = load_digits(return_X_y=True)
    found = classification_accuracy(x[:900], y[:900], x[900:], y[900:])
    mean, sd = x[:900].mean(0), x[:900].std(0)
    sd[sd == 0] = 1
    judge = LogisticRegression(max_iter=500).fit((x[:900] - mean) / sd, y[:900])
    assert found.value == pytest.approx(judge.score((x[900:] - mean) / sd, y[900:]), abs=2 / 897)
    assert found.value > 0.85
    assert found.low < found.value < found.high
    assert not found.warnings


def test_labels_that_mean_nothing_teach_nothing() -> None:
    x, y = load_digits(return_X_y=True)
    wrong = np.random.default_rng(0).permutation(y[:600])
    assert classification_accuracy(x[:600], wrong, x[900:], y[900:]).value < 0.25


@pytest.mark.parametrize(("right", "count"), [(8, 10), (0, 7), (7, 7), (640, 1000)])
def test_wilson_against_scipy(right: int, count: int) -> None:
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_classes_that_were_not_made_are_told_of() -> None:
    x = np.array([[0.0], [0.1], [1.0], [1.1], [2.0]])
    found = classification_accuracy(x[:4], [0, 0, 1, 1], x, [0, 0, 1, 1, 2])
    assert found.value == 4 / 5
    assert any("1 classes of the real pictures were not generated" in each for each in found.warnings)
    assert any("few to train on" in each for each in found.warnings)


def test_what_does_not_fit_is_refused() -> None:
    x = np.zeros((4, 1))
    with pytest.raises(DataError, match="at least 2 classes"):
        classification_accuracy(x, [1, 1, 1, 1], x, [0, 1, 0, 1])
    with pytest.raises(DataError, match="4 generated pictures need as many"):
        classification_accuracy(x, [1, 1], x, [0, 1, 0, 1])
    with pytest.raises(DataError, match="no real picture"):
        classification_accuracy(x, [0, 1, 0, 1], x[:0], np.zeros(0, int))
