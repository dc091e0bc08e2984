"""Balance of a game: how well the discriminator tells held-out from generated pictures, and what follows from it.

Adversarial training is a game that goes on until the discriminator is at chance (Goodfellow et al. 2014, theorem 1). A
model that `balances` is told how the game stands; and training can stop when it stands at one half.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from mezzotint.core import rng
from mezzotint.core.errors import ConfigError
from mezzotint.engine.callback import Callback
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.feed import to_labels, to_tensor
from mezzotint.engine.model import Model
from mezzotint.engine.probe import can, told_apart

if TYPE_CHECKING:
    from mezzotint.engine.loop import Trainer

_GAME = {"criticises", "samples"}
_PICTURES = 128
"""Held-out, training and generated pictures, each."""
_HALF, _KNEW = 0.56, 0.65
"""Up to which accuracy the discriminator is at chance, and from which on it could tell. Of looks at two equal sets 19
in 20 are below the first; scores of two normal distributions a standard deviation apart give 0.69."""


@dataclass(frozen=True)
class Balance:
    """How a game stands.

    Attributes:
        accuracy: how well the discriminator tells held-out from generated pictures, from one half to 1.
        sign: the mean sign of its scores of training pictures, from -1 to 1; near 1 it knows them by heart.
        pictures: training pictures seen since the last look.
    """

    accuracy: float
    sign: float
    pictures: int


@runtime_checkable
class Balances(Protocol):
    """A model that adapts its own training to how the game stands."""

    def adapts(self) -> bool:
        """Whether its settings ask for it."""
        ...

    def balance(self, standing: Balance) -> None:
        """Change what training goes by, which must be a buffer of the model."""
        ...


def wanted(model: Model, every: int, patience: int) -> bool:
    """Whether a training needs to look at the balance at all.

    Raises:
        ConfigError: settings ask for what would never happen.
    """
    adapts = isinstance(model, Balances) and model.adapts()
    if every == 0 and (adapts or patience):
        raise ConfigError(
            "train.balance_every=0 never looks at the balance of the game, and other settings go by it (model.balance, "
            "model.augment=adaptive or train.stop_at_half); set it to 100."
        )
    if patience and not set(capabilities(model)) >= _GAME:
        raise ConfigError(
            f"train.stop_at_half is for adversarial models, and {model.name} plays no game; leave it out."
        )
    return adapts or patience > 0


class Balancing(Callback):
    """Looks at the balance every `every` rounds, tells the model, and stops when it stays at one half.

    Every process looks at the same pictures with the same weights, so that all come to the same.

    Args:
        every: rounds between two looks.
        patience: looks at one half in a row after which training stops; 0 never stops.
    """

    def __init__(self, every: int, patience: int = 0) -> None:
        self.every, self.patience = every, patience
        self.knew = False
        self.even = 0

    def on_round(self, trainer: Trainer) -> None:
        if self.every == 0 or trainer.step % self.every or trainer.stop_reason is not None:
            return
        standing = look(trainer)
        if standing is None:
            return
        trainer.losses["balance/accuracy"] = torch.tensor(standing.accuracy)
        trainer.losses["balance/sign"] = torch.tensor(standing.sign)
        if isinstance(trainer.model, Balances) and trainer.model.adapts():
            trainer.model.balance(standing)
        self.knew |= standing.accuracy >= _KNEW
        self.even = self.even + 1 if self.knew and standing.accuracy <= _HALF else 0
        if self.patience and self.even >= self.patience:
            trainer.stop_reason = f"the discriminator was at one half in {self.even} looks in a row"

    def state(self) -> dict[str, Any]:
        return {"knew": self.knew, "even": self.even}

    def load(self, state: dict[str, Any]) -> None:
        self.knew, self.even = bool(state.get("knew", False)), int(state.get("even", 0))


def look(trainer: Trainer) -> Balance | None:
    """How the game stands now; None where the model has no critic or makes no pictures, or for a score not finite."""
    if not set(capabilities(trainer.model)) >= _GAME:
        return None
    scores: dict[str, Tensor] = {}
    with trainer.using(averaged=False) as model, _own_statistics(model):
        for name in ("held", "training"):
            pictures, labels = _some(trainer, name)
            scores[name] = can(model).critic(pictures, labels)
            if name == "held":
                latents = can(model).latent(len(pictures), rng.derive(trainer.config.seed, "balance", trainer.step))
                scores["fake"] = can(model).critic(can(model).generate(latents, labels), labels)
    numbers = {name: value.double().cpu().numpy() for name, value in scores.items()}
    if not all(torch.isfinite(value).all() for value in scores.values()):
        return None
    accuracy, _ = told_apart(numbers["held"], numbers["fake"])
    sign = float(scores["training"].sign().mean())
    return Balance(accuracy, sign, trainer.config.batch_size * trainer.config.balance_every)


@contextmanager
def _own_statistics(model: Model) -> Iterator[None]:
    """Batch normalisation by the batch's own statistics, as in training, leaving those that it keeps alone.

    The running statistics of a discriminator are between those of real and of generated pictures and fit neither.
    """
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    try:
        yield
    finally:
        model.eval()
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])


def _some(trainer: Trainer, name: str) -> tuple[Tensor, Tensor | None]:
    """The same pictures each time, drawn at random, since those of one class often lie side by side."""
    splits = trainer.pictures.splits
    rows = splits["validation"] if name == "held" and len(splits["validation"]) else splits["train"]
    chosen = rng.stream(trainer.config.seed, "balance", name).permutation(rows)[:_PICTURES]
    labels = None if trainer.pictures.labels is None else trainer.pictures.labels[chosen]
    pictures = to_tensor(trainer.pictures.pictures[chosen], trainer.device, trainer.channels_last)
    return pictures, to_labels(labels, trainer.device)
