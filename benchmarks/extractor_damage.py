"""Does the Fréchet distance grow with damage? With the embedded extractor, beside raw pixels and a random network.

    MEZZOTINT_DATA=... python benchmarks/extractor_damage.py --svg docs/pictures/extractor-damage.svg

Real pictures that no extractor was trained on are cut in two. The first part is the reference; the second is damaged in
five growing levels, and level 0 is that part as it is. The damage is made here by Pillow and numpy, at the size of the
pictures, not by the code that trained the extractor; `pixelate`, `posterise` and `mode dropping` had no part in it at
all. Mode dropping is the mean over five choices of the classes that are left. Memorising is a generator that only knows
k pictures of another part and repeats them. A row counts as growing when each of its six values is larger than the one
before it.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from html import escape
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

from _frechet import frechet
from _test_sets import SETS, UNSEEN, load
from mezzotint.core.rng import stream
from mezzotint.metrics.extractor import EXTRACTORS, Extractor

Picture = Callable[[Image.Image, float, np.random.Generator], Image.Image]
COLOURS = {"mezzotint-1": "#1a5fb4", "pixels": "#c64600", "random": "#77767b"}


def blur(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(level * min(image.size) / 32))


def noise(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    return Image.fromarray(np.clip(pixels + random.normal(0, level, pixels.shape) + 0.5, 0, 255).astype(np.uint8))


def contrast(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(level)


def jpeg(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(level))
    return Image.open(file).convert(image.mode)


def pixelate(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    small = image.resize([max(1, round(side / level)) for side in image.size], Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.NEAREST)


def posterise(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    steps = level - 1
    return image.point(
        [round(round(value / 255 * steps) / steps * 255) for value in range(256)] * len(image.getbands())
    )


def swapped_parts(image: Image.Image, level: float, random: np.random.Generator) -> Image.Image:
    """`level` of the 16 cells of a 4 x 4 grid change places."""
    pixels = np.array(image)
    height, width = (side // 4 for side in pixels.shape[:2])
    chosen = random.permutation(16)[: int(level)]
    cells = [pixels[r * height : (r + 1) * height, c * width : (c + 1) * width] for r, c in map(_place, chosen)]
    for (r, c), cell in zip(map(_place, np.roll(chosen, 1)), [cell.copy() for cell in cells], strict=True):
        pixels[r * height : (r + 1) * height, c * width : (c + 1) * width] = cell
    return Image.fromarray(pixels)


def _place(cell: int) -> tuple[int, int]:
    return divmod(int(cell), 4)


PICTURES: dict[Picture, tuple[float, ...]] = {
    blur: (0.4, 0.7, 1.1, 1.7, 2.6),
    noise: (6, 14, 28, 50, 80),
    contrast: (0.85, 0.7, 0.55, 0.35, 0.15),
    jpeg: (50, 25, 14, 8, 3),
    pixelate: (1.3, 1.8, 2.7, 4, 6.4),
    posterise: (12, 7, 5, 3, 2),
    swapped_parts: (2, 4, 7, 11, 16),
}
CLASSES_KEPT = (0.9, 0.7, 0.5, 0.3, 0.1)  # of all classes
DRAWS = 5  # which classes these are, since some are more like the rest than others
MEMORISED = (0.5, 0.2, 0.1, 0.04, 0.01)  # different pictures, as a share of all


def damaged(make: Picture, level: float, pictures: Tensor) -> Tensor:
    """Each picture of uint8 [N, C, H, W] damaged."""
    result = []
    for k, pixels in enumerate(pictures.permute(0, 2, 3, 1).numpy()):
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        made = np.asarray(make(image, level, stream(7, make.__name__, k)))
        result.append(made[:, :, None] if made.ndim == 2 else made)
    return torch.from_numpy(np.stack(result)).permute(0, 3, 1, 2)


def fewer_modes(share: float, pictures: Tensor, labels: Tensor, count: int, draw: int) -> Tensor:
    """`count` pictures of the first classes only, in an order of the classes by `draw`; repeated where too few."""
    classes = labels.unique()
    classes = classes[torch.from_numpy(stream(draw, "classes").permutation(len(classes)))]
    kept = classes[: max(1, round(share * len(classes)))]
    rows = torch.isin(labels, kept).nonzero()[:, 0]
    return pictures[rows[torch.arange(count) % len(rows)]]


def variants(pictures: Tensor, labels: Tensor, count: int, only: list[str]) -> dict[str, list[list[Tensor]]]:
    """Damage -> six levels, the first of them whole; each is a list of sets, over which the distance is averaged."""
    whole = pictures[:count]
    rows: dict[str, list[list[Tensor]]] = {}
    for make, levels in PICTURES.items():
        name = make.__name__.replace("_", " ")
        if not only or name in only:
            rows[name] = [[whole], *([damaged(make, level, whole)] for level in levels)]
    if len(labels.unique()) > 1:
        rows["mode dropping"] = [[whole]] + [
            [fewer_modes(share, pictures, labels, count, draw) for draw in range(DRAWS)] for share in CLASSES_KEPT
        ]
    known = [whole[torch.arange(count) % max(2, round(share * count))] for share in MEMORISED]
    rows["memorising"] = [[whole], *([each] for each in known)]
    return {name: sets for name, sets in rows.items() if not only or name in only}


Table = dict[tuple[str, str, str], list[float]]


def measure(extractors: list[Extractor], sets: list[str], count: int, only: list[str]) -> Table:
    """(set, damage, extractor) -> six distances; printed as they come."""
    table: Table = {}
    for name in sets:
        pictures, labels = load(name)
        size = min(count, len(pictures) // 2)
        reference = [extractor(pictures[:size]).features for extractor in extractors]
        rows = variants(pictures[size:], labels[size:], size, only)
        print(f"\n{name}{'' if name in UNSEEN else ' (trained on such pictures)'}: {size} against {size}")
        for damage, six in rows.items():
            for extractor, real in zip(extractors, reference, strict=True):
                values = [float(np.mean([frechet(real, extractor(x).features) for x in level])) for level in six]
                table[name, damage, extractor.name] = values
                words = "  ".join(f"{value:9.4g}" for value in values)
                print(f"  {damage:14} {extractor.name:12} {words}  {'grows' if grows(values) else '-'}", flush=True)
    return table


def grows(values: list[float]) -> bool:
    """Whether each value is larger than the one before."""
    return all(a < b for a, b in pairwise(values))


def summary(table: Table) -> None:
    """How many rows grow, and how clearly the first level is told from none."""
    print(
        "\n| extractor | rows that grow | of sets never trained on | smallest damage / none, median |\n"
        "|---|---|---|---|"
    )
    for extractor in dict.fromkeys(key[2] for key in table):
        rows = {key: values for key, values in table.items() if key[2] == extractor}
        unseen = [grows(values) for key, values in rows.items() if key[0] in UNSEEN]
        ratio = float(np.median([values[1] / max(values[0], 1e-12) for values in rows.values()]))
        print(
            f"| {extractor} | {sum(map(grows, rows.values()))} of {len(rows)} | {sum(unseen)} of {len(unseen)} "
            f"| {ratio:.2f} |"
        )


def draw(table: Table, path: Path) -> None:
    """Small charts, a row for each set and a column for each damage; every line ends at its own largest value."""
    sets, kinds = (list(dict.fromkeys(key[k] for key in table)) for k in (0, 1))
    wide, high, left, top = 120, 80, 90, 40
    width, height = left + wide * len(kinds), top + high * len(sets) + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">'
        f'<rect width="{width}" height="{height}" fill="white"/>'
    ]
    for k, (name, colour) in enumerate(COLOURS.items()):
        out.append(f'<text x="{left + 110 * k}" y="14" fill="{colour}">{escape(name)}</text>')
    out.append(
        f'<text x="{left + 340}" y="14">'
        "Fréchet distance, as a share of its largest value; damage grows to the right</text>"
    )
    for r, name in enumerate(sets):
        out.append(f'<text x="4" y="{top + high * r + high / 2}">{escape(name)}</text>')
        for c, kind in enumerate(kinds):
            x0, y0 = left + wide * c, top + high * r
            if r == 0:
                out.append(f'<text x="{x0 + 4}" y="{top - 6}">{escape(kind)}</text>')
            out.append(
                f'<rect x="{x0 + 4}" y="{y0 + 4}" width="{wide - 12}" height="{high - 12}" fill="none" stroke="#ccc"/>'
            )
            for extractor, colour in COLOURS.items():
                values = table.get((name, kind, extractor))
                if values:
                    out.append(_line(values, x0 + 8, y0 + 8, wide - 20, high - 20, colour))
    path.write_text("\n".join([*out, "</svg>\n"]), encoding="utf-8")


def _line(values: list[float], x: float, y: float, width: float, height: float, colour: str) -> str:
    top = max(values) or 1
    points = [(x + width * k / 5, y + height * (1 - value / top)) for k, value in enumerate(values)]
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="{colour}"/>' for a, b in points)
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000, help="in each part")
    parser.add_argument("--sets", nargs="+", default=list(SETS[:5]), choices=SETS)
    parser.add_argument("--damage", nargs="*", default=[], help="only these kinds")
    parser.add_argument("--extractors", nargs="+", default=list(COLOURS))
    parser.add_argument("--weights", type=Path, help="another file for mezzotint-1")
    parser.add_argument("--svg", type=Path, help="where to draw it")
    options = parser.parse_args()
    chosen = [EXTRACTORS.get(name) for name in options.extractors]
    extractors = [cls.open(options.weights if cls.name == "mezzotint-1" else None) for cls in chosen]
    table = measure(extractors, options.sets, options.pictures, options.damage)
    summary(table)
    if options.svg:
        draw(table, options.svg)


if __name__ == "__main__":
    main()
