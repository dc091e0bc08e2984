"""Runs of CycleGAN and StarGAN for the benchmarks: ours by `mezzotint train`, the reference on the same pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from _trained import trained
from _translation import Pictures, Translator, keep, set_of, there_and_back, translated, unfinished
from _translation_peers import PeerCycleGAN, PeerStarGAN
from mezzotint.core.config import parse_assignments
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.folder import RunFolder
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.weights import below, load_model_tensors

OURS, LAST, REFERENCE = "mezzotint", "mezzotint, last weights", "reference"
ROWS = (OURS, LAST, REFERENCE)


def place(folder: Path, row: str) -> Path:
    """Where what a row has made lies."""
    return folder / row.replace(", ", "-").replace(" ", "-")


def last_weights(run: Any) -> Any:
    """The run's model as it was trained last, where `run.model` has averaged weights."""
    folder, recipe = RunFolder.open(run.path)
    model: Any = recipe.build()
    load_model_tensors(model, below("model/", folder.store.load("latest").tensors))
    return model.eval().requires_grad_(False)


def train_cyclegan(
    row: str,
    title: str,
    domains: dict[str, Pictures],
    held: tuple[Pictures, Pictures],
    folder: Path,
    steps: int,
    batch_size: int,
    seed: int,
    settings: Sequence[str],
    peer: Path | None,
) -> str:
    """Train one contender and keep what it makes of `held`, pictures of both domains; returns a line that says it.

    Ours is kept twice: by its averaged weights, which are its result, and by its last ones, which are the reference's.

    Args:
        row: OURS or REFERENCE.
        domains: what is trained on.
    """
    torch.set_num_threads(1)
    pictures = set_of(title, domains)
    started = time.process_time()
    if row == OURS:
        run = trained(
            "cyclegan", pictures, folder / "run", steps=steps, quiet=True, seed=seed, batch_size=batch_size,
            device="cpu", settings=parse_assignments(settings),
        )  # fmt: skip
        made: dict[str, Translator] = {OURS: run.model.translate, LAST: last_weights(run).translate}
        precision, done = run.recipe.train.precision, run.step
    else:
        assert peer is not None
        model = build("cyclegan", parse_assignments(settings).get("model", {}), PictureSpec.of(pictures), seed)
        config = TrainConfig(steps=steps, batch_size=batch_size, seed=seed, schedule="late")
        reference = PeerCycleGAN(peer, model, pictures, config)
        for _ in range(steps):
            reference.round()
        made, precision, done = {REFERENCE: reference.translate}, "fp32", steps
    told = {"steps": done, "batch_size": batch_size, "processor_seconds": time.process_time() - started}
    for name, translate in made.items():
        keep(place(folder, name), there_and_back(translate, *held), precision=precision, **told)
    return (
        f"{title}, {row}, seed {seed}: {done:,} steps of {batch_size}, {told['processor_seconds']:.0f} s, {precision}"
    )


def train_stargan(
    row: str,
    title: str,
    train: tuple[Pictures, Mapping[str, NDArray[np.float32]]],
    held: tuple[Pictures, NDArray[np.float32]],
    asked: Mapping[str, NDArray[np.float32]],
    folder: Path,
    steps: int,
    batch_size: int,
    seed: int,
    settings: Sequence[str],
    peer: Path | None,
) -> str:
    """Train one contender on attributes and keep what it makes of held-out pictures; returns a line that says it.

    Args:
        row: OURS or REFERENCE.
        train: pictures, and of each attribute whether they have it, 1 or 0.
        held: other pictures, and what they are [N, K].
        asked: change -> what they shall be [N, K]; "<change>/back" is kept too, what is as it was again.
    """
    torch.set_num_threads(1)
    pictures = set_of(title, {"all": train[0]}, train[1])
    started = time.process_time()
    wish = parse_assignments(settings)
    wish.setdefault("data", {})["attributes"] = tuple(train[1])
    if row == OURS:
        run = trained(
            "stargan", pictures, folder / "run", steps=steps, quiet=True, seed=seed, batch_size=batch_size,
            device="cpu", settings=wish,
        )  # fmt: skip
        made: dict[str, Translator] = {OURS: run.model.translate, LAST: last_weights(run).translate}
        precision, done = run.recipe.train.precision, run.step
    else:
        assert peer is not None
        opened = open_pictures(pictures, DataConfig(attributes=tuple(train[1])))
        model = build("stargan", wish.get("model", {}), PictureSpec.of(opened), seed)
        reference = PeerStarGAN(peer, model, opened, TrainConfig(steps=steps, batch_size=batch_size, seed=seed))
        reference.round(steps, falling=True)
        made, precision, done = {REFERENCE: reference.translate}, "fp32", steps
    told = {"steps": done, "batch_size": batch_size, "processor_seconds": time.process_time() - started}
    for name, translate in made.items():
        results: dict[str, Pictures] = {}
        for change, wanted in asked.items():
            results[change] = translated(translate, held[0], torch.from_numpy(wanted))
            results[f"{change}/back"] = translated(translate, results[change], torch.from_numpy(held[1]))
        keep(place(folder, name), results, precision=precision, **told)
    return (
        f"{title}, {row}, seed {seed}: {done:,} steps of {batch_size}, {told['processor_seconds']:.0f} s, {precision}"
    )


def missing(row: str, folder: Path, steps: int) -> bool:
    """Whether this contender has not finished so many steps."""
    if row == OURS:
        return unfinished(place(folder, LAST), steps, folder / "run")
    return unfinished(place(folder, row), steps)
