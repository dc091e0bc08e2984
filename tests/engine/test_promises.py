"""What the settings of the loop promise is really done by the loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mezzotint.core.config import Config
from mezzotint.engine import plan
from mezzotint.engine.callbacks import JsonLog
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS, Model, Paper, PictureSpec
from mezzotint.engine.optim import lr_factor
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.engine.validation import Validation
from mezzotint.testing._make import make_pictures, make_trainer, same_tensors, spec_of, tiny_model


def moments(trainer: Trainer) -> dict[str, Tensor]:
    return {key: value for key, value in trainer.tensors().items() if key.endswith("|exp_avg")}


def test_accumulated_gradients_are_the_whole_batchs() -> None:
    """Adam's steps do not depend on the size of gradients, so its first moment is what is compared."""
    whole, parts = (make_trainer(MODELS.get("vae"), make_pictures(), batch_size=8, accumulate=n) for n in (1, 4))
    for trainer in (whole, parts):
        trainer.round()
    for key, value in moments(whole).items():
        assert torch.allclose(value, moments(parts)[key], rtol=1e-4, atol=1e-5 * float(value.abs().max())), key
    for name, loss in whole.losses.items():
        assert parts.losses[name].item() == pytest.approx(loss.item(), rel=1e-5), "the log is of the whole batch too"


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_learning_rate_follows_its_schedule(schedule: str) -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=10, schedule=schedule, warmup=2)
    base = trainer.players[0].phase.optimizer.lr
    for step in range(10):
        trainer.round()
        assert trainer.players[0].optimizer.param_groups[0]["lr"] == base * lr_factor(trainer.config, step)


@pytest.mark.parametrize(("slow", "fast"), [("fp32", "bf16"), ("bf16", "fp32")])
def test_the_faster_precision_is_taken(monkeypatch: pytest.MonkeyPatch, slow: str, fast: str) -> None:
    monkeypatch.setattr(plan, "has_bf16", lambda device: True)
    monkeypatch.setattr(plan, "time_round", lambda m, p, config, d: 2.0 if config.precision == slow else 1.0)
    pictures = make_pictures()
    model = tiny_model(MODELS.get("vae"), spec_of(pictures))
    settled, why = plan.settle(model, pictures, TrainConfig(steps=1000), torch.device("cpu"))
    assert settled.precision == fast
    assert fast in why


class _Config(Config):
    """None."""


class _Dropping(Model):
    """Its loss draws from torch itself."""

    name = "dropping"
    summary = "A toy."
    paper = Paper("Nobody", 2026, "Nothing")
    Config = _Config

    def __init__(self, config: Any, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(spec.values, 1))

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("only", self.net, self.loss, OptimizerSpec("adamw", 1e-3, weight_decay=0.1)),)

    def loss(self, turn: Turn) -> Terms:
        return {"square": self.net(turn.pictures).square().mean()}


def test_dropout_is_a_function_of_seed_and_step() -> None:
    trainers = [make_trainer(_Dropping, make_pictures()) for _ in range(2)]
    for number, trainer in enumerate(trainers):
        for _ in range(3):
            torch.manual_seed(number)
            trainer.round()
    assert same_tensors(*(trainer.tensors() for trainer in trainers))


class _Sick(_Dropping):
    """A finite loss whose gradient is not."""

    def loss(self, turn: Turn) -> Terms:
        return {"root": (self.net(turn.pictures).sum() * 0).abs().sqrt()}


def test_a_gradient_that_is_not_finite_moves_nothing() -> None:
    from mezzotint.core.errors import TrainingError

    trainer = make_trainer(_Sick, make_pictures())
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(TrainingError, match='gradient of phase "only" is not finite in step 0'):
        trainer.round()
    assert all(torch.equal(old, new) for old, new in zip(before, trainer.model.parameters(), strict=True))


def test_what_validation_remembers_is_in_the_checkpoint() -> None:
    def made() -> tuple[Trainer, Validation]:
        trainer = make_trainer(MODELS.get("vae"), make_pictures())
        trainer.callbacks = [Validation(None, every=1, patience=9)]
        return trainer, trainer.callbacks[0]

    trainer, validation = made()
    validation.best, validation.waited = -5.0, 3
    trainer.round()
    other, restored = made()
    other.restore(trainer.tensors(), trainer.state())
    assert (restored.best, restored.waited) == (-5.0, 3)


def test_validation_in_batches_is_that_of_the_whole() -> None:
    pictures = make_pictures(count=40)
    values = []
    for size in (3, 10):
        trainer = make_trainer(MODELS.get("vae"), pictures, batch_size=size)
        values.append(Validation(None, every=1, patience=0).measure(trainer))
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_log_has_every_step_once_after_a_resume(tmp_path: Any) -> None:
    import json

    log = JsonLog(tmp_path / "log.jsonl", 1)
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=5)
    trainer.callbacks = [log]
    trainer.run()
    again = make_trainer(MODELS.get("vae"), make_pictures(), steps=4)
    again.callbacks = [JsonLog(tmp_path / "log.jsonl", 1)]
    again.run()
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["adam", "adamw", "rmsprop", "rmsprop without momentum"])
def test_every_optimiser_goes_on_exactly(kind: str) -> None:
    """And moves as the one of PyTorch that it is called after."""
    name, betas = kind.split()[0], (0.0 if "without" in kind else 0.5, 0.9)
    spec = OptimizerSpec(name, 1e-3, betas, weight_decay=0.01)  # type: ignore[arg-type]
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    options = {"momentum": betas[0], "alpha": betas[1]} if name == "rmsprop" else {"betas": betas}

    def phases(self: Any) -> tuple[Phase, ...]:
        return (Phase("only", self.net, self.loss, spec),)

    cls = type("Other", (_Dropping,), {"phases": phases})
    straight, first, second = (make_trainer(cls, make_pictures()) for _ in range(3))
    for _ in range(6):
        straight.round()
    for _ in range(3):
        first.round()
    second.restore({key: value.clone() for key, value in first.tensors().items()}, first.state())
    for _ in range(3):
        second.round()
    assert same_tensors(straight.tensors(), second.tensors())

    ours = make_trainer(cls, make_pictures())
    theirs: Any = tiny_model(cls, spec_of(make_pictures()))
    optimizer = kinds[name](theirs.parameters(), 1e-3, weight_decay=0.01, **options)  # type: ignore[operator]
    for _ in range(3):
        ours.round()
        for parameter, moved in zip(theirs.parameters(), ours.model.parameters(), strict=True):
            assert moved.grad is not None
            parameter.grad = moved.grad.clone()
        optimizer.step()
    for a, b in zip(theirs.parameters(), ours.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
