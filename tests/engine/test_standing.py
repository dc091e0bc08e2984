"""Batch normalisations of averaged weights have statistics of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import mezzotint as mz
from mezzotint.nn.norm import BatchNorm2d, estimated

SETTINGS = {"model": {"width": 8, "discriminator_width": 8, "lr": 5e-3}, "train": {"precision": "fp32", "ema": 0.98}}


def _inputs(model: Any, norm: BatchNorm2d, latents: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    with torch.no_grad():
        model.generate(latents)
    hook.remove()
    return seen[0]


def test_statistics_are_those_of_the_averaged_weights(tmp_path: Path) -> None:
    """Means and variances that the first normalisation knows are those of what it is given by new latents."""
    run = mz.train("dcgan", "digits", out=tmp_path / "a", steps=60, batch_size=16, quiet=True, settings=SETTINGS)
    model = run.model
    first = next(m for m in model.generator.modules() if isinstance(m, BatchNorm2d))
    x = _inputs(model, first, model.latent(4096, seed=99))
    spread = x.std((0, 2, 3))
    assert bool(((first.running_mean - x.mean((0, 2, 3))).abs() < 0.15 * spread).all())
    assert bool(((first.running_var / spread.square() - 1).abs() < 0.15).all())


def test_training_does_not_depend_on_when_they_are_taken(tmp_path: Path) -> None:
    """A run that was looked at and saved on the way ends bit for bit like one that was not."""
    ends = []
    for name, previews in (("a", 3), ("b", 1000)):
        settings = {**SETTINGS, "train": {**SETTINGS["train"], "preview_every": previews}}
        mz.train("dcgan", "digits", out=tmp_path / name, steps=8, batch_size=8, quiet=True, settings=settings)
        if name == "a":
            mz.resume(tmp_path / name, steps=14, quiet=True)
        else:
            mz.train("dcgan", "digits", out=tmp_path / "c", steps=14, batch_size=8, quiet=True, settings=settings)
        ends.append(mz.load(tmp_path / ("a" if name == "a" else "c")).model.state_dict())
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key


@pytest.mark.parametrize("training", [False, True])
def test_estimated_leaves_all_else_as_it_was(training: bool) -> None:
    norm = BatchNorm2d(2).train(training)
    x = torch.randn(32, 2, 3, 3) * 3 + 1
    with estimated(norm):
        for part in x.split(8):
            norm(part)
    parts = torch.stack([part.mean((0, 2, 3)) for part in x.split(8)])
    torch.testing.assert_close(norm.running_mean, parts.mean(0))
    assert (norm.momentum, norm.training, norm.alone) == (0.1, training, False)
