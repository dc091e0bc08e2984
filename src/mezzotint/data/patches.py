"""Pictures cut into patches, which are then the pictures of a set."""

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
    top, left = (height - down * side) // 2, (width - across * side) // 2
    key = hash_parts([f"version {VERSION}", f"patches {side}", pictures.fingerprint])
    entry = cache.find(key)
    if entry is None:
        with cache.new() as partial:
            entry = cache.keep(partial, _pack(pictures, side, (top, left), partial), key, key)
    corners = [(top + i * side, left + j * side) for i in range(down) for j in range(across)]
    each = len(corners)
    of = np.repeat(np.arange(count), each)
    notes = [f"Each picture was cut into {each:,} patches of {side} x {side} pixels."]
    return replace(
        pictures,
        pictures=entry.pictures,
        labels=None if pictures.labels is None else pictures.labels[of],
        names=tuple(f"{name} @{y},{x}" for name in pictures.names for y, x in corners),
        attributes={name: column[of] for name, column in pictures.attributes.items()},
        targets=None if pictures.targets is None else pictures.targets[of],
        captions=None if pictures.captions is None else tuple(pictures.captions[i] for i in of),
        splits={
            part: (rows[:, None] * each + np.arange(each)).ravel() for part, rows in pictures.splits.items()
        },
        fingerprint=hash_parts(["patches", str(side), pictures.fingerprint]),
        notes=(*pictures.notes, *notes, *([cache.note] if cache.note else [])),
    )  # fmt: skip


def _pack(pictures: PictureSet, side: int, corner: tuple[int, int], folder: Path) -> Meta:
    count, height, width, channels = pictures.pictures.shape
    (top, left), down, across = corner, height // side, width // side
    plan = Plan(side, side, channels, pictures.pictures.dtype == np.uint16)
    digest = hashlib.sha256()
    with RowFile(folder / PICTURES_FILE, plan, count * down * across) as file:
        for start in range(0, count, _AT_ONCE):
            whole = pictures.pictures[start : start + _AT_ONCE, top : top + down * side, left : left + across * side]
            cut = whole.reshape(len(whole), down, side, across, side, channels).swapaxes(2, 3)
            rows = np.ascontiguousarray(cut.reshape(-1, side, side, channels))
            file.write(range(start * down * across, start * down * across + len(rows)), list(rows))
            digest.update(rows.data)
        file.finish(range(count * down * across))
    return Meta([str(i) for i in range(count * down * across)], None, "", digest.hexdigest())
