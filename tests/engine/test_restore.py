"""What belongs to another training is refused; what was left out of a checkpoint is missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.ema import EMA
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS
from mezzotint.testing._make import make_pictures, make_trainer

Tensors = dict[str, Tensor]


def trained() -> Trainer:
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures())
    for _ in range(2):
        trainer.round()
    return trainer


def reshape(part: str, *shape: int) -> Callable[[Tensors, dict[str, Any]], None]:
    def change(tensors: Tensors, state: dict[str, Any]) -> None:
        tensors[next(key for key in tensors if key.endswith(part))] = torch.zeros(shape)

    return change


def remove(start: str, end: str = "") -> Callable[[Tensors, dict[str, Any]], None]:
    def change(tensors: Tensors, state: dict[str, Any]) -> None:
        for key in [key for key in tensors if key.startswith(start) and key.endswith(end)]:
            del tensors[key]

    return change


@pytest.mark.parametrize(
    "damage",
    [
        reshape("|exp_avg", 1),
        reshape("|exp_avg", 1, 1, 1, 1),
        reshape("|step", 3),
        reshape("first.weight", 1),
        remove("optimizer/"),
        remove("optimizer/generator/"),
        remove("optimizer/", "|exp_avg_sq"),
        remove("ema/"),
        lambda tensors, state: tensors.update({"ema/strange": torch.zeros(1)}),
        lambda tensors, state: tensors.update({"optimizer/other/x|step": torch.zeros(())}),
        lambda tensors, state: tensors.update({"else": torch.zeros(())}),
        lambda tensors, state: state.clear(),
        lambda tensors, state: state.update(step="many"),
    ],
)
def test_what_does_not_fit_is_refused(damage: Callable[[Tensors, dict[str, Any]], None]) -> None:
    trainer = trained()
    tensors, state = dict(trainer.tensors()), trainer.state()
    damage(tensors, state)
    with pytest.raises(CheckpointError):
        make_trainer(MODELS.get("dcgan"), make_pictures()).restore(tensors, state)


def test_weights_that_got_other_memory_still_move() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures())
    player = trainer.players[0]
    for parameter in player.parameters:
        parameter.data = parameter.data.clone()
    before = [parameter.detach().clone() for parameter in player.parameters]
    trainer.round()
    assert all(not torch.equal(old, new) for old, new in zip(before, player.parameters, strict=True))


def test_tied_weights_are_averaged_once() -> None:
    inner = torch.nn.Linear(2, 2)
    model = torch.nn.ModuleDict({"net": torch.nn.Sequential(inner, inner)})
    ema = EMA(model, ("net",), 0.5)
    first = inner.weight.detach().clone()
    with torch.no_grad():
        inner.weight += 1
    ema.update(1)
    with ema.applied():
        assert not torch.equal(inner.weight, first + 1)
    assert torch.equal(inner.weight, first + 1)


def test_the_average_moves_from_the_first_round_on() -> None:
    """A run shorter than the interval delivered its first weights."""
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(), ema_every=8)
    assert trainer.ema is not None
    before = {key: value.clone() for key, value in trainer.ema.tensors().items()}
    trainer.round()
    moved = [key for key, value in trainer.ema.tensors().items() if not torch.equal(value, before[key])]
    assert len(moved) > len(before) / 2
