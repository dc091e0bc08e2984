"""Batches in which classes take turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.core.errors import DataError
from mezzotint.data.domains import ByClass, Pairs
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet


def made(sizes: tuple[int, ...]) -> PictureSet:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    data = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    names = tuple(map(str, range(len(labels))))
    return PictureSet(data, labels, tuple("abc"[: len(sizes)]), names, {}, "made", "")


@pytest.mark.parametrize("sizes", [(5, 3), (1, 7), (4, 4, 2)])
def test_every_epoch_of_a_class_shows_each_of_its_pictures_once(sizes: tuple[int, ...]) -> None:
    kinds = len(sizes)
    batches = ByClass(made(sizes), kinds, seed=3)
    seen = np.stack([batches.at(kinds * k).index for k in range(40)])
    labels = made(sizes).labels
    assert labels is not None
    for k, size in enumerate(sizes):
        mine = seen[:, k]
        assert (labels[mine] == k).all()
        for start in range(0, 40 - size, size):
            assert len(set(mine[start : start + size].tolist())) == size
    assert len(batches) == kinds * max(sizes)


def test_any_cut_of_the_way_shows_the_same() -> None:
    """What a resumed run, or one of several processes, sees is what one run sees."""
    batches = ByClass(made((5, 3)), 2, seed=1)
    whole = batches.at(0, 24)
    for size in (2, 4, 6, 8):
        parts = [batches.at(start, size) for start in range(0, 24, size)]
        np.testing.assert_array_equal(np.concatenate([part.index for part in parts]), whole.index)
        np.testing.assert_array_equal(np.concatenate([part.pictures for part in parts]), whole.pictures)
    np.testing.assert_array_equal(whole.pictures.ravel(), whole.index)


def test_pictures_of_two_domains_are_no_pairs() -> None:
    """Domains of one size are shuffled apart."""
    batches = ByClass(made((20, 20)), 2, seed=0)
    index = batches.at(0, 40).index
    assert ((index[1::2] - 20) == index[0::2]).mean() < 0.5


def test_rows_and_what_cannot_be() -> None:
    data = made((4, 4))
    some = ByClass(data, 2, 0, rows=np.array([0, 5, 6]))
    assert set(some.at(0, 20).index.tolist()) == {0, 5, 6}
    with pytest.raises(DataError, match="no multiple of 2"):
        ByClass(data, 3, 0)
    with pytest.raises(DataError, match='no picture of "b"'):
        ByClass(data, 2, 0, rows=np.array([0, 1]))
    with pytest.raises(DataError, match="has no classes"):
        ByClass(PictureSet(data.pictures, None, (), data.names, {}, "plain", ""), 2, 0)


def paired(count: int = 5) -> PictureSet:
    """2 count pictures: pair k is pictures of the values k and 100 + k, stored in another order."""
    order = np.random.default_rng(0).permutation(2 * count)
    values = np.concatenate([np.arange(count), 100 + np.arange(count)])[order]
    names = tuple(f"{'ab'[v // 100]}/{v % 100}.{'jpg' if v < 100 else 'png'}" for v in values)
    data = values.astype(np.uint8).reshape(-1, 1, 1, 1).repeat(2, 2)
    return PictureSet(data, values // 100, ("a", "b"), names, {}, "paired", "")


def test_the_two_of_a_pair_come_together() -> None:
    batches = Pairs(paired(), 4, seed=1, flip=True)
    whole = batches.at(0, 40)
    values = whole.pictures[:, 0, 0, 0].astype(int)
    assert (values[1::2] - values[0::2] == 100).all()
    assert len(batches) == 10
    for start in range(0, 40, 10):
        assert sorted(values[start : start + 10 : 2]) == list(range(5))
    for size in (2, 4, 8):
        parts = [batches.at(at, size).index for at in range(0, 40, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole.index)


def test_pairs_without_a_partner_are_left_out_and_none_is_said() -> None:
    data = paired()
    missing = np.array([i for i, name in enumerate(data.names) if not name.startswith("b/3")])
    assert len(Pairs(data, 2, 0, rows=missing)) == 8
    alone = np.array([i for i, name in enumerate(data.names) if name.startswith("a")])
    with pytest.raises(DataError, match="same name in both folders"):
        Pairs(data, 2, 0, rows=alone)
    with pytest.raises(DataError, match="odd"):
        Pairs(data, 3, 0)


def test_pairs_stay_in_one_part(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for k in range(30):
            Image.new("L", (8, 8), 4 * k).save(tmp_path / kind / f"{k}.png")
    opened = open_pictures(tmp_path, DataConfig(pairs=True, validation=0.3))
    parts = {part: {opened.names[i] for i in rows} for part, rows in opened.splits.items()}
    assert parts["validation"]
    for names in parts.values():
        assert {name[2:] for name in names if name[0] == "a"} == {name[2:] for name in names if name[0] == "b"}


LAYOUTS = {
    "trainA, as CycleGAN's sets": ("set/trainA/{}.png", "set/trainB/{}.jpg", "set/testA/{}.png", "set/testB/{}.jpg"),
    "parts of classes": ("A/train/{}.png", "B/train/{}.png", "A/val/{}.png", "B/val/{}.png"),
    "classes of parts": ("train/A/{}.png", "train/B/{}.png", "test/A/{}.png", "test/B/{}.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_folders_say_the_domain_and_the_part(tmp_path: Path, layout: tuple[str, ...]) -> None:
    """Also of pairs, of which a training and a held-out one have the same number."""
    for place, (form, count) in enumerate(zip(layout, (6, 6, 3, 3), strict=True)):
        for k in range(count):
            path = tmp_path / form.format(k)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 50 * place + k).save(path, quality=100)
    held = "validation" if "val" in layout[2] else "test"
    opened = open_pictures(tmp_path, DataConfig(pairs=True, validation=0.0))
    assert opened.classes == ("A", "B")
    assert opened.labels is not None
    values = opened.pictures[:, 4, 4, 0].astype(int)
    assert {part: sorted(values[rows]) for part, rows in opened.splits.items() if len(rows)} == {
        "train": [*range(6), *range(50, 56)],
        held: [*range(100, 103), *range(150, 153)],
    }
    assert (opened.labels == values // 50 % 2).all()
    for part, offset in (("train", 0), (held, 100)):
        pairs = Pairs(opened, 2, seed=0, rows=opened.splits[part])
        index = pairs.at(0, len(pairs)).index.reshape(-1, 2)
        assert (values[index[:, 1]] - values[index[:, 0]] == 50).all()
        assert set(values[index[:, 0]] - offset) == set(range(6 if part == "train" else 3))


def test_two_domains_without_held_out_ones_are_called_a_and_b(tmp_path: Path) -> None:
    for kind in ("trainA", "trainB"):
        (tmp_path / kind).mkdir()
        for k in range(10):
            Image.new("L", (8, 8), k).save(tmp_path / kind / f"{k}.png")
    opened = open_pictures(tmp_path, DataConfig(validation=0.2))
    assert opened.classes == ("A", "B")
    assert {part: len(rows) for part, rows in opened.splits.items()} == {"train": 16, "validation": 4, "test": 0}


def test_a_class_may_be_called_as_a_part_is(tmp_path: Path) -> None:
    """Where not every class has such folders they are no parts of the set."""
    for folder in ("bus/train", "tram/line", "train/old", "train/new"):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / folder / "1.png")
    opened = open_pictures(tmp_path, DataConfig(validation=0.0))
    assert opened.classes == ("bus", "train", "tram")
    assert len(opened.splits["train"]) == 4
