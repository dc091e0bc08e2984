"""What each code of a model does: pictures in which one code goes its way and all else stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError
from mezzotint.data.output import grid, save_picture
from mezzotint.engine.capabilities import require
from mezzotint.engine.codes import Code, find
from mezzotint.tasks._codes import codes_of, require_codes
from mezzotint.tasks._labels import Labels, class_code, labels_for
from mezzotint.tasks.sample import model_of, models_that, pictures_of

_WIDEST = 20
"""Values of one categorical code that are shown."""
_TRIED = 2
"""Latents with which it is measured how much a code changes."""


@dataclass(frozen=True)
class Row:
    """One code on its way.

    Attributes:
        code: which.
        values: those it has, from left to right.
        pictures: [len(values), H, W, C] uint8.
        first: whether it is the first of the code's rows.
    """

    code: Code
    values: tuple[float, ...]
    pictures: NDArray[np.uint8]
    first: bool

    @property
    def said(self) -> str:
        """Its values in words."""
        return f"{self.values[0]:g} to {self.values[-1]:g}"


def traverse(
    run: Any,
    out: str | Path = "codes.png",
    *,
    codes: Sequence[str] = (),
    steps: int = 10,
    range: float = 2.0,
    rows: int = 10,
    samples: int = 1,
    seed: int = 0,
    labels: Labels = None,
    truncation: float = 1.0,
) -> Path:
    """Save a sheet with one row for each code: a column for each value of a categorical one, `steps` for others.

    Args:
        run: an opened run, or a model, whose latents have named codes: those of infogan, or each unit z0, z1 ... of
            any other latent.
        out: a .png, .jpg or .webp file; it is replaced if it is there.
        codes, steps, range, rows, samples, seed, labels, truncation: see `traversal`.

    Returns:
        `out`.

    Raises:
        CapabilityError, ConfigError: see `traversal`.
        DataError: the file's suffix is no picture's.

    Example:
        >>> import tempfile
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> model = build("vae", {"width": 8}, PictureSpec(1, 8, 8)).eval()
        >>> traverse(model, tempfile.mkdtemp() + "/codes.png", rows=3).name
        'codes.png'
    """
    found = traversal(
        run,
        codes=codes,
        steps=steps,
        range=range,
        rows=rows,
        samples=samples,
        seed=seed,
        labels=labels,
        truncation=truncation,
    )
    out = Path(out)
    with atomic.explained(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
    save_picture(out, labelled(found))
    return out


def traversal(
    run: Any,
    *,
    codes: Sequence[str] = (),
    steps: int = 10,
    range: float = 2.0,
    rows: int = 10,
    samples: int = 1,
    seed: int = 0,
    labels: Labels = None,
    truncation: float = 1.0,
) -> list[Row]:
    """The rows of `traverse`, as pictures.

    Args:
        run: an opened run, or a model.
        codes: names of those to show. When left out, all of them; of a model with more than `rows`, those that change
            its pictures most, the strongest first.
        steps: pictures of a continuous code, from -range to range; at least 2.
        range: how far a continuous code goes. Codes of infogan were drawn from [-1, 1] in training; those of a normal
            latent lie within 2 in 95 of 100 cases.
        rows: how many codes are shown at most.
        samples: rows for each code, each with other noise, the same for all codes.
        seed: decides the noise, and all codes but the one on its way.
        labels: the class of each sample, for a conditional model; all in turn when left out.
        truncation: 1 leaves the model alone; less gives more typical pictures.

    Raises:
        CapabilityError: the model does not sample, or has no codes.
        ConfigError: there is no such code, or a number is out of range.
    """
    model = model_of(run)
    require(model, "samples", "traverse", others=models_that("samples"))
    require_codes(model, "traverse")
    meaning = model.spec.meaning
    if meaning.planar:
        raise ConfigError(f"traverse draws pictures, and this model makes {meaning.holds}; draw them with sample.")
    for name, value, least in (("steps", steps, 2), ("rows", rows, 1), ("samples", samples, 1)):
        if value < least:
            raise ConfigError(f"{name} is at least {least}; got {value}.")
    if not range > 0:
        raise ConfigError(f"range is how far a code goes to both sides, above 0; got {range:g}.")
    every = codes_of(model)
    chosen = [find(every, name) for name in codes] if codes else list(every)
    ways = {code.name: _values(code, steps, range) for code in chosen}  # what is out of range is said before any work
    start = model.latent(samples, seed, truncation)
    marks = labels_for(model, samples, labels)
    if not codes and len(chosen) > rows:
        chosen = _strongest(model, chosen, start[:_TRIED], None if marks is None else marks[:_TRIED], range)[:rows]
    return [
        Row(code, ways[code.name], _way(model, code, ways[code.name], start[i : i + 1], mark), i == 0)
        for code in chosen
        for i, mark in enumerate([None] * samples if marks is None else marks.split(1))
    ]


def labelled(rows: Sequence[Row]) -> NDArray[np.uint8]:
    """The rows below each other, [H, W, C] uint8, with the name and the values of each code at the left."""
    sheet = grid(*squared(rows))
    height = (sheet.shape[0] - 2) / len(rows)
    size = int(min(20, max(10, height // 3)))
    font = ImageFont.load_default(size=size)
    texts = [(row.code.name, row.said) for row in rows]
    width = int(max(font.getlength(text) for pair in texts for text in pair)) + size
    margin = Image.new("L", (width, sheet.shape[0]), 255)
    pen = ImageDraw.Draw(margin)
    for place, (row, (name, values)) in enumerate(zip(rows, texts, strict=True)):
        middle = 1 + (place + 0.5) * height
        if row.first and height > 2.4 * size:
            pen.text((size // 2, middle - 0.6 * size), name, fill=0, font=font, anchor="lm")
            pen.text((size // 2, middle + 0.6 * size), values, fill=110, font=font, anchor="lm")
        elif row.first:
            pen.text((size // 2, middle), name, fill=0, font=font, anchor="lm")
    strip = np.asarray(margin)[..., None].repeat(sheet.shape[2], 2)
    if sheet.shape[2] in (2, 4):
        strip[..., -1] = 255
    return np.concatenate([strip, sheet], 1)


def squared(rows: Sequence[Row]) -> tuple[NDArray[np.uint8], int]:
    """All pictures [rows * columns, H, W, C], white where a row is shorter than the longest; and the columns."""
    columns = max(len(row.values) for row in rows)
    blank = np.full_like(rows[0].pictures[:1], 255)
    return np.concatenate([x for r in rows for x in (r.pictures, *[blank] * (columns - len(r.values)))]), columns


def _values(code: Code, steps: int, range: float) -> tuple[float, ...]:
    if not code.continuous:
        return tuple(float(value) for value in np.arange(min(code.values, _WIDEST)))
    return tuple(code.checked(round(float(value), 6)) for value in np.linspace(-range, range, steps))


def _way(model: Any, code: Code, values: Sequence[float], start: Tensor, mark: Tensor | None) -> NDArray[np.uint8]:
    latents = torch.cat([model.set_codes(start, {code.name: value}) for value in values])
    marks = None if mark is None or code.name == class_code(model) else mark.expand(len(values))
    return np.concatenate(list(pictures_of(model, latents, marks)))


def _strongest(model: Any, codes: Sequence[Code], start: Tensor, marks: Tensor | None, range: float) -> list[Code]:
    """Codes by how far apart the pictures of their two ends are, the farthest first."""

    def change(code: Code) -> float:
        low, high = (code.limits[0], code.limits[1]) if not code.continuous else (-range, range)
        both = torch.cat([model.set_codes(start, {code.name: value}) for value in (low, high)])
        twice = None if marks is None or code.name == class_code(model) else torch.cat((marks, marks))
        first, second = np.split(np.concatenate(list(pictures_of(model, both, twice))).astype(np.float64), 2)
        return float(np.abs(first - second).mean())

    return sorted(codes, key=change, reverse=True)
