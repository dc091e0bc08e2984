"""What is known of the pictures of a set beside the pictures: the factors that codes are scored against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mezzotint.data.shapes import FACTORS, factors_of
from mezzotint.data.types import PictureSet
from mezzotint.metrics.disentangle import Factors

_MOST = 64
"""A column of more values than this is a measurement, not a factor."""


def known_factors(pictures: PictureSet, rows: NDArray[np.int64]) -> Factors | None:
    """The factors of some pictures of a set; None where it has none.

    Of `shapes` they are the seven that it is drawn from. Of another set they are the columns of its metadata that have
    2 to 64 values and are known of all, and its classes; numbers are ordered, words are not, and of two values neither
    is.
    """
    if set(FACTORS) <= pictures.attributes.keys():
        values = factors_of({name: column[rows] for name, column in pictures.attributes.items()})
        numeric = tuple(not isinstance(each[0], str) for each in FACTORS.values())
        return _varied(Factors(tuple(FACTORS), values, numeric))
    columns = {name: column[rows] for name, column in pictures.attributes.items()}
    if pictures.labels is not None:
        columns.setdefault("class", np.array([*pictures.classes, ""])[pictures.labels[rows]])
    names: list[str] = []
    places: list[NDArray[np.int64]] = []
    ordered: list[bool] = []
    for name, column in columns.items():
        unknown = np.isnan(column) if column.dtype.kind == "f" else column == ""
        kinds, numbers = np.unique(column, return_inverse=True)
        if 2 <= len(kinds) <= _MOST and not unknown.any():
            names.append(name)
            places.append(numbers)
            ordered.append(column.dtype.kind == "f" and len(kinds) > 2)
    return Factors(tuple(names), np.stack(places, 1), tuple(ordered)) if names else None


def _varied(factors: Factors) -> Factors | None:
    """Without those that have one value only."""
    kept = [k for k, column in enumerate(factors.values.T) if len(np.unique(column)) > 1]
    if not kept:
        return None
    return Factors(
        tuple(factors.names[k] for k in kept), factors.values[:, kept], tuple(factors.ordered[k] for k in kept)
    )
