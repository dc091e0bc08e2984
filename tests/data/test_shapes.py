"""The drawn set: the right shape in the right place, always the same bytes, factors known exactly."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mezzotint.core.errors import DataError
from mezzotint.data import shapes as module
from mezzotint.data.shapes import DOMAINS, FACTORS, SYMMETRY, factors_of, render, sample_factors, shapes

FACTORS_INDEX = {name: k for k, name in enumerate(FACTORS)}
factor_rows = st.tuples(*(st.integers(0, len(values) - 1) for values in FACTORS.values()))


def row(**named: int) -> np.ndarray:
    return np.array([[named.get(name, 0) for name in FACTORS]])


def cover(factors: np.ndarray, size: int, domain: str = "flat") -> np.ndarray:
    """Where the picture differs from its ground, by comparing two colours. [N, size, size] bool."""
    other = factors.copy()
    other[:, 1] = (other[:, 1] + 4) % 8
    return (render(factors, size, domain) != render(other, size, domain)).any(axis=3)


@pytest.mark.parametrize(
    ("size", "domain", "digest"),
    [
        (32, "flat", "d0a93e8c4252ff83"),
        (32, "outline", "bf0bd73012222ea0"),
        (32, "textured", "b0ff0f521d9eed27"),
        (64, "flat", "ede7b6f0ac9f5cfa"),
    ],
)
def test_golden_bytes(size: int, domain: str, digest: str) -> None:
    pictures = render(sample_factors(500, 7), size, domain)
    assert hashlib.sha256(pictures.tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("shape", range(6))
@pytest.mark.parametrize("size", [32, 64])
def test_shapes_are_where_the_factors_say(shape: int, size: int) -> None:
    """Against Pillow's own polygons, drawn 16 times larger and averaged."""
    rng = np.random.default_rng(shape)
    for _ in range(6):
        factors = row(shape=shape, **{k: int(rng.integers(len(v))) for k, v in FACTORS.items() if k != "shape"})
        factors[0, FACTORS_INDEX["background"]], factors[0, FACTORS_INDEX["colour"]] = 0, 5
        _, _, radius, x, y, turn, _ = factors[0]
        angle = np.deg2rad(FACTORS["rotation"][turn])
        if FACTORS["shape"][shape] == "ellipse":
            t = np.linspace(0, 2 * np.pi, 90)
            corners = np.stack([np.cos(t), 0.55 * np.sin(t)], axis=1)
        else:
            corners = module._outline(FACTORS["shape"][shape])
        assert np.hypot(*corners.T).max() <= 1.03
        corners = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corners = corners * FACTORS["size"][radius] + (FACTORS["x"][x], FACTORS["y"][y])
        big = Image.new("L", (size * 16, size * 16))
        ImageDraw.Draw(big).polygon([tuple(c) for c in corners * size * 16 - 0.5], fill=255)
        truth = np.asarray(big, float).reshape(size, 16, size, 16).mean(axis=(1, 3)) / 255
        white, blue = (np.array(c, float) for c in (module._GROUNDS["white"][0], module._COLOURS["blue"]))
        want = white + (blue - white) * truth[..., None]
        error = np.abs(render(factors, size)[0] - want)
        assert error.mean() < 0.6
        assert error.max() < 70


@given(factor_rows, st.sampled_from([32, 64]), st.sampled_from(DOMAINS))
@settings(max_examples=40, deadline=None)
def test_moving_a_step_moves_the_pixels(factors: tuple[int, ...], size: int, domain: str) -> None:
    first = np.array([factors])
    first[0, 3:5] = np.minimum(first[0, 3:5], 14)
    second = first.copy()
    second[0, 3:5] += 1
    step = size // 32
    before, after = cover(first, size, domain)[0], cover(second, size, domain)[0]
    # float rounding may fall the other way at an edge, by one grey level of 255
    np.testing.assert_allclose(
        np.roll(before, (step, step), (0, 1)).astype(float),
        after.astype(float),
        atol=1 / 255 if after.dtype.kind == "f" else 1,
    )


