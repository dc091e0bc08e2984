"""The photographs of the benchmarks of translation, from the files in MEZZOTINT_DATA."""

from __future__ import annotations

import csv
import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from _translation import Pictures
from mezzotint.core.rng import stream

PACS = "pacs-photo-art/pacs_photo_art_128.zip"
TINY = "tiny-imagenet-6/tiny_imagenet_6x300.tar.xz"
CAMVID = "camvid-small/camvid_train_val_160x120.zip"
FACES = "utkface-subset/utkface_64_3000.zip"
VOID = 11
"""The label of CamVid that says nothing."""
KINDS = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "cyclist")
_COLOURS = np.array(
    [
        *[(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)],
        *[(192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192), (0, 0, 0)],
    ],
    np.uint8,
)
"""Of the labels 0 to 11, as the set's authors have them."""


class Domains(NamedTuple):
    """Two domains without pairs.

    Attributes:
        names: of both.
        train, held: pictures of both, to train on and held out.
        shown: for each, places within `held` that a sheet may show: none of them is a person.
    """

    names: tuple[str, str]
    train: tuple[Pictures, Pictures]
    held: tuple[Pictures, Pictures]
    shown: tuple[NDArray[np.int64], NDArray[np.int64]]


class Faces(NamedTuple):
    """Pictures [N, S, S, 3] of grown-ups, their ages in years, and whether each is a woman."""

    pictures: Pictures
    ages: NDArray[np.int64]
    women: NDArray[np.bool_]


def pacs(size: int) -> Domains:
    """Photographs and art paintings; a quarter of each, drawn by a fixed seed, is held out."""
    files = dict(_zip(PACS))
    names = ("photo", "art_painting")
    train, held, shown = [], [], []
    for name in names:
        mine = sorted(each for each in files if each.startswith(f"{name}/"))
        order = stream(0, "held", name).permutation(len(mine))
        out, rest = order[: len(mine) // 4], np.sort(order[len(mine) // 4 :])
        held.append(np.stack([decoded(files[mine[i]], size) for i in out]))
        train.append(np.stack([decoded(files[mine[i]], size) for i in rest]))
        shown.append(np.array([k for k, i in enumerate(out) if "/person" not in mine[i]]))
    return Domains(names, (train[0], train[1]), (held[0], held[1]), (shown[0], shown[1]))


def fruit(size: int) -> Domains:
    """Oranges and lemons of Tiny ImageNet: 300 of each to train on, the 50 of its validation held out."""
    names = ("orange", "lemon")
    found: dict[tuple[str, str], list[Pictures]] = {}
    with tarfile.open(_path(TINY)) as archive:
        for member in sorted((m for m in archive if m.isfile()), key=lambda m: m.name):
            part, folder = member.name.split("/")[:2]
            file = archive.extractfile(member)
            assert file is not None
            name = folder.partition("_")[2]
            if name in names:
                found.setdefault((part, name), []).append(decoded(file.read(), size))
    train, held = ([np.stack(found[part, name]) for name in names] for part in ("train", "val"))
    shown = tuple(np.arange(len(x)) for x in held)
    return Domains(names, (train[0], train[1]), (held[0], held[1]), (shown[0], shown[1]))


def camvid(part: str) -> tuple[NDArray[np.uint8], Pictures]:
    """Labels [N, 120, 160] of 0 to 11 and photographs [N, 120, 160, 3], in the order of the drive.

    Args:
        part: train or val.
    """
    files = dict(_zip(CAMVID))
    names = sorted(Path(each).stem for each in files if each.startswith(f"{part}/") and each.endswith(".jpg"))
    labels = [np.asarray(Image.open(io.BytesIO(files[f"{part}annot/{name}.png"]))) for name in names]
    return np.stack(labels).astype(np.uint8), np.stack([decoded(files[f"{part}/{name}.jpg"]) for name in names])


def coloured(labels: NDArray[np.uint8]) -> Pictures:
    """Labels [N, H, W] as pictures."""
    return _COLOURS[labels]


def faces(least: int = 20) -> Faces:
    """All of UTKFace's subset who are so many years old, in an order mixed by a fixed seed."""
    files = dict(_zip(FACES))
    rows = [row for row in csv.reader(io.StringIO(files["labels.csv"].decode())) if row and row[0] in files]
    rows = [row for row in rows if int(row[1]) >= least]
    order = stream(0, "faces").permutation(len(rows))
    pictures = np.stack([decoded(files[rows[i][0]]) for i in order])
    ages, women = (np.array([int(rows[i][k]) for i in order]) for k in (1, 2))
    return Faces(pictures, ages, women == 1)


def decoded(content: bytes, size: int | None = None) -> Pictures:
    """[H, W, 3]; with a size, [size, size, 3]."""
    with Image.open(io.BytesIO(content)) as image:
        colour = image.convert("RGB")
        if size is not None and colour.size != (size, size):
            colour = colour.resize((size, size), Image.Resampling.LANCZOS)
        return np.asarray(colour)


def chosen(places: Iterable[int], pictures: Pictures, count: int) -> Pictures:
    """The first `count` of the pictures at these places."""
    return pictures[list(places)[:count]]


def _zip(name: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(_path(name)) as archive:
        for each in archive.namelist():
            if not each.endswith("/"):
                yield each, archive.read(each)


def _path(name: str) -> Path:
    return Path(os.environ["MEZZOTINT_DATA"]) / name
