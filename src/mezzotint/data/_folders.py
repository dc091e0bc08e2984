"""What the folders that pictures lie in say of them: their classes, and the parts of the set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_DOMAIN = re.compile(rf"({'|'.join(sorted(_SPLIT_WORDS, key=len, reverse=True))})[-_ ]?([ab])", re.IGNORECASE)
"""The folders of CycleGAN's sets: trainA, testB."""


@dataclass
class Folders:
    """What `read_folders` found for N files; arrays are [N]."""

    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    fixed: dict[str, NDArray[np.int64]] | None = None
    notes: list[str] = field(default_factory=list)


def read_folders(files: Sequence[str]) -> Folders:
    """Classes and fixed parts of `files`, relative paths with "/".

    Classes are the first folders below the one that all share. Known layouts of parts are `train/cats/`, `cats/train/`
    and `trainA/`, which is the part "train" of the class "A".

    Example:
        >>> found = read_folders(["trainA/1.png", "trainB/2.png", "testA/3.png", "testB/4.png"])
        >>> found.classes, found.labels.tolist(), found.fixed["test"].tolist()
        (('A', 'B'), [0, 1, 0, 1], [2, 3])
    """
    result = Folders()
    shared = common_folder(files)
    parts = [name[len(shared) :].split("/")[:-1] for name in files]
    if not any(parts):
        if shared:
            result.notes.append(f'All pictures are in one folder, "{shared.rstrip("/")}", so there are no classes.')
        return result
    if not all(parts):
        result.notes.append("Some pictures are in sub-folders and some are not, so folders are not taken as classes.")
        return result
    parts, result.fixed = _without_parts(parts)
    if not all(parts):
        return result
    if max(len(p) for p in parts) > 1:
        result.notes.append("There are folders within class folders; the class is the first folder level.")
    classes = sorted({p[0] for p in parts})
    if len(classes) > 1:
        index = {name: i for i, name in enumerate(classes)}
        result.labels = np.array([index[p[0]] for p in parts], np.int64)
        result.classes = tuple(classes)
    return result


def _without_parts(parts: list[list[str]]) -> tuple[list[list[str]], dict[str, NDArray[np.int64]] | None]:
    """The folders of each file without what names a part of the set, and the parts."""
    domains = [match for p in parts if (match := _DOMAIN.fullmatch(p[0]))]
    if len(domains) == len(parts):
        classed = [[match[2].upper(), *p[1:]] for match, p in zip(domains, parts, strict=True)]
        return classed, fixed_parts([match[1] for match in domains])
    fixed = fixed_parts([p[0] for p in parts])
    if fixed is not None:
        return [p[1:] for p in parts], fixed
    fixed = fixed_parts([p[1] if len(p) > 1 else "" for p in parts])
    return (parts, None) if fixed is None else ([[p[0], *p[2:]] for p in parts], fixed)


def fixed_parts(words: Sequence[str]) -> dict[str, NDArray[np.int64]] | None:
    """Part of a set -> indices [n], when every word names one and there is a training part and another."""
    parts = [_SPLIT_WORDS.get(word.strip().lower()) for word in words]
    if None in parts or "train" not in parts or len(set(parts)) < 2:
        return None
    found = np.array(parts)
    return {str(name): np.flatnonzero(found == name).astype(np.int64) for name in np.unique(found)}


def common_folder(files: Sequence[str]) -> str:
    """The folder that all files share, such as "set/images/"; empty if none."""
    if not files:
        return ""
    low, high = min(files).split("/")[:-1], max(files).split("/")[:-1]
    shared: list[str] = []
    for one, other in zip(low, high, strict=False):
        if one != other:
            break
        shared.append(one)
    return "".join(f"{part}/" for part in shared)


def stem_of(name: str, kind: str) -> str:
    """What a picture of a class is called without the class and its suffix: the two of a pair have the same.

    The first folder of the name of the class is left out; of CycleGAN's `trainA` the part of the set stays, since a
    training and a test picture of one number are two. If classes are no folders, the first folder is left out.

    Example:
        >>> stem_of("town/labels/7.png", "labels"), stem_of("town/photos/7.jpg", "photos"), stem_of("trainB/7.png", "B")
        ('town/7', 'town/7', 'train/7')
    """
    path = PurePosixPath(name).with_suffix("")
    folders = list(path.parts[:-1])
    for k, folder in enumerate(folders):
        match = _DOMAIN.fullmatch(folder)
        if folder == kind:
            return "/".join((*folders[:k], *folders[k + 1 :], path.name))
        if match and match[2].upper() == kind:
            return "/".join((*folders[:k], match[1].lower(), *folders[k + 1 :], path.name))
    return "/".join((*folders[1:], path.name))
