"""The Fréchet distance against closed forms, scipy's root of a matrix, and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from mezzotint.core.errors import DataError
from mezzotint.metrics.frechet import distance_of_moments, frechet_distance
from mezzotint.metrics.moments import Moments


def by_scipy(x: np.ndarray, y: np.ndarray) -> float:
    a, b = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(a @ b)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * np.real(root)))


def exactly(n: int, d: int, seed: int) -> np.ndarray:
    """Rows whose mean is 0 and whose covariance is the unit matrix, exactly."""
    rows = np.random.default_rng(seed).normal(size=(n, d))
    rows -= rows.mean(0)
    return np.linalg.qr(rows)[0] * np.sqrt(n - 1)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 5), (500, 400, 40), (300, 300, 1)])
def test_against_scipys_sqrtm(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(d)
    x = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    y = rng.exponential(size=(m, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    expected = by_scipy(x, y) if d > 1 else (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y, interval=False).value == pytest.approx(expected, rel=1e-6)


def test_gaussians_with_known_moments() -> None:
    x, y = exactly(50, 6, 0), exactly(70, 6, 1)
    scale, shift = np.array([1.0, 2, 3, 4, 5, 6]), np.arange(6.0)
    # Diagonal covariances: the sum of squared differences of standard deviations.
    found = frechet_distance(x, y * scale + shift)
    assert found.value == pytest.approx(((scale - 1) ** 2).sum() + (shift**2).sum(), rel=1e-9)
    assert found.details["mean_part"] == pytest.approx((shift**2).sum(), rel=1e-9)


def test_few_pictures_and_many_features() -> None:
    """n = 100, d = 2048: the trace is that of the small cross product of the centred rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 2048)), 1.5 * rng.normal(size=(100, 2048)) + 0.1
    a, b = ((rows - rows.mean(0)) / np.sqrt(99) for rows in (x, y))
    nuclear = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * nuclear
    found = frechet_distance(x, y)
    assert found.value == pytest.approx(expected, rel=1e-6)
    assert found.low is None
    assert "100 pictures are fewer than the 2,048 features" in found.warnings[0]
    assert "8,200 pictures" in found.interval


def test_rows_and_moments_agree_on_either_side_of_n_equal_to_d() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 11, 12, 13, 40):
        x, y = rng.normal(size=(n, 12)), rng.normal(size=(n + 1, 12)) + 1
        found = frechet_distance(x, y, interval=False).value
        assert distance_of_moments(Moments.of(x), Moments.of(y)) == pytest.approx(found, rel=1e-6)


def test_against_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 12)), rng.uniform(size=(300, 12))
    parts = [torch.from_numpy(p) for p in (x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))]
    assert frechet_distance(x, y, interval=False).value == pytest.approx(float(_compute_fid(*parts)), rel=1e-6)


def test_dead_features_and_equal_sets() -> None:
    rng = np.random.default_rng(0)
    x = np.hstack([rng.normal(size=(60, 3)), np.zeros((60, 2))])
    assert frechet_distance(x, x).value == pytest.approx(0, abs=1e-9)
    found = frechet_distance(x, x + np.eye(5)[3])
    assert found.value == pytest.approx(1, rel=1e-9)
    assert np.isfinite([found.low, found.high]).all()


def test_it_is_symmetric_and_does_not_see_rotations() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 5)), rng.normal(size=(90, 5)) * 2
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    a, b = Moments.of(x), Moments.of(y)
    assert distance_of_moments(a, b) == pytest.approx(distance_of_moments(b, a), rel=1e-9)
    assert distance_of_moments(Moments.of(x @ turn), Moments.of(y @ turn)) == pytest.approx(
        distance_of_moments(a, b), rel=1e-9
    )


def test_influence_is_the_derivative() -> None:
    """A row that is seen a little more often moves the distance by its influence."""
    from mezzotint.metrics.frechet import _Gaussian, _solve

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) * [1, 2, 0.5] + 1
    for side, rows in ((0, x), (1, y)):
        pull = _solve(_Gaussian.of_rows(x), _Gaussian.of_rows(y), vectors=True).influence(rows, side)
        pull -= pull.mean()
        for row in (0, 7):
            step = 1e-6
            weights = np.full(len(rows), (1 - step) / len(rows))
            weights[row] += step
            moved = Moments(3)
            moved.count = len(rows)
            moved.mean = weights @ rows
            moved.scatter = (rows - moved.mean).T @ ((rows - moved.mean) * weights[:, None]) * len(rows)
            still = Moments.of(rows)
            pairs = [(moved, Moments.of(y)), (still, Moments.of(y))] if side == 0 else [
                (Moments.of(x), moved), (Moments.of(x), still)]  # fmt: skip
            found = (distance_of_moments(*pairs[0]) - distance_of_moments(*pairs[1])) / step
            # The influence is of weights that sum to one, the covariance divides by N - 1.
            assert found == pytest.approx(pull[row], rel=0.06)


def test_the_interval_is_for_large_samples() -> None:
    """The value is too high by the bias of few pictures, the interval is not."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 20)), rng.normal(size=(400, 20)) + 0.5
    found = frechet_distance(x, y)
    assert found.low <= 5.0 <= found.high
    assert found.value > found.details["extrapolated"] + 0.3
    assert frechet_distance(x, y) == found


@pytest.mark.parametrize(("n", "m"), [(1, 5), (5, 1), (0, 5)])
def test_too_few_is_refused(n: int, m: int) -> None:
    with pytest.raises(DataError, match=rf"at least 2 pictures .* got {min(n, m)}"):
        frechet_distance(np.zeros((n, 3)), np.zeros((m, 3)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="got 3 and 4"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(DataError, match="not finite"):
        frechet_distance(np.full((5, 3), np.inf), np.zeros((5, 3)))
