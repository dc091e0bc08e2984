"""What the values of pictures mean: pictures to look at, or something else that is stored and learned as pictures are.

Points of the plane (`data.points`), sounds (`data.sound`) and rows of a table (`data.tables`) are stored as pictures,
so that every model and command takes them. A `Meaning` says how they are drawn, written and read again. Who works with
pictures asks it, and not which kind it is: a further kind is one class, in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.registry import Registry
from mezzotint.data.output import grid, save_pictures, to_uint8

KINDS: Registry[type[Meaning]] = Registry("meaning", package="mezzotint.data")
"""The subclasses of `Meaning` by their `kind`; each is there once its module is imported, or the registry is asked."""


class Modes(NamedTuple):
    """The Gaussians, equally heavy and equally wide along both axes, that points of the plane are known to come from.

    Attributes:
        places: (x, y) of each.
        sigma: standard deviation of each, along both axes.
    """

    places: tuple[tuple[float, float], ...]
    sigma: float


@dataclass(frozen=True)
class Meaning:
    """That pictures are pictures, to look at. Subclasses say what else their values may mean.

    A subclass is a frozen dataclass whose fields are JSON values, and has a `kind`; it registers itself by being
    defined. Two are equal if they are of one class and their fields are.

    Example:
        >>> Meaning() == PICTURES, Meaning().to_json()
        (True, {})
    """

    kind: ClassVar[str] = ""
    """Its key in JSON; none for pictures."""
    holds: ClassVar[str] = "pictures"
    """What a set of them holds, in words."""
    word: ClassVar[str] = "pictures"
    """The same in one word."""
    numeric: ClassVar[bool] = False
    """Whether values are measured numbers rather than brightness.

    They are then never resized, converted or flipped, bfloat16 has too few digits for them, and what a model has
    learned of them is nothing to look at.
    """
    planar: ClassVar[bool] = False
    """Whether each is a point of the plane: one by itself shows nothing, and all are seen in one plot."""
    one_file: ClassVar[str] = ""
    """Name of the file that holds all together, where they are not written one by one."""
    reads: ClassVar[Mapping[str, Any]] = {"labels": None}
    """Settings of `DataConfig` with which a trained model reads more of them, instead of those of its training."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        KINDS.add(cls.kind, cls)

    def to_json(self) -> dict[str, Any]:
        """Its fields under its `kind`, as plain JSON values; nothing for pictures."""
        return {self.kind: asdict(self)} if self.kind else {}

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Meaning:
        """One of this class, of what `to_json` has under its `kind`.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(**fields)

    def stored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Model values as pictures are stored.

        Args:
            values: [N, C, H, W] floats in [-1, 1].

        Returns:
            [N, H, W, C] uint8, or uint16 where bytes would be too coarse.

        Raises:
            DataError: a value is not a finite number.
        """
        return to_uint8(values)

    def numbers(self, pictures: NDArray[Any]) -> NDArray[np.float64]:
        """What stored pictures stand for, each as a row of numbers: their model values, or what is measured in them.

        Args:
            pictures: [N, H, W, C] uint8 or uint16.

        Returns:
            [N, H * W * C].

        Example:
            >>> PICTURES.numbers(np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)).tolist()
            [[-1.0, 1.0]]
        """
        top = np.iinfo(pictures.dtype).max
        return pictures.reshape(len(pictures), -1).astype(np.float64) / top * 2 - 1

    def sheet(
        self, pictures: NDArray[Any], columns: int | None = None, real: NDArray[Any] | None = None
    ) -> NDArray[np.uint8]:
        """Stored pictures to look at as one: a grid of them, or one plot of all.

        Args:
            pictures: [N, H, W, C] as `stored` gives them.
            columns: pictures a row of a grid; a near-square one when left out.
            real: stored pictures to compare with, which a plot has beneath.

        Returns:
            [H', W', C'] uint8.
        """
        return grid(pictures, columns)

    def pairs(self, before: NDArray[Any], after: NDArray[Any], columns: int | None = None) -> NDArray[np.uint8]:
        """A sheet of stored pictures [N, H, W, C], each beside what became of it; a plot has one over the other."""
        both = np.stack([before, after], 1)
        return self.sheet(both.reshape(-1, *before.shape[1:]), columns)

    def frames(self, pictures: NDArray[Any]) -> NDArray[np.uint8]:
        """Stored pictures [N, H, W, C] as the frames [N, H', W', C'] uint8 of a film."""
        return pictures

    def enough(self, count: int) -> int:
        """How many have to be drawn to see what `count` pictures show."""
        return count

    def save_each(self, files: Sequence[Path], pictures: NDArray[Any]) -> None:
        """Write stored pictures [N, H, W, C], each to its file (.png), and beside it what else they can be had as."""
        save_pictures(files, pictures)

    def save_values(self, files: Sequence[Path], chunks: Iterable[NDArray[Any]]) -> None:
        """Write model values as they come, each picture to its file, or all to `files[0]` if there is a `one_file`.

        Args:
            files: N of them.
            chunks: [n, C, H, W] in [-1, 1] each, N pictures in all.

        Raises:
            DataError: a value is not a finite number.
        """
        at = 0
        for values in chunks:
            self.save_each(files[at : at + len(values)], self.stored(values))
            at += len(values)

    def adopted(self, pictures: NDArray[Any], given: Meaning, where: str) -> NDArray[Any]:
        """Stored pictures [N, H, W, C] that mean `given`, as they are stored where they mean this; often themselves.

        Args:
            where: their source, for messages.

        Raises:
            DataError: they cannot mean this.
        """
        return pictures

    def known_modes(self) -> Modes | None:
        """The distribution that they are known to come from; None where it is not known."""
        return None


PICTURES = Meaning()
"""Pictures to look at: what is meant where nothing else is said."""


def meaning_of_json(value: Mapping[str, Any]) -> Meaning:
    """The inverse of `Meaning.to_json`. Only registered kinds are made, and nothing is executed.

    Args:
        value: kind -> fields; what is None counts as absent, and keys that are no kind are left alone.

    Raises:
        KeyError, TypeError, ValueError: the fields are not those of the kind, or there are several kinds.

    Example:
        >>> meaning_of_json({"sound": {"rate": 8000}})
        Sound(rate=8000)
    """
    given = [kind for kind in value if value[kind] is not None and kind in KINDS]
    if len(given) > 1:
        raise ValueError(f"its pictures cannot be {' and '.join(given)} at once")
    return KINDS.get(given[0]).of_json(value[given[0]]) if given else PICTURES
