"""Pictures one by one, each at its own size: for what changes pictures rather than learns from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data._convert import Unreadable
from mezzotint.data._headers import probe
from mezzotint.data._recognise import path_of, source_at
from mezzotint.data.decode import Plan, decode
from mezzotint.data.types import BadFile

Half = Literal["left", "right"]


@dataclass(frozen=True)
class Single:
    """One picture.

    Attributes:
        name: relative to where it comes from.
        pixels: [H, W, C] uint8 or uint16, C = 1 or 3.
        alpha: [H, W, 1] of the same type, or None.
        narrowed: whether the file holds 16 bits a channel of which only 8 could be read.
    """

    name: str
    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    narrowed: bool = False

    def to_values(self, channels: int) -> NDArray[np.float32]:
        """The pixels as [C, H, W] in [-1, 1]: grey is repeated, and colour becomes grey by ITU-R 601.

        Args:
            channels: 1 or 3.
        """
        top = float(np.iinfo(self.pixels.dtype).max)
        x = self.pixels.astype(np.float32) * np.float32(2 / top) - 1
        if x.shape[2] == 3 and channels == 1:
            x = x @ np.array([[0.299], [0.587], [0.114]], np.float32)
        elif x.shape[2] == 1 and channels == 3:
            x = np.repeat(x, 3, axis=2)
        return np.ascontiguousarray(x.transpose(2, 0, 1))

    def with_values(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Values [C, H, W] in [-1, 1] as a picture [H, W, C] of this one's depth, and with its alpha.

        Example:
            >>> picture = Single("a.png", np.zeros((1, 2, 1), np.uint8), np.full((1, 2, 1), 9, np.uint8))
            >>> picture.with_values(np.ones((3, 1, 2), np.float32))[0, 0].tolist()
            [255, 255, 255, 9]
        """
        top = float(np.iinfo(self.pixels.dtype).max)
        scaled = (np.clip(values, -1, 1).astype(np.float64) + 1) * (top / 2)
        found = np.floor(scaled + 0.5).astype(self.pixels.dtype).transpose(1, 2, 0)
        return np.ascontiguousarray(found if self.alpha is None else np.concatenate((found, self.alpha), 2))

    def half(self, side: Half) -> Single:
        """The left or the right half, as `data.halves` cuts pairs side by side.

        Raises:
            Unreadable: its width is odd.

        Example:
            >>> Single("a.png", np.array([[[1], [2]]], np.uint8)).half("right").pixels.tolist()
            [[[2]]]
        """
        width = self.pixels.shape[1]
        if width % 2:
            raise Unreadable(f"is {width:,} pixels wide, which has no two halves")
        part = slice(0, width // 2) if side == "left" else slice(width // 2, width)
        return replace(self, pixels=self.pixels[:, part], alpha=None if self.alpha is None else self.alpha[:, part])


class Singles:
    """The pictures of a folder, a file or an archive; `names` are sorted, and they come in the order of the source.

    Args:
        source: a path.
        half: of pairs side by side, the half that is taken of each picture.

    Raises:
        ConfigError: there is no such half.
        DataError: there is nothing, or no picture.
    """

    def __init__(self, source: str | Path, half: Half | None = None) -> None:
        if half not in (None, *get_args(Half)):
            raise ConfigError(f'Halves of pictures are "left" and "right"; got "{half}".')
        path = path_of(source)
        if not path.exists():
            raise DataError(f'There is no file or folder "{source}"; give the path to your pictures.')
        self._source, self._half = source_at(path), half
        listing = self._source.listing()
        self.names = tuple(member.name for member in listing.members)
        self.bad = tuple(listing.bad)
        if not self.names:
            raise DataError(
                f"{source} holds no picture; give a picture, a folder or an archive with PNG or JPEG files."
            )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Single | BadFile]:
        """Each picture, or why there is none."""
        for name, data in self._source.stream(self.names):
            yield data_to_single(name, data, self._half)


def data_to_single(name: str, data: bytes | Unreadable, half: Half | None = None) -> Single | BadFile:
    """The picture that these bytes are, or a half of it, turned as its EXIF says; or why they are none."""
    try:
        if isinstance(data, Unreadable):
            raise data
        head = probe(data)
        channels = (3 if head.colour else 1) + int(head.alpha)
        plan = Plan(head.height, head.width, channels, head.deep, alpha="keep")
        row = decode(data, plan)[0][0]
        if isinstance(row, str):
            raise Unreadable(row)
        alpha = row[..., -1:] if head.alpha else None
        whole = Single(name, row[..., : channels - head.alpha], alpha, head.narrowed)
        return whole if half is None else whole.half(half)
    except Unreadable as error:
        return BadFile(name, str(error))


def one_picture(path: str | Path, what: str) -> Single:
    """The only picture that there is.

    Args:
        path: a file, or a folder that holds one.
        what: what it is for, such as "style".

    Raises:
        DataError: there are several, or it cannot be read.
    """
    found = Singles(path)
    if len(found) != 1:
        raise DataError(f"A {what} is that of one picture, and {path} holds {len(found):,}; name one of them.")
    picture = next(iter(found))
    if isinstance(picture, BadFile):
        raise DataError(f"{picture.path} cannot be used: it {picture.reason}; name another picture.")
    return picture
