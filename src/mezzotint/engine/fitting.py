"""Models that are fitted instead of trained: they look at all pictures, some times over, and keep sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mezzotint.engine.phase import Turn


@dataclass(frozen=True)
class Pass:
    """A look at all training pictures, each of them once, in batches.

    All that is kept between batches is in the model's buffers, so a fit can be interrupted and resumed at any batch.

    Attributes:
        name: for logs.
        see: turn -> numbers for the log; called with each batch, without gradients.
        close: called after the last batch; True says that further repetitions would change nothing.
        repeat: how many times at most, one after the other.
    """

    name: str
    see: Callable[[Turn], Mapping[str, Tensor]]
    close: Callable[[], bool]
    repeat: int = 1


class Fitting:
    """Where in its passes a fit stands: a function of how many pictures have been seen.

    Args:
        passes: of the model; none for a model that is trained.
        count: pictures in the training set.
        batch_size: pictures seen at once; the last batch of a pass may be smaller.

    Example:
        >>> one = Pass("sums", lambda turn: {}, lambda: True, repeat=3)
        >>> fitting = Fitting((one,), count=10, batch_size=4)
        >>> fitting.rounds, fitting.size(8), fitting.after(10, settled=True), fitting.over(30)
        (9, 2, 30, True)
    """

    def __init__(self, passes: Sequence[Pass], count: int, batch_size: int) -> None:
        self._ends = [count * sum(each.repeat for each in passes[: k + 1]) for k in range(len(passes))]
        self.passes, self.count, self.batch_size = tuple(passes), count, batch_size

    def __bool__(self) -> bool:
        return bool(self.passes)

    @property
    def rounds(self) -> int:
        """Batches in all, if nothing settles early."""
        return math.ceil(self.count / self.batch_size) * sum(each.repeat for each in self.passes)

    def over(self, seen: int) -> bool:
        """Whether all passes are done."""
        return bool(self.passes) and seen >= self._ends[-1]

    def now(self, seen: int) -> Pass:
        """The pass that the next batch belongs to; after the last one, the last."""
        return next((each for each, end in zip(self.passes, self._ends, strict=True) if seen < end), self.passes[-1])

    def size(self, seen: int) -> int:
        """Pictures in the next batch."""
        return min(self.batch_size, self.count - seen % self.count)

    def closes(self, seen: int) -> bool:
        """Whether the batch that ended here was the last of a pass."""
        return seen % self.count == 0

    def after(self, seen: int, settled: bool) -> int:
        """Where to go on after a pass was closed here: past its further repetitions, if it has settled."""
        return next(end for end in self._ends if seen <= end) if settled else seen
