"""Batches as a pure function of the position, so that a resumed run continues in the middle of an epoch.

Every epoch `e` visits each picture once, in the order of a permutation drawn from the stream
`(seed, "epoch", e)`. Position p is the p-th example since the start of training: no iterator has a state that a
checkpoint would have to hold.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.data.types import PictureSet

Places = tuple[NDArray[np.int64], NDArray[np.bool_] | None]
"""Rows of a set, and which of them are mirrored (None: none are)."""

# Above this, a memory-mapped array may not sit in the page cache, and reading in file order saves seeks.
_READ_IN_ORDER_ABOVE = 2**30


@dataclass(frozen=True, slots=True)
class RawBatch:
    """B examples as stored.

    Attributes:
        pictures: [B, H, W, C] uint8 or uint16, C-contiguous, the caller's own copy.
        labels: [B] int64, or None when the set has no classes.
        index: [B] int64, the rows of the picture set that the examples came from.
        targets: [B, K] float32, or None when the set has no attributes that are learned.
    """

    pictures: NDArray[Any]
    labels: NDArray[np.int64] | None
    index: NDArray[np.int64]
    targets: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.index)


def check_places(position: int, size: int) -> None:
    """Refuse what is no place in the order of training.

    Raises:
        ValueError: `position` is negative, or `size` is below 1.
    """
    if position < 0 or size < 1:
        raise ValueError(f"no batch of {size} examples at position {position}")


class Batches:
    """Shuffled batches without replacement, addressed by position.

    Args:
        pictures: the set to draw from.
        batch_size: examples a batch, at least 1. A set smaller than that wraps several epochs in one batch.
        seed: decides the order of every epoch and which pictures are mirrored.
        flip: mirror half of the examples left to right, drawn anew for every picture and epoch.
        rows: draw only from these rows of `pictures`, without copying them (a split of a set larger than memory).

    Raises:
        DataError: there is no picture to draw.

    Example:
        >>> from mezzotint.data.types import PictureSet
        >>> data = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
        >>> five = PictureSet(data, None, (), tuple("abcde"), {}, "five", "")
        >>> batches = Batches(five, batch_size=2, seed=0)
        >>> sorted(int(i) for p in (0, 2) for i in batches.at(p).index) == sorted(
        ...     int(i) for i in batches.at(0, 4).index
        ... )
        True
    """

    def __init__(
        self,
        pictures: PictureSet,
        batch_size: int,
        seed: int,
        flip: bool = False,
        *,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size
        self.together = 1
        """Examples that belong together, and may not be divided between parts of a batch."""
        self.seed = seed
        self.flip = flip
        self._count = len(pictures) if rows is None else len(rows)
        if not self._count:
            raise DataError(
                f"{pictures.source} has no picture to train on; give more pictures or a smaller held-out share."
            )
        self._rows = rows
        self._labels, self._targets = pictures.labels, pictures.targets
        self._source = _Source(pictures.pictures)
        self._epochs: dict[int, Places] = {}

    def __len__(self) -> int:
        """Examples in one epoch."""
        return self._count

    def at(self, position: int, count: int | None = None) -> RawBatch:
        """The `count` examples (one batch, when not given) that follow the first `position` ones.

        A batch may begin anywhere in an epoch and reach into the next ones, so every batch is full.

        Raises:
            ValueError: `position` is negative, or `count` is below 1.
        """
        index, flips = self.places(position, self.batch_size if count is None else count)
        pictures = self._source.take(index)
        if flips is not None:
            pictures[flips] = pictures[flips][:, :, ::-1]
        labels = None if self._labels is None else self._labels[index]
        return RawBatch(pictures, labels, index, None if self._targets is None else self._targets[index])

    def places(self, position: int, size: int) -> Places:
        """The rows [size] of the set that follow the first `position` examples, and which of them are mirrored.

        Raises:
            ValueError: `position` is negative, or `size` is below 1.
        """
        check_places(position, size)
        epoch, offset = divmod(position, self._count)
        order, mirrored = self._epoch(epoch)
        if offset + size > self._count:
            return self._across_epochs(epoch, offset, size)
        flips = None if mirrored is None else mirrored[offset : offset + size]
        return order[offset : offset + size].copy(), flips

    def _across_epochs(self, epoch: int, offset: int, size: int) -> Places:
        orders, flips, missing = [], [], size
        while missing > 0:
            order, mirrored = self._epoch(epoch)
            part = slice(offset, offset + missing)
            orders.append(order[part])
            if mirrored is not None:
                flips.append(mirrored[part])
            missing -= len(orders[-1])
            epoch, offset = epoch + 1, 0
        return np.concatenate(orders), np.concatenate(flips) if flips else None

    def _epoch(self, epoch: int) -> Places:
        """Order and mirroring of one epoch. Two are kept: a batch may straddle this epoch and the next."""
        known = self._epochs.get(epoch)
        if known is not None:
            return known
        order = stream(self.seed, "epoch", epoch).permutation(self._count)
        mirrored = None
        if self.flip:
            coins = stream(self.seed, "flip", epoch).integers(0, 2, self._count, dtype=np.bool_)
            mirrored = coins[order]  # a coin belongs to a picture and an epoch, not to a place in the batch
        if self._rows is not None:
            order = self._rows[order]
        # Assigned in one go, so that a look-ahead thread never meets a dictionary that is being changed.
        recent = sorted(self._epochs, key=lambda e: abs(e - epoch))[:1]
        self._epochs = {**{e: self._epochs[e] for e in recent}, epoch: (order, mirrored)}
        return order, mirrored


class _Source:
    """Copies rows out of an array as fast as its layout allows."""

    def __init__(self, pictures: NDArray[Any]) -> None:
        self._in_order = isinstance(pictures, np.memmap) and pictures.nbytes > _READ_IN_ORDER_ABOVE
        self._array = np.asarray(pictures)
        # np.take would first copy the whole of an array that is not contiguous.
        self._contiguous = bool(self._array.flags.c_contiguous)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        if self._in_order:
            order = np.argsort(index)
            result = np.empty((len(index), *self._array.shape[1:]), self._array.dtype)
            result[order] = self._array[index[order]]
            return result
        if self._contiguous:
            return self._array.take(index, axis=0)
        return np.ascontiguousarray(self._array[index])


def iterate(pictures: PictureSet, batch_size: int) -> Iterator[RawBatch]:
    """All pictures once, in their stored order, for evaluation; the last batch may be smaller.

    Raises:
        ValueError: `batch_size` is below 1.

    Example:
        >>> from mezzotint.data.types import PictureSet
        >>> five = PictureSet(np.zeros((5, 2, 2, 1), np.uint8), None, (), tuple("abcde"), {}, "five", "")
        >>> [len(batch) for batch in iterate(five, 2)]
        [2, 2, 1]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    array = np.asarray(pictures.pictures)
    for start in range(0, len(pictures), batch_size):
        stop = min(start + batch_size, len(pictures))
        labels = None if pictures.labels is None else pictures.labels[start:stop].copy()
        block = array[start:stop].copy(order="C")
        yield RawBatch(block, labels, np.arange(start, stop, dtype=np.int64))


