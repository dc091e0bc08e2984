"""Real pictures for the benchmarks of extractors: uint8 [N, C, H, W] and labels, in an order mixed by a fixed seed."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mezzotint.core.rng import stream
from mezzotint.data.named import load_named
from mezzotint.data.shapes import render, sample_factors

SETS = ("mnist", "fashion-mnist", "cifar10-lossless", "utkface", "orl", "cifar10", "shapes")
UNSEEN = ("mnist", "cifar10-lossless", "cifar10", "utkface", "orl")  # of no kind that mezzotint-1 was trained on


def load(name: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A set of which no picture was used to train mezzotint-1.

    Returns:
        Pictures [N, C, H, W] uint8; labels [N], all zero where a set has none.
    """
    pictures, labels = _LOADERS[name](Path(os.environ["MEZZOTINT_DATA"]))
    order = stream(seed, "order", name).permutation(len(pictures))
    x = torch.from_numpy(np.ascontiguousarray(pictures[order].transpose(0, 3, 1, 2)))
    return x, torch.from_numpy(np.asarray(labels)[order].astype(np.int64))


def _named(name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = load_named(name)
    assert arrays.fixed_splits is not None
    assert arrays.labels is not None
    rows = arrays.fixed_splits[part]
    return arrays.pictures[rows], arrays.labels[rows]


def _cifar(data: Path) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels, names = [], [], dict[str, int]()
    with tarfile.open(data / "cifar-10-subset" / "cifar10_jpeg_train10000_test2000.tar.xz") as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("train/"):
                file = archive.extractfile(member)
                assert file is not None
                pictures.append(_decoded(file.read()))
                labels.append(names.setdefault(member.name.split("/")[1], len(names)))
    return np.stack(pictures), np.array(labels)


def _cifar_lossless(data: Path) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(data / "cifar-10-subset" / "cifar10_lossless_train4000.zip") as archive:
        rows = [_decoded(archive.read(f"cifar10_batch_{k}.png")) for k in range(4)]
        lines = archive.read("labels.csv").decode().split()[1:]
    return np.concatenate(rows).reshape(-1, 32, 32, 3), np.array([int(line.split(",")[1]) for line in lines])


def _utk(data: Path) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(data / "utkface-subset" / "utkface_64_3000.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))
        ages = np.array([int(Path(n).name.split("_")[0]) for n in names])
        return np.stack([_decoded(archive.read(n)) for n in names]), np.digitize(ages, (4, 15, 24, 28, 34, 42, 55, 70))


def _orl(data: Path) -> tuple[np.ndarray, np.ndarray]:
    with zipfile.ZipFile(data / "orl-faces" / "orl_faces.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".pgm"))
        pictures = np.stack([_decoded(archive.read(n))[:, :, :1] for n in names])
    people = [int(n.split("/")[-2].removeprefix("s")) for n in names]
    return pictures, np.array(people)


def _shapes(data: Path) -> tuple[np.ndarray, np.ndarray]:
    factors = sample_factors(4000, 999)
    return render(factors), factors[:, 0]


def _decoded(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


_LOADERS = {
    "mnist": lambda data: _named("mnist", "test"),
    "fashion-mnist": lambda data: _named("fashion-mnist", "test"),
    "cifar10-lossless": _cifar_lossless,
    "cifar10": _cifar,
    "utkface": _utk,
    "orl": _orl,
    "shapes": _shapes,
}
