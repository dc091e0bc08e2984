"""Timing two things in turn, A B A B, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def in_turn(actions: Mapping[str, Callable[[], object]], turns: int, warmup: int = 1) -> dict[str, list[float]]:
    """Seconds of each action in each turn; the first `warmup` turns are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(turns + warmup):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(seconds: Mapping[str, list[float]], peer: str, ours: str) -> str:
    """How many times faster `ours` is, as the median of the turns' own ratios, with their range."""
    ratios = [a / b for a, b in zip(seconds[peer], seconds[ours], strict=True)]
    return f"{statistics.median(ratios):.2f} times (turns from {min(ratios):.2f} to {max(ratios):.2f})"
