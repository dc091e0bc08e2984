"""The pictures that `train_extractor.py` learns from: only sets whose licence allows shipping what is learned.

Every picture is stored as [C, 36, 36]: the whole picture resized to 32 x 32 as the extractor does it, with two pixels
of border repeated, so that a view is a cut of 32 x 32 at an offset. Photographs and drawn leaves fill all 36.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from mezzotint.core.rng import stream
from mezzotint.data.named import load_named
from mezzotint.data.shapes import render, sample_factors

STORED, SIDE = 36, 32
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """One set.

    Attributes:
        name: what it is called.
        licence: why the weights may be shipped.
        source: who made it.
        share: how many of every 32 pictures come from it.
        flips: whether a mirrored picture is as likely as the picture itself.
        pictures: [N, C, 36, 36] uint8, C 1 or 3.
        labels: [N] from 0.
    """

    name: str
    licence: str
    source: str
    share: int
    flips: bool
    pictures: Tensor
    labels: Tensor

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1


def load_parts(data: Path, seed: int, small: bool = False) -> list[Part]:
    """All parts, in a fixed order. `small` takes few pictures of each, to try the script out."""
    most = 200 if small else 10**6
    makers: list[Callable[[Path, int, int], Part]] = [
        *(_fashion, _digits, _shapes, _pneumonia, _omniglot, _clothing, _kodak, _sklearn_photos, _bunny, _leaves)
    ]
    return [make(data, seed, most) for make in makers]


def _fashion(data: Path, seed: int, most: int) -> Part:
    arrays = load_named("fashion-mnist")
    assert arrays.fixed_splits is not None
    assert arrays.labels is not None
    rows = arrays.fixed_splits["train"][:most]
    return Part(
        *("fashion-mnist (train)", "MIT, (c) 2017 Zalando SE", "Xiao, Rasul and Vollgraf 2017", 8, True),
        _whole(arrays.pictures[rows]),
        torch.from_numpy(arrays.labels[rows]),
    )


def _digits(data: Path, seed: int, most: int) -> Part:
    arrays = load_named("digits")
    assert arrays.labels is not None
    return Part(
        *("digits", "CC BY 4.0", "Alpaydin and Kaynak 1998, UCI, as in scikit-learn", 2, False),
        _whole(arrays.pictures[:most]),
        torch.from_numpy(arrays.labels[:most]),
    )


def _shapes(data: Path, seed: int, most: int) -> Part:
    pictures, labels = [], []
    for k, domain in enumerate(("flat", "outline", "textured")):
        factors = sample_factors(min(5000, most), seed + 1 + k)
        pictures.append(render(factors, 32, domain))
        labels.append(factors[:, 0] + 6 * k)
    return Part(
        *("shapes", "same as this package", "drawn by this package", 5, False),
        _whole(np.concatenate(pictures)),
        torch.from_numpy(np.concatenate(labels)),
    )


def _pneumonia(data: Path, seed: int, most: int) -> Part:
    with np.load(data / "pneumoniamnist" / "pneumoniamnist.npz") as arrays:
        pictures, labels = arrays["train_images"][:most], arrays["train_labels"][:most].ravel()
    return Part(
        *("pneumoniamnist (train)", "CC BY 4.0", "Yang et al. 2023, MedMNIST v2; Kermany et al. 2018", 2, False),
        _whole(pictures[..., None]),
        torch.from_numpy(labels.astype(np.int64)),
    )


def _omniglot(data: Path, seed: int, most: int) -> Part:
    """Each drawing thin and with a broad pen: digits of other sets are written with one."""
    pictures, labels = [], []
    names: dict[str, int] = {}
    with zipfile.ZipFile(data / "omniglot-small" / "images_background_small1.zip") as archive:
        for member in sorted(n for n in archive.namelist() if n.endswith(".png"))[:most]:
            label = names.setdefault(str(Path(member).parent), len(names))
            with Image.open(io.BytesIO(archive.read(member))) as image:
                thin = image.convert("L")
            for width in (3, 7, 9):
                pictures.append(np.asarray(thin.filter(ImageFilter.MinFilter(width))))
                labels.append(label)
    return Part(
        *("omniglot, small set 1", "MIT, (c) 2015 Brenden Lake", "Lake, Salakhutdinov and Tenenbaum 2015", 5, False),
        _whole(255 - np.stack(pictures)[..., None]),
        torch.tensor(labels),
    )


def _clothing(data: Path, seed: int, most: int) -> Part:
    random = stream(seed, "clothing")
    pictures, labels = [], []
    names: dict[str, int] = {}
    for member, image in _zip_pictures(data / "clothing-subset" / "clothing_96_500.zip", most):
        label = names.setdefault(member.split("/")[0], len(names))
        for k in range(8):
            side = 96 if k < 2 else int(random.integers(56, 96))
            pictures.append(_cut(image, side, random))
            labels.append(label)
    return Part(
        *("clothing, subset", "CC0 1.0", "A. Grigorev, clothing-dataset-small", 4, True),
        _channels_first(np.stack(pictures)),
        torch.tensor(labels),
    )


def _photographs(images: list[Image.Image], each: int, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Square cuts of all sizes, placed at random; the class is the photograph."""
    random = stream(seed, name)
    pictures, labels = [], []
    for label, image in enumerate(images):
        for _ in range(each):
            side = int(np.exp(random.uniform(np.log(STORED), np.log(min(image.size)))))
            pictures.append(_cut(image, side, random))
            labels.append(label)
    return _channels_first(np.stack(pictures)), torch.tensor(labels)


