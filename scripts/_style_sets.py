"""The pictures that `train_style.py` learns from: only what may be shipped when it is learned from.

Contents are parts of photographs and of a film; styles are drawn by this script, most of them after a photograph, as a
painter would: strokes, dots, mosaics, hatching, marbling, washes, with palettes of their own.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from mezzotint.core.rng import stream

SIDE = 160
Bytes = NDArray[np.uint8]
Random = np.random.Generator
LICENCES = {
    "kodak, 5 photographs": "released for unrestricted usage (Eastman Kodak, Photo CD PCD0992)",
    "scikit-learn sample photographs": "CC BY 2.0 (D. Büchele, Vultilion)",
    "Big Buck Bunny, 77 frames": "CC BY 3.0, (c) 2008 Blender Foundation, peach.blender.org",
    "clothing, subset": "CC0 1.0 (A. Grigorev)",
    "drawn styles": "same as this package",
}


def data_folder() -> Path:
    """The folder that MEZZOTINT_DATA names."""
    folder = os.environ.get("MEZZOTINT_DATA")
    if not folder or not Path(folder).is_dir():
        raise SystemExit("Set MEZZOTINT_DATA to the folder that holds the training sets.")
    return Path(folder)


def photographs(data: Path) -> list[tuple[Image.Image, int]]:
    """Each photograph with how many parts are to be taken of it."""
    from sklearn.datasets import load_sample_images

    found = [(image, 150) for image in _pictures(data / "kodak-subset" / "kodak_5.zip")]
    found += [(Image.fromarray(array), 120) for array in load_sample_images().images]
    found += [(image, 2) for image in _pictures(data / "video-bunny" / "bunny_frames_128x72.zip")]
    found += [(image, 1) for image in _pictures(data / "clothing-subset" / "clothing_96_500.zip")]
    return found


def _pictures(path: Path) -> Iterator[Image.Image]:
    with zipfile.ZipFile(path) as archive:
        for member in sorted(n for n in archive.namelist() if n.endswith((".png", ".jpg"))):
            with Image.open(io.BytesIO(archive.read(member))) as image:
                yield image.convert("RGB")


def contents(data: Path, seed: int, share: float = 1.0) -> list[Bytes]:
    """Square parts [160, 160, 3] of the photographs, of all sizes."""
    found = []
    for k, (image, count) in enumerate(photographs(data)):
        random = stream(seed, "contents", k)
        for _ in range(max(1, round(count * share)) if share < 1 else count):
            found.append(_part(image, random))
    return found


def _part(image: Image.Image, random: Random) -> Bytes:
    least, most = min(110, min(image.size)), min(image.size)
    side = round(float(np.exp(random.uniform(np.log(least), np.log(most)))))
    left, top = (int(random.integers(0, length - side + 1)) for length in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


def styles(data: Path, seed: int, count: int) -> Iterator[Bytes]:
    """`count` drawn styles [160, 160, 3]."""
    known = photographs(data)
    sources = [image for image, many in known if many > 2] * 8 + [image for image, _ in known[::8]]
    makers: tuple[Callable[[NDArray[np.float64], Random], NDArray[np.float64]], ...] = (
        *(strokes, strokes, strokes, dots, mosaic, hatching, marbling, wash),
    )
    for k in range(count):
        random = stream(seed, "styles", k)
        like = _part(sources[int(random.integers(len(sources)))], random) / 255.0
        if random.random() < 0.35:  # no picture beneath, colours alone
            like = palette_field(random)
        yield _to_bytes(makers[k % len(makers)](recoloured(like, random), random))


def _to_bytes(x: NDArray[np.float64]) -> Bytes:
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def smooth_noise(random: Random, scale: float) -> NDArray[np.float64]:
    """A field [160, 160] of mean 0 and deviation 1 that varies over `scale` pixels."""
    x = gaussian_filter(random.standard_normal((SIDE, SIDE)), scale, mode="wrap")
    return (x - x.mean()) / (x.std() + 1e-9)


def palette(random: Random, count: int) -> NDArray[np.float64]:
    """Colours [count, 3] in [0, 1] that go together: around one or two hues, from dark to light."""
    hue = random.random() + random.choice([0.0, 0.5, 0.33], count) + random.normal(0, 0.06, count)
    light = np.linspace(0.1, 0.95, count) + random.normal(0, 0.06, count)
    strong = random.uniform(0.1, 1.0)
    wheel = 0.5 + 0.5 * np.cos(2 * np.pi * (hue[:, None] + np.array([0.0, 1 / 3, 2 / 3])))
    return np.clip(light[:, None] + strong * (wheel - 0.5) * (1 - np.abs(2 * light - 1))[:, None] * 1.2, 0, 1)


def palette_field(random: Random) -> NDArray[np.float64]:
    """A smooth field of a palette's colours [160, 160, 3]."""
    colours = palette(random, int(random.integers(3, 8)))
    field = smooth_noise(random, random.uniform(4, 25))
    place = (np.argsort(np.argsort(field.ravel())) / field.size).reshape(field.shape) * (len(colours) - 1)
    low = np.minimum(place.astype(int), len(colours) - 2)
    part = (place - low)[..., None]
    return colours[low] * (1 - part) + colours[low + 1] * part


