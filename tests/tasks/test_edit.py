"""Editing by attributes: directions whose answer is known, where attributes come from, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.open import open_pictures
from mezzotint.data.types import PictureSet
from mezzotint.engine.model import PictureSpec
from mezzotint.tasks.edit import attribute, direction, edit

RANDOM = np.random.default_rng(0)
SMILE, AGE = np.array([1.0, 0, 0, 2.0]), np.array([0.0, 3.0, 0, 0])


def people(n: int = 4000, together: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of people who smile or not and have an age; `together` makes the old smile more often."""
    age = RANDOM.normal(40, 10, n)
    smile = (RANDOM.random(n) < 0.5 + together * np.sign(age - 40)).astype(float)
    codes = smile[:, None] * SMILE + (age[:, None] - 40) / 10 * AGE + RANDOM.normal(0, 0.5, (n, 4))
    return codes, smile, age


@pytest.mark.parametrize("method", ["means", "linear"])
def test_directions_are_what_was_put_in(method: Any) -> None:
    codes, smile, age = people()
    np.testing.assert_allclose(direction(codes, age, method), AGE, atol=0.1)
    found = direction(codes, smile, method)
    if method == "means":
        np.testing.assert_allclose(found, SMILE, atol=0.2)
        means = codes[smile == 1].mean(0) - codes[smile == 0].mean(0)
        np.testing.assert_allclose(found, means, atol=1e-9)
    else:
        assert found @ SMILE / np.linalg.norm(found) / np.linalg.norm(SMILE) > 0.99


def test_a_linear_reader_leaves_alone_what_goes_along() -> None:
    """Where the old smile more, the means differ in age too."""
    codes, smile, _ = people(together=0.4)
    means, linear = direction(codes, smile), direction(codes, smile, "linear")
    assert means[1] > 2
    assert abs(linear[1]) < 0.4


def test_what_is_not_known_does_not_count() -> None:
    codes, smile, _ = people()
    some = smile.copy()
    some[::3] = np.nan
    left = np.arange(len(codes)) % 3 > 0
    np.testing.assert_allclose(direction(codes, some), direction(codes[left], smile[left]), atol=1e-12)
    with pytest.raises(DataError, match='the same value of "smile"'):
        direction(codes, np.where(smile > 0, 1.0, np.nan), name="smile")


@pytest.fixture
def labelled() -> PictureSet:
    """Forty pictures, dark and light, with three columns."""
    light = np.arange(40) % 2
    pictures = open_pictures((light[:, None, None] * 200 + RANDOM.integers(0, 40, (40, 8, 8))).astype(np.uint8))
    columns = {"glow": light.astype(float), "colour": np.array(["red", "blue", ""] * 13 + ["red"])}
    return replace(pictures, labels=light.astype(np.int64), classes=("dark", "light"), attributes=columns)


def test_attributes_are_classes_columns_and_words(labelled: PictureSet) -> None:
    assert np.array_equal(attribute(labelled, "light"), np.arange(40) % 2)
    assert np.array_equal(attribute(labelled, "glow"), np.arange(40) % 2)
    red = attribute(labelled, "colour=red")
    assert red[:2].tolist() == [1, 0]
    assert np.isnan(red[2])
    for wrong, said in (
        ("lihgt", 'has no attribute "lihgt"; did you mean "light"?'),
        ("colour", "column of words; say which, such as colour=blue"),
        ("colour=green", "No picture has colour=green"),
    ):
        with pytest.raises(DataError, match=said):
            attribute(labelled, wrong)
    bare = replace(labelled, labels=None, classes=(), attributes={})
    with pytest.raises(DataError, match="neither classes nor a metadata file"):
        attribute(bare, "light")


def test_pictures_move_along_the_attribute(opened: Callable[..., Any], labelled: PictureSet, tmp_path: Path) -> None:
    """With latents that are the picture itself, adding "light" adds the difference of the mean pictures."""
    run = opened("autoencoder", tmp_path / "run", PictureSpec(1, 8, 8, ("dark", "light")))
    run.model.encode = lambda pictures: pictures.flatten(1)
    run.model.decode = lambda latents: latents.view(-1, 1, 8, 8)
    dark = np.full((2, 8, 8), 10, np.uint8)
    made = edit(run, dark, tmp_path / "out", {"light": 0.5}, data=labelled)
    assert made.files == ("000000.png", "000001.png")
    found = np.asarray(Image.open(tmp_path / "out" / "000000.png"), np.float64)
    bright, dim = (labelled.pictures[labelled.labels == k].mean((0, 3)) for k in (1, 0))
    np.testing.assert_allclose(found, np.clip(10 + 0.5 * (bright - dim), 0, 255), atol=1)
    assert (tmp_path / "out" / "grid.png").exists()
    back = edit(run, tmp_path / "out" / "000000.png", tmp_path / "back", {"light": -0.25, "glow": -0.25}, data=labelled)
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "back" / back.files[0])), 10, atol=1.5)


def test_what_cannot_be_edited_is_said(opened: Callable[..., Any], labelled: PictureSet, tmp_path: Path) -> None:
    vae, gan = opened("vae", tmp_path / "vae"), opened("dcgan", tmp_path / "gan")
    pictures = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(CapabilityError, match='"edit" needs a model that encodes'):
        edit(gan, pictures, tmp_path / "a", {"light": 1.0}, data=labelled)
    with pytest.raises(ConfigError, match="Nothing is to be added"):
        edit(vae, pictures, tmp_path / "a", {}, data=labelled)
    with pytest.raises(ConfigError, match='amount of "light" is nan'):
        edit(vae, pictures, tmp_path / "a", {"light": float("nan")}, data=labelled)
    assert torch.isfinite(vae.model.encode(torch.zeros(1, 1, 8, 8))).all()
