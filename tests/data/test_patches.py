"""Pictures cut into patches: where each comes from, and that those of one picture stay together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mezzotint as mz
from mezzotint.core.errors import DataError
from mezzotint.data.domains import Pairs
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig


def folder(path: Path, count: int = 12) -> Path:
    rng = np.random.default_rng(0)
    for k in range(count):
        kind = path / ("a", "b")[k % 2]
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (11, 14, 3), dtype=np.uint8)).save(kind / f"{k:02d}.png")
    return path


def test_patches_are_the_parts_of_the_pictures(tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    whole = open_pictures(source)
    cut = open_pictures(source, DataConfig(patch=4))
    assert cut.pictures.shape == (12 * 2 * 3, 4, 4, 3)
    for row in (0, 5, 40, 71):
        name, corner = cut.names[row].split(" @")
        y, x = map(int, corner.split(","))
        picture = whole.pictures[whole.names.index(name)]
        np.testing.assert_array_equal(cut.pictures[row], picture[y : y + 4, x : x + 4])
        assert cut.labels is not None
        assert whole.labels is not None
        assert cut.labels[row] == whole.labels[whole.names.index(name)]
    assert cut.names[0].endswith("@1,1"), "the middle of 11 x 14 pixels"
    parts = {part: {cut.names[i].split(" @")[0] for i in rows} for part, rows in cut.splits.items()}
    assert parts == {part: {whole.names[i] for i in rows} for part, rows in whole.splits.items()}
    assert sorted(np.concatenate(list(cut.splits.values()))) == list(range(72))
    assert cut.fingerprint != whole.fingerprint
    assert cut.fingerprint == open_pictures(source, DataConfig(patch=4)).fingerprint
    assert any("6 patches" in note for note in cut.notes)


@pytest.mark.parametrize("deep", [False, True])
def test_arrays_and_sets_are_cut_too(deep: bool) -> None:
    x = np.random.default_rng(1).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    x = x.astype(np.uint16) * 257 if deep else x
    config = DataConfig(patch=8, depth="auto") if deep else DataConfig(patch=8)
    cut = open_pictures(x, config)
    np.testing.assert_array_equal(cut.pictures[..., 0], x)
    again = open_pictures(open_pictures(x, DataConfig(depth="auto")), DataConfig(patch=2, depth="auto"))
    assert again.pictures.shape == (80, 2, 2, 1)


def test_a_codebook_of_patches(tmp_path: Path) -> None:
    """k-means of patches: what VQ means without a network."""
    settings = {"data": {"patch": 4}, "model": {"components": 8, "covariance": "spherical"}}
    run = mz.train("kmeans", "digits", out=tmp_path / "a", settings=settings, quiet=True)
    assert run.recipe.spec.shape == (1, 4, 4)
    assert run.model.sample(3).shape == (3, 1, 4, 4)


def test_halves_are_a_pair_in_one_part(tmp_path: Path) -> None:
    """As pix2pix's sets are: both pictures side by side in one, in folders of the parts of the set."""
    rng = np.random.default_rng(3)
    known: dict[str, np.ndarray] = {}
    for part, count in (("train", 9), ("val", 4)):
        (tmp_path / part).mkdir()
        for k in range(count):
            known[f"{part}/{k}.png"] = rng.integers(0, 256, (6, 16, 3), dtype=np.uint8)
            Image.fromarray(known[f"{part}/{k}.png"]).save(tmp_path / part / f"{k}.png")
    cut = open_pictures(tmp_path, DataConfig(halves=True, pairs=True))
    assert cut.classes == ("left", "right")
    assert cut.pictures.shape == (26, 6, 8, 3)
    assert {part: len(rows) for part, rows in cut.splits.items()} == {"train": 18, "validation": 8, "test": 0}
    for picture, name, label in zip(cut.pictures, cut.names, cut.labels, strict=True):
        side, _, whole = name.partition("/")
        assert side == cut.classes[label]
        np.testing.assert_array_equal(picture, known[whole][:, :8] if side == "left" else known[whole][:, 8:])
    index = Pairs(cut, 6, seed=0, rows=cut.splits["train"]).at(0, 18).index
    for left, right in index.reshape(-1, 2):
        assert cut.names[right] == cut.names[left].replace("left", "right")
    sized = open_pictures(tmp_path, DataConfig(halves=True, size=4))
    assert sized.shape == (3, 4, 4)


def test_halves_of_an_odd_width_are_said() -> None:
    with pytest.raises(DataError, match="two halves of one width"):
        open_pictures(np.zeros((4, 8, 9), np.uint8), DataConfig(halves=True))


def test_what_cannot_be_cut_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="larger than the pictures"):
        open_pictures(np.zeros((4, 8, 9), np.uint8), DataConfig(patch=9))
    with pytest.raises(DataError, match="no pictures that could be cut"):
        open_pictures("ring", DataConfig(patch=1))
    monkeypatch.setattr("mezzotint.data.patches._MOST", 10)
    with pytest.raises(DataError, match="16 patches"):
        open_pictures(np.zeros((1, 8, 8), np.uint8), DataConfig(patch=2))
