"""What is left behind while training: pictures of fixed latents, and curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mezzotint.engine.callback import Callback
from mezzotint.engine.callbacks import JsonLog, Previews, TensorBoard, preview
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS, PictureSpec
from mezzotint.testing._make import make_pictures, make_trainer, same_tensors


def test_previews_are_of_fixed_latents_and_averaged_weights(tmp_path: Path) -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=5)
    trainer.callbacks = [Previews(tmp_path, every=2, count=4)]
    trainer.run()
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"step-{n:08d}.png" for n in (2, 4, 5)]
    with trainer.using() as model:
        expected = preview(model, trainer.held_out(4)[0], 4)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "step-00000005.png")), expected[..., 0])
    latents = trainer.model.latent(4, seed=0)  # type: ignore[operator]
    assert torch.equal(latents, trainer.model.latent(9, seed=0)[:4])  # type: ignore[operator]


def test_previews_change_nothing(tmp_path: Path) -> None:
    plain, watched = (make_trainer(MODELS.get("dcgan"), make_pictures(), steps=4) for _ in range(2))
    watched.callbacks = [Previews(tmp_path, every=1, count=3)]
    plain.run(), watched.run()
    assert same_tensors(plain.tensors(), watched.tensors())


def test_a_model_that_only_reconstructs_shows_pairs() -> None:
    class Mirror(torch.nn.Module):
        spec = PictureSpec(1, 8, 8)

        def reconstruct(self, pictures: torch.Tensor) -> torch.Tensor:
            return -pictures

    model: Any = Mirror()
    shown = preview(model, torch.ones(2, 1, 8, 8), 2)
    assert {0, 255} <= set(np.unique(shown).tolist()), "white pictures beside black reconstructions"
    assert preview(torch.nn.Identity(), torch.ones(2, 1, 8, 8), 2) is None  # type: ignore[arg-type]


def test_curves_are_the_numbers_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=6)
    trainer.callbacks = [JsonLog(tmp_path / "log.jsonl", 2), TensorBoard(tmp_path / "curves", 2)]
    trainer.run()
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    curves = EventAccumulator(str(tmp_path / "curves"))
    curves.Reload()
    for term in ("vae/reconstruction", "vae/kl"):
        found = [(event.step, event.value) for event in curves.Scalars(term)]
        assert [step for step, _ in found] == [2, 4, 6]
        assert [value for _, value in found] == pytest.approx([line[term] for line in logged], rel=1e-4, abs=1e-5)


def test_curves_of_a_run_that_was_killed_and_resumed_have_each_step_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    class At(Callback):
        """Goes on from a checkpoint of step 4 in a folder into which a killed run wrote up to step 6."""

        def on_start(self, trainer: Trainer) -> None:
            trainer.step = 4

    for end, before in ((6, []), (8, [At()])):
        trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=end)
        trainer.callbacks = [*before, TensorBoard(tmp_path / "curves", 1)]
        trainer.run()
    curves = EventAccumulator(str(tmp_path / "curves"))
    curves.Reload()
    assert [event.step for event in curves.Scalars("vae/kl")] == [1, 2, 3, 4, 5, 6, 7, 8]
