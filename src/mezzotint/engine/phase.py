"""Training as data: a round is a sequence of phases, each a turn of one player of the game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from mezzotint.engine.draw import Draw

Terms = Mapping[str, Tensor]


@dataclass(frozen=True)
class OptimizerSpec:
    """Which optimiser moves a phase's networks. `betas` is (beta1, beta2), or (momentum, alpha) for rmsprop.

    `muon` moves matrices of weights along their momentum with all singular values made equal (Jordan et al. 2024), as
    far as Adam would by its root mean square, and all other parameters by Adam.
    """

    kind: Literal["adam", "adamw", "rmsprop", "muon"] = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(slots=True)
class Turn:
    """What a phase's loss is given.

    Attributes:
        pictures: [B, C, H, W] float32 in [-1, 1], on the model's device.
        labels: int64 [B] class indices, or None when the data has no classes.
        draw: the random numbers of this turn.
        step: rounds finished before this one.
        prepared: what the phase's `prepare` returned.
        targets: float32 [B, K] attributes that are learned, 1 or 0 and NaN where unknown; else None.
        notes: values to be logged that are no part of the loss; add with `turn.note("kl", value)`.
    """

    pictures: Tensor
    labels: Tensor | None
    draw: Draw
    step: int
    prepared: Any = None
    targets: Tensor | None = None
    notes: dict[str, Tensor] = field(default_factory=dict)

    def note(self, name: str, value: Tensor) -> None:
        """Log `value` (0-dim) under `name` without training on it."""
        self.notes[name] = value.detach()


@dataclass(frozen=True)
class Phase:
    """One player's turn.

    Attributes:
        name: for logs and errors, unique in the model.
        nets: the networks that move in this phase, and only they.
        loss: turn -> named terms; their sum is what this phase makes smaller.
        optimizer: what moves them.
        prepare: turn -> work that the loss needs (`turn.prepared`). When two phases in a row name the same
            `prepare` and the second uses the first's last batch, it is computed once and handed on; it then
            carries gradients for the second phase's networks, so the first must detach it.
        repeat: turns in each round, every one on a fresh batch; a function is asked at the beginning of each round, and
            must go by what a checkpoint holds.
        every: take part only in each n-th round (a lazy regulariser).
        after: called after each update, for instance to clip weights.
    """

    name: str
    nets: nn.Module | tuple[nn.Module, ...]
    loss: Callable[[Turn], Terms]
    optimizer: OptimizerSpec = OptimizerSpec()
    prepare: Callable[[Turn], Any] | None = None
    repeat: int | Callable[[], int] = 1
    every: int = 1
    after: Callable[[], None] | None = None

    def turns(self) -> int:
        """How many turns this phase takes now."""
        return self.repeat() if callable(self.repeat) else self.repeat

    def networks(self) -> tuple[nn.Module, ...]:
        """`nets` as a tuple."""
        return self.nets if isinstance(self.nets, tuple) else (self.nets,)

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that move in this phase, each once."""
        return list({id(p): p for net in self.networks() for p in net.parameters()}.values())
