"""Pictures and films in the style of other pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError
from mezzotint.data.film import FILM_SOURCES, Film, write_film
from mezzotint.data.output import PICTURE_SUFFIXES, save_picture
from mezzotint.data.singles import Single, Singles, one_picture
from mezzotint.engine.capabilities import require
from mezzotint.engine.device import choose_device
from mezzotint.engine.model import PictureSpec, build
from mezzotint.nn.transfer import match_colours
from mezzotint.tasks._flicker import Steady
from mezzotint.tasks._paint import Style, paint
from mezzotint.tasks.sample import models_that
from mezzotint.tasks.translate import Changed, change_each


@dataclass(frozen=True)
class Look:
    """How a picture is to look.

    Attributes:
        styles: a picture's path each, or "path:weight"; weights are shares of each other.
        masks: of the first styles in this order, pictures that are white where the style is drawn. Styles without one
            share what is left; where none is left, the picture keeps its own style.
        alpha: how much of the style, 0 to 1.
        keep_colour: the styles are given the picture's colours first.
        style_size: pixels of the longer side to which a larger style is shrunk; with more, strokes are larger. 0: as it
            is. No style is magnified, since what is blurred is no style.
    """

    styles: Sequence[str]
    masks: Sequence[str | Path] = ()
    alpha: float = 1.0
    keep_colour: bool = False
    style_size: int = 512

    def check(self) -> None:
        """Raises ConfigError where it contradicts itself."""
        if not self.styles:
            raise ConfigError("Give a picture whose style is wanted with --style.")
        if len(self.masks) > len(self.styles):
            raise ConfigError(
                f"There are {len(self.masks)} masks for {len(self.styles)} styles; give a style for each."
            )
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha goes from 0 (the picture as it is) to 1 (the whole style); got {self.alpha:g}.")
        if self.style_size < 0 or 0 < self.style_size < 32:
            raise ConfigError(f"A style is looked at with 32 pixels at least; got {self.style_size}.")


def own_model(device: str = "auto") -> Any:
    """The model that comes with the package: `adain` with the small encoder (`scripts/train_style.py`)."""
    from mezzotint.models._encoders import own_decoder

    settings, decoder = own_decoder()
    model: Any = build("adain", settings, PictureSpec(3, 256, 256))
    model.decoder.load_state_dict(decoder)
    return model.to(choose_device(device)).eval().requires_grad_(False)


def stylize(
    source: str | Path,
    out: str | Path,
    look: Look,
    *,
    run: Any = None,
    device: str = "auto",
    steadiness: float = 0.8,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Draw a picture, a folder of pictures or a film in a style, at its own size, with its transparency and depth.

    Args:
        source: a picture, a folder, an archive, or a film (.mp4, .webm, .mov, .mkv, .avi).
        out: of one picture, the file or a folder; of several, a folder, where each becomes a PNG file of its own name;
            of a film, a film (.mp4, .webm).
        look: styles, masks and the rest.
        run: a run or a model that stylizes; the package's own when left out.
        device: where the package's own works.
        steadiness: of a film, 0 to 1: how slowly its look changes, and how much of what stands still is kept.
        overwrite: replace files that are there.
        progress: called with (done, all); all is 0 for a film that does not say how long it is.

    Raises:
        CapabilityError: the model does not stylize.
        ConfigError: a setting is wrong, or a file is there already.
        DataError: there is nothing to read.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, colour in (("photo.jpg", "green"), ("painting.jpg", "red")):
        ...     Image.new("RGB", (64, 48), colour).save(folder / name)
        >>> made = stylize(folder / "photo.jpg", folder / "out.png", Look([str(folder / "painting.jpg")]))
        >>> made.files, Image.open(folder / "out.png").size
        (('out.png',), (64, 48))
    """
    look.check()
    if not 0 <= steadiness < 1:
        raise ConfigError(f"steadiness goes from 0 to just below 1; got {steadiness:g}.")
    model = own_model(device) if run is None else getattr(run, "model", run)
    require(model, "stylizes", "stylize", others=models_that("stylizes"))
    painter = Painter(model, look)
    out, path = Path(out), Path(source).expanduser()
    if path.suffix.lower() in FILM_SOURCES and path.is_file():
        return _film(painter, path, out, steadiness, overwrite, progress)
    pictures = Singles(source)
    if len(pictures) == 1 and out.suffix.lower() in PICTURE_SUFFIXES and not out.is_dir():
        return _one(painter, one_picture(source, "picture"), out, overwrite, progress)
    channels = model.spec.channels
    return change_each(pictures, out, painter.draw, channels, overwrite=overwrite, progress=progress)


