"""Counting modes: samples made by hand, SciPy's divergence, and the closed form for true Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, entropy

from mezzotint.core.errors import DataError
from mezzotint.metrics.modes import class_modes, point_modes

SQUARE = [(0.0, 0.0), (2.0, 0.0), (0.0, 2.0), (2.0, 2.0)]


def test_samples_made_by_hand() -> None:
    """Two good samples of one mode, one just beyond three sigma of another, one nowhere; a third is hit exactly."""
    samples = [(0.29, 0.0), (0.0, -0.1), (2.0, 0.301), (0.9, 0.9), (0.0, 2.0)]
    found = point_modes(samples, SQUARE, 0.1)
    assert found.found.value == 2  # (2, 0) has only a sample that is not good
    assert found.found.details["of"] == 4
    assert found.good.value == 3 / 5
    assert found.kl.value == pytest.approx(entropy([3, 1, 1, 0], [1, 1, 1, 1]), abs=1e-12)


def test_half_the_modes() -> None:
    noise = np.random.default_rng(0)
    places = np.array(SQUARE[:2])[noise.integers(0, 2, 4000)] + 0.05 * noise.standard_normal((4000, 2))
    found = point_modes(places, SQUARE, 0.05)
    assert (found.found.value, found.found.low, found.found.high) == (2, 2, 2)
    assert found.kl.low < math.log(2) < found.kl.high
    # Of a Gaussian of the plane, exp(-9 / 2) lies beyond three sigma.
    assert found.good.details["expected"] == pytest.approx(1 - math.exp(-4.5))
    assert found.good.low < 1 - math.exp(-4.5) < found.good.high
    exact = binomtest(round(found.good.value * 4000), 4000).proportion_ci(0.95, "exact")
    assert (found.good.low, found.good.high) == (exact.low, exact.high)


@pytest.mark.parametrize("measured", [False, True])
def test_divergence_is_scipys(measured: bool) -> None:
    noise = np.random.default_rng(1)
    classes = noise.choice(6, 500, p=[0.5, 0.2, 0.1, 0.1, 0.1, 0.0])
    real = [5, 1, 7, 3, 3, 9] if measured else None
    found = class_modes(classes, 6, real)
    truth = np.ones(6) if real is None else np.array(real)
    assert found.kl.value == pytest.approx(entropy(np.bincount(classes, minlength=6), truth), abs=1e-12)
    assert found.found.value == 5


def test_intervals_hold_what_they_promise() -> None:
    """Over 300 repetitions the two intervals hold the truth about as often as they say."""
    noise = np.random.default_rng(2)
    share = np.arange(1, 31) / np.arange(1, 31).sum()
    truth, hits, modes = entropy(share, np.ones(30)), 0, 0
    for _ in range(300):
        found = class_modes(noise.choice(30, 3000, p=share), 30)
        hits += found.kl.low <= truth + found.kl.details["expected"] <= found.kl.high
        few = class_modes(noise.integers(0, 200, 300), 200).found
        assert few.value < 200
        modes += few.low <= 200 <= few.high
    assert hits / 300 >= 0.91
    assert modes / 300 >= 0.91


def test_a_perfect_model_is_expected_above_zero() -> None:
    noise = np.random.default_rng(3)
    values = [class_modes(noise.integers(0, 50, 2000), 50).kl for _ in range(100)]
    assert np.mean([each.value for each in values]) == pytest.approx(values[0].details["expected"], rel=0.05)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(DataError, match="from 0 to 3; got 0 to 4"):
        class_modes([0, 4], 4)
    with pytest.raises(DataError, match="at least 1"):
        class_modes(np.empty(0, np.int64), 4)
    with pytest.raises(DataError, match="4 numbers"):
        class_modes([0], 4, [1, 2])
    with pytest.raises(DataError, match="not finite"):
        point_modes([(0.0, math.nan)], SQUARE, 0.1)
    with pytest.raises(DataError, match="above 0"):
        point_modes([(0.0, 0.0)], SQUARE, 0.0)
    impossible = class_modes([0, 1], 2, [1, 0]).kl
    assert math.isinf(impossible.value)
    assert "infinite" in impossible.warnings[0]
