"""The kernel distance against its formula, scikit-learn's kernel, torchmetrics, and its variance in simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from mezzotint.core.errors import DataError
from mezzotint.metrics.kid import _by_moments, _by_pairs, _third_moments, kernel, kernel_distance


def sets(n: int, m: int, d: int, seed: int = 0, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def test_by_hand() -> None:
    """Within x 1, within y 64; across 1, 1, 27 and 343, whose mean is 93."""
    assert kernel_distance([[0.0], [2.0]], [[1.0], [3.0]]).value == pytest.approx(1 + 64 - 2 * 93, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 3), (1100, 40, 2), (25, 20, 300)])
def test_against_scikit_learns_kernel(n: int, m: int, d: int) -> None:
    x, y = sets(n, m, d)
    xx, yy, xy = (polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    expected = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()
    assert kernel_distance(x, y).value == pytest.approx(expected, rel=1e-6)


def test_against_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    x, y = sets(60, 60, 5)
    expected = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))
    assert kernel_distance(x, y).value == pytest.approx(expected, rel=1e-6)


def test_both_ways_to_the_row_means_agree() -> None:
    x, y = sets(70, 1500, 6)
    for found, other in zip(_by_moments(x, [_third_moments(x), _third_moments(y)]), (x, y), strict=True):
        np.testing.assert_allclose(found, _by_pairs(x, other), rtol=1e-12)
        np.testing.assert_allclose(found, kernel(x, other).mean(1), rtol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_standard_deviation_is_that_of_repetition(shift: float) -> None:
    found = [kernel_distance(*sets(120, 80, 6, seed, shift)) for seed in range(300)]
    values, claimed = [each.value for each in found], [each.details["sd"] for each in found]
    assert np.sqrt(np.mean(np.square(claimed))) == pytest.approx(np.std(values), rel=0.2)
    if shift == 0:
        assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(300))


def test_few_are_warned_of_or_refused() -> None:
    x, y = sets(5, 200, 3)
    assert "5 pictures are few" in kernel_distance(x, y).warnings[0]
    with pytest.raises(DataError, match="got 1 real"):
        kernel_distance(x[:1], y)
    with pytest.raises(DataError, match="got 3 and 2"):
        kernel_distance(x, y[:, :2])
