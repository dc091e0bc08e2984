"""New pictures from a trained model: sheets, single files, interpolations and films.

Everything is decided by the model and a seed. Files carry no metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError
from mezzotint.data.output import save_film, save_picture
from mezzotint.engine.capabilities import capabilities, require
from mezzotint.engine.codes import between, blend
from mezzotint.engine.model import MODELS, Model
from mezzotint.nn.latents import slerp
from mezzotint.tasks._codes import Values, codes_of, with_codes
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks._labels import Labels, class_code, is_conditional, labels_for, parse_labels, parsed
from mezzotint.tasks._paths import loop_weights

__all__ = [
    "Labels",
    "draw",
    "interpolate",
    "loop_weights",
    "model_of",
    "models_that",
    "parse_labels",
    "pictures_of",
    "sample_files",
    "sample_grid",
    "sample_rows",
    "sample_to",
    "slerp",
    "walk",
    "walk_film",
]

_CHUNK = 256  # pictures made at a time; the same number as in `sample`, so that both give the same bits
_FILM_PIXELS = 256


def sample_grid(
    run: Any,
    n: int = 64,
    seed: int = 0,
    *,
    out: str | Path,
    labels: Labels = None,
    truncation: float = 1.0,
    columns: int | None = None,
    codes: Values | None = None,
) -> Path:
    """Draw pictures and save them side by side as one; points of the plane as one scatter plot.

    Args:
        run: an opened run, or a model.
        n: how many pictures.
        seed: the same seed gives the same pictures; the first k of them do not depend on n.
        out: a .png, .jpg or .webp file; it is replaced if it is there.
        labels: classes for a conditional model (see `parse_labels`), or class indices [n]; all in turn when left out.
        truncation: 1 leaves the model alone; less gives more typical pictures.
        columns: pictures a row; a near-square sheet when left out.
        codes: name -> value of codes that all pictures shall have, for a model with named codes: {"c0": 3}.

    Returns:
        `out`.

    Raises:
        CapabilityError: the model does not sample.
        ConfigError: a value is out of range, or labels or codes do not fit the model.
        DataError: the file's suffix is no picture's.

    Example:
        >>> import tempfile
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> model = build("vae", {"width": 8}, PictureSpec(1, 8, 8)).eval()
        >>> sample_grid(model, 4, seed=3, out=tempfile.mkdtemp() + "/grid.png").name
        'grid.png'
    """
    _at_least(1, n=n)
    out = Path(out)
    _make_folder(out.parent)
    model = model_of(run)
    pictures = np.concatenate(list(draw(model, n, seed, labels, truncation, codes)))
    save_picture(out, model.spec.meaning.sheet(pictures, columns))
    return out


def sample_files(
    run: Any,
    n: int = 64,
    seed: int = 0,
    *,
    out: str | Path,
    labels: Labels = None,
    truncation: float = 1.0,
    overwrite: bool = False,
    codes: Values | None = None,
) -> list[Path]:
    """Draw pictures and save each as a PNG file of its own: out/00000.png, out/00001.png ...; sounds as WAV too.

    Args:
        run, n, seed, labels, truncation, codes: as for `sample_grid`.
        out: a folder; it is made if it is not there.
        overwrite: replace files of these names.

    Returns:
        The files.

    Raises:
        ConfigError: as for `sample_grid`, or `out` is (the name of) a file, or a file of one of the names is there
            already; then nothing is written.
    """
    _at_least(1, n=n)
    out = Path(out)
    refuse_file(out, "Single pictures")
    files = [out / f"{number:0{max(5, len(str(n - 1)))}d}.png" for number in range(n)]
    taken = None if overwrite else next((file for file in files if file.exists()), None)
    if taken is not None:
        raise ConfigError(f"{taken} is there already; choose another folder, or pass --overwrite.")
    model, at = model_of(run), 0
    chunks = draw(model, n, seed, labels, truncation, codes)
    for chunk in chunks:
        _make_folder(out)  # only now: what was asked for has been found to make sense
        model.spec.meaning.save_each(files[at : at + len(chunk)], chunk)
        at += len(chunk)
    return files


def sample_rows(
    run: Any,
    n: int = 64,
    seed: int = 0,
    *,
    out: str | Path,
    labels: Labels = None,
    truncation: float = 1.0,
    codes: Values | None = None,
) -> Path:
    """Draw rows of the table that a model was trained on, and save them as one.

    Args:
        run, n, seed, labels, truncation, codes: as for `sample_grid`.
        out: a .csv file; it is replaced if it is there.

    Raises:
        CapabilityError, ConfigError: as for `sample_grid`, or the model was trained on pictures.
    """
    _at_least(1, n=n)
    model, out = model_of(run), Path(out)
    meaning = model.spec.meaning
    if not meaning.one_file:
        raise ConfigError(f"{out.name} would be a table, and this model makes pictures; name a .png, or a folder.")
    chunks = list(_values_of(model, *_chosen(model, n, seed, labels, truncation, codes)))
    _make_folder(out.parent)
    meaning.save_values([out] * n, chunks)
    return out


def sample_to(
    run: Any,
    n: int = 64,
    seed: int = 0,
    *,
    out: str | Path,
    single: bool = False,
    overwrite: bool = False,
    columns: int | None = None,
    **options: Any,
) -> list[Path]:
    """`sample_files` if `single` or `out` is a folder or has no suffix, `sample_rows` for .csv, and else `sample_grid`.

    Raises:
        DataError: the file's suffix is no picture's.
    """
    out = Path(out)
    if single or out.is_dir() or not out.suffix:
        return sample_files(run, n, seed, out=out, overwrite=overwrite, **options)
    if out.suffix.lower() == ".csv":
        return [sample_rows(run, n, seed, out=out, **options)]
    return [sample_grid(run, n, seed, out=out, columns=columns, **options)]


def interpolate(
    run: Any,
    seed: int = 0,
    steps: int = 8,
    rows: int = 4,
    *,
    labels: Labels = None,
    truncation: float = 1.0,
    codes: Values | None = None,
) -> NDArray[np.uint8]:
    """A sheet each of whose rows goes from one latent to another along the sphere (see `mezzotint.engine.codes`).

    Args:
        run: an opened run, or a model.
        seed: decides the latents.
        steps: pictures in a row, both ends counted; at least 2.
        rows: how many rows.
        labels: the class of each row, for a conditional model; all in turn when left out.
        truncation, codes: as for `sample_grid`.

    Returns:
        [H, W, C] uint8.

    Raises:
        CapabilityError, ConfigError: as for `sample_grid`.

    Example:
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> model = build("vae", {"width": 8}, PictureSpec(1, 8, 8)).eval()
        >>> interpolate(model, seed=3, steps=5, rows=2).shape[2]
        1
    """
    _at_least(2, steps=steps)
    _at_least(1, rows=rows)
    model = model_of(run)
    _require(model, "interpolate")
    chosen = labels_for(model, rows, labels, codes)
    ends = model.latent(2 * rows, seed, truncation)
    known = codes_of(model)
    latents = torch.cat([between(known, ends[2 * row], ends[2 * row + 1], steps) for row in range(rows)])
    latents = with_codes(model, latents, codes)
    each = None if chosen is None else chosen.repeat_interleave(steps)
    return model.spec.meaning.sheet(np.concatenate(list(pictures_of(model, latents, each))), columns=steps)


def walk(
    run: Any,
    seed: int = 0,
    seconds: float = 6.0,
    fps: float = 24.0,
    stops: int = 6,
    *,
    labels: Labels = None,
    truncation: float = 1.0,
    codes: Values | None = None,
) -> NDArray[np.uint8]:
    """The frames of a closed, smooth walk through latent space: the last leads on to the first.

    The way is a periodic cubic spline through `stops` latents whose weights are brought to length 1, so that every
    frame's latent, and not only those at the stops, is distributed as the model expects: N(0, I).

    Args:
        run: an opened run, or a model.
        seed: decides the latents.
        seconds, fps: length of the film, and frames a second.
        stops: latents on the way, at least 2.
        labels: the one class of the film, for a conditional model; the first when left out.
        truncation, codes: as for `sample_grid`; truncation holds at the stops.

    Returns:
        [T, H, W, C] uint8 with T = seconds * fps, for `mezzotint.data.output.save_film`.

    Raises:
        CapabilityError, ConfigError: as for `sample_grid`.
    """
    _at_least(2, stops=stops)
    if not (0 < fps <= 100 and seconds > 0 and 1 <= round(seconds * fps) <= 100_000):
        raise ConfigError(
            f"A film has more than 0 and at most 100 frames a second, and 1 to 100,000 frames; got {seconds:g} "
            f"seconds of {fps:g}."
        )
    model = model_of(run)
    _require(model, "walk")
    frames = round(seconds * fps)
    if isinstance(labels, str):
        labels = parsed(model, labels, None)
    if labels is not None and len(labels) != 1:
        raise ConfigError(f"A walk stays within one class; got {len(labels)}.")
    if labels is None and is_conditional(model) and class_code(model) not in (codes or {}):
        labels = [0]
    chosen = None if labels is None else labels_for(model, frames, [int(labels[0])] * frames)
    weights = torch.from_numpy(loop_weights(frames, stops))
    points = model.latent(stops, seed, truncation)
    latents = with_codes(model, blend(codes_of(model), points, weights), codes)
    return model.spec.meaning.frames(np.concatenate(list(pictures_of(model, latents, chosen))))


def walk_film(run: Any, out: str | Path, *, fps: float = 24.0, **options: Any) -> Path:
    """Save a `walk` as .gif, .mp4 or .webm; small pictures are magnified by a whole number to about 256 pixels.

    Args:
        run: an opened run, or a model.
        out: the file; it is replaced if it is there.
        fps: frames a second.
        options: those of `walk`.
    """
    out = Path(out)
    frames = walk(run, fps=fps, **options)
    factor = max(1, _FILM_PIXELS // max(frames.shape[1:3]))
    _make_folder(out.parent)
    save_film(out, frames.repeat(factor, axis=1).repeat(factor, axis=2), fps)
    return out


def model_of(run: Any) -> Any:
    """The model itself, of anything opened (a run, or one from a hub) or of a model."""
    return run if isinstance(run, Model) else run.model


def models_that(capability: str) -> list[str]:
    """Names of the registered models with a capability, in words where it takes a setting.

    Example:
        >>> "vae" in models_that("reconstructs"), models_that("restyles")
        (True, ['stargan trained with --set model.styles=64'])
    """
    found = []
    for name in MODELS.names():
        cls = MODELS.get(name)
        if capability in capabilities(cls):
            setting = cls.optional.get(capability)
            found.append(name if setting is None else f"{name} trained with --set {setting}")
    return found


def draw(
    model: Any,
    n: int,
    seed: int = 0,
    labels: Labels = None,
    truncation: float = 1.0,
    codes: Values | None = None,
) -> Iterator[NDArray[Any]]:
    """What `model.sample` draws, some at a time and as it is stored, [k, H, W, C]: bytes, or 16 bits for points.

    Errors come before the first.
    """
    return pictures_of(model, *_chosen(model, n, seed, labels, truncation, codes))


def _chosen(
    model: Any, n: int, seed: int, labels: Labels, truncation: float, codes: Values | None
) -> tuple[Tensor, Tensor | None]:
    """The latents [n, latent] and classes [n] of what is to be drawn."""
    _require(model, "sample")
    latents = with_codes(model, model.latent(n, seed, truncation), codes)
    return latents, labels_for(model, n, labels, codes)


def pictures_of(model: Any, latents: Tensor, labels: Tensor | None) -> Iterator[NDArray[Any]]:
    """The pictures of latents [N, latent], some at a time and as they are stored, [k, H, W, C]."""
    return (model.spec.meaning.stored(values) for values in _values_of(model, latents, labels))


@torch.no_grad()
def _values_of(model: Any, latents: Tensor, labels: Tensor | None) -> Iterator[NDArray[np.float32]]:
    """The same as the model gives them, [k, C, H, W] in [-1, 1]."""
    for i in range(0, len(latents), _CHUNK):
        chosen = None if labels is None else labels[i : i + _CHUNK]
        yield model.generate(latents[i : i + _CHUNK], chosen).float().cpu().numpy()


def _require(model: Any, task: str) -> None:
    require(model, "samples", task, others=models_that("samples"))


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"{name} is at least {least}; got {value}.")


def _make_folder(folder: Path) -> None:
    with atomic.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
