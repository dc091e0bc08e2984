"""The two sides of an evaluation: which real pictures, and where the generated ones come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core.errors import ConfigError, DataError, MezzotintError
from mezzotint.core.rng import stream
from mezzotint.data.open import open_pictures
from mezzotint.data.types import SPLITS, DataConfig, PictureSet
from mezzotint.tasks._features import BATCH, to_bytes
from mezzotint.tasks._labels import is_conditional
from mezzotint.tasks._sources import open_source
from mezzotint.tasks.reconstruct import fit_channels, open_for
from mezzotint.tasks.sample import draw

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class RealSide:
    """The real pictures that are scored against.

    Attributes:
        pictures: the whole set.
        split: which part of it: train, validation, test or all.
        rows: [N] those of the part that are used.
        train: rows that the model was trained on, or None where that is not known.
        notes: sentences that belong to every score.
    """

    pictures: PictureSet
    split: str
    rows: Rows
    train: Rows | None
    notes: tuple[str, ...] = ()

    def chunks(self, rows: Rows, spec: Any = None) -> Iterator[Tensor]:
        """uint8 [k, C, H, W] of some rows, with the channels of `spec`."""
        for start in range(0, len(rows), BATCH):
            packed = self.pictures.pictures[rows[start : start + BATCH]]
            yield to_bytes(packed if spec is None else fit_channels(packed, spec))


def real_for_run(run: Any, data: Any, split: str | None, n: int | None, seed: int) -> RealSide:
    """The pictures a run is scored against: those it was trained from, or `data`.

    Raises:
        DataError: the run's own pictures are gone or have changed, and no others are named.
        ConfigError: the part is unknown or empty, or only training pictures are left and were not asked for.
    """
    recipe = run.recipe
    own = _own(run, recipe.summary.source if data is None else data)
    if own is not None:
        return _part(own, split, n, seed, own.splits["train"])
    if data is None:
        raise DataError(
            f"{recipe.summary.source} has changed since the run was trained, so its held-out pictures are not "
            "known; name pictures with --data."
        )
    real = open_for(recipe, data)
    notes: tuple[str, ...] = ()
    if _chosen(real, split) == "all":
        notes = (
            f"These are not the pictures that the run was trained on, or they have changed: all {len(real):,} are "
            "used, and if training pictures are among them the scores flatter the model.",
        )
    return _part(real, split, n, seed, None, notes)


def both_sets(
    fake: Any, data: Any, split: str | None, n: int | None, seed: int, size: int | tuple[int, int] | None
) -> tuple[PictureSet, RealSide]:
    """Two sets of pictures at the size of the generated ones, or at `size`.

    Raises:
        DataError: there is nothing to read.
    """
    plain = DataConfig(size=size, validation=0.0)
    made = open_pictures(fake, plain)
    same = plain.changed(size=made.shape[1:])
    real = open_pictures(data, same)
    if real.meaning.planar and not made.meaning.planar:
        made = open_pictures(fake, same.changed(depth="16", mode="grey"))  # one level of 256 is about as wide as a mode
    elif real.shape[0] != made.shape[0]:
        alike = same.changed(mode="rgb")
        made, real = open_pictures(fake, alike), open_pictures(data, alike)
    return made, _part(real, split, n, seed, None)


def fake_rows(fake: PictureSet, n: int | None, seed: int) -> Rows:
    """Rows of a set of generated pictures in random order, so that neighbours in it are no pairs."""
    order = stream(seed, "evaluate", "fake").permutation(len(fake))
    return order if n is None else order[:n]


def fake_labels(model: Any, real: RealSide, n: int, seed: int) -> Tensor | None:
    """Classes [n] in the proportions of the real pictures, in random order; None for a model that takes none."""
    if not is_conditional(model):
        return None
    classes, known = model.spec.classes, real.pictures.labels
    order = stream(seed, "evaluate", "labels").permutation(n)
    if known is None or not set(real.pictures.classes) <= set(classes):
        return torch.from_numpy((np.arange(n) % len(classes))[order])
    names = [classes.index(name) for name in real.pictures.classes]
    labels = np.sort(known[real.rows])
    labels = labels[labels >= 0]
    if not len(labels):
        return torch.from_numpy((np.arange(n) % len(classes))[order])
    spread = labels[(np.arange(n) * len(labels) + len(labels) // 2) // n]
    return torch.from_numpy(np.array(names, np.int64)[spread][order])


def drawn(model: Any, n: int, seed: int, labels: Tensor | None) -> Iterator[Tensor]:
    """uint8 [k, C, H, W], what `sample` would save."""
    for chunk in draw(model, n, seed, labels):
        yield to_bytes(chunk)


def points_of(model: Any, made: PictureSet | None, rows: Rows | None, real: RealSide, n: int, seed: int) -> Any:
    """Coordinates [n, 2] of the points that a model makes, or of a set of them (stored as those of `real`)."""
    if model is not None:
        chunks = draw(model, n, seed, fake_labels(model, real, n, seed))
        return np.concatenate([model.spec.meaning.numbers(chunk) for chunk in chunks])
    assert made is not None
    meaning = made.meaning if made.meaning.planar else real.pictures.meaning
    return meaning.numbers(made.pictures[rows])


def _own(run: Any, source: Any) -> PictureSet | None:
    """The set the run was trained from, if that is what `source` is."""
    fingerprint = run.recipe.summary.fingerprint
    if isinstance(source, PictureSet) and source.fingerprint == fingerprint:
        return source
    try:
        opened = open_source(source, run.recipe.data)
    except MezzotintError:
        if source == run.recipe.summary.source:
            raise
        return None  # other pictures, which do not take the run's settings
    return opened if opened.fingerprint == fingerprint else None


def _chosen(pictures: PictureSet, split: str | None) -> str:
    if split is not None:
        if split not in (*SPLITS, "all"):
            raise ConfigError(f'There is no part "{split}"; it is train, validation, test or all.')
        return split
    return next((name for name in ("test", "validation") if len(pictures.splits[name])), "all")


def _part(
    pictures: PictureSet, split: str | None, n: int | None, seed: int, train: Rows | None, notes: tuple[str, ...] = ()
) -> RealSide:
    chosen = _chosen(pictures, split)
    if split is None and chosen == "all" and train is not None:
        raise ConfigError(
            "The run held no picture out, so only its training pictures are left; pass --split train to score against "
            "them all the same, or name others with --data."
        )
    rows = np.arange(len(pictures)) if chosen == "all" else pictures.splits[chosen]
    if not len(rows):
        raise ConfigError(f"{pictures.source} has no {chosen} part; leave --split out, or choose another.")
    if train is not None and chosen in ("train", "all"):
        notes = (*notes, "Scored against pictures that the model was trained on: the scores flatter it.")
    if n is not None and n < len(rows):
        rows = np.sort(stream(seed, "evaluate", "real").permutation(rows)[:n])
    return RealSide(pictures, chosen, rows, train if chosen in ("validation", "test") else None, notes)
