"""Random tensors for one turn of training, the same whatever the device and however many processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mezzotint.core import rng
from mezzotint.engine.device import send


class Draw:
    """The random numbers of one turn; each call takes the next ones of the turn's own stream.

    With several processes every process draws the numbers of the whole batch and keeps its own rows, so that
    two processes see together exactly what one process with the doubled batch sees.

    Args:
        seed: the run's seed.
        path: where in the run this is, such as ("train", step, phase, turn).
        device: where the tensors go.
        rank, world: which of how many processes this is.

    Example:
        >>> a, b = Draw(0, ("demo", 1)), Draw(0, ("demo", 1))
        >>> bool((a.normal(4, 2) == b.normal(4, 2)).all())
        True
    """

    __slots__ = ("_device", "_generator", "_path", "_rank", "_seed", "_world")

    def __init__(
        self,
        seed: int,
        path: Sequence[str | int],
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._seed, self._path, self._device = seed, tuple(path), torch.device(device)
        self._rank, self._world = rank, world
        self._generator: np.random.Generator | None = None

    @property
    def generator(self) -> np.random.Generator:
        """The NumPy generator behind this turn, made when first used."""
        if self._generator is None:
            self._generator = rng.stream(self._seed, *self._path)
        return self._generator

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers [*shape]; the first axis is the batch."""
        rows, *rest = shape
        values = self.generator.standard_normal((rows * self._world, *rest), dtype=np.float32)
        return self._own(values, rows)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) [*shape]; the first axis is the batch."""
        rows, *rest = shape
        return self._own(self.generator.random((rows * self._world, *rest), dtype=np.float32), rows)

    def integers(self, high: int, rows: int) -> Tensor:
        """Integers in [0, high), int64 [rows]."""
        return self._own(self.generator.integers(0, high, rows * self._world), rows)

    def _own(self, values: np.ndarray, rows: int) -> Tensor:
        if self._world > 1:
            values = values[self._rank * rows : (self._rank + 1) * rows]
        return send(torch.from_numpy(values), self._device)
