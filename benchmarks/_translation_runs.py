"""Runs of CycleGAN for the benchmarks: ours by `mezzotint train`, and the reference, on the same pictures in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from _trained import trained
from _translation import Pictures, Translator, is_kept, keep, kept, set_of, there_and_back
from _translation_peers import PeerCycleGAN
from mezzotint.core.config import parse_assignments
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


def missing(row: str, folder: Path, steps: int) -> bool:
    """Whether this contender has not finished so many steps."""
    path = place(folder, LAST if row == OURS else row)
    return not is_kept(path) or kept(path)[1]["steps"] < steps
