"""What a model is trained on: pictures, or the codes that another run makes of its pictures.

Codes are rows of a table, so that every model, command and check that takes tables takes them: what is trained on codes
is a sampler of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core.errors import CheckpointError, ConfigError, DataError
from mezzotint.data.cache import hash_parts
from mezzotint.data.open import open_pictures
from mezzotint.data.tables import Columns
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.capabilities import capabilities, require
from mezzotint.engine.codes import columns
from mezzotint.engine.feed import to_tensor
from mezzotint.tasks.reconstruct import fit_channels
from mezzotint.tasks.sample import models_that

REACH = 8.0
"""Codes are kept between -8 and 8, in steps of a four-thousandth."""
_CHUNK = 64


def open_source(
    source: Any,
    config: DataConfig = DataConfig(),
    *,
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> PictureSet:
    """As `mezzotint.data.open.open_pictures`; and of a run, opened or the folder of one, the codes of its pictures.

    Raises:
        CapabilityError: the run's model does not encode.
        CheckpointError: the run cannot be opened.
        DataError: nothing usable is there, the run's pictures are gone or have changed, or the options do not fit.
    """
    run = _run(source)
    if run is None:
        return open_pictures(source, config, progress=progress, notify=notify)
    require(run.model, "encodes", "train on codes", others=models_that("encodes"))
    if config.size is not None or config.flip or config.mode not in ("auto", "grey"):
        raise DataError(f"{run.path} gives codes, to which size, mode and flip do not apply; leave them out.")
    recipe = run.recipe
    pictures = open_source(recipe.summary.source, recipe.data, notify=notify)
    if pictures.fingerprint != recipe.summary.fingerprint:
        raise DataError(
            f"{recipe.summary.source} no longer holds the pictures that {run.path} was trained on, so codes of them "
            "cannot be had; restore them."
        )
    codes = _encoded(run.model, pictures, progress)[:, _known(run.model)]
    beyond = int((np.abs(codes) > REACH).any(1).sum())
    notes = (f"Codes of {beyond:,} pictures go beyond {REACH:g} and are cut there.",) if beyond else ()
    if not np.isfinite(codes).all():
        raise DataError("Some codes are not finite numbers; the model has diverged: take an earlier checkpoint.")
    units = codes.shape[1]
    table = Columns(tuple(f"z{k}" for k in range(units)), (-REACH,) * units, (REACH,) * units)
    return PictureSet(
        pictures=table.levels(codes),
        labels=pictures.labels,
        classes=pictures.classes,
        names=pictures.names,
        splits=pictures.splits,
        source=str(run.path),
        fingerprint=codes_print(run),
        attributes=pictures.attributes,
        notes=(*notes, f"Trained on are the {units:,} numbers that {recipe.name} makes of each picture."),
        meaning=table,
    )


def codes_print(run: Any) -> str:
    """What stands for the codes of a run: the same pictures, and the same weights that encode them."""
    weights = hashlib.sha256()
    for name, value in sorted(run.model.state_dict().items()):
        weights.update(name.encode())
        weights.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return hash_parts(["codes", run.recipe.summary.fingerprint, weights.hexdigest()])


def use_sampler(run: Any, sampler: Any) -> None:
    """Let the latents that `run` draws be what `sampler` draws, a run that was trained on the codes of this one.

    Raises:
        CapabilityError: the sampler does not sample.
        ConfigError: it was trained on something else.
    """
    require(sampler.model, "samples", "be a sampler", others=models_that("samples"))
    if sampler.recipe.summary.fingerprint != codes_print(run):
        raise ConfigError(
            f"{sampler.path} was not trained on the codes of {run.path} as it is now; do that with mezzotint train "
            f"{sampler.recipe.name} {run.path} --out another-folder."
        )
    own, known = run.model.latent, _known(run.model)

    def latent(n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        latents: Tensor = own(n, seed, truncation)
        values = sampler.model.sample(n, seed=seed, truncation=truncation).flatten(1) * REACH
        latents[:, known] = values.to(latents)
        return latents

    run.model.latent = latent


def _known(model: Any) -> list[int] | slice:
    """Columns of the latents that an encoder can know: those that have names, or all where none has."""
    return columns(model.codes()) if "codes" in capabilities(model) else slice(None)


def _run(source: Any) -> Any | None:
    """The run that a source is, or None."""
    if hasattr(source, "recipe") and hasattr(source, "model"):
        return source
    if not isinstance(source, str | Path):
        return None
    try:
        there = (Path(source) / "config.json").is_file() and (Path(source) / "checkpoints").is_dir()
    except (OSError, ValueError):
        return None
    if not there:
        return None
    from mezzotint.tasks.run import load

    try:
        return load(source)
    except CheckpointError as error:
        raise CheckpointError(f"{source} is a run whose codes cannot be had: {error}") from error


@torch.no_grad()
def _encoded(model: Any, pictures: PictureSet, progress: Callable[[int, int], None] | None) -> NDArray[np.float32]:
    found = []
    for start in range(0, len(pictures), _CHUNK):
        packed = fit_channels(pictures.pictures[start : start + _CHUNK], model.spec)
        found.append(model.encode(to_tensor(packed, model.device)).float().cpu().numpy())
        if progress is not None:
            progress(min(start + _CHUNK, len(pictures)), len(pictures))
    return np.concatenate(found)
