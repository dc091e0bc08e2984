"""Editing pictures by what they show: along the direction in a model's latents that an attribute has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core.errors import ConfigError, DataError, suggest
from mezzotint.data.types import PictureSet
from mezzotint.engine.capabilities import require
from mezzotint.tasks import _measure, _sides
from mezzotint.tasks.reconstruct import Reconstructions, write_as_seen
from mezzotint.tasks.sample import models_that

Method = Literal["means", "linear"]
_CODED = 10_000
"""Labelled pictures that are encoded, at most."""
_PULL = 1.0
"""Weight of the squared weights of the linear reader, of codes of variance 1."""


def edit(
    run: Any,
    source: Any,
    out: str | Path,
    add: Mapping[str, float],
    *,
    data: Any = None,
    method: Method = "means",
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Reconstructions:
    """Change what pictures show: their latents move along the directions of attributes, and come back as pictures.

    The directions are found in the latents of labelled pictures: those that the run was trained on, or `data`. An
    attribute is a class ("cat"), a column of the metadata that holds numbers ("age"; 1 and 0 for yes and no), or a
    value of a column of words ("colour=red"). An amount of 1 is the way from those without it to those with it, or one
    standard deviation of a column of more than two numbers; negative amounts go the other way.

    Each picture becomes a PNG file of its own name in `out`, as with `reconstruct`, and `grid.png` shows it beside the
    original.

    Args:
        run: an opened run, whose model encodes and decodes.
        source: one picture, a folder, archive, named set or array: whatever `open_pictures` takes.
        out: a folder; it is made if it is not there.
        add: attribute -> amount.
        data: labelled pictures to find the directions in, instead of the run's own.
        method: "means", the difference of the mean latents (of numbers: their slope), or "linear", the direction by
            which a linear reader tells the attribute, which leaves alone what merely goes along with it.
        seed: of the choice of labelled pictures, where there are more than 10,000.
        overwrite: replace files of these names.
        progress: called with (done, all).
        tell: told of the licence of a named set that is about to be downloaded.

    Raises:
        CapabilityError: the model does not encode and decode.
        ConfigError: nothing is to be added, or `out` holds a file of one of the names.
        DataError: there is no such attribute, all pictures have it or none, or there is nothing to read.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> run = mz.train("vae", "digits", steps=2, out=folder + "/a", quiet=True)
        >>> found = edit(run, np.zeros((3, 8, 8), np.uint8), folder + "/b", {"7": 1.0})
        >>> len(found.files)
        3
    """
    for capability in ("encodes", "decodes"):
        require(run.model, capability, "edit", others=models_that(capability))
    if not add:
        raise ConfigError("Nothing is to be added; name an attribute and an amount, such as --add smile 1.5.")
    for name, amount in add.items():
        if not math.isfinite(amount):
            raise ConfigError(f'The amount of "{name}" is {amount}; give a number, such as 1.5.')
    shift = _shift(run, add, data, method, seed)
    return write_as_seen(
        run,
        source,
        out,
        lambda pictures: run.model.decode(run.model.encode(pictures) + shift),
        beside=True,
        overwrite=overwrite,
        progress=progress,
        tell=tell,
    )


def _shift(run: Any, add: Mapping[str, float], data: Any, method: Method, seed: int) -> Tensor:
    """What is added to every latent [latent]: the directions of all attributes, by their amounts."""
    real = _sides.real_for_run(run, data, "train" if data is None else "all", _CODED, seed)
    known = {name: attribute(real.pictures, name)[real.rows] for name in add}
    codes = _measure.encoded(run.model, real, real.rows, lambda n: None).astype(np.float64)
    shift = np.zeros(codes.shape[1])
    for name, amount in add.items():
        shift += amount * direction(codes, known[name], method, name)
    return torch.from_numpy(shift).float().to(run.model.device)


def attribute(pictures: PictureSet, name: str) -> NDArray[np.float64]:
    """The values [N] of an attribute; NaN where it is not known.

    Raises:
        DataError: there is no such attribute.
    """
    column, equals, value = name.partition("=")
    if equals and column in pictures.attributes:
        held = pictures.attributes[column]
        texts = np.array([_text(each) for each in held.tolist()])
        if value not in texts:
            raise DataError(f"No picture has {column}={value}; {suggest(value, sorted(set(texts) - {''}))}")
        return np.where(texts == "", np.nan, texts == value)
    if name in pictures.attributes:
        held = pictures.attributes[name]
        if held.dtype.kind != "f":
            words = sorted({str(each) for each in held.tolist()} - {""})
            raise DataError(
                f'"{name}" is a column of words; say which, such as {name}={words[0] if words else "word"}.'
            )
        return held.astype(np.float64)
    if pictures.labels is not None and name in pictures.classes:
        own = pictures.classes.index(name)
        return np.where(pictures.labels < 0, np.nan, pictures.labels == own)
    known = [*pictures.attributes, *(pictures.classes if pictures.labels is not None else ())]
    said = suggest(name, known) if known else "they have neither classes nor a metadata file; name others with --data."
    raise DataError(f'{pictures.source} has no attribute "{name}"; {said}')


def direction(
    codes: NDArray[np.float64], values: NDArray[np.float64], method: Method = "means", name: str = "the attribute"
) -> NDArray[np.float64]:
    """The way [latent] that an amount of 1 goes, of codes [N, latent] and an attribute's values [N].

    "means": the slope of the codes by the attribute, cov(z, v) / var(v), which is the difference of two means where
    there are two values. "linear": of the weights w of a ridge regression of the attribute on the codes, the
    multiple that moves the reader as far as "means" does. Both are times the standard deviation, where there are
    more values than two.

    Raises:
        DataError: fewer than two values are known.

    Example:
        >>> direction(np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([0.0, 1.0])).tolist()
        [2.0, 0.0]
    """
    there = np.isfinite(values)
    codes, values = codes[there], values[there]
    kinds = len(np.unique(values))
    if kinds < 2:
        raise DataError(f'All pictures have the same value of "{name}", so there is no way from one to another.')
    unit = np.ptp(values) if kinds == 2 else values.std()
    centred, read = codes - codes.mean(0), values - values.mean()
    slope = unit * (read @ centred) / (read @ read)
    if method == "means":
        return np.asarray(slope)
    spread = np.where(codes.std(0) > 0, codes.std(0), 1.0)
    z = centred / spread
    weights = np.linalg.solve(z.T @ z + _PULL * np.eye(z.shape[1]), z.T @ read) / spread
    return np.asarray(weights * (weights @ slope) / (weights @ weights))


def _text(value: Any) -> str:
    """A metadata value as a person writes it: 3 for 3.0, and nothing for what is not known."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return str(value)
