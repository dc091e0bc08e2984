"""A moving average of the weights, which samples better than the weights themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.weights import ANOTHER

_EARLY = 64
"""Rounds in which the average moves every time."""


class EMA:
    """Exponential moving average of the named submodules of a model.

    The decay rises from 0 as (1 + t) / (10 + t) so that a short run is not dominated by its first weights. To cost
    next to nothing the average moves only every `every` rounds, by decay ** every.

    Args:
        model: the model whose submodules are averaged.
        names: which submodules.
        decay: share of the old average that one round keeps.
        every: rounds between two updates.
        settle: called with the averaged weights in place, after they have moved and before they are used or saved, to
            renew what follows from them, such as statistics of batch normalisations; it may go by nothing else.
    """

    def __init__(
        self,
        model: nn.Module,
        names: tuple[str, ...],
        decay: float,
        every: int = 1,
        settle: Callable[[], None] | None = None,
    ) -> None:
        self.decay, self.every = decay, every
        self._settle, self._moved = settle, settle is not None
        prefixes = tuple(f"{name}." for name in names)
        self.live = {key: value for key, value in model.state_dict(keep_vars=True).items() if key.startswith(prefixes)}
        # Weights that go by several names are averaged and swapped once, under the first of them.
        first = {id(value): key for key, value in reversed(self.live.items())}
        self._once = [key for key, value in self.live.items() if first[id(value)] == key]
        copies = {key: self.live[key].detach().clone() for key in self._once}
        self.average = {key: copies[first[id(value)]] for key, value in self.live.items()}
        floating = [key for key in self._once if self.live[key].is_floating_point()]
        self._live_floats = [self.live[key] for key in floating]
        self._average_floats = [self.average[key] for key in floating]
        self._others = [key for key in self._once if not self.live[key].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Called after round `step` (the first is 1); moves the average when it is its turn."""
        # In the beginning every round counts, and a run may be shorter than one interval.
        every = 1 if step < _EARLY else self.every
        if step % every:
            return
        decay = min(self.decay, (1 + step) / (10 + step)) ** every
        # Detached anew each time: somebody may have given a weight other memory.
        torch._foreach_lerp_(self._average_floats, [value.detach() for value in self._live_floats], 1 - decay)
        for key in self._others:
            self.average[key].copy_(self.live[key])
        self._moved = self._settle is not None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged weights. Nothing is copied: the storages trade places."""
        self._swap()
        try:
            if self._moved and self._settle is not None:
                self._settle()
                self._moved = False
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for key in self._once:
            live, average = self.live[key], self.average[key]
            live.data, average.data = average.data, live.data

    def tensors(self) -> dict[str, Tensor]:
        """The averages by the names that the weights have in the model."""
        with self.applied():  # settled
            pass
        return dict(self.average)

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`.

        Raises:
            CheckpointError: a name or a shape differs.
        """
        odd = sorted(self.average.keys() ^ tensors.keys())
        if odd:
            side = "lacks" if odd[0] in self.average else "has, and this run lacks,"
            raise CheckpointError(f'The checkpoint {side} the moving average of "{odd[0]}"; {ANOTHER}')
        for key, average in self.average.items():
            if average.shape != tensors[key].shape:
                raise CheckpointError(
                    f'The moving average of "{key}" has the shape {list(tensors[key].shape)} in the checkpoint and '
                    f"{list(average.shape)} in the model; it was made with other settings."
                )
            average.copy_(tensors[key])
        self._moved = False  # what was saved was settled
