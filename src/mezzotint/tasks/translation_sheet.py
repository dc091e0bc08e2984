"""A sheet of translations: a row for each picture, a column for each domain, with the names of the columns above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data.output import save_picture
from mezzotint.data.singles import Half, Singles
from mezzotint.data.types import BadFile
from mezzotint.engine.capabilities import require
from mezzotint.engine.ways import SOURCE, Way, beside, styled_ways, ways
from mezzotint.tasks._style import check_style, refuse_alpha
from mezzotint.tasks.sample import models_that
from mezzotint.tasks.translate import change_to, pair_note, translating, wanted

ROWS = 8
"""Pictures of a sheet when no number is given."""


@dataclass(frozen=True)
class TranslationSheet:
    """What was drawn.

    Attributes:
        file: the sheet.
        columns: their names, from left to right.
        names: what the picture of each row is called in its source.
        left_out: what could not be read, and why.
        notes: sentences a person should read.
    """

    file: Path
    columns: tuple[str, ...]
    names: tuple[str, ...]
    left_out: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()


def translation_sheet(
    run: Any,
    source: str | Path,
    out: str | Path,
    *,
    to: str | None = None,
    rows: int = ROWS,
    style_seed: int | None = None,
    like: str | Path | None = None,
    styles: int = 1,
    half: Half | None = None,
) -> TranslationSheet:
    """Draw the first pictures, at the size of the training, each beside what it becomes.

    Args:
        run: an opened run, whose model translates.
        source: a picture, a folder or an archive.
        out: a .png, .jpg or .webp file; it is replaced if it is there.
        to: a domain, or attributes, as of `translate`: the only column beside the pictures themselves. When left out
            there is one for each domain, or for each attribute, switched.
        rows: pictures, at most; the first that can be read.
        style_seed, like: as of `translate`.
        styles: of a model with style codes: columns of each domain, in the styles of as many seeds that follow each
            other, from `style_seed` or 0 on.
        half: as of `translate`.

    Raises:
        CapabilityError: the model does not translate, or has no style codes.
        ConfigError: there is no such domain, a number is out of range, or options do not go together.
        DataError: there is nothing to read, `like` is not one picture, or the file's suffix is no picture's.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> spec = PictureSpec(3, 16, 16, classes=("day", "night"))
        >>> model = build("cyclegan", {"width": 4, "critic_width": 4, "blocks": 1}, spec).eval()
        >>> folder = tempfile.mkdtemp()
        >>> Image.new("RGB", (50, 40)).save(folder + "/a.jpg")
        >>> translation_sheet(model, folder + "/a.jpg", folder + "/sheet.png").columns
        ('source', 'day', 'night')
    """
    model = translating(run)
    refuse_alpha(model.spec.channels)
    for name, value in (("rows", rows), ("styles", styles)):
        if value < 1:
            raise ConfigError(f"{name} is at least 1; got {value}.")
    found = _columns(model, to, style_seed, like, styles)
    pictures, names, bad = _first(Singles(source, half), rows, model)
    sheet = beside(pictures.to(model.device), found)
    out = Path(out)
    with atomic.explained(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
    save_picture(out, sheet)
    return TranslationSheet(out, (SOURCE, *(way.name for way in found)), names, bad, pair_note(run, source, half))


def _columns(model: Any, to: str | None, style_seed: int | None, like: str | Path | None, styles: int) -> Sequence[Way]:
    check_style(to, style_seed, like)
    if like is not None and styles > 1:
        raise ConfigError("A picture has one style; leave --styles out, or --like.")
    if styles > 1 or (style_seed is not None and to is None):
        require(model, "restyles", "translate --styles", others=models_that("restyles"))
        first = style_seed or 0
        domains = model.domains()
        chosen = range(len(domains)) if to is None else [int(wanted(domains, to).argmax())]
        return styled_ways(model, chosen, range(first, first + styles))
    if to is None:
        return ways(model)
    change = change_to(model, to, style_seed, like)
    return [Way(to, lambda pictures: torch.cat([change(picture) for picture in pictures.split(1)]))]


def _first(found: Singles, rows: int, model: Any) -> tuple[Tensor, tuple[str, ...], tuple[BadFile, ...]]:
    """The first pictures that can be read, [N, C, H, W] at the model's size, their names, and what had to be left out.

    Raises:
        DataError: there is none.
    """
    pictures, names, bad = list[Tensor](), list[str](), list(found.bad)
    for picture in found:
        if isinstance(picture, BadFile):
            bad.append(picture)
            continue
        values = torch.from_numpy(picture.to_values(model.spec.channels))[None]
        pictures.append(brought_to(values, (model.spec.height, model.spec.width)))
        names.append(picture.name)
        if len(pictures) == rows:
            break
    if not pictures:
        raise DataError(f"None of the {len(found):,} pictures can be used; the first, {bad[0].path}, {bad[0].reason}.")
    return torch.cat(pictures), tuple(names), tuple(bad)


def brought_to(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of a picture [1, C, H', W'] of the shape of `size`, as [1, C, H, W].

    Example:
        >>> tuple(brought_to(torch.zeros(1, 3, 50, 90), (32, 32)).shape)
        (1, 3, 32, 32)
    """
    height, width = picture.shape[2:]
    scale = min(height / size[0], width / size[1])
    tall, wide = min(height, max(1, round(size[0] * scale))), min(width, max(1, round(size[1] * scale)))
    top, left = (height - tall) // 2, (width - wide) // 2
    part = picture[:, :, top : top + tall, left : left + wide]
    if (tall, wide) == size:
        return part
    return F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)
