"""Passes: each picture once in each, whatever the batch, and the same end however often a fit is interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from mezzotint.core.config import Config
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.fitting import Fitting, Pass
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model, Paper
from mezzotint.engine.phase import Turn
from mezzotint.testing._make import make_pictures, spec_of


class Seen(Model):
    """Remembers what it was shown: the mean in one pass, then squared distances from it, until the third look."""

    name, summary, Config = "seen", "Looks.", Config
    paper = Paper("nobody", 2026, "nothing")

    def __init__(self, config: Config, spec: object) -> None:
        super().__init__(config, spec)  # type: ignore[arg-type]
        for name in ("total", "mean", "square", "variance", "looks"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.shown: list[list[float]] = []

    def passes(self) -> tuple[Pass, ...]:
        return (Pass("mean", self.add, self.close_mean), Pass("spread", self.spread, self.close_spread, repeat=10))

    def add(self, turn: Turn) -> Mapping[str, Tensor]:
        self.shown.append(turn.pictures.flatten(1).sum(1).tolist())
        self.total += turn.pictures.double().sum()
        return {"total": self.total.clone()}

    def close_mean(self) -> bool:
        self.mean.copy_(self.total / (18 * 64))
        return False

    def spread(self, turn: Turn) -> Mapping[str, Tensor]:
        self.shown.append(turn.pictures.flatten(1).sum(1).tolist())
        self.square += (turn.pictures.double() - self.mean).square().sum()
        return {}

    def close_spread(self) -> bool:
        self.variance.copy_(self.square / (18 * 64))
        self.square.zero_()
        self.looks += 1
        return bool(self.looks == 3)


def trainer(batch_size: int) -> Trainer:
    pictures = make_pictures()
    return Trainer(Seen(Config(), spec_of(pictures)), pictures, TrainConfig(batch_size=batch_size), torch.device("cpu"))


@pytest.mark.parametrize("batch_size", [1, 5, 18, 100])
def test_each_pass_shows_each_picture_once(batch_size: int) -> None:
    it = trainer(batch_size)
    while not it.done:
        it.round()
    shown = [value for batch in it.model.shown for value in batch]
    assert len(shown) == 4 * 18, "one pass of means, and three of ten of distances"
    once = Counter(round(float(x.sum()), 3) for x in it.training(18)[0])
    for k in range(4):
        assert Counter(round(value, 3) for value in shown[18 * k : 18 * (k + 1)]) == once
    x = it.training(18)[0].double()
    assert it.model.variance.item() == pytest.approx(x.var(unbiased=False).item(), rel=1e-9)
    assert it.step == 4 * -(-18 // batch_size)


def test_a_fit_that_is_interrupted_at_each_batch_is_the_same() -> None:
    straight = trainer(5)
    while not straight.done:
        straight.round()
    tensors, state = trainer(5).tensors(), trainer(5).state()
    for _ in range(straight.step):
        one = trainer(5)
        one.restore(tensors, state)
        one.round()
        tensors, state = {key: value.clone() for key, value in one.tensors().items()}, one.state()
    assert one.done
    assert all(torch.equal(value, tensors[key]) for key, value in straight.tensors().items())
    assert state["step"] == straight.step


def test_after_the_last_pass_nothing_is_seen() -> None:
    it = trainer(18)
    while not it.done:
        it.round()
    before = len(it.model.shown)
    it.round()
    assert len(it.model.shown) == before


def test_rounds_are_counted_before() -> None:
    passes = Seen(Config(), None).passes()
    assert Fitting(passes, count=18, batch_size=5).rounds == 11 * 4
    assert not Fitting((), 18, 5)