@pytest.mark.parametrize("shape", range(6))
def test_symmetry_is_as_documented(shape: int) -> None:
    turns = np.repeat(row(shape=shape, size=5, x=8, y=8), 16, axis=0)
    turns[:, 5] = range(16)
    pictures = render(turns, 64).astype(int)
    period = SYMMETRY[FACTORS["shape"][shape]]
    for k in range(16):
        same = 22.5 * k % period == 0
        difference = np.abs(pictures[k] - pictures[0]).max()
        assert (difference <= 1) == same
    assert len(np.unique(pictures.round(-1).reshape(16, -1), axis=0)) >= min(16, period / 22.5)


@given(factor_rows)
@settings(max_examples=40, deadline=None)
def test_domains_show_the_same_scene(factors: tuple[int, ...]) -> None:
    rows = np.array([factors])
    boxes = []
    for domain in DOMAINS:
        where = np.argwhere(cover(rows, 64, domain)[0])
        boxes.append((*where.min(axis=0), *where.max(axis=0)))
    assert np.ptp(np.array(boxes), axis=0).max() <= 1


def test_both_sizes_show_the_same_scene() -> None:
    factors = sample_factors(100, 3)
    for domain in ("flat", "outline"):
        small, big = render(factors, 32, domain), render(factors, 64, domain)
        halved = big.reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4))
        assert np.abs(halved - small).mean() < 1.0


def test_every_pair_of_classes_and_grounds_differs() -> None:
    for name, count in zip(FACTORS, map(len, FACTORS.values()), strict=True):
        rows = np.repeat(row(size=4, x=7, y=7, shape=4), count, axis=0)
        rows[:, FACTORS_INDEX[name]] = range(count)
        for domain in DOMAINS:
            assert len(np.unique(render(rows, 32, domain).reshape(count, -1), axis=0)) == count


def test_sampling_is_uniform_and_has_a_stable_prefix() -> None:
    factors = sample_factors(5000, 1)
    np.testing.assert_array_equal(sample_factors(10, 1), factors[:10])
    for column, values in zip(factors.T, FACTORS.values(), strict=True):
        counts = np.bincount(column, minlength=len(values))
        expected = 5000 / len(values)
        assert ((counts - expected) ** 2 / expected).sum() < len(values) + 6 * np.sqrt(2 * len(values))


def test_chunks_do_not_show() -> None:
    factors = sample_factors(150, 2)
    whole = render(factors)
    np.testing.assert_array_equal(whole, np.concatenate([render(factors[k : k + 1]) for k in range(150)]))
    assert render(factors[:0]).shape == (0, 32, 32, 3)


def test_the_set_and_its_words() -> None:
    made = shapes(300, 32, "outline", seed=4)
    factors = sample_factors(300, 4)
    np.testing.assert_array_equal(factors_of(made.attributes), factors)
    np.testing.assert_array_equal(made.pictures, render(factors, 32, "outline"))
    np.testing.assert_array_equal(made.labels, factors[:, 0])
    assert made.classes == FACTORS["shape"]
    assert made.captions is not None
    for k, caption in enumerate(made.captions):
        assert f" {made.attributes['colour'][k]} {made.attributes['shape'][k]} " in caption
        assert caption.endswith(f"on a {made.attributes['background'][k]} ground")
        assert ("left" in caption) <= bool(made.attributes["left"][k])
    assert all(c.dtype == np.float64 or c.dtype.kind == "U" for c in made.attributes.values())
    prints = {shapes(n, size, d, s).fingerprint for n in (1, 2) for size in (32, 64) for d in DOMAINS for s in (0, 1)}
    assert len(prints) == 24


def test_mistakes() -> None:
    for arguments in ({"n": 0}, {"size": 48}, {"domain": "outlined"}):
        with pytest.raises(DataError):
            shapes(**{"n": 1, **arguments})
    for factors in (row(shape=6), row(x=-1), np.zeros((1, 3), int), np.zeros((1, 7))):
        with pytest.raises(DataError):
            render(factors)
    made = dict(shapes(3).attributes)
    with pytest.raises(DataError, match="never has"):
        factors_of({**made, "x": made["x"] + 0.01})
    del made["x"]
    with pytest.raises(DataError, match="no column"):
        factors_of(made)
