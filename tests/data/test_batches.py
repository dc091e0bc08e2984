"""Batches: every example once an epoch, the same from any position, nothing to remember."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.core.errors import DataError
from mezzotint.data import batches as module
from mezzotint.data.batches import Batches, Prefetch, RawBatch, iterate
from mezzotint.data.types import PictureSet


def make(n: int, height: int = 2, width: int = 3, channels: int = 1, labels: bool = True) -> PictureSet:
    pictures = np.random.default_rng(n).integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    return PictureSet(
        pictures,
        np.arange(n, dtype=np.int64) * 10 if labels else None,
        (),
        tuple(map(str, range(n))),
        {"train": np.arange(n)},
        "made",
        "",
    )


@given(n=st.integers(1, 40), size=st.integers(1, 100), seed=st.integers(0, 9), start=st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_any_position_is_a_window_of_one_endless_sequence(n: int, size: int, seed: int, start: int) -> None:
    data = make(n)
    sequence = np.concatenate([Batches(data, n, seed).at(e * n).index for e in range((start + size) // n + 1)])
    batch = Batches(data, size, seed, flip=False).at(start)
    np.testing.assert_array_equal(batch.index, sequence[start : start + size])
    np.testing.assert_array_equal(batch.pictures, data.pictures[batch.index])
    assert batch.labels is not None
    np.testing.assert_array_equal(batch.labels, batch.index * 10)
    assert len(batch) == size
    assert batch.pictures.flags.c_contiguous
    assert batch.pictures.flags.owndata


@given(n=st.integers(1, 50), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_every_epoch_visits_each_picture_once(n: int, seed: int) -> None:
    batches = Batches(make(n), 1, seed)
    for epoch in range(3):
        seen = [int(batches.at(epoch * n + k).index[0]) for k in range(n)]
        assert sorted(seen) == list(range(n))


def test_epochs_and_seeds_have_different_orders() -> None:
    data = make(100)
    orders = [tuple(Batches(data, 100, seed).at(epoch * 100).index) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_order_is_fair() -> None:
    """Each picture comes first about equally often (chi-squared over 2,000 epochs of 5)."""
    batches = Batches(make(5), 1, 3)
    counts = np.bincount([batches.at(5 * e).index[0] for e in range(2000)], minlength=5)
    assert ((counts - 400) ** 2 / 400).sum() < 23.5  # p < 0.0001 at 4 degrees of freedom


@given(n=st.integers(1, 20), size=st.integers(1, 45), start=st.integers(0, 90))
@settings(max_examples=40, deadline=None)
def test_flip_depends_on_epoch_and_picture_only(n: int, size: int, start: int) -> None:
    data = make(n)
    whole, single = Batches(data, size, 4, flip=True), Batches(data, 1, 4, flip=True)
    batch = whole.at(start)
    plain = data.pictures[batch.index]
    for row in range(size):
        np.testing.assert_array_equal(batch.pictures[row], single.at(start + row).pictures[0])
        assert any(np.array_equal(batch.pictures[row], side) for side in (plain[row], plain[row][:, ::-1]))


def test_flip_mirrors_about_half_and_varies_by_epoch() -> None:
    data = make(1000, 1, 8)
    batches = Batches(data, 1000, 0, flip=True)
    masks = []
    for epoch in (0, 1):
        batch = batches.at(epoch * 1000)
        mirrored = (batch.pictures != data.pictures[batch.index]).any((1, 2, 3))
        assert 400 < mirrored.sum() < 600
        masks.append(mirrored[np.argsort(batch.index)])
    assert 400 < (masks[0] != masks[1]).sum() < 600


def test_the_batch_is_the_callers_own() -> None:
    data = make(4)
    before = data.pictures.copy()
    batches = Batches(data, 4, 0)
    first = batches.at(0)
    index = first.index.copy()
    first.pictures[:] = 0
    first.index[:] = -1
    np.testing.assert_array_equal(data.pictures, before)
    np.testing.assert_array_equal(batches.at(0).index, index)


def test_rows_draw_from_a_part_without_copying() -> None:
    data = make(10)
    rows = np.array([1, 4, 7])
    seen = Batches(data, 3, 0, rows=rows).at(0)
    assert sorted(seen.index) == [1, 4, 7]
    np.testing.assert_array_equal(seen.pictures, data.pictures[seen.index])


def test_mapped_and_strided_arrays_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(30)
    np.save(tmp_path / "p.npy", data.pictures)
    monkeypatch.setattr(module, "_READ_IN_ORDER_ABOVE", 0)
    variants = [np.load(tmp_path / "p.npy", mmap_mode="r"), np.asfortranarray(data.pictures)]
    for pictures in variants:
        other = PictureSet(pictures, data.labels, (), data.names, {}, "", "")
        for start in (0, 25, 55):
            got, want = Batches(other, 16, 1, flip=True).at(start), Batches(data, 16, 1, flip=True).at(start)
            np.testing.assert_array_equal(got.pictures, want.pictures)
            assert got.pictures.flags.c_contiguous
            assert type(got.pictures) is np.ndarray


def test_no_labels_and_sixteen_bit() -> None:
    pictures = np.arange(12, dtype=np.uint16).reshape(3, 2, 2, 1) * 5000
    batch = Batches(PictureSet(pictures, None, (), tuple("abc"), {}, "", ""), 2, 0).at(1)
    assert batch.labels is None
    assert batch.pictures.dtype == np.uint16


def test_mistakes() -> None:
    with pytest.raises(DataError, match="no picture"):
        Batches(make(0), 2, 0)
    with pytest.raises(ValueError):
        Batches(make(3), 0, 0)
    with pytest.raises(ValueError):
        Batches(make(3), 2, 0).at(-1)
    with pytest.raises(ValueError):
        next(iterate(make(3), 0))


def test_iterate_is_in_order_and_complete() -> None:
    data = make(7)
    parts = list(iterate(data, 3))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([part.pictures for part in parts]), data.pictures)
    np.testing.assert_array_equal(np.concatenate([part.index for part in parts]), np.arange(7))


@pytest.mark.parametrize("positions", [range(0, 200, 8), range(5, 300, 24), [0, 8, 16, 3, 11, 11, 19, 100]])
def test_prefetch_gives_the_same(positions: list[int]) -> None:
    batches = Batches(make(21), 8, 2, flip=True)
    with Prefetch(Batches(make(21), 8, 2, flip=True)) as ahead:
        assert len(ahead) == 21
        for position in positions:
            want, got = batches.at(position), ahead.at(position)
            np.testing.assert_array_equal(want.pictures, got.pictures)
            np.testing.assert_array_equal(want.index, got.index)


def test_prefetch_closes_and_forgets() -> None:
    before = threading.active_count()
    ahead = Prefetch(Batches(make(21), 8, 2))
    ahead.at(0)
    ahead.close()
    ahead.close()
    assert threading.active_count() == before
    with pytest.raises(RuntimeError):
        ahead.at(8)
    forgotten = Prefetch(Batches(make(21), 8, 2))
    thread = forgotten._thread
    del forgotten
    thread.join(5)
    assert not thread.is_alive()


def test_prefetch_raises_what_the_reader_met() -> None:
    class Failing(Batches):
        def at(self, position: int, count: int | None = None) -> RawBatch:
            if position == 16:
                raise DataError("the disk is gone.")
            return super().at(position, count)

    with Prefetch(Failing(make(40), 8, 0)) as ahead:
        ahead.at(0)
        ahead.at(8)
        with pytest.raises(DataError, match="disk"):
            ahead.at(16)
        assert len(ahead.at(24)) == 8
