"""Pictures that are arrays already: what array sources and named sets hand to the packer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.data.meaning import PICTURES, Meaning


@dataclass(frozen=True)
class RawArrays:
    """N decoded pictures of one size, before fit, mode and depth are applied.

    Attributes:
        pictures: [N, H, W, C] uint8 or uint16; C is 1, 3 or 4 (2 is grey with alpha).
        labels: [N] int64 class index, -1 where unknown; None when there are no classes.
        classes: the class names; `labels` index it.
        names: N unique names, or None for names counted from zero.
        attributes: column name -> [N] array (numbers as float64, words as str).
        captions: N texts, or None.
        fixed_splits: split name (train, validation, test) -> indices, for sets that bring a split of their own;
            rows of a given `test` are the test part, and validation is taken from train when it is not given.
        notes: sentences a person should read.
        fingerprint: SHA-256 of the content as hex; empty to have it computed from the arrays.
        meaning: as in `PictureSet`; of other than pictures, size, mode and depth stay as they are.
    """

    pictures: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    captions: tuple[str, ...] | None = None
    fixed_splits: Mapping[str, NDArray[np.int64]] | None = None
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    meaning: Meaning = PICTURES
