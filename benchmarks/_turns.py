"""Timing two things in turn, A B A B, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import multiprocessing as mp
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Protocol


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


class Player(Protocol):
    """What takes turns in a process of its own."""

    def step(self) -> object:
        """The work that is timed."""

    def result(self) -> Any:
        """What it has come to, asked for once in the end."""


def in_processes(
    players: Mapping[str, Callable[[], Player]], turns: int, threads: int, warmup: int = 1
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """As `in_turn`, each player in a process of its own, since some settings are a whole process's.

    Args:
        players: what makes each player, in its process; it must be picklable.
        turns: how many are counted.
        threads: torch's threads in each process.
        warmup: turns that are not counted.

    Returns:
        The seconds of each step, and the results.
    """
    context, pipes, processes = mp.get_context("spawn"), {}, []
    for name, make in players.items():
        pipes[name], there = context.Pipe()
        processes.append(context.Process(target=_serve, args=(make, threads, warmup, there), daemon=True))
        processes[-1].start()
        pipes[name].recv()  # ready before the next one starts
    seconds: dict[str, list[float]] = {name: [] for name in players}
    for _ in range(turns):
        for name, pipe in pipes.items():
            pipe.send(True)
            seconds[name].append(pipe.recv())
    results = {}
    for name, pipe in pipes.items():
        pipe.send(False)
        results[name] = pipe.recv()
    for process in processes:
        process.join()
    return seconds, results


def _serve(make: Callable[[], Player], threads: int, warmup: int, pipe: Connection) -> None:
    import torch

    torch.set_num_threads(threads)
    player = make()
    for _ in range(warmup):
        player.step()
    pipe.send(None)
    while pipe.recv():
        started = time.perf_counter()
        player.step()
        pipe.send(time.perf_counter() - started)
    pipe.send(player.result())