class Prefetch:
    """`Batches` with one thread that reads ahead: the same batches in the same order, sooner.

    It pays for big pictures on a slow disk. The next positions are guessed from the last step taken; a request
    that was not guessed is read at once, so the answers never depend on the guess.

    Args:
        batches: where the batches come from.
        depth: how many batches are read ahead.

    Example:
        >>> from mezzotint.data.types import PictureSet
        >>> five = PictureSet(np.zeros((5, 2, 2, 1), np.uint8), None, (), tuple("abcde"), {}, "five", "")
        >>> with Prefetch(Batches(five, 2, seed=0)) as ahead:
        ...     [len(ahead.at(position)) for position in (0, 2, 4)]
        [2, 2, 2]
    """

    def __init__(self, batches: Batches, depth: int = 2) -> None:
        self.batch_size = batches.batch_size
        self._batches = batches
        self._depth = depth
        self._last: int | None = None
        self._ahead: dict[tuple[int, int], Future[RawBatch]] = {}
        self._jobs: queue.SimpleQueue[tuple[int, int, Future[RawBatch]] | None] = queue.SimpleQueue()
        # The thread holds no reference to `self`, so forgetting to close still ends it.
        self._thread = threading.Thread(
            target=_serve, args=(batches, self._jobs), name="mezzotint-prefetch", daemon=True
        )
        self._thread.start()
        self._stop = weakref.finalize(self, self._jobs.put, None)

    def __len__(self) -> int:
        """Examples in one epoch."""
        return len(self._batches)

    def at(self, position: int, count: int | None = None) -> RawBatch:
        """As `Batches.at`; an error met while reading ahead is raised here, at its own position.

        Raises:
            RuntimeError: it was closed.
        """
        if not self._stop.alive:
            raise RuntimeError("this Prefetch is closed")
        size = self.batch_size if count is None else count
        ready = self._ahead.pop((position, size), None)
        step = size if self._last is None else position - self._last
        self._last = position
        self._look_ahead(position, step if step > 0 else size, size)
        return self._batches.at(position, size) if ready is None else ready.result()

    def close(self) -> None:
        """End the thread and drop what was read ahead. Closing twice is harmless."""
        for future in self._ahead.values():
            future.cancel()
        self._ahead = {}
        self._stop()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_ahead(self, position: int, step: int, size: int) -> None:
        wanted = [(position + k * step, size) for k in range(1, self._depth + 1)]
        for stale in self._ahead.keys() - set(wanted):
            self._ahead.pop(stale).cancel()
        for start, length in wanted:
            if (start, length) not in self._ahead:
                self._ahead[start, length] = future = Future[RawBatch]()
                self._jobs.put((start, length, future))


def _serve(batches: Batches, jobs: queue.SimpleQueue[tuple[int, int, Future[RawBatch]] | None]) -> None:
    while (job := jobs.get()) is not None:
        position, count, future = job
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(batches.at(position, count))
        except BaseException as error:
            future.set_exception(error)
        del job, future  # or the last batch would be kept until the next one is asked for
