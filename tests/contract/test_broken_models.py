"""Each check of the contract can fail: a model that breaks one promise is told so by its check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Model, Paper, PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.testing import CHECKS, check_model


class _Config(Config):
    """Settings of the toy."""

    width: int = option(4, "Hidden units.", ge=1)


class _Losing(_Config):
    """Settings that forget a number on their way to JSON."""

    def to_json(self) -> dict[str, Any]:
        return {}


class Toy(Model):
    """A linear autoencoder that keeps every promise.

    Example:
        >>> 1 + 1
        2
    """

    name = "toy"
    summary = "A toy."
    paper = Paper("Nobody", 2026, "Nothing")
    Config = _Config
    config: _Config
    conditional: ClassVar[bool] = False

    def __init__(self, config: _Config, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.inward = nn.Linear(spec.values, config.width)
        self.outward = nn.Linear(config.width, spec.values)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("both", (self.inward, self.outward), self.loss, OptimizerSpec("adam", 1e-3)),)

    def loss(self, turn: Turn) -> Terms:
        noise = turn.draw.normal(len(turn.pictures), self.config.width)
        code = self.inward(turn.pictures.flatten(1)) + 0.1 * noise
        return {"square": (self.outward(code).view_as(turn.pictures) - turn.pictures).square().mean()}

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        return self.inward(pictures.flatten(1))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self.outward(latents).tanh().unflatten(1, self.spec.shape)

    def reconstruct(self, pictures: Tensor) -> Tensor:
        return self.decode(self.encode(pictures))

    @torch.no_grad()
    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        return -(self.reconstruct(pictures) - pictures).square().flatten(1).sum(1)

    @torch.no_grad()
    def importance_log_likelihood(self, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
        if samples < 1:
            raise ConfigError("no samples")
        draws = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
        return self.log_likelihood(pictures) + draws.logsumexp(0)

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        return -nats / (self.spec.values * torch.log(torch.tensor(2.0)))


def unlike(**changes: Any) -> type[Model]:
    """The toy with other attributes."""
    return type("Broken", (Toy,), {"__doc__": Toy.__doc__, "__module__": __name__, **changes})


class Forgetful(Toy):
    """Draws from its own generator, whose state nobody keeps.

    Example:
        >>> 1 + 1
        2
    """

    def __init__(self, config: _Config, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.count = 0

    def loss(self, turn: Turn) -> Terms:
        self.count += 1
        return {"square": super().loss(turn)["square"] * self.count}


def touching(self: Any, turn: Turn) -> Terms:
    self.outward.weight.data.add_(1e-3)
    return Toy.loss(self, turn)


def blind(self: Any, turn: Turn) -> Terms:
    return {"square": self.inward(turn.pictures.flatten(1)).square().mean()}


def luck(self: Any, turn: Turn) -> Terms:
    import random

    return {"square": Toy.loss(self, turn)["square"] * (1 + random.random())}


def alone_only(self: Any, pictures: Tensor) -> Tensor:
    code = self.inward(pictures.flatten(1))
    return code - code.mean(0)


def two_named_alike(self: Any) -> tuple[Phase, ...]:
    return (Phase("one", self.inward, self.loss), Phase("one", self.outward, self.loss))


def two_players(self: Any) -> tuple[Phase, ...]:
    return (
        Phase("in", self.inward, lambda turn: touching(self, turn)),
        Phase("out", self.outward, self.loss),
    )


def square_only(self: Any, turn: Turn) -> Terms:
    if turn.pictures.shape[2] != turn.pictures.shape[3]:
        raise AssertionError("only squares")
    return Toy.loss(self, turn)


def never_one(self: Any, turn: Turn) -> Terms:
    few = len(turn.pictures) - 1
    return {"square": Toy.loss(self, turn)["square"] / few if few else torch.tensor(torch.nan)}


def by_chance(self: Any, pictures: Tensor, seed: int = 0) -> Tensor:
    return Toy.log_likelihood(self, pictures) + torch.rand(len(pictures))


def in_company(self: Any, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
    return Toy.importance_log_likelihood(self, pictures, samples, seed) * len(pictures)


def never_refusing(self: Any, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
    return Toy.importance_log_likelihood(self, pictures, samples or 1, seed)


def the_bound(self: Any, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
    return Toy.log_likelihood(self, pictures)


BROKEN: list[tuple[str, str, Callable[[], type[Model]]]] = [
    ("declaration", "sentence", lambda: unlike(summary="no sentence")),
    ("declaration", "docstring", lambda: unlike(__doc__=None)),
    ("defaults", "one name", lambda: unlike(phases=two_named_alike)),
    ("defaults", "no phase moves outward", lambda: unlike(phases=lambda self: (Phase("in", self.inward, self.loss),))),
    ("shapes", "only squares", lambda: unlike(loss=square_only)),
    ("shapes", "not finite", lambda: unlike(loss=lambda self, turn: _spoil(self, turn))),
    ("batch_of_one", "not finite|nan", lambda: unlike(loss=never_one)),
    ("gradients", "gets no gradient", lambda: unlike(loss=blind)),
    ("seed", "two results", lambda: unlike(loss=luck)),
    ("seed", "two seeds", lambda: _deaf()),
    ("resume", "another way", lambda: Forgetful),
    ("gradients", "moved in the phase in", lambda: unlike(phases=two_players)),
    ("round_trip", "settings change", lambda: unlike(Config=_Losing, tiny={"width": 8})),
    ("use_is_harmless", "disturbs", lambda: _disturbed()),
    ("example", "no example", lambda: unlike(__doc__="None.")),
    ("example", "Expected", lambda: unlike(__doc__="Wrong.\n\n>>> 1 + 1\n3\n")),
    ("capabilities", "mixes pictures", lambda: unlike(encode=alone_only)),
    ("capabilities", "goes above 1", lambda: unlike(decode=lambda self, z: Toy.decode(self, z) * 0 + 2)),
    ("capabilities", "has shape", lambda: unlike(reconstruct=lambda self, x: Toy.reconstruct(self, x)[:1])),
    ("capabilities", "ignores its seed", lambda: unlike(log_likelihood=by_chance)),
    ("capabilities", "a bit more", lambda: unlike(bits_per_dim=lambda self, nats: -nats)),
    ("capabilities", "likelihood of one picture", lambda: unlike(importance_log_likelihood=in_company)),
    ("capabilities", "accepts no samples", lambda: unlike(importance_log_likelihood=never_refusing)),
    ("capabilities", "importance_log_likelihood ignores", lambda: unlike(importance_log_likelihood=the_bound)),
]


def _spoil(self: Any, turn: Turn) -> Terms:
    self.scratch = getattr(self, "scratch", None)
    if self.scratch is None:
        self.register_buffer("spoilt", torch.tensor(torch.inf))
        self.scratch = True
    return Toy.loss(self, turn)


def _deaf() -> type[Model]:
    """The seed changes neither its weights nor its data."""

    def start(self: Any, config: _Config, spec: PictureSpec) -> None:
        Toy.__init__(self, config, spec)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.01)

    return unlike(__init__=start, loss=lambda self, turn: {"s": sum(p.sum() for p in self.parameters())})


def _disturbed() -> type[Model]:
    """Looking at it moves it."""

    def look(self: Any, mode: bool = True) -> Any:
        if not mode:
            self.inward.weight.data.add_(1.0)
        return Model.train(self, mode)

    return unlike(train=look)


@pytest.mark.parametrize("check", CHECKS)
def test_the_toy_keeps_the_contract(check: str) -> None:
    check_model(Toy, only=check)


@pytest.mark.parametrize(("check", "said", "model"), BROKEN)
def test_a_broken_promise_is_told(check: str, said: str, model: Callable[[], type[Model]]) -> None:
    with pytest.raises(Exception, match=said):
        check_model(model(), only=check)


def test_a_loop_that_does_not_look_at_losses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model can hide a NaN from the loop; a loop that sees it only in the gradients cannot name the term."""
    monkeypatch.setattr("mezzotint.engine.loop.check_loss", lambda *_: None)
    with pytest.raises(AssertionError, match="does not name the term"):
        check_model(Toy, only="finite")
    monkeypatch.setattr("mezzotint.engine.loop.check_gradient", lambda *_: None)
    with pytest.raises(AssertionError, match="went unseen"):
        check_model(Toy, only="finite")


def test_every_check_is_seen_to_fail() -> None:
    assert {check for check, _, _ in BROKEN} | {"finite"} == set(CHECKS)
