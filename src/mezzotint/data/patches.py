"""Pictures cut into patches or halves, which are then the pictures of a set."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from mezzotint.core.errors import DataError
from mezzotint.data._rows import RowFile
from mezzotint.data.cache import PICTURES_FILE, VERSION, Cache, Meta, hash_parts
from mezzotint.data.decode import Plan
from mezzotint.data.meaning import PICTURES
from mezzotint.data.types import PictureSet

_MOST = 5_000_000
"""Patches of one set: each has a name."""
_AT_ONCE = 64


def patches_of(pictures: PictureSet, side: int, cache: Cache) -> PictureSet:
    """A set of all patches of `side` x `side` pixels that lie beside each other in the middle of each picture.

    A patch has the class, the words and the numbers of its picture, and all patches of a picture are in one part of
    the set. They are packed on the disk, as any pictures are.

    Raises:
        DataError: pictures are smaller than a patch or are none, or there would be too many patches.
    """
    if pictures.meaning != PICTURES:
        raise DataError(f"{pictures.source} holds no pictures that could be cut into patches; leave data.patch out.")
    count, height, width = pictures.pictures.shape[:3]
    down, across = height // side, width // side
    if not down * across:
        raise DataError(
            f"Patches of {side} pixels are larger than the pictures of {pictures.source}, {height} x {width}; set "
            "data.patch lower."
        )
    if count * down * across > _MOST:
        raise DataError(
            f"{pictures.source} would be cut into {count * down * across:,} patches, and {_MOST:,} are the most; set "
            "data.patch higher, or data.size lower."
        )
    cut, corners = _cut(pictures, (side, side), cache, f"patches {side}")
    return replace(
        cut,
        names=tuple(f"{name} @{y},{x}" for name in pictures.names for y, x in corners),
        fingerprint=hash_parts(["patches", str(side), pictures.fingerprint]),
        notes=(*cut.notes, f"Each picture was cut into {len(corners):,} patches of {side} x {side} pixels."),
    )


def halves_of(pictures: PictureSet, cache: Cache) -> PictureSet:
    """A set of the left and the right halves of pictures, its two classes: pairs side by side, as in pix2pix's sets.

    Both halves have the words and the numbers of their picture, and are in one part of the set. What classes there were
    is left out.

    Raises:
        DataError: pictures are of an odd width, or are none.
    """
    height, width = pictures.pictures.shape[1:3]
    if pictures.meaning != PICTURES or width % 2:
        raise DataError(
            f"{pictures.source} holds no pictures that have two halves of one width; leave data.halves out, or set "
            "data.size, to which each half is brought."
        )
    cut, _ = _cut(pictures, (height, width // 2), cache, "halves")
    return replace(
        cut,
        labels=np.tile(np.arange(2), len(pictures)),
        classes=("left", "right"),
        names=tuple(f"{side}/{name}" for name in pictures.names for side in ("left", "right")),
        fingerprint=hash_parts(["halves", pictures.fingerprint]),
        notes=(*cut.notes, f"Each picture is a pair: its left and its right half, of {height} x {width // 2} pixels."),
    )


def _cut(
    pictures: PictureSet, size: tuple[int, int], cache: Cache, what: str
) -> tuple[PictureSet, list[tuple[int, int]]]:
    """All parts of a size of each picture, with what is known of their picture; and their corners, top and left.

    Names and fingerprint are still those of whole pictures.
    """
    count, height, width = pictures.pictures.shape[:3]
    down, across = height // size[0], width // size[1]
    top, left = (height - down * size[0]) // 2, (width - across * size[1]) // 2
    key = hash_parts([f"version {VERSION}", what, pictures.fingerprint])
    entry = cache.find(key)
    if entry is None:
        with cache.new() as partial:
            entry = cache.keep(partial, _pack(pictures, size, (top, left), partial), key, key)
    corners = [(top + i * size[0], left + j * size[1]) for i in range(down) for j in range(across)]
    each = len(corners)
    of = np.repeat(np.arange(count), each)
    cut = replace(
        pictures,
        pictures=entry.pictures,
        labels=None if pictures.labels is None else pictures.labels[of],
        attributes={name: column[of] for name, column in pictures.attributes.items()},
        targets=None if pictures.targets is None else pictures.targets[of],
        captions=None if pictures.captions is None else tuple(pictures.captions[i] for i in of),
        splits={
            part: (rows[:, None] * each + np.arange(each)).ravel() for part, rows in pictures.splits.items()
        },
        notes=(*pictures.notes, *([cache.note] if cache.note else [])),
    )  # fmt: skip
    return cut, corners


def _pack(pictures: PictureSet, size: tuple[int, int], corner: tuple[int, int], folder: Path) -> Meta:
    count, height, width, channels = pictures.pictures.shape
    (top, left), (high, wide) = corner, size
    down, across = height // high, width // wide
    plan = Plan(high, wide, channels, pictures.pictures.dtype == np.uint16)
    digest = hashlib.sha256()
    with RowFile(folder / PICTURES_FILE, plan, count * down * across) as file:
        for start in range(0, count, _AT_ONCE):
            whole = pictures.pictures[start : start + _AT_ONCE, top : top + down * high, left : left + across * wide]
            cut = whole.reshape(len(whole), down, high, across, wide, channels).swapaxes(2, 3)
            rows = np.ascontiguousarray(cut.reshape(-1, high, wide, channels))
            file.write(range(start * down * across, start * down * across + len(rows)), list(rows))
            digest.update(rows.data)
        file.finish(range(count * down * across))
    return Meta([str(i) for i in range(count * down * across)], None, "", digest.hexdigest())
