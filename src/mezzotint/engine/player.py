"""One player of the game while it is being trained."""

from __future__ import annotations

from torch import Tensor, nn

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.optim import (
    build_optimizer,
    is_channels_last,
    load_optimizer_tensors,
    memory_order,
    optimizer_tensors,
    state_fields,
)
from mezzotint.engine.phase import Phase


class Player:
    """A phase while it is being trained: its parameters, the others', and its optimiser."""

    def __init__(self, phase: Phase, model: nn.Module) -> None:
        self.phase = phase
        own = {id(p) for p in phase.parameters()}
        mine = {name: p for name, p in model.named_parameters() if id(p) in own}
        self.names, self.parameters = list(mine), list(mine.values())
        self.others = [p for p in model.parameters() if id(p) not in own]
        self._moved = [memory_order(p.detach()) for p in self.parameters]
        self.optimizer = build_optimizer(phase.optimizer, self._moved)

    def forget(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move the parameters along their gradients."""
        for parameter, moved in zip(self.parameters, self._moved, strict=True):
            if moved.data_ptr() != parameter.data_ptr():  # somebody gave the parameter other memory
                moved.data = memory_order(parameter.detach())
            grad = parameter.grad
            moved.grad = grad.permute(0, 2, 3, 1) if grad is not None and is_channels_last(parameter) else grad
        self.optimizer.step()
        self.optimizer.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's state by name."""
        return optimizer_tensors(self.optimizer, self.names, self.parameters, self._moved)

    def load(self, tensors: dict[str, Tensor], begun: bool) -> None:
        """The inverse of `tensors`.

        Args:
            tensors: by name.
            begun: whether the player has moved, so that there must be a state for every parameter.

        Raises:
            CheckpointError: the state is another player's, or not whole.
        """
        load_optimizer_tensors(self.optimizer, self.names, self.parameters, self._moved, tensors)
        for name, parameter in zip(self.names, self.parameters, strict=True) if begun else ():
            wanted = state_fields(self.phase.optimizer, parameter)
            found = {key.rpartition("|")[2] for key in tensors if key.rpartition("|")[0] == name}
            if found != wanted:
                odd = min(found ^ wanted)
                side = "lacks" if odd in wanted else "has an odd"
                raise CheckpointError(
                    f'The checkpoint\'s optimiser state of "{name}" {side} {odd}, so training cannot go on exactly; '
                    "take an earlier checkpoint."
                )
