"""What keeps a film from flickering whose frames are changed one by one."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

_CUT = 0.25
"""Mean difference of two frames, of values in [-1, 1], that is a cut."""
_STILL = 0.04
"""Difference of a place from the frame before, of values in [-1, 1], that counts for movement."""
_AROUND = 5


class Steady:
    """Lets what frames are normalised by change slowly, and keeps some of what has not moved.

    After a cut it begins anew.

    Args:
        steadiness: 0 leaves every frame by itself; towards 1 more of the frames before counts.
    """

    def __init__(self, steadiness: float) -> None:
        self.steadiness = steadiness
        self._before: Tensor | None = None
        self._made: Tensor | None = None
        self._moments: Tensor | None = None

    def moments(self, now: Tensor) -> Tensor:
        """The moments to go by, of those of this frame."""
        before = self._moments
        self._moments = now if before is None else before.lerp(now, 1 - self.steadiness)
        return self._moments

    def picture(self, frame: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        """What is drawn of a frame [1, C, H, W], mixed with what was drawn before where nothing has moved."""
        before, last = self._before, self._made
        same = before is not None and before.shape == frame.shape
        if not same or before is None or (frame - before).abs().mean() > _CUT:
            self._moments = last = None
        made = draw()
        if last is not None and before is not None and self.steadiness:
            moved = F.avg_pool2d((frame - before).abs().mean(1, keepdim=True), _AROUND, 1, _AROUND // 2)
            made = made.lerp(last, self.steadiness * (-(moved / _STILL).square()).exp())
        self._before, self._made = frame, made
        return made
