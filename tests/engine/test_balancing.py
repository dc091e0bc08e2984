"""The balance of a game: what is measured, what follows, and when training stops."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mezzotint.core.errors import ConfigError
from mezzotint.engine import balancing
from mezzotint.engine.balancing import Balance, Balancing, look, wanted
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.testing._make import make_pictures, make_trainer

SMALL = {"latent": 8, "width": 4, "discriminator_width": 4}


def looks(monkeypatch: pytest.MonkeyPatch, accuracies: list[float], patience: int) -> str | None:
    """What a game comes to whose discriminator has these accuracies in turn."""
    follows = iter(accuracies)
    monkeypatch.setattr(balancing, "look", lambda trainer: Balance(next(follows), 0.0, 1))
    trainer: Any = SimpleNamespace(step=0, stop_reason=None, losses={}, model=torch.nn.Identity())
    callback = Balancing(2, patience)
    while trainer.stop_reason is None and trainer.step < 2 * len(accuracies):
        trainer.step += 1
        callback.on_round(trainer)
    return trainer.stop_reason


def test_it_stops_when_the_discriminator_stays_at_one_half(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(monkeypatch, [0.9, 0.51, 0.5, 0.52], 3) is not None
    assert looks(monkeypatch, [0.9, 0.51, 0.6, 0.52, 0.5], 3) is None, "not in a row"
    assert looks(monkeypatch, [0.5, 0.5, 0.5, 0.5], 3) is None, "it has not learned anything yet"
    assert looks(monkeypatch, [0.9, 0.5, 0.5, 0.5], 0) is None, "nobody asked for it"


def test_what_it_remembers_is_in_its_state() -> None:
    first, second = Balancing(1, 3), Balancing(1, 3)
    first.knew, first.even = True, 2
    second.load(first.state())
    assert (second.knew, second.even) == (True, 2)


def test_a_look_changes_nothing_and_sees_what_is_there() -> None:
    trainer = make_trainer(MODELS.get("dcgan"), make_pictures(), steps=2)
    trainer.run()
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    first, second = look(trainer), look(trainer)
    assert first == second
    assert first is not None
    assert 0.5 <= first.accuracy <= 1
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
    assert trainer.model.training

    with torch.no_grad():  # a generator of black pictures, and a discriminator that sees brightness
        model: Any = trainer.model
        model.generator.last.weight.zero_()
        model.generator.forward = lambda z, labels=None: torch.full((len(z), *model.spec.shape), -1.0)
        model.discriminator.forward = lambda x, labels=None: x.mean((1, 2, 3))
        apart = look(trainer)
        model.discriminator.forward = lambda x, labels=None: -x.mean((1, 2, 3))
        fooled = look(trainer)
    assert apart is not None
    assert fooled is not None
    assert apart.accuracy == 1
    assert fooled.accuracy == 0.5


def test_models_without_a_game_are_not_looked_at() -> None:
    trainer = make_trainer(MODELS.get("vae"), make_pictures(), steps=1)
    assert look(trainer) is None
    assert not wanted(trainer.model, 100, 0)
    plain, adaptive = (build("dcgan", {**SMALL, "balance": yes}, PictureSpec(1, 8, 8)) for yes in (False, True))
    assert not wanted(plain, 100, 0)
    assert wanted(plain, 100, 3)
    assert wanted(adaptive, 100, 0)
    for model, every, patience in ((adaptive, 0, 0), (plain, 0, 3), (trainer.model, 100, 3)):
        with pytest.raises(ConfigError):
            wanted(model, every, patience)


@pytest.mark.parametrize(
    ("accuracy", "before", "after"),
    [
        (0.95, (1, 1), (1, 2)),
        (0.95, (3, 1), (2, 1)),
        (0.95, (1, 5), (1, 5)),
        (0.6, (1, 1), (2, 1)),
        (0.6, (1, 3), (1, 2)),
        (0.6, (5, 1), (5, 1)),
        (0.8, (1, 2), (1, 2)),
    ],
)
def test_the_player_who_loses_gets_a_turn_more(
    accuracy: float, before: tuple[int, int], after: tuple[int, int]
) -> None:
    model: Any = build("dcgan", {**SMALL, "balance": True}, PictureSpec(1, 8, 8))
    model.ratio.copy_(torch.tensor(before))
    model.balance(Balance(accuracy, 0.0, 6400))
    assert tuple(model.ratio.tolist()) == after
    assert tuple(phase.turns() for phase in model.phases()) == after


def test_augmentation_grows_with_what_is_known_by_heart() -> None:
    model: Any = build("dcgan", {**SMALL, "augment": "adaptive", "augment_pictures": 10_000}, PictureSpec(1, 8, 8))
    for _ in range(3):
        model.balance(Balance(0.9, 1.0, 1000))
    assert model.strength.item() == pytest.approx(0.3)
    model.balance(Balance(0.9, 0.2, 2000))
    assert model.strength.item() == pytest.approx(0.1)


def test_turns_change_while_training_goes_on() -> None:
    class Balanced(MODELS.get("dcgan")):  # type: ignore[misc]
        tiny = {**SMALL, "balance": True}

    trainer = make_trainer(Balanced, make_pictures(), steps=6)
    model: Any = trainer.model
    model.balance = lambda standing: model.ratio.copy_(torch.tensor([3, 2]))
    trainer.callbacks = [Balancing(2)]
    trainer.config = trainer.config.changed(balance_every=2)
    trainer.run()
    # two rounds of one batch each, then four rounds of three for the discriminator and one more for the generator
    assert trainer.examples == (2 * 1 + 4 * 4) * trainer.config.batch_size
