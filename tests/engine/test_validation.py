"""The best checkpoint and early stopping, by whatever measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import mezzotint as mz
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import MODELS, Model
from mezzotint.engine.validation import QuickScore, Validation, settle_best
from mezzotint.testing._make import make_pictures, make_trainer


def test_what_the_best_goes_by() -> None:
    vae, dcgan = (make_trainer(MODELS.get(name), make_pictures()).model for name in ("vae", "dcgan"))
    mute = Model.__new__(Model)
    torch.nn.Module.__init__(mute)
    mute.__class__ = type("Mute", (Model,), {"name": "mute"})
    assert [settle_best("auto", each) for each in (vae, dcgan, mute)] == ["loss", "kid", None]
    assert [settle_best(asked, vae) for asked in ("loss", "kid", "frechet")] == ["loss", "kid", "frechet"]  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="dcgan has no validation loss"):
        settle_best("loss", dcgan)
    with pytest.raises(ConfigError, match="mute generates no pictures"):
        settle_best("kid", mute)


class _Blur:
    """Gives the held-out pictures, with some of their contrast lost."""

    def __init__(self, trainer: Any, contrast: float) -> None:
        self.trainer, self.contrast, self.spec = trainer, contrast, trainer.model.spec

    def latent(self, n: int) -> torch.Tensor:
        return torch.arange(n)[:, None]

    def generate(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        rows = self.trainer.pictures.splits["validation"][latents[:, 0].numpy()]
        pictures = torch.from_numpy(self.trainer.pictures.pictures[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        return pictures * self.contrast


@pytest.mark.parametrize("by", ["kid", "frechet"])
@pytest.mark.parametrize("side", [8, 24])
def test_quick_scores_grow_with_damage(by: Any, side: int) -> None:
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(height=side, width=side, count=160))
    score = QuickScore(by)
    values = [score.measure(trainer, _Blur(trainer, c)) for c in (1.0, 0.8, 0.5, 0.2)]  # type: ignore[arg-type]
    assert values == sorted(values)  # type: ignore[type-var]
    assert values[0] < 1e-3 if by == "kid" else values[0] == pytest.approx(0, abs=1e-4)  # type: ignore[operator]


def test_another_measure_begins_anew() -> None:
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures())
    by_loss = Validation(None, 1, 3)
    by_loss.best, by_loss.waited = -5.0, 2
    told: list[str] = []
    by_score = Validation(None, 1, 3, score=QuickScore("kid"), tell=told.append)
    by_score.load(by_loss.state())
    by_score.on_start(trainer)
    assert by_score.waited == 0
    by_score.best, by_score.waited = 0.5, 1
    again = Validation(None, 1, 3, score=QuickScore("kid"))
    again.load(json.loads(json.dumps(by_score.state())))
    again.on_start(trainer)
    assert (again.best, again.waited) == (0.5, 1)
    assert told == [
        "Best checkpoint: by the kernel distance (pixels) of up to 256 generated to as many held-out pictures, "
        "every 1 steps, and training stops after 3 in a row without a better one."
    ]


def test_a_gan_has_a_best_checkpoint_and_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coming = iter([3.0, 2.0, 2.5, 2.4, 1.0])
    monkeypatch.setattr(QuickScore, "measure", lambda self, trainer, model: next(coming))
    small = {"model": {"latent": 4, "width": 4, "discriminator_width": 4}}
    told: list[str] = []
    options = {"steps": 20, "batch_size": 8, "validate_every": 2, "patience": 2, "log_every": 2}
    run = mz.train(
        "dcgan",
        "digits",
        out=tmp_path / "a",
        settings=small,
        quiet=True,
        tell=told.append,
        best_by="frechet",
        **options,
    )
    assert run.step == 8
    best = mz.load(run.path, "best")
    assert best.step == 4
    assert best.model.calibration.tolist() != [1.0, 0.0], "its discriminator is calibrated too"
    logged = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    assert [line["validation/frechet"] for line in logged] == [3.0, 2.0, 2.5, 2.4]
    assert any("by the Fréchet distance (pixels)" in text for text in told)
