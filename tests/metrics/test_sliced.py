"""The sliced distance against scipy, exact assignment and the closed form of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from mezzotint.core.errors import DataError
from mezzotint.metrics.sliced import _along, _couple, draw_lines, sliced_wasserstein


@pytest.mark.parametrize("d", [1, 5])
def test_against_exact_assignment(d: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, d)), rng.exponential(size=(30, d))
    expected = []
    for line in draw_lines(d, 7, 3).T:
        cost = (x @ line)[:, None] - y @ line
        expected.append((cost**2)[linear_sum_assignment(cost**2)].mean())
    found = sliced_wasserstein(x, y, directions=7, seed=3)
    assert found.value == pytest.approx(np.sqrt(np.mean(expected)), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(6, 4), (5, 3), (4, 4), (1, 7)])
def test_sets_of_other_sizes_are_those_with_every_row_repeated(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    whole, _ = _along(x.repeat(m, 0), y.repeat(n, 0))
    assert _along(x, y)[0] == pytest.approx(whole, rel=1e-12)


def test_the_coupling_is_the_one_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.normal(size=13)), np.sort(rng.normal(size=8))
    width, i, j = _couple(13, 8)
    assert width.sum() == pytest.approx(1)
    assert (width * abs(x[i] - y[j])).sum() == pytest.approx(wasserstein_distance(x, y), rel=1e-9)


def test_a_shift_of_everything() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    shift = np.array([1.0, 0, 2, 0])
    expected = np.sqrt(np.square(shift @ draw_lines(4, 128, 0)).mean())
    assert sliced_wasserstein(x, x + shift).value == pytest.approx(expected, rel=1e-9)
    assert sliced_wasserstein(x, x).value == 0


def test_gaussians_by_their_closed_form() -> None:
    """Along each line W_2^2 is (difference of means)^2 + (difference of standard deviations)^2."""
    rng = np.random.default_rng(0)
    lines = draw_lines(3, 128, 0)
    shift, scale = np.array([0.5, 0, 0]), np.array([1.0, 2, 1])
    spread = np.sqrt((np.square(lines) * np.square(scale)[:, None]).sum(0))
    expected = np.sqrt(np.mean((shift @ lines) ** 2 + (spread - 1) ** 2))
    found = sliced_wasserstein(rng.normal(size=(2000, 3)), rng.normal(size=(1500, 3)) * scale + shift)
    assert found.low < expected < found.high
    assert found.high - found.low < 0.2 * expected


def test_the_potential_is_the_derivative() -> None:
    """Moving weight onto a row changes the squared distance by its potential."""
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.normal(size=(40, 1)), 0), np.sort(rng.normal(size=(40, 1)) + 1, 0)
    squared, pulls = _along(a, b, potentials=True)
    assert pulls is not None
    grown = _along(np.concatenate([a.repeat(25, 0), a[7:8]]), b.repeat(1, 0))[0]
    step = 1 / (40 * 25 + 1)
    assert (grown - squared) / step == pytest.approx(pulls[0][7], rel=0.1)


def test_lines_have_length_one_and_come_from_the_seed() -> None:
    np.testing.assert_allclose(np.linalg.norm(draw_lines(9, 20, 1), axis=0), 1)
    assert (draw_lines(9, 20, 1) == draw_lines(9, 20, 1)).all()
    assert not (draw_lines(9, 20, 1) == draw_lines(9, 20, 2)).any()


def test_few_have_no_interval_or_are_refused() -> None:
    assert "needs at least 40" in sliced_wasserstein(np.zeros((9, 2)), np.ones((9, 2))).interval
    for x, y in ((np.zeros((1, 2)), np.zeros((5, 2))), (np.zeros((5, 2)), np.zeros((5, 3)))):
        with pytest.raises(DataError, match="at least 2 rows"):
            sliced_wasserstein(x, y)
