"""Projection: a picture of the model's own is found again, over every model that samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mezzotint.core.errors import ConfigError
from mezzotint.data.output import to_uint8
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.tasks.project import distance, nearest, project
from mezzotint.tasks.run import Run
from mezzotint.tasks.sample import models_that

Open = Callable[..., Run]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path / "cache"))


UNTOLD = [n for n in models_that("samples") if not getattr(MODELS.get(n).Config(), "conditional", False)]
"""Models that need not be told a class."""


@pytest.mark.parametrize("name", UNTOLD)
def test_pictures_of_its_own_are_found_again(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run")
    own, random = run.model.sample(4, seed=3), run.model.sample(4, seed=4)
    weights = {key: value.clone() for key, value in run.model.state_dict().items()}
    with torch.no_grad():
        found_latents = nearest(run.model, own)
        made = run.model.generate(found_latents)
    if run.model.generate(run.model.latent(1).requires_grad_()).requires_grad:
        assert distance(own, made).mean().item() < 0.2 * distance(own, random).mean().item()
    else:  # there is no slope to follow, and the encoder of a model that was never trained knows nothing
        assert torch.equal(found_latents, run.model.encode(own))
    found = project(run, to_uint8(own.numpy()), tmp_path / "out", steps=3)
    assert np.load(tmp_path / "out" / "latents.npy").shape == tuple(run.model.latent(4).shape)
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["psnr"]["mean"] == pytest.approx(found.mean)
    assert (tmp_path / "out" / "grid.png").exists()
    assert all(torch.equal(value, weights[key]) for key, value in run.model.state_dict().items()), "and left alone"
    assert all(p.grad is None for p in run.model.parameters())


def test_more_steps_come_nearer_and_each_picture_is_on_its_own() -> None:
    model = build("dcgan", {"latent": 8, "width": 8, "discriminator_width": 8}, PictureSpec(1, 8, 8)).eval()
    with torch.no_grad():  # as if it were trained: pictures in the whole range
        for weight in model.parameters():
            weight.mul_(8)
    pictures = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    errors = []
    for steps in (1, 10, 100):
        latents = nearest(model, pictures, steps=steps)
        with torch.no_grad():
            errors.append(distance(model.generate(latents), pictures).sum().item())
    assert errors == sorted(errors, reverse=True)
    alone = nearest(model, pictures[1:2], steps=10)
    assert torch.allclose(alone, nearest(model, pictures, steps=10)[1:2], atol=1e-3)


def test_mistakes_are_answered(opened: Open, tmp_path: Path) -> None:
    run = opened("dcgan", tmp_path / "run")
    picture = np.zeros((1, 8, 8), np.uint8)
    with pytest.raises(ConfigError, match="knows no classes"):
        project(run, picture, tmp_path / "out", label="cat")
    with pytest.raises(ConfigError, match="1 step"):
        project(run, picture, tmp_path / "out", steps=0)
    project(run, picture, tmp_path / "out", steps=1)
    (tmp_path / "out" / "scores.json").unlink()
    for file in (tmp_path / "out").glob("*.png"):
        file.unlink()
    with pytest.raises(ConfigError, match=r"latents\.npy is there already"):
        project(run, picture, tmp_path / "out", steps=1)
