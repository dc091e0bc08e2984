"""A moving average of the weights, which samples better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average of the named submodules of a model.

    The decay rises from 0 as (1 + t) / (10 + t) so that a short run is not dominated by its first weights. To cost
    next to nothing the average moves only every `every` rounds, by decay ** every.

    Args:
        model: the model whose submodules are averaged.
        names: which submodules.
        decay: share of the old average that one round keeps.
        every: rounds between two updates.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...], decay: float, every: int = 1) -> None:
        self.decay, self.every = decay, every
        prefixes = tuple(f"{name}." for name in names)
        self.live = {key: value for key, value in model.state_dict(keep_vars=True).items() if key.startswith(prefixes)}
        self.average = {key: value.detach().clone() for key, value in self.live.items()}
        floating = [key for key, value in self.live.items() if value.is_floating_point()]
        self._live_floats = [self.live[key].detach() for key in floating]
        self._average_floats = [self.average[key] for key in floating]
        self._others = [key for key, value in self.live.items() if not value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Called after round `step` (the first is 1); moves the average when it is its turn."""
        if step % self.every:
            return
        decay = min(self.decay, (1 + step) / (10 + step)) ** self.every
        torch._foreach_lerp_(self._average_floats, self._live_floats, 1 - decay)
        for key in self._others:
            self.average[key].copy_(self.live[key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights. Nothing is copied: the storages trade places."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for key, average in self.average.items():
            live = self.live[key]
            live.data, average.data = average.data, live.data

    def tensors(self) -> dict[str, Tensor]:
        """The averages by the names that the weights have in the model."""
        return dict(self.average)

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        for key, average in self.average.items():
            average.copy_(tensors[key])
