"""Batches in which classes take turns, for models that learn from one domain and another at once; and pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import derive
from mezzotint.data._folders import stem_of
from mezzotint.data.batches import Batches, Places, check_places
from mezzotint.data.types import PictureSet


class ByClass(Batches):
    """Position p is a picture of class p mod K: each class is shuffled by itself.

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
        super().__init__(pictures, batch_size, seed, flip, rows=rows)
        labels, count = pictures.labels, len(pictures.classes)
        if labels is None or count < 2:
            raise DataError(
                f"{pictures.source} has no classes; put the pictures of each domain in a folder of its own."
            )
        if batch_size % count:
            raise DataError(
                f"A batch holds as many pictures of each of the {count} domains, and {batch_size} is no multiple of "
                f"{count}; use --batch-size {max(count, batch_size // count * count)}."
            )
        self.together = count
        known = np.arange(len(pictures)) if rows is None else rows
        self._parts = []
        for k, name in enumerate(pictures.classes):
            mine = known[labels[known] == k]
            if not len(mine):
                raise DataError(
                    f'{pictures.source} has no picture of "{name}" to train on; give more, or a smaller held-out share.'
                )
            # A seed of its own, or domains of one size would be shuffled alike, and come in pairs.
            self._parts.append(Batches(pictures, batch_size, derive(seed, "domain", k), flip, rows=mine))

    def __len__(self) -> int:
        """Examples in one epoch."""
        return len(self._parts) * max(len(part) for part in self._parts)

    def places(self, position: int, size: int) -> Places:
        """As of `Batches`."""
        check_places(position, size)
        turns, kinds = np.arange(position, position + size), len(self._parts)
        index, flips = np.empty(size, np.int64), np.zeros(size, np.bool_)
        for k, part in enumerate(self._parts):
            mine = np.flatnonzero(turns % kinds == k)
            if len(mine):
                index[mine], mirrored = part.places(int(turns[mine[0]] // kinds), len(mine))
                flips[mine] = False if mirrored is None else mirrored
        return index, flips if self.flip else None


class Pairs(Batches):
    """A picture of the first class, then that of the second class which has the same name, and so on.

    Args:
        pictures, seed, flip, rows: as of `Batches`; both of a pair are mirrored or neither.
        batch_size: an even number.

    Raises:
        DataError: there are not two classes, no two pictures of one name, or the batch is odd.

    Example:
        >>> data = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
        >>> names = ("a/x.png", "a/y.png", "b/y.png", "b/x.png")
        >>> four = PictureSet(data, np.array([0, 0, 1, 1]), ("a", "b"), names, {}, "four", "")
        >>> sorted(Pairs(four, 4, seed=0).at(0).index.reshape(2, 2).tolist())
        [[0, 3], [1, 2]]
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
        if labels is None or len(pictures.classes) != 2:
            raise DataError(
                f"{pictures.source} is no two folders of pictures; put the two of each pair in one of them."
            )
        if batch_size % 2:
            raise DataError(f"A batch holds pairs, and {batch_size} is odd; use --batch-size {batch_size + 1}.")
        known = np.arange(len(pictures)) if rows is None else rows
        first, second = (
            {stem_of(pictures.names[i], kind): int(i) for i in known[labels[known] == k]}
            for k, kind in enumerate(pictures.classes)
        )
        self._partner = {i: second[stem] for stem, i in first.items() if stem in second}
        if not self._partner:
            raise DataError(
                f"No picture of {pictures.source} has the same name in both folders to train on; give both of a pair "
                "the same name."
            )
        super().__init__(pictures, batch_size, seed, flip, rows=np.array(list(self._partner)))
        self.together = 2

    def __len__(self) -> int:
        """Examples in one epoch."""
        return 2 * super().__len__()

    def places(self, position: int, size: int) -> Places:
        """As of `Batches`."""
        check_places(position, size)
        start = position // 2
        index, flips = super().places(start, (position + size + 1) // 2 - start)
        both = np.stack((index, [self._partner[int(i)] for i in index]), 1).ravel()
        cut = slice(position - 2 * start, position - 2 * start + size)
        return both[cut], None if flips is None else flips.repeat(2)[cut]
