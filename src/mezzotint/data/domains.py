"""Batches in which classes take turns: for models that learn from one domain and another at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import derive
from mezzotint.data.batches import Batches, RawBatch
from mezzotint.data.types import PictureSet


class ByClass:
    """Position p is a picture of class p mod K: as `Batches`, each class shuffled by itself.

    Classes of different sizes come equally often; an epoch is that of the largest. So a batch of 2 n pictures of two
    classes holds n of each, a picture of the first before each of the second, and so does every part of it that begins
    with a picture of the first.

    Args:
        pictures, seed, flip, rows: as of `Batches`.
        batch_size: a multiple of the number of classes.

    Raises:
        DataError: there are no classes, a class has no picture to train on, or the batch is no multiple.

    Example:
        >>> data = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
        >>> labels = np.array([0, 0, 0, 1, 1])
        >>> five = PictureSet(data, labels, ("a", "b"), tuple("abcde"), {}, "five", "")
        >>> batches = ByClass(five, batch_size=4, seed=0)
        >>> batches.at(0).labels.tolist(), len(batches)
        ([0, 1, 0, 1], 6)
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
        labels = pictures.labels
        if labels is None or len(pictures.classes) < 2:
            raise DataError(
                f"{pictures.source} has no classes; put the pictures of each domain in a folder of its own."
            )
        count = len(pictures.classes)
        if batch_size % count:
            raise DataError(
                f"A batch holds as many pictures of each of the {count} domains, and {batch_size} is no multiple of "
                f"{count}; use --batch-size {max(count, batch_size // count * count)}."
            )
        known = np.arange(len(pictures)) if rows is None else rows
        self.batch_size = batch_size
        self._parts, self._targets = [], pictures.targets
        for k, name in enumerate(pictures.classes):
            mine = known[labels[known] == k]
            if not len(mine):
                raise DataError(
                    f'{pictures.source} has no picture of "{name}" to train on; give more, or a smaller held-out share.'
                )
            self._parts.append(Batches(pictures, batch_size // count, derive(seed, "domain", k), flip, rows=mine))

    def __len__(self) -> int:
        """Examples in one epoch."""
        return len(self._parts) * max(len(part) for part in self._parts)

    def at(self, position: int, count: int | None = None) -> RawBatch:
        """The `count` examples (one batch, when not given) that follow the first `position` ones."""
        size, kinds = self.batch_size if count is None else count, len(self._parts)
        if position < 0 or size < 1:
            raise ValueError(f"no batch of {size} examples at position {position}")
        places = np.arange(position, position + size)
        index = np.empty(size, np.int64)
        pictures = None
        for k, part in enumerate(self._parts):
            mine = np.flatnonzero(places % kinds == k)
            if not len(mine):
                continue
            found = part.at(int(places[mine[0]] // kinds), len(mine))
            if pictures is None:
                pictures = np.empty((size, *found.pictures.shape[1:]), found.pictures.dtype)
            pictures[mine], index[mine] = found.pictures, found.index
        assert pictures is not None
        return RawBatch(pictures, places % kinds, index, None if self._targets is None else self._targets[index])
