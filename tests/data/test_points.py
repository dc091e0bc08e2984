"""Points of the plane as pictures, and digits stacked as colours."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, chisquare, kstest

from mezzotint.core.errors import DataError
from mezzotint.data.named import describe, load_named
from mezzotint.data.open import open_pictures
from mezzotint.data.points import MIXTURES, SHOWN, Points, mixture
from mezzotint.data.raw import RawArrays
from mezzotint.data.scatter import scatter
from mezzotint.data.stacked import stack
from mezzotint.data.types import DataConfig


@pytest.mark.parametrize(("name", "modes", "sigma"), [("ring", 8, 0.02), ("grid", 25, 0.05)])
def test_points_are_distributed_as_stated(name: str, modes: int, sigma: float) -> None:
    pictures = open_pictures(name)
    assert pictures.pictures.dtype == np.uint16
    assert pictures.shape == (1, 1, 2)
    known = pictures.meaning.known_modes()
    assert known is not None
    assert pictures.labels is not None
    assert (len(known.places), known.sigma, len(pictures.classes)) == (modes, sigma, modes)
    places = pictures.meaning.numbers(pictures.pictures)
    away = places - np.array(known.places)[pictures.labels]
    # Squared distances from a Gaussian's centre in the plane follow the chi-squared law of two degrees.
    assert kstest((away**2).sum(1) / sigma**2, chi2(2).cdf).pvalue > 0.001
    assert chisquare(np.bincount(pictures.labels)).pvalue > 0.001
    exact = np.stack([pictures.attributes["x"], pictures.attributes["y"]], 1)
    assert np.abs(places - exact).max() < sigma / 200


def test_the_modes_are_where_the_papers_have_them() -> None:
    ring, grid = (np.array(MIXTURES[name].points.modes) for name in ("ring", "grid"))
    np.testing.assert_allclose(np.hypot(*ring.T), 2)
    gaps = np.linalg.norm(ring - np.roll(ring, 1, 0), axis=1)
    np.testing.assert_allclose(gaps, 4 * np.sin(np.pi / 8))
    assert {tuple(place) for place in grid} == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}


def test_equal_seeds_give_equal_points() -> None:
    one, other, longer = mixture("ring", 50, 3), mixture("ring", 50, 3), mixture("ring", 80, 3)
    np.testing.assert_array_equal(one.pictures, other.pictures)
    np.testing.assert_array_equal(one.pictures, longer.pictures[:50])
    assert one.fingerprint == other.fingerprint != longer.fingerprint
    assert not np.array_equal(one.pictures, mixture("ring", 50, 4).pictures)


def test_levels_go_there_and_back() -> None:
    points = Points(-3.0, 3.0, (), 1.0)
    levels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(-1, 1, 2, 1)
    np.testing.assert_array_equal(points.levels(points.numbers(levels)), levels)
    assert points.levels(np.array([[-9.0, 9.0]])).ravel().tolist() == [0, 65535]
    for refuse in (points.levels, points.stored):
        with pytest.raises(DataError, match="diverged"):
            refuse(np.array([[np.nan, 0.0]]))


def test_splits_keep_what_points_are_and_options_of_pictures_are_refused() -> None:
    pictures = open_pictures("grid", DataConfig(validation=0.2))
    assert pictures.meaning == MIXTURES["grid"].points
    assert pictures.split("validation").meaning == pictures.meaning
    assert open_pictures(pictures, DataConfig(validation=0.2, size=(1, 2))).meaning == pictures.meaning
    for settings in ({"size": 32}, {"mode": "rgb"}, {"flip": True}):
        with pytest.raises(DataError, match=f"grid holds points of the plane, to which {next(iter(settings))} does"):
            open_pictures("grid", DataConfig(**settings))


def test_a_scatter_plot_has_the_points_where_they_are() -> None:
    made, real = np.array([[0.5, 0.5], [7.0, 0.0]]), np.array([[0.5, -0.5]])
    picture = scatter(made, real, low=-1, high=1, modes=[(-0.5, -0.5)], sigma=0.02)
    red = picture[..., 0].astype(int) - picture[..., 1]
    rows, columns = np.nonzero(red > 100)
    near = columns < 500
    assert rows[near].mean() == pytest.approx(0.25 * 512, abs=2)  # y goes up
    assert columns[near].mean() == pytest.approx(0.75 * 512, abs=2)
    assert columns[~near].min() > 508  # beyond the range: at the edge
    assert picture[383, 383].tolist() == [205, 205, 205]
    blue = picture[..., 2].astype(int) - picture[..., 0] > 50
    assert np.argwhere(blue).mean(0) == pytest.approx([384, 128], abs=2)


def test_sheets_of_points_are_plots_of_all() -> None:
    points = Points(-1.0, 1.0, ((0.0, 0.0),), 0.1)
    stored = points.stored(np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 1, 1, 2))
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(points.numbers(stored)[:, 0], [-1, -3 / 7, 1 / 7, 5 / 7], atol=1e-4)
    places = points.numbers(stored)
    plain = scatter(places, low=-1, high=1, modes=points.modes, sigma=0.1)
    np.testing.assert_array_equal(points.sheet(stored, columns=2), plain)
    over = scatter(places[:1], places[1:], low=-1, high=1, modes=points.modes, sigma=0.1)
    np.testing.assert_array_equal(points.pairs(stored[1:], stored[:1]), over)
    frames = points.frames(stored)
    assert frames.shape == (4, 512, 512, 3)
    np.testing.assert_array_equal(frames[2], points.sheet(stored[2:3]))
    assert (points.enough(64), points.enough(5000)) == (SHOWN, 5000)
    assert Points(-1.0, 1.0, (), 0.1).known_modes() is None


def _digits() -> RawArrays:
    """40 digits that show their own label as brightness; every fourth is for testing."""
    labels = np.arange(40) % 10
    pictures = np.broadcast_to(labels[:, None, None, None] * 20, (40, 4, 4, 1)).astype(np.uint8)
    test = np.arange(40) % 4 == 0
    parts = {"train": np.flatnonzero(~test), "test": np.flatnonzero(test)}
    return RawArrays(pictures, labels.astype(np.int64), tuple("0123456789"), fixed_splits=parts)


def test_stacked_digits_show_their_number() -> None:
    made = stack(_digits(), 300, 100, seed=1)
    assert made.pictures.shape == (400, 4, 4, 3)
    shown = made.pictures[:, 0, 0].astype(np.int64) // 20 @ np.array([100, 10, 1])
    np.testing.assert_array_equal(made.labels, shown)
    assert made.classes[int(shown[0])] == f"{shown[0]:03d}"
    assert made.fixed_splits is not None
    test = made.pictures[made.fixed_splits["test"]]
    assert set(np.unique(test) // 20) <= {0, 2, 4, 6, 8}  # the labels of the digits for testing
    np.testing.assert_array_equal(stack(_digits(), 300, 100, seed=1).pictures, made.pictures)


def test_stacked_mnist() -> None:
    root = os.environ.get("MEZZOTINT_DATA")
    if not root or not all((Path(root) / "mnist" / file.name).is_file() for file in describe("mnist").files):
        pytest.skip("mnist is not in MEZZOTINT_DATA")
    made = open_pictures("stacked-mnist")
    assert made.shape == (3, 28, 28)
    assert (len(made), len(made.splits["test"]), len(made.classes)) == (154_000, 26_000, 1000)
    assert made.labels is not None
    assert len(np.unique(made.labels[made.splits["test"]])) == 1000
    digits = load_named("mnist")
    assert digits.fixed_splits is not None
    train, test = (digits.pictures[digits.fixed_splits[part]].reshape(-1, 784) for part in ("train", "test"))
    for part, known in (("train", train), ("test", test)):
        at = made.splits[part][0]
        hundreds = made.pictures[at, ..., 0].reshape(784)
        same = np.flatnonzero((known == hundreds).all(1))
        assert len(same) >= 1
        assert digits.labels is not None
        assert digits.labels[digits.fixed_splits[part][same[0]]] == made.labels[at] // 100
