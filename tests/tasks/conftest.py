"""Opened runs of small models with fresh weights, for tests of what is done with trained ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mezzotint.data.types import DataConfig
from mezzotint.engine.checkpoint import Checkpoint
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.engine.recipe import DataSummary, Recipe
from mezzotint.tasks.run import Run

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def opened() -> Callable[..., Run]:
    """Opens a run of a model by name; see `_open`."""
    return _open


def _open(
    name: str,
    path: Path,
    spec: PictureSpec = PictureSpec(1, 8, 8, CLASSES),
    data: DataConfig = DataConfig(),
    seed: int = 0,
    **settings: Any,
) -> Run:
    """A run of a model's `tiny` settings whose weights are random, statistics of normalisation included."""
    cls = MODELS.get(name)
    model = build(name, {**cls.tiny, **settings}, spec, seed)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, value in model.state_dict().items():
        noise = torch.rand(value.shape, generator=generator)
        moved = value.is_floating_point() and key.rpartition(".")[2] in ("running_mean", "running_var", "bias")
        tensors[f"model/{key}"] = value + 0.3 * noise if moved else value
    summary = DataSummary("/home/someone/secret/birds", "0" * 64, 20, 18, 2, 0, 0)
    recipe = Recipe(name, model.config, spec, data, TrainConfig(seed=seed), summary)
    path.mkdir(parents=True, exist_ok=True)
    return Run(path, recipe, Checkpoint(7, tensors, {"seconds": 1.0}, path), torch.device("cpu"))