class Painter:
    """Draws pictures as a look says.

    Args:
        model: one that stylizes.
        look: how.

    Raises:
        ConfigError: a weight is no number above 0.
        DataError: a style or a mask cannot be read.
    """

    def __init__(self, model: Any, look: Look) -> None:
        self.model, self.look = model, look
        self._pictures: list[Tensor] = []
        self._weights: list[float] = []
        for each in look.styles:
            path, weight = split_weight(each)
            self._weights.append(weight)
            self._pictures.append(self._shrunk(one_picture(path, "style").to_values(3)))
        self._masks = [_mask(one_picture(path, "mask")) for path in look.masks]
        self._moments = None if look.keep_colour else [model.styles(self._given(x)) for x in self._pictures]

    def draw(self, picture: Tensor, steady: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """A picture [1, C, H, W] in [-1, 1] in the look's styles; `steady` as of `paint`."""
        x = picture.to(self.model.device)
        found = self._moments
        if found is None:
            content = x.expand(-1, 3, -1, -1)
            found = [
                self.model.styles(self._given(match_colours(s.to(x), content).clamp(-1, 1))) for s in self._pictures
            ]
        masks: list[Tensor | None] = [self._at(mask, x.shape[2:]) for mask in self._masks]
        masks += [None] * (len(found) - len(masks))
        styles = [Style(m, w, mask) for m, w, mask in zip(found, self._weights, masks, strict=True)]
        with torch.no_grad():
            return paint(self.model, x, styles, self.look.alpha, steady=steady)

    def _given(self, style: Tensor) -> Tensor:
        """The style in as many channels as the model has."""
        return style if self.model.spec.channels == 3 else style.mean(1, keepdim=True)

    def _shrunk(self, values: np.ndarray) -> Tensor:
        x = torch.from_numpy(values)[None]
        longer, size = max(x.shape[2:]), self.look.style_size
        if not size or longer <= size:
            return x
        sides = [max(16, round(side * size / longer)) for side in x.shape[2:]]
        return torch.nn.functional.interpolate(x, sides, mode="bilinear", antialias=True, align_corners=False)

    @staticmethod
    def _at(mask: Tensor, size: Sequence[int]) -> Tensor:
        return torch.nn.functional.interpolate(mask, tuple(size), mode="bilinear", antialias=True, align_corners=False)


def split_weight(text: str) -> tuple[str, float]:
    """A path and its weight of "path:weight"; a path alone weighs 1.

    Raises:
        ConfigError: the weight is not above 0.

    Example:
        >>> split_weight("a.jpg:0.3"), split_weight("a.jpg")
        (('a.jpg', 0.3), ('a.jpg', 1.0))
    """
    path, colon, number = text.rpartition(":")
    if not colon or Path(text).expanduser().exists():
        return text, 1.0
    try:
        weight = float(number)
    except ValueError:
        return text, 1.0
    if not 0 < weight < math.inf:
        raise ConfigError(f'The weight of a style is above 0; got "{text}".')
    return path, weight


def _mask(picture: Single) -> Tensor:
    """[1, 1, H, W] in [0, 1]; what is transparent counts as black."""
    values = torch.from_numpy(picture.to_values(1))[None].add(1).div(2)
    if picture.alpha is None:
        return values
    alpha = picture.alpha.astype(np.float32) / np.iinfo(picture.alpha.dtype).max
    return values * torch.from_numpy(alpha).permute(2, 0, 1)[None]


def _one(painter: Painter, picture: Single, out: Path, overwrite: bool, progress: Any) -> Changed:
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} is there already; choose another name, or pass --overwrite.")
    x = torch.from_numpy(picture.to_values(painter.model.spec.channels))[None]
    made = picture.with_values(painter.draw(x)[0].cpu().numpy())
    notes: tuple[str, ...] = ()
    if out.suffix.lower() != ".png" and made.dtype == np.uint16:
        made, notes = (
            (made >> 8).astype(np.uint8),
            (f"{out.suffix} holds 8 bits; give a name that ends in .png for 16.",),
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    save_picture(out, made)
    if progress is not None:
        progress(1, 1)
    return Changed(out.parent, (picture.name,), (out.name,), (), notes)


def _film(painter: Painter, source: Path, out: Path, steadiness: float, overwrite: bool, progress: Any) -> Changed:
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} is there already; choose another name, or pass --overwrite.")
    film, steady = Film(source), Steady(steadiness)

    def drawn(frame: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(frame).permute(2, 0, 1)[None].float().div(127.5).sub(1)
        given = x if painter.model.spec.channels == 3 else x.mean(1, keepdim=True)
        made = steady.picture(given, lambda: painter.draw(given, steady.moments).cpu())
        return made[0].permute(1, 2, 0).add(1).mul(127.5).round().clamp(0, 255).byte().numpy()

    def frames() -> Iterator[np.ndarray]:
        for done, frame in enumerate(film):
            yield drawn(frame)
            if progress is not None:
                progress(done + 1, max(film.count, done + 1))

    written = write_film(out, frames(), film.fps, sound=film)
    return Changed(out.parent, (source.name,), (out.name,), (), written.notes)
