"""The checks themselves. Each takes a model's class and raises AssertionError when a promise is broken."""

from __future__ import annotations

import doctest
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mezzotint.core.config import describe
from mezzotint.core.errors import ConfigError, TrainingError
from mezzotint.data.batches import Batches
from mezzotint.data.types import DataConfig
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.checkpoint import CheckpointStore
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model
from mezzotint.engine.phase import Phase, Terms, Turn
from mezzotint.engine.player import Player
from mezzotint.engine.recipe import DataSummary, Recipe
from mezzotint.testing._make import make_pictures, make_trainer, refusal, same_tensors, spec_of, tiny_model
from mezzotint.testing._promises import PROMISES

Check = Callable[[type[Model]], None]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Add a check to `CHECKS` under its name without "check_"."""
    CHECKS[function.__name__.removeprefix("check_")] = function
    return function


@check
def check_declaration(cls: type[Model]) -> None:
    """It has a name, a summary, a paper, and a help text for every setting; unknown settings are refused."""
    assert cls.name == cls.name.lower(), f"{cls.__name__}.name must be lower case"
    assert cls.summary.endswith("."), f"{cls.__name__}.summary must be a sentence"
    assert str(cls.paper), f"{cls.__name__} must name its paper"
    assert cls.__doc__, f"{cls.__name__} needs a docstring"
    for option in describe(cls.Config):
        assert option.help, f"{cls.name}: the setting {option.name} has no help text"
    unknown = refusal(ConfigError, lambda: cls.Config.build({"no_such_setting": 1}, "model"))
    assert unknown, f"{cls.name} accepts unknown settings"


@check
def check_defaults(cls: type[Model]) -> None:
    """It can be made with its default settings, and its phases have different names and move all there is."""
    model = cls(cls.Config(), spec_of(make_pictures()))
    names = [phase.name for phase in model.phases()]
    assert len(set(names)) == len(names), f"{cls.name}: two phases have one name"
    assert all(phase.parameters() for phase in model.phases()), f"{cls.name}: a phase has nothing to move"
    moving = {id(parameter) for phase in model.phases() for parameter in phase.parameters()}
    for name, parameter in model.named_parameters():
        assert id(parameter) in moving or not parameter.requires_grad, f"{cls.name}: no phase moves {name}"
    for name in cls.averaged:
        assert hasattr(model, name), f"{cls.name}.averaged names {name}, which it has not"


@check
def check_shapes(cls: type[Model]) -> None:
    """It trains and stays finite on square and other shapes, odd ones too, with one to four channels."""
    for channels, height, width in ((1, 8, 8), (2, 12, 20), (3, 16, 16), (4, 16, 24), (1, 13, 9), (3, 28, 28)):
        trainer = make_trainer(cls, make_pictures(channels, height, width))
        for _ in range(3):
            trainer.round()
        for name, value in trainer.tensors().items():
            assert not value.is_floating_point() or bool(torch.isfinite(value).all()), f"{cls.name}: {name} not finite"


@check
def check_batch_of_one(cls: type[Model]) -> None:
    """It trains on a batch of one picture; of one of each class, where classes take turns."""
    pictures = make_pictures()
    alone = tiny_model(cls, spec_of(pictures)).order is Batches
    trainer = make_trainer(cls, pictures, batch_size=1 if alone else len(pictures.classes))
    trainer.round()
    assert all(bool(torch.isfinite(value)) for value in trainer.losses.values())


@check
def check_gradients(cls: type[Model]) -> None:
    """In each phase every parameter of its own networks gets a gradient and moves, and no other does."""
    trainer = make_trainer(cls, make_pictures())
    named = dict(trainer.model.named_parameters())
    update = trainer._update

    def watched(player: Player, turn: int, hands_on: bool) -> None:
        gradients = _caught(cls, player, named)
        before = {name: value.detach().clone() for name, value in named.items()}
        update(player, turn, hands_on)
        for name, value in named.items():
            moved = not torch.equal(before[name], value.detach())
            if name in player.names:
                assert moved or not bool(gradients[name].any()), f"{cls.name}: {name} did not move in its phase"
            else:
                assert not moved, f"{cls.name}: {name} moved in the phase {player.phase.name}, which is not its own"

    trainer._update = watched  # type: ignore[method-assign, assignment]
    _rounds(trainer, max((player.phase.every for player in trainer.players), default=1))


def _caught(cls: type[Model], player: Player, named: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """The gradients of the player's next update, by name, once it has come."""
    gradients: dict[str, Tensor] = {}
    step = player.optimizer.step

    def stepped() -> None:
        for name in player.names:
            gradient = named[name].grad
            assert gradient is not None, f"{cls.name}: {name} gets no gradient in its phase {player.phase.name}"
            assert bool(torch.isfinite(gradient).all()), f"{cls.name}: the gradient of {name} is not finite"
            gradients[name] = gradient.clone()
        step()

    player.optimizer.step = stepped  # type: ignore[method-assign, assignment]
    return gradients


@check
def check_seed(cls: type[Model]) -> None:
    """The same seed gives the same training, bit for bit; another seed gives another."""
    results: list[dict[str, Tensor]] = []
    for seed in (0, 0, 1):
        trainer = make_trainer(cls, make_pictures(), seed=seed)
        torch.manual_seed(len(results))  # the caller's own random state must not matter
        for _ in range(3):
            trainer.round()
        results.append(trainer.tensors())
    assert same_tensors(results[0], results[1]), f"{cls.name}: the same seed gave two results"
    assert not same_tensors(results[0], results[2]), f"{cls.name}: two seeds gave the same result"


