"""Precision, recall, density and coverage by hand, by scikit-learn's neighbours, and as properties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from mezzotint.core.errors import DataError
from mezzotint.metrics.prdc import NAMES, prdc, radii


def plainly(x: np.ndarray, y: np.ndarray, k: int) -> list[float]:
    """The published formulas, word by word."""
    real = NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k]
    fake = NearestNeighbors(n_neighbors=k + 1).fit(y).kneighbors(y)[0][:, k]
    apart = cdist(x, y)
    inside = apart <= real[:, None]
    return [
        inside.any(0).mean(), (apart <= fake).any(1).mean(), inside.sum() / (k * len(y)), inside.any(1).mean()
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "m", "d", "k"), [(40, 30, 2, 3), (600, 530, 8, 5), (30, 700, 1, 1)])
def test_against_scikit_learns_neighbours(n: int, m: int, d: int, k: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, d)), 0.8 * rng.normal(size=(m, d)) + 0.4
    found = prdc(x, y, k)
    assert tuple(found) == NAMES
    assert [each.value for each in found.values()] == pytest.approx(plainly(x, y, k), rel=1e-9)


def test_by_hand() -> None:
    """Real 0, 1, 3 reach 1, 1, 2 to their nearest; generated 0.5 and 9 reach 8.5 each."""
    found = prdc([[0.0], [1.0], [3.0]], [[0.5], [9.0]], k=1)
    # 0.5 lies in the balls of 0 and of 1, not in that of 3 (2.5 away); 9 in none.
    assert found["precision"].value == 1 / 2
    assert found["recall"].value == 1.0
    assert found["density"].value == 2 / 2
    assert found["coverage"].value == pytest.approx(2 / 3)


def test_a_twin_is_a_neighbour_at_distance_zero() -> None:
    assert radii(np.array([[0.0], [0.0], [2.0]]), 1).tolist() == [0, 0, 4]


def test_what_they_tell_apart() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(150, 4)), rng.normal(size=(150, 4)) + 20])
    dropped = rng.normal(size=(300, 4))
    found = prdc(x, dropped)
    assert found["precision"].value > 0.9
    assert found["recall"].value < 0.6
    assert found["coverage"].value < 0.6
    far = prdc(x, x + 1000)
    assert [each.value for each in far.values()] == [0, 0, 0, 0]
    assert all(each.low == 0 and each.high > 0 for each in far.values())


def test_intervals_lie_where_they_can() -> None:
    rng = np.random.default_rng(0)
    for name, found in prdc(rng.normal(size=(400, 3)), rng.normal(size=(400, 3))).items():
        assert 0 <= found.low <= found.value <= found.high
        assert name == "density" or found.high <= 1
        assert "400 pictures are few" in found.warnings[0]


def test_few_have_no_interval_or_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    assert "needs at least 55" in prdc(x, x)["recall"].interval
    with pytest.raises(DataError, match="at least 6 pictures of each kind; got 5"):
        prdc(x, x[:5])
    with pytest.raises(DataError, match="k is at least 1"):
        prdc(x, x, 0)
    with pytest.raises(DataError, match="got 2 and 1"):
        prdc(x, x[:, :1])
