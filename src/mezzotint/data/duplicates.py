"""Pictures that are there twice: to the bit, or to the eye (saved again, shrunk, brightened).

Candidates are found by a difference hash of 128 bits, whose Hamming distances are counted many at a time. A hash
alone would also pair pictures that merely have the same layout, so each candidate must pass a second, independent
measure: how far the two pictures' thumbnails agree in structure, contrast and colour.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]

MAX_DISTANCE = 7  # of 128 bits; with 8 bands of 16 bits, at least one band is then equal
MIN_AGREEMENT = 0.99  # 1 for equal thumbnails; 15 % more contrast alone brings it down to this
BLANK = 3.0  # a standard deviation below this, of 255, shows nothing to compare
_THUMB = 32
_SAMPLE = 4000
_BRUTE_FORCE = 1000
_SMALL = 64  # buckets up to this size are compared all at once
_BUCKET = 20_000  # in larger buckets, each is compared with the next so many in the order of their hashes
_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class Looks:
    """What one pass over all pictures found.

    Attributes:
        digests: N digests of the pixels; equal ones are equal pictures.
        hashes: [N, 2] uint64, 128 bits of "is this place brighter than the next".
        blank: [N] bool, pictures of practically one value.
        grey: whether all pictures are grey, though they have colour channels.
    """

    digests: list[bytes]
    hashes: NDArray[np.uint64]
    blank: NDArray[np.bool_]
    grey: bool


def look(pictures: NDArray[Any], progress: Callable[[int, int], None] | None = None) -> Looks:
    """Read all pictures once.

    Args:
        pictures: [N, H, W, C] uint8 or uint16.
        progress: called with pictures done and pictures in all.
    """
    count, channels = len(pictures), pictures.shape[3]
    digests: list[bytes] = []
    hashes = np.zeros((count, 2), np.uint64)
    blank = np.zeros(count, bool)
    all_grey = channels >= 3
    # Bits that are split evenly over the set tell its pictures apart, however alike they are (digits on black).
    sample = np.asarray(pictures[:: max(1, count // _SAMPLE)])
    middle = np.median(_steps(_thumbs(sample).mean(axis=3)), axis=0)
    for rows in _portions(pictures):
        block = np.ascontiguousarray(pictures[rows])
        digests += [hashlib.blake2b(picture.data, digest_size=16).digest() for picture in block]
        if all_grey:
            all_grey = bool((block[..., :3] == block[..., :1]).all())
        thumbs = _thumbs(block)
        blank[rows] = thumbs.reshape(len(block), -1, thumbs.shape[3]).std(axis=1).max(axis=1) < BLANK
        # A step must be visible to count, or the noise of a plain sky would decide half of the bits.
        bits = _steps(thumbs.mean(axis=3)) > middle + 1
        hashes[rows] = np.packbits(bits, axis=1).view(">u8")
        if progress is not None:
            progress(rows.stop, count)
    return Looks(digests, hashes, blank, all_grey)


def exact_groups(digests: list[bytes]) -> list[list[int]]:
    """Rows whose pictures are equal, in groups of two and more, in order.

    Example:
        >>> exact_groups([b"a", b"b", b"a"])
        [[0, 2]]
    """
    found: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        found[digest].append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def near_pairs(pictures: NDArray[Any], looks: Looks) -> Pairs:
    """Pairs [P, 2] of rows, the smaller first, whose pictures are not equal but look the same.

    Blank pictures are left out, and of equal pictures only the first is compared.
    """
    first: dict[bytes, int] = {}
    for row, digest in enumerate(looks.digests):
        first.setdefault(digest, row)
    rows = np.array([row for row in first.values() if not looks.blank[row]], np.int64)
    candidates = rows[close_hashes(looks.hashes[rows])]
    if not len(candidates):
        return candidates
    return _agreeing(pictures, candidates)


def close_hashes(hashes: NDArray[np.uint64], max_distance: int = MAX_DISTANCE) -> Pairs:
    """Pairs [P, 2] of rows, i < j and sorted, whose hashes [N, 2] differ in at most `max_distance` bits.

    Example:
        >>> close_hashes(np.array([[0, 1], [2**60, 0], [2**64 - 1, 0]], np.uint64)).tolist()
        [[0, 1]]
    """
    if len(hashes) < 2:
        return np.empty((0, 2), np.int64)
    parts = _all_pairs(hashes, max_distance) if len(hashes) <= _BRUTE_FORCE else _banded(hashes, max_distance)
    # As one number each, pairs are sorted much faster. Different bands find the same ones (for which np.unique, that
    # hashes whole numbers, takes ten times as long).
    keys = np.sort(np.concatenate([one * len(hashes) + other for one, other in parts]))
    keys = keys[np.diff(keys, prepend=-1) != 0]
    return np.stack(np.divmod(keys, len(hashes)), axis=1)


def groups_of(pairs: Pairs) -> list[list[int]]:
    """Rows connected by pairs, in groups sorted by their first row.

    Example:
        >>> groups_of(np.array([[4, 7], [1, 2], [2, 4]]))
        [[1, 2, 4, 7]]
    """
    root: dict[int, int] = {}

    def find(row: int) -> int:
        while root.setdefault(row, row) != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for one, other in pairs.tolist():
        a, b = find(one), find(other)
        root[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = defaultdict(list)
    for row in sorted(root):
        found[find(row)].append(row)
    return list(found.values())


def _all_pairs(hashes: NDArray[np.uint64], limit: int, ahead: int | None = None) -> Iterator[tuple[Pairs, Pairs]]:
    """Close pairs of rows, each row compared with all that follow it, or with the next `ahead`."""
    one, two = np.ascontiguousarray(hashes[:, 0]), np.ascontiguousarray(hashes[:, 1])
    count = len(hashes)
    ahead = count if ahead is None else ahead
    step = max(1, 2**18 // min(count, ahead))
    for start in range(0, count, step):
        stop = min(start + step, count)
        end = min(stop + ahead, count)
        distance = np.bitwise_count(one[start:stop, None] ^ one[None, start:end])
        # At most 128, so that bytes suffice.
        distance += np.bitwise_count(two[start:stop, None] ^ two[None, start:end])
        above, right = np.divmod(np.flatnonzero(distance <= limit), end - start)
        later = above < right
        yield above[later] + start, right[later] + start


def _banded(hashes: NDArray[np.uint64], limit: int) -> Iterator[tuple[Pairs, Pairs]]:
    """Compare only rows with an equal band of 16 bits: those of one bucket, which lie side by side when sorted."""
    yield np.empty(0, np.int64), np.empty(0, np.int64)
    for key in _bands(hashes):
        order = np.lexsort((hashes[:, 1], hashes[:, 0], key))
        sorted_hashes = hashes[order]
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        sizes = np.diff(starts, append=len(order))
        large = sizes > _SMALL
        for start, size in zip(starts[large].tolist(), sizes[large].tolist(), strict=True):
            for one, other in _all_pairs(sorted_hashes[start : start + size], limit, _BUCKET):
                yield _ordered(order[one + start], order[other + start])
        # Of the small ones, each row with the next, then each with the next but one, and so on.
        left = np.repeat(starts + sizes, sizes) - np.arange(len(order)) - 1  # rows that follow in the same bucket
        left[np.repeat(large, sizes)] = 0
        here = np.flatnonzero(left)
        for offset in range(1, _SMALL):
            here = here[left[here] >= offset]
            if not len(here):
                break
            distance = np.bitwise_count(sorted_hashes[here] ^ sorted_hashes[here + offset]).sum(axis=1)
            close = here[distance <= limit]
            yield _ordered(order[close], order[close + offset])


def _bands(hashes: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """The 128 bits as 8 numbers of 16 bits [N]: each has a fair share of the bits that tell the rows apart best."""
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8), axis=1)
    uneven = np.abs(bits.mean(axis=0) - 0.5)
    for band in np.argsort(uneven, kind="stable").reshape(16, 8).T:
        high, low = np.packbits(bits[:, band], axis=1).astype(np.int64).T
        yield high << 8 | low


def _ordered(one: Pairs, other: Pairs) -> tuple[Pairs, Pairs]:
    return np.minimum(one, other), np.maximum(one, other)


def _agreeing(pictures: NDArray[Any], pairs: Pairs) -> Pairs:
    """Those of the pairs [P, 2] whose thumbnails a, b less their means agree: 2 a.b / (a.a + b.b) is large enough.

    Brightness leaves that measure alone. What it asks is |a - b|^2 <= (1 - least) (a.a + b.b), and no projection
    makes two thumbnails further apart; so a short one of each throws out most pairs before the whole ones are compared.
    """
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    thumbs = []
    for part in _portions(pictures, len(rows)):
        small = _thumbs(np.asarray(pictures[rows[part]]))
        shape = small.shape[1:]
        flat = small.reshape(len(small), -1)
        thumbs.append(flat - flat.mean(axis=1, keepdims=True))
    whole = np.concatenate(thumbs)
    power = np.einsum("nk,nk->n", whole, whole)
    near = _nearer(whole @ _coarse(*shape), power, places, 1.01 * (1 - MIN_AGREEMENT))  # room for rounding
    kept = places[near]
    return pairs[near][_nearer(whole, power, kept, 1 - MIN_AGREEMENT)]


def _nearer(points: NDArray[Any], power: NDArray[Any], pairs: Pairs, share: float) -> NDArray[np.bool_]:
    """For each pair [P] of `points` [N, K]: whether |a - b|^2 is at most `share` of the sum of their powers [N]."""
    result = np.empty(len(pairs), bool)
    step = max(1, _CHUNK_BYTES // (32 * points.shape[1]))
    for start in range(0, len(pairs), step):
        a, b = pairs[start : start + step].T
        apart = points[a] - points[b]
        limit = share * np.maximum(power[a] + power[b], 1e-6)
        result[start : start + step] = np.einsum("nk,nk->n", apart, apart) <= limit
    return result


def _coarse(height: int, width: int, channels: int) -> NDArray[np.float32]:
    """[height * width * channels, K]: columns of length 1, at right angles, that span pictures of 8 x 8 places."""
    tall, wide = _averaging(height, min(8, height)), _averaging(width, min(8, width))
    basis = np.linalg.qr(np.kron(np.kron(tall, wide), np.eye(channels)).T)[0]
    return np.ascontiguousarray(basis, np.float32)


def _portions(pictures: NDArray[Any], count: int | None = None) -> Iterator[slice]:
    """Slices of rows that are small enough to work on as floats."""
    total = len(pictures) if count is None else count
    step = max(1, _CHUNK_BYTES // (4 * int(np.prod(pictures.shape[1:]))))
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))


def _thumbs(block: NDArray[Any]) -> NDArray[Any]:
    """[n, h, w, 1 or 3] float32, 0 to 255, h and w at most 32, with transparency laid on white."""
    count, height, width, channels = block.shape
    values: NDArray[Any] = block.astype(np.float32)
    values *= np.float32(255 / np.iinfo(block.dtype).max)
    if channels in (2, 4):
        alpha = values[..., -1:] / 255
        values, channels = values[..., :-1] * alpha + 255 * (1 - alpha), channels - 1
    if height > _THUMB:
        values = _averaging(height, _THUMB) @ values.reshape(count, height, width * channels)
        height = _THUMB
    if width > _THUMB:
        values = _averaging(width, _THUMB) @ values.reshape(count * height, width, channels)
        width = _THUMB
    return values.reshape(count, height, width, channels)


def _steps(grey: NDArray[Any]) -> NDArray[np.float32]:
    """[n, 128]: by how much each place of a coarse picture is brighter than the one to its left, or above."""
    _, height, width = grey.shape
    wide = _averaging(height, 8) @ grey @ _averaging(width, 9).T
    tall = _averaging(height, 9) @ grey @ _averaging(width, 8).T
    steps = [np.diff(wide, axis=2).reshape(-1, 64), np.diff(tall, axis=1).reshape(-1, 64)]
    return np.concatenate(steps, axis=1)


@cache
def _averaging(size: int, out: int) -> NDArray[np.float32]:
    """[out, size]: each output is the mean of the span of inputs that it covers, whole or in part."""
    edges = np.arange(out + 1) * (size / out)
    inputs = np.arange(size)
    share = np.minimum(edges[1:, None], inputs + 1) - np.maximum(edges[:-1, None], inputs)
    share = np.maximum(share, 0)
    return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