def recoloured(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Other colours and contrast."""
    if random.random() < 0.3:
        colours = palette(random, 6)
        grey = np.clip(x.mean(2), 0, 1) * 5
        low = np.minimum(grey.astype(int), 4)
        part = (grey - low)[..., None]
        return colours[low] * (1 - part) + colours[low + 1] * part
    turn = np.eye(3) + random.normal(0, 0.25, (3, 3))
    return np.clip((x - 0.5) * random.uniform(0.6, 1.6) @ turn + random.uniform(0.35, 0.65), 0, 1)


def strokes(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Short lines of one width or two, along a direction that turns slowly or along the picture's edges."""
    big = Image.fromarray(_to_bytes(gaussian_filter(x, (3, 3, 0)))).resize((2 * SIDE, 2 * SIDE))
    draw = ImageDraw.Draw(big)
    along = random.uniform(0, np.pi) + random.uniform(0.1, 2.5) * smooth_noise(random, random.uniform(8, 40))
    if random.random() < 0.5:
        grey = gaussian_filter(x.mean(2), 3)
        along = np.arctan2(*np.gradient(grey)[::-1]) + np.pi / 2
    width, length = random.uniform(3, 14), random.uniform(10, 50)
    jitter = random.uniform(0.02, 0.12)
    for part in (1.0, 0.55):
        for _ in range(int(2.5 * SIDE**2 * 4 / (width * length * part * part))):
            cy, cx = random.integers(0, SIDE, 2)
            angle, reach = along[cy, cx] + random.normal(0, 0.15), length * part * random.uniform(0.5, 1) / 2
            step = np.array([np.cos(angle), np.sin(angle)]) * reach
            place = np.array([2 * cx, 2 * cy]) + random.normal(0, 2, 2)
            colour = tuple(_to_bytes(x[cy, cx] + random.normal(0, jitter) + random.normal(0, jitter / 2, 3)).tolist())
            draw.line([tuple(place - step), tuple(place + step)], fill=colour, width=max(1, round(width * part)))
    return _small(big) / 255.0


def dots(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Round spots close together on a ground (pointillism)."""
    ground = tuple(_to_bytes(x.mean((0, 1)) + random.uniform(-0.3, 0.3)).tolist())
    big = Image.new("RGB", (2 * SIDE, 2 * SIDE), ground)
    draw = ImageDraw.Draw(big)
    radius, jitter = random.uniform(2.5, 9), random.uniform(0.03, 0.2)
    for _ in range(int(1.6 * (2 * SIDE) ** 2 / radius**2 / np.pi)):
        cy, cx = random.integers(0, SIDE, 2)
        r = radius * random.uniform(0.7, 1.2)
        colour = tuple(_to_bytes(x[cy, cx] + random.normal(0, jitter, 3)).tolist())
        draw.ellipse([2 * cx - r, 2 * cy - r, 2 * cx + r, 2 * cy + r], fill=colour)
    return _small(big) / 255.0


def mosaic(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Cells of one colour with joints between them, as of glass or stone."""
    count = int(random.integers(60, 900))
    places = random.uniform(0, SIDE, (count, 2))
    grid = np.stack(np.mgrid[:SIDE, :SIDE], -1).reshape(-1, 2)
    far, cell = cKDTree(places).query(grid, k=2)
    at = np.clip(places.astype(int), 0, SIDE - 1)
    colours = gaussian_filter(x, (2, 2, 0))[at[:, 0], at[:, 1]] + random.normal(0, 0.06, (count, 3))
    made = colours[cell[:, 0]]
    joint = random.uniform(0, 2.5)
    shade = np.clip((far[:, 1] - far[:, 0]) / max(joint, 1e-3), 0, 1)[:, None]
    line = random.choice([0.05, 0.9]) if random.random() < 0.9 else 0.5
    return (made * shade + line * (1 - shade)).reshape(SIDE, SIDE, 3)


def hatching(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Lines in several directions whose width says how dark it is: an engraving, in ink on paper."""
    y, z = np.mgrid[:SIDE, :SIDE]
    dark = 1 - gaussian_filter(x.mean(2), 1)
    dark = (dark - dark.min()) / (np.ptp(dark) + 1e-6)
    period, warp = random.uniform(3, 8), random.uniform(0, 4) * smooth_noise(random, 15)
    ink = np.zeros((SIDE, SIDE))
    for k in range(int(random.integers(1, 4))):
        angle = random.uniform(0, np.pi)
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * (z * np.cos(angle) + y * np.sin(angle) + warp) / period)
        ink = np.maximum(ink, 1 / (1 + np.exp(-12 * (wave - 1 + np.clip(dark * 1.3 - 0.3 * k, 0, 1)))))
    paper, pen = palette(random, 6)[[5, 0]]
    return paper * (1 - ink[..., None]) + pen * ink[..., None] + random.normal(0, 0.02, (SIDE, SIDE, 1))


def marbling(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Bands of a palette that have been stirred."""
    y, z = np.mgrid[:SIDE, :SIDE].astype(float)
    for scale in (30, 12):
        y, z = (p + random.uniform(0.3, 1) * scale * smooth_noise(random, scale / 1.5) for p in (y, z))
    bands = np.sin(2 * np.pi * (y * random.uniform(0.3, 1) + z * random.uniform(-1, 1)) / random.uniform(12, 45))
    colours = palette(random, int(random.integers(3, 7)))
    place = np.clip((bands + 1) / 2 * (len(colours) - 1), 0, len(colours) - 1)
    soft = random.random() < 0.5
    low = np.minimum(place.astype(int), len(colours) - 2)
    part = (place - low if soft else (place - low > 0.5).astype(float))[..., None]
    return colours[low] * (1 - part) + colours[low + 1] * part


def wash(x: NDArray[np.float64], random: Random) -> NDArray[np.float64]:
    """Watercolour: soft colour, dark at its edges, on rough paper."""
    at = np.stack(np.mgrid[:SIDE, :SIDE]).astype(float) + 6 * np.stack([smooth_noise(random, 6) for _ in range(2)])
    flow = np.stack([map_coordinates(x[..., k], at, order=1, mode="reflect") for k in range(3)], -1)
    levels = random.integers(4, 9)
    flat = gaussian_filter(np.round(gaussian_filter(flow, (3, 3, 0)) * levels) / levels, (0.8, 0.8, 0))
    edge = np.abs(flat - gaussian_filter(flat, (2, 2, 0))).mean(2, keepdims=True)
    paper = 0.03 * smooth_noise(random, 0.8)[..., None]
    return 0.25 + 0.75 * flat - random.uniform(1, 4) * edge + paper


def _small(big: Image.Image) -> NDArray[np.float64]:
    return np.asarray(big.resize((SIDE, SIDE), Image.Resampling.LANCZOS)).astype(np.float64)
