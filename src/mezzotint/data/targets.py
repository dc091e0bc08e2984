"""Attributes that a model learns, each yes or no, from the columns of a metadata file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, suggest


def targets_of(columns: Mapping[str, NDArray[Any]], names: Sequence[str], where: str) -> NDArray[np.float32]:
    """1, 0 or NaN (unknown) of each picture and attribute, [N, K].

    Args:
        columns: name -> [N] float64 (missing is NaN) or str (missing is empty).
        names: columns that hold 1 and 0 (or 1 and -1), or "column=word".
        where: the source, for messages.

    Raises:
        DataError: there is no such column, it holds something else, or no picture has the word.

    Example:
        >>> columns = {"smile": np.array([1.0, 0.0, np.nan]), "age": np.array(["old", "", "young"])}
        >>> targets_of(columns, ["smile", "age=old"], "here").tolist()
        [[1.0, 1.0], [0.0, nan], [nan, 0.0]]
    """
    return np.stack([_one(columns, name, where) for name in names], 1)


def exclusive(names: Sequence[str]) -> list[list[int]]:
    """The numbers of attributes that are words of one column, such as "age=old" and "age=young", for each such column.

    A picture has one of them at most.

    Example:
        >>> exclusive(["smile", "age=old", "hat=none", "age=young"])
        [[1, 3]]
    """
    words: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        column, equals, _ = name.partition("=")
        if equals:
            words.setdefault(column, []).append(k)
    return [numbers for numbers in words.values() if len(numbers) > 1]


def rivals(names: Sequence[str], k: int) -> list[int]:
    """The numbers of the other words of attribute k's column, which a picture loses when it gets this one.

    Example:
        >>> rivals(["smile", "age=old", "hat=none", "age=young"], 1)
        [3]
    """
    return [other for words in exclusive(names) if k in words for other in words if other != k]


def _one(columns: Mapping[str, NDArray[Any]], name: str, where: str) -> NDArray[np.float32]:
    column, equals, word = name.partition("=")
    if column not in columns:
        raise DataError(f'{where} has no column "{column}" for an attribute; {suggest(column, list(columns))}')
    held = columns[column]
    if equals:
        words = held if held.dtype.kind == "U" else np.array(["" if v != v else f"{v:g}" for v in held])
        if word not in words:
            raise DataError(f'No picture of {where} has "{word}" in the column "{column}"; {suggest(word, set(words))}')
        return np.where(words == "", np.nan, words == word).astype(np.float32)
    if held.dtype.kind == "U":
        raise DataError(
            f'The column "{column}" of {where} holds words; an attribute is yes or no: write {column}=WORD for one of '
            f"them, such as {column}={next(iter(sorted(set(held) - {''})), 'word')}."
        )
    known = held[~np.isnan(held)]
    if not np.isin(known, (-1, 0, 1)).all():
        raise DataError(
            f'The column "{column}" of {where} holds numbers such as {known[~np.isin(known, (-1, 0, 1))][0]:g}; an '
            "attribute is 1 or 0."
        )
    return np.where(np.isnan(held), np.nan, held > 0).astype(np.float32)
