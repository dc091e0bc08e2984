"""From pictures and what is known of them to a `PictureSet`: its parts, its targets, its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mezzotint.core.errors import DataError
from mezzotint.data._folders import stem_of
from mezzotint.data.cache import hash_parts
from mezzotint.data.raw import RawArrays
from mezzotint.data.splits import make_splits
from mezzotint.data.targets import targets_of
from mezzotint.data.types import BadFile, DataConfig, PictureSet


def sealed(
    raw: RawArrays,
    pixels: str,
    where: str,
    config: DataConfig,
    bad: tuple[BadFile, ...] = (),
    groups: Sequence[str] | None = None,
) -> PictureSet:
    """A set of pictures that are as they shall be: divided, and with a fingerprint.

    Args:
        raw: the pictures and what is known of them.
        pixels: the fingerprint of the pictures alone.
        where: the source, for messages.
        config: how it is divided, and which columns mean something.
        bad: files that were left out.
        groups: of each picture, where pictures belong together; `config.group` has the last word.

    Raises:
        DataError: the options do not fit the set.
    """
    names = raw.names if raw.names is not None else tuple(f"{i:06d}" for i in range(len(raw.pictures)))
    if config.group is not None:
        groups = _groups_by(config.group, raw, names, where)
    alone: tuple[str, ...] = ()
    if config.pairs and groups is None:
        kinds = [""] * len(names) if raw.labels is None else [raw.classes[k] if k >= 0 else "" for k in raw.labels]
        groups = [stem_of(name, kind) for name, kind in zip(names, kinds, strict=True)]
        count = sum(times == 1 for times in Counter(groups).values())
        alone = (f"Pictures of whose name there is no other one: {count:,}; they are no pairs.",) if count else ()
    splits, notes = make_splits(
        names,
        validation=config.validation,
        test=config.test,
        seed=config.split_seed,
        labels=raw.labels,
        groups=groups,
        fixed=raw.fixed_splits,
    )
    labels = "" if raw.labels is None else hashlib.sha256(np.ascontiguousarray(raw.labels).data).hexdigest()
    # Without what is at its default, so that a run can go on after an option has been added to those there are.
    chosen = json.dumps(config.model_dump(mode="json", exclude_defaults=True, exclude={"flip"}), sort_keys=True)
    return PictureSet(
        pictures=raw.pictures,
        labels=raw.labels,
        classes=raw.classes,
        names=names,
        splits=splits,
        source=where,
        fingerprint=hash_parts([pixels, labels, chosen, *raw.classes, "", *names]),
        attributes=dict(raw.attributes),
        captions=raw.captions,
        bad=bad,
        notes=(*raw.notes, *alone, *notes),
        meaning=raw.meaning,
        targets=targets_of(raw.attributes, config.attributes, where) if config.attributes else None,
        target_names=config.attributes,
    )


def _groups_by(column: str, raw: RawArrays, names: Sequence[str], where: str) -> list[str]:
    """Each picture's value in the column. One of which none is known is by itself; no name begins with a slash."""
    if column not in raw.attributes:
        raise DataError(f'{where} has no column "{column}" for group; known: {", ".join(raw.attributes)}.')
    return [
        f"/{name}" if value == "" or value != value else str(value)  # NaN differs from itself
        for name, value in zip(names, raw.attributes[column].tolist(), strict=True)
    ]
