"""Nearest neighbours against scikit-learn, and the memorising test against scipy and on copies made on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import brunnermunzel, mannwhitneyu, norm
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from mezzotint.core.errors import DataError
from mezzotint.metrics.neighbours import memorising, nearest


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 5)) + 50, rng.normal(size=(400, 5)) + 50
    far, where = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(y).kneighbors(x)
    mine, distance = nearest(x, y, 3)
    assert (mine == where).all()
    np.testing.assert_allclose(distance, far, rtol=1e-6)


def test_a_copy_is_at_distance_zero_however_far_from_the_middle() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 8)) * 1e-3 + 1e4
    where, far = nearest(rows[20:30], rows)
    assert where[:, 0].tolist() == list(range(20, 30))
    assert (far == 0).all()


def test_of_equal_ones_the_first_is_named() -> None:
    assert nearest([[0.0]], [[1.0], [-1.0], [1.0]], 2)[0].tolist() == [[0, 1]]


def gaussians(*counts: int, d: int = 4, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) for n in counts]


def test_the_test_is_mann_whitneys() -> None:
    samples, held, training = gaussians(150, 120, 300)
    found = memorising(samples, held, training)
    a, b = (nearest(x, training)[1][:, 0] for x in (samples, held))
    u = mannwhitneyu(a, b, alternative="less", method="asymptotic", use_continuity=False)
    assert found.details["p"] == pytest.approx(float(u.pvalue), rel=1e-9)
    assert norm.cdf(found.details["c_t"]) == pytest.approx(float(u.pvalue), rel=1e-6)
    truth = np.concatenate([np.zeros(150), np.ones(120)])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([a, b])), rel=1e-9)


def test_its_spread_is_brunner_and_munzels() -> None:
    from mezzotint.metrics.neighbours import _superiority

    a, b = (rows[:, 0] for rows in gaussians(60, 80))
    b = b * 2 + 0.5
    value, sd = _superiority(a, b)
    statistic = brunnermunzel(a, b).statistic
    assert abs((value - 0.5) / sd) == pytest.approx(abs(statistic), rel=1e-6)


def test_ties_count_half() -> None:
    training = np.zeros((3, 1))
    found = memorising([[1.0], [1.0], [2.0]], [[1.0], [2.0], [2.0]], training)
    # 1 < 2 in 4 of 9 pairs; equal are 1 and 1 (twice), 2 and 2 (twice).
    assert found.value == pytest.approx((4 + 4 / 2) / 9)


def test_copies_are_found_and_an_honest_model_is_not_accused() -> None:
    samples, held, training = gaussians(300, 300, 500, d=8)
    honest = memorising(samples, held, training)
    assert honest.low < 0.5 < honest.high
    assert not honest.warnings
    copier = memorising(training[:300] + 0.1 * samples, held, training)
    assert copier.low > 0.9
    assert copier.details["c_t"] < -3
    assert "the model copies" in copier.warnings[-1]
    exact = memorising(training[:300], held, training)
    assert exact.details["copies"] == 300


def test_one_copy_in_ten_is_found_too() -> None:
    """The mean does not see it, the near end does."""
    samples, held, training = gaussians(400, 400, 500, d=8)
    some = np.concatenate([samples[:360] * 1.2, training[:40] + 0.01 * samples[:40]])
    found = memorising(some, held, training)
    assert found.details["p"] > 0.05
    assert found.details["near_p"] < 0.001
    assert "copies some of them" in found.warnings[-1]


def test_pictures_unlike_any_are_no_copies() -> None:
    samples, held, training = gaussians(100, 100, 200)
    found = memorising(samples + 99, held, training)
    assert found.value == 0
    assert found.high < 0.1


def test_too_few_are_refused() -> None:
    samples, held, training = gaussians(5, 5, 9)
    assert "5 pictures are few" in memorising(samples, held, training).warnings[0]
    with pytest.raises(DataError, match="got 1 and 5"):
        memorising(samples[:1], held, training)
    with pytest.raises(DataError, match="got 0"):
        nearest(samples, training[:0])
    with pytest.raises(DataError, match="got 4 and 2"):
        nearest(samples, training[:, :2])
