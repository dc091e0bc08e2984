"""The loop against plain PyTorch, against itself cut into parts, and against a stored curve."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.core.config import Config, option
from mezzotint.data.batches import Batches
from mezzotint.engine.model import MODELS, Model, Paper, PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.engine.plan import plan
from mezzotint.testing import variants_of
from mezzotint.testing._make import make_pictures, make_trainer, same_tensors, spec_of, tiny_model


def test_dcgan_step_equals_the_plain_loop() -> None:
    """Three rounds of ours and of the loop everyone writes, from the same weights, pictures and noise."""
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(3, 16, 16), batch_size=6, ema=0, channels_last=False)
    model: Any = trainer.model
    plain: Any = make_trainer(MODELS.get("dcgan"), make_pictures(3, 16, 16), batch_size=6).model
    adam = [
        torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in (plain.discriminator, plain.generator)
    ]
    seen: list[tuple[Tensor, Tensor]] = []
    fakes = model.fakes

    def watch(turn: Turn) -> Tensor:
        state = turn.draw.generator.bit_generator.state
        seen.append((turn.pictures, turn.draw.normal(6, 8)))
        turn.draw.generator.bit_generator.state = state
        return fakes(turn)

    for player in trainer.players:
        player.phase = replace(player.phase, prepare=watch)
    for _ in range(3):
        seen.clear()
        trainer.round()
        assert len(seen) == 1, "the fakes of a round are made once"
        real, z = seen[0]
        plain.discriminator.zero_grad()
        ones, zeros = torch.ones(6), torch.zeros(6)
        bce = F.binary_cross_entropy_with_logits
        bce(plain.discriminator(real), ones).backward()
        fake = plain.generator(z)
        bce(plain.discriminator(fake.detach()), zeros).backward()
        adam[0].step()
        plain.generator.zero_grad()
        bce(plain.discriminator(fake), ones).backward()
        adam[1].step()
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        # Adam divides by the root of the second moment, so rounding is magnified where gradients are tiny
        assert torch.allclose(ours, theirs, atol=2e-5), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("stop", range(1, 11))
def test_resume_at_every_point_of_an_epoch(stop: int, precision: str) -> None:
    """20 pictures, batches of 7: the ten stops fall on the middle, the end and the seam of epochs."""
    pictures = make_pictures(count=26)
    assert len(pictures.splits["train"]) == 20
    for name in MODELS.names():
        alone = tiny_model(MODELS.get(name), spec_of(pictures)).order is Batches
        size = 7 if alone else 6  # as many of each class
        straight = make_trainer(MODELS.get(name), pictures, batch_size=size, precision=precision)
        while straight.step < 20:
            straight.round()
        first = make_trainer(MODELS.get(name), pictures, batch_size=size, precision=precision)
        while first.step < stop:
            first.round()
        second = make_trainer(MODELS.get(name), pictures, batch_size=size, precision=precision)
        second.restore({k: v.clone() for k, v in first.tensors().items()}, first.state())
        while second.step < 20:
            second.round()
        assert same_tensors(straight.tensors(), second.tensors()), f"{name} stopped after {stop}"


def test_the_optimiser_moves_weights_as_they_lie_in_memory() -> None:
    """Channels-last weights, a square 4x4 one among them, train as contiguous ones do, and so do their checkpoints."""
    cls = MODELS.get("dcgan")
    pictures = make_pictures(4, 16, 16)
    lasting, plain = (make_trainer(cls, pictures, channels_last=last) for last in (True, False))
    for _ in range(3):
        lasting.round(), plain.round()
    states = lasting.tensors(), plain.tensors()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert value.shape == states[1][name].shape, name
        if "|" in name:
            assert torch.allclose(value, states[1][name], atol=1e-4), name
    plain.restore(*[lasting.tensors(), lasting.state()])
    assert same_tensors(plain.tensors(), lasting.tensors())


def test_accumulation_equals_the_whole_batch() -> None:
    """Without batch statistics, four parts of a batch give the gradient of the whole."""
    cls = MODELS.get("vae")
    whole = make_trainer(cls, make_pictures(), batch_size=8)
    parts = make_trainer(cls, make_pictures(), batch_size=8, accumulate=4)
    for trainer in (whole, parts):
        for _ in range(5):
            trainer.round()
    for (name, a), b in zip(whole.model.named_parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5), name


def test_accumulation_makes_the_same_fakes_for_both_phases() -> None:
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(), batch_size=8, accumulate=2)
    made: list[Tensor] = []
    fakes = trainer.model.fakes  # type: ignore[union-attr, operator]

    def watch(turn: Turn) -> Tensor:
        made.append(fakes(turn))  # type: ignore[operator]
        return made[-1]

    for player in trainer.players:
        player.phase = replace(player.phase, prepare=watch)
    trainer.round()
    assert len(made) == 4
    assert torch.equal(made[0], made[2])
    assert torch.equal(made[1], made[3])
    assert not torch.equal(made[0], made[1])


class _ToyConfig(Config):
    lr: float = option(0.1, "Learning rate.")


class _Toy(Model):
    """Two players that record when they move and on which pictures."""

    name = "toy"
    summary = "A toy."
    paper = Paper("Nobody", 2026, "Nothing")
    Config = _ToyConfig

    def __init__(self, config: Any, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.critic = nn.Linear(1, 1)
        self.generator = nn.Linear(1, 1)
        self.turns: list[tuple[str, bytes]] = []

    def phases(self) -> tuple[Phase, ...]:
        sgd = OptimizerSpec("rmsprop", 0.01, (0.0, 0.9))
        clip = self.critic.weight
        return (
            Phase("critic", self.critic, self.play("critic"), sgd, repeat=3, after=lambda: clip.data.clamp_(-0.5, 0.5)),
            Phase("generator", self.generator, self.play("generator"), sgd),
            Phase("rare", self.generator, self.play("rare"), sgd, every=4),
        )

    def play(self, name: str) -> Any:
        def loss(turn: Turn) -> Terms:
            self.turns.append((name, turn.pictures.numpy().tobytes()))
            net = self.critic if name == "critic" else self.generator
            return {"loss": -net(torch.ones(1, 1)).sum()}

        return loss


def test_repeats_take_fresh_batches_and_lazy_phases_wait() -> None:
    trainer = make_trainer(_Toy, make_pictures(), batch_size=4)
    toy: Any = trainer.model
    trainer.round()
    names = [name for name, _ in toy.turns]
    assert names == ["critic", "critic", "critic", "generator", "rare"]
    batches = [data for _, data in toy.turns]
    assert len(set(batches[:3])) == 3, "each critic step has a batch of its own"
    assert batches[2] == batches[3] == batches[4], "the generator uses the critic's last batch"
    assert trainer.examples == 12
    toy.turns.clear()
    trainer.round()
    assert [name for name, _ in toy.turns] == ["critic", "critic", "critic", "generator"]
    for _ in range(50):
        trainer.round()
    assert float(toy.critic.weight) == 0.5, "clipped after each update"


def test_clipping_bounds_the_gradient() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), clip_norm=0.01)
    trainer.round()
    norm = torch.linalg.vector_norm(
        torch.cat([p.grad.flatten() for p in trainer.players[0].parameters if p.grad is not None])
    )
    assert float(norm) <= 0.0101


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())


KINDS = {
    "-".join([kind.name, *(f"{k}={v}" for k, v in kind.tiny.items() if k not in cls.tiny)]): kind
    for cls in MODELS
    for kind in variants_of(cls)
}


NOTES = ("accuracy", "gap", "augmentation", "information", "agreement")
"""What is logged beside the losses."""


def loss_curves(kind: type[Model]) -> dict[str, list[float]]:
    """The sum of each phase's loss terms at steps 1, 25, 50, 75 and 100."""
    trainer = make_trainer(kind, make_pictures(), batch_size=8)
    curves: dict[str, list[float]] = {player.phase.name: [] for player in trainer.players}
    curves |= {each.name: [] for each in trainer.fitting.passes}
    for step in range(1, 101):
        trainer.round()
        if step == 1 or step % 25 == 0:
            for name, curve in curves.items():
                terms = [
                    value.item()
                    for key, value in trainer.losses.items()
                    if key.split("/")[0] == name and not key.endswith(NOTES)
                ]
                curve.append(round(sum(terms), 4))
    return curves


@pytest.mark.parametrize("name", KINDS)
def test_every_model_can_be_planned(name: str) -> None:
    """Also one whose loss holds a slope; `train --dry-run` and `data check` say what a plan finds."""
    trainer = make_trainer(KINDS[name], make_pictures(), batch_size=8)
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    found = plan(trainer.model, make_pictures(), trainer.config, torch.device("cpu"))
    assert found.memory > 0
    assert found.flops > 0 or trainer.model.fitted()
    assert found.parameters
    assert same_tensors(before, trainer.model.state_dict())


@pytest.mark.parametrize("name", KINDS)
def test_golden_losses(name: str) -> None:
    """Of every phase of every variant; a change here changes everybody's training."""
    curves = loss_curves(KINDS[name])
    assert curves.keys() == GOLDEN[name].keys()
    for phase, curve in curves.items():
        np.testing.assert_allclose(curve, GOLDEN[name][phase], rtol=1e-2, atol=2e-3, err_msg=phase)