@check
def check_round_trip(cls: type[Model]) -> None:
    """Settings survive JSON and weights survive a checkpoint, bit for bit."""
    pictures = make_pictures()
    trainer = make_trainer(cls, pictures)
    trainer.round()
    model = trainer.model
    recipe = Recipe(cls.name, model.config, model.spec, DataConfig(), trainer.config, DataSummary.of(pictures))
    settings = json.loads(json.dumps(recipe.to_json(), allow_nan=False))["model"]
    del settings["name"]
    assert cls.Config.build(settings, "model") == model.config, f"{cls.name}: settings change on their way through JSON"
    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder))
        store.save(trainer.step, trainer.tensors(), trainer.state())
        loaded = store.load("latest")
        assert same_tensors(loaded.tensors, trainer.tensors()), f"{cls.name}: a checkpoint changes what it holds"
        assert loaded.state == trainer.state()


@check
def check_resume(cls: type[Model]) -> None:
    """Training 2n rounds equals training n, being killed, and going on for n, bit for bit, in mid-epoch too."""
    pictures = make_pictures(count=20)
    for precision in ("fp32", "bf16"):
        straight = make_trainer(cls, pictures, batch_size=8, precision=precision)
        for _ in range(6):
            straight.round()
        with tempfile.TemporaryDirectory() as folder:
            store = CheckpointStore(Path(folder))
            for stop in (3, 6):
                trainer = make_trainer(cls, pictures, batch_size=8, precision=precision)
                if store.steps():
                    loaded = store.load("latest")
                    trainer.restore(loaded.tensors, loaded.state)
                while trainer.step < stop:
                    trainer.round()
                store.save(trainer.step, trainer.tensors(), trainer.state())
        same = same_tensors(straight.tensors(), trainer.tensors())
        assert same, f"{cls.name}: a resumed training in {precision} goes another way"


@check
def check_finite(cls: type[Model]) -> None:
    """A loss term that is not a number stops training before the update, naming phase and term."""
    for index, phase in enumerate(make_trainer(cls, make_pictures()).model.phases()):
        for term in _terms(cls, index):
            trainer = make_trainer(cls, make_pictures())
            victim = trainer.players[index]
            victim.phase = replace(victim.phase, loss=_poisoned(victim.phase, term))
            before = [value.detach().clone() for value in victim.parameters]
            said = refusal(TrainingError, partial(_rounds, trainer, phase.every))
            assert said, f"{cls.name}: a NaN in {term} went unseen"
            assert f'"{phase.name}"' in said, f"{cls.name}: the error does not name the phase"
            assert f'"{term}"' in said, f"{cls.name}: the error does not name the term"
            after = [value.detach() for value in victim.parameters]
            assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), f"{cls.name}: updated with a NaN"


def _rounds(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        trainer.round()


def _terms(cls: type[Model], index: int) -> set[str]:
    """The names of a phase's loss terms, found by playing it once."""
    trainer = make_trainer(cls, make_pictures())
    player = trainer.players[index]
    seen: set[str] = set()

    def spy(turn: Turn, loss: Callable[[Turn], Terms] = player.phase.loss) -> Terms:
        terms = loss(turn)
        seen.update(terms)
        return terms

    player.phase = replace(player.phase, loss=spy)
    _rounds(trainer, player.phase.every)
    return seen


def _poisoned(phase: Phase, term: str) -> Callable[[Turn], Terms]:
    def loss(turn: Turn) -> Terms:
        terms = dict(phase.loss(turn))
        if term in terms:
            terms[term] = terms[term] * torch.nan
        return terms

    return loss


@check
def check_use_is_harmless(cls: type[Model]) -> None:
    """Using the model in the middle of training changes nothing of what comes after."""
    one, two = (make_trainer(cls, make_pictures()) for _ in range(2))
    for trainer in (one, two):
        for _ in range(2):
            trainer.round()
    with two.using() as model:
        if "samples" in capabilities(model):
            use: Any = model
            use.sample(2)
    one.round()
    two.round()
    assert same_tensors(one.tensors(), two.tensors()), f"{cls.name}: sampling disturbs training"


@check
def check_example(cls: type[Model]) -> None:
    """The example in its docstring runs."""
    finder = doctest.DocTestFinder(recurse=False)
    tests = finder.find(cls, cls.__name__, globs=dict(vars(sys.modules[cls.__module__])))
    assert any(test.examples for test in tests), f"{cls.name}: its docstring has no example"
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        said: list[str] = []
        runner.run(test, out=said.append)
        assert not runner.failures, "".join(said)


@check
def check_capabilities(cls: type[Model]) -> None:
    """Each capability it offers keeps its promise (see `mezzotint.engine.capabilities`)."""
    offered = capabilities(tiny_model(cls, spec_of(make_pictures())))
    assert offered, f"{cls.name} can do nothing"
    trainer = make_trainer(cls, make_pictures())
    trainer.run()
    with trainer.using() as model:
        pictures, labels = trainer.held_out(5)
        for name in offered:
            if name in PROMISES:
                PROMISES[name](model, pictures, labels)
