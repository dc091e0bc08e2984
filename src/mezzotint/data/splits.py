"""Which pictures train, which validate, which test: the same ones wherever and whenever it is asked.

A picture's place depends on the seed and on names alone, not on the order or the pixels. Classes keep their
shares in each part; pictures of one group (a person, a film) never end up in two parts.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import derive
from mezzotint.data.types import SPLITS

Splits = dict[str, NDArray[np.int64]]


class _Unit(NamedTuple):
    """Pictures that stay together: one picture, or all of a group."""

    rank: int
    rows: tuple[int, ...]
    label: int


def make_splits(
    names: Sequence[str],
    *,
    validation: float,
    test: float,
    seed: int = 0,
    labels: NDArray[np.int64] | None = None,
    groups: Sequence[str] | None = None,
    fixed: Mapping[str, NDArray[np.int64]] | None = None,
) -> tuple[Splits, list[str]]:
    """Divide N pictures into train, validation and test.

    Args:
        names: N unique names.
        validation, test: shares of the whole, each in [0, 1), together below 1.
        labels: [N] class indices; each class is divided by the same shares.
        groups: N group names; equal ones stay together.
        fixed: parts that the source itself prescribes, split name -> indices; these are kept as they are. What
            no part claims is training material, from which a missing part is taken.

    Returns:
        (split name -> sorted indices, notes). The three are disjoint and cover everything.

    Raises:
        DataError: the shares leave nothing to train on, or the fixed parts overlap.
    """
    if validation + test >= 1:
        raise DataError(
            f"validation={validation:g} and test={test:g} leave nothing to train on; make their sum less than 1."
        )
    place = np.zeros(len(names), np.int8)
    given = _place_fixed(place, fixed or {})
    free = np.flatnonzero(place == 0)
    notes = []
    for number, name, share in ((2, "test", test), (1, "validation", validation)):
        if name in given:
            notes.append(f"The {name} part is the one that the source brings ({given[name]:,} pictures).")
            continue
        if share == 0:
            continue
        left = free[place[free] == 0]
        wanted = _wanted(len(free), share)
        chosen = _choose(left, wanted, len(free) * share, names, labels, groups, seed, name)
        place[chosen] = number
        if len(chosen) == 0:
            notes.append(f"{len(free)} pictures are too few to hold out {share:.0%} for {name}; none is held out.")
    return {name: np.flatnonzero(place == i).astype(np.int64) for i, name in enumerate(SPLITS)}, notes


def _place_fixed(place: NDArray[np.int8], fixed: Mapping[str, NDArray[np.int64]]) -> dict[str, int]:
    given = {}
    for name, rows in fixed.items():
        if name not in SPLITS:
            raise DataError(f'The source has a part called "{name}"; parts are {", ".join(SPLITS)}.')
        if name == "train" or len(rows) == 0:
            continue
        if place[rows].any():
            raise DataError(f"A picture belongs to the {name} part and to another one; put it into one part only.")
        place[rows] = SPLITS.index(name)
        given[name] = len(rows)
    return given


def _wanted(count: int, share: float) -> int:
    """Of few pictures none is held out unless the share comes to a whole one."""
    return int(count * share + (0.5 if count >= 10 else 1e-9))


def _choose(
    rows: NDArray[np.int64],
    wanted: int,
    exact: float,
    names: Sequence[str],
    labels: NDArray[np.int64] | None,
    groups: Sequence[str] | None,
    seed: int,
    part: str,
) -> NDArray[np.int64]:
    """About `wanted` of `rows`: every class in proportion, groups whole, and something left of everything."""
    if wanted == 0 or len(rows) == 0:
        return np.empty(0, np.int64)
    strata: dict[int, list[_Unit]] = defaultdict(list)
    for unit in _units(rows, names, labels, groups, seed):
        strata[unit.label].append(unit)
    sizes = {label: sum(len(u.rows) for u in units) for label, units in strata.items()}
    quota = _quotas(sizes, wanted, exact / len(rows), seed, part)
    chosen: list[int] = []
    for label, units in sorted(strata.items()):
        units.sort(key=lambda unit: unit.rank)
        taken = 0
        for unit in units[:-1]:  # the last unit of a class always stays
            # A group goes where it brings the count closer to the quota.
            if taken + len(unit.rows) / 2 <= quota[label]:
                chosen.extend(unit.rows)
                taken += len(unit.rows)
            if taken >= quota[label]:
                break
    return np.array(sorted(chosen), np.int64)


def _units(
    rows: NDArray[np.int64],
    names: Sequence[str],
    labels: NDArray[np.int64] | None,
    groups: Sequence[str] | None,
    seed: int,
) -> list[_Unit]:
    key = derive(seed, "split").to_bytes(8, "little")
    known = [-1] * len(rows) if labels is None else labels[rows].tolist()
    if groups is None:
        return [_Unit(_rank(names[i], key), (i,), c) for i, c in zip(rows.tolist(), known, strict=True)]
    together: dict[str, list[int]] = defaultdict(list)
    for i in rows.tolist():
        together[groups[i]].append(i)
    units = []
    for group, members in together.items():
        counts = Counter([-1] if labels is None else labels[members].tolist())
        label = min(counts, key=lambda each: (-counts[each], each))
        units.append(_Unit(_rank(group, key), tuple(members), label))
    return units


def _quotas(sizes: Mapping[int, int], wanted: int, share: float, seed: int, part: str) -> dict[int, int]:
    """Whole numbers near size * share for each class that add up to `wanted` where possible."""
    quota = {label: min(int(size * share), size - 1) for label, size in sizes.items()}
    # Largest remainder first; equal ones by a draw that the seed decides.
    order = sorted(sizes, key=lambda c: (-(sizes[c] * share - int(sizes[c] * share)), derive(seed, part, c)))
    missing = wanted - sum(quota.values())
    for label in order:
        if missing <= 0:
            break
        if quota[label] < sizes[label] - 1:
            quota[label] += 1
            missing -= 1
    return quota


def _rank(name: str, key: bytes) -> int:
    """Where a name comes in the draw; a name that is no valid text (old file systems have such) has a place too."""
    data = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=key).digest(), "little")