def _kodak(data: Path, seed: int, most: int) -> Part:
    images = [image for _, image in _zip_pictures(data / "kodak-subset" / "kodak_5.zip", most)]
    return Part(
        *("kodak, 5 photographs", "released for unrestricted usage", "Eastman Kodak, Photo CD PCD0992", 3, True),
        *_photographs(images, min(1500, most), seed, "kodak"),
    )


def _sklearn_photos(data: Path, seed: int, most: int) -> Part:
    from sklearn.datasets import load_sample_images

    images = [Image.fromarray(array) for array in load_sample_images().images]
    return Part(
        *("scikit-learn sample photographs", "CC BY 2.0", "D. Büchele (china.jpg), Vultilion (flower.jpg)", 1, True),
        *_photographs(images, min(1500, most), seed, "sklearn"),
    )


def _bunny(data: Path, seed: int, most: int) -> Part:
    images = [image for _, image in _zip_pictures(data / "video-bunny" / "bunny_frames_128x72.zip", most)]
    pictures, _ = _photographs(images, min(40, most), seed, "bunny")
    return Part(
        *("Big Buck Bunny, 77 frames", "CC BY 3.0", "(c) 2008 Blender Foundation, peach.blender.org", 1, True),
        pictures,
        torch.zeros(len(pictures), dtype=torch.int64),
    )


def _leaves(data: Path, seed: int, most: int) -> Part:
    pictures = np.stack(list(_dead_leaves(min(4000, most), seed)))
    return Part(
        *("leaves", "same as this package", "drawn by this script: the dead leaves model, Lee et al. 2001", 1, True),
        _channels_first(pictures),
        torch.zeros(len(pictures), dtype=torch.int64),
    )


def _dead_leaves(count: int, seed: int) -> Iterator[Bytes]:
    """Discs and boxes that hide each other, radii by a power law: edges and scales as in photographs."""
    y, x = np.mgrid[:STORED, :STORED].astype(np.float32)
    for k in range(count):
        random = stream(seed, "leaves", k)
        palette = random.uniform(0, 255, (5, 3))
        picture = np.broadcast_to(palette[0], (STORED, STORED, 3)).astype(np.float32).copy()
        for _ in range(int(random.integers(15, 70))):
            radius = 1.5 * random.random() ** -0.6
            cy, cx = random.uniform(-4, STORED + 4, 2)
            a, b = np.abs(y - cy), np.abs(x - cx)
            inside = (a < radius) & (b < radius * 1.5) if random.random() < 0.4 else a * a + b * b < radius * radius
            colour = palette[random.integers(5)] * random.uniform(0.7, 1.2)
            light = 1 + random.uniform(-0.02, 0.02, 2) @ np.stack([(y - cy)[inside], (x - cx)[inside]])
            picture[inside] = colour * light[:, None]
        picture += random.normal(0, random.uniform(0, 8), picture.shape)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def _zip_pictures(path: Path, most: int) -> Iterator[tuple[str, Image.Image]]:
    with zipfile.ZipFile(path) as archive:
        for member in sorted(n for n in archive.namelist() if n.endswith((".png", ".jpg")))[:most]:
            with Image.open(io.BytesIO(archive.read(member))) as image:
                yield member, image.convert("RGB")


def _cut(image: Image.Image, side: int, random: np.random.Generator) -> Bytes:
    left, top = (int(random.integers(0, length - side + 1)) for length in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((STORED, STORED), Image.Resampling.BILINEAR, box=box))


def _channels_first(pictures: Bytes) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def _whole(pictures: Bytes) -> Tensor:
    """[N, H, W, C] -> [N, C, 36, 36]."""
    border = (STORED - SIDE) // 2
    parts = []
    for chunk in torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).split(2000):
        small = F.interpolate(chunk.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        parts.append(F.pad(small.round(), (border,) * 4, mode="replicate").to(torch.uint8))
    return torch.cat(parts)


def data_folder() -> Path:
    """The folder that MEZZOTINT_DATA names."""
    folder = os.environ.get("MEZZOTINT_DATA")
    if not folder or not Path(folder).is_dir():
        raise SystemExit("Set MEZZOTINT_DATA to the folder that holds the training sets.")
    return Path(folder)
