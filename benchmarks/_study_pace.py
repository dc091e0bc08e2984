"""How many rounds each contender plays in a budget of minutes: all of them in turn, each in a process of its own."""

from __future__ import annotations

import math
import os
import platform
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from _plain import BATCH, PLAIN
from _study_runs import CONTENDERS, MODELS, SIZE, fresh
from _turns import Player, in_processes
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.callback import Callback
from mezzotint.engine.diagnosing import Diagnosis
from mezzotint.engine.folder import RunFolder
from mezzotint.engine.loop import Trainer
from mezzotint.engine.validation import Validation
from mezzotint.tasks.prepare import prepare, settle
from mezzotint.tasks.train import _callbacks

SET = "mnist"  # Fashion-MNIST has the same shape and as many pictures


class Turn(NamedTuple):
    """What was played in one turn: rounds, the seconds they took, and the seconds of the diagnosis beside them."""

    rounds: int
    seconds: float
    diagnosis: float


class Plain:
    """The plain loop, for `seconds` a turn."""

    def __init__(self, model: str, seconds: float) -> None:
        pictures = open_pictures(SET, DataConfig(size=SIZE))
        self.loop, self.seconds = PLAIN[model](fresh(model, pictures, 0), pictures, 0), seconds
        self.turns: list[Turn] = []

    def step(self) -> None:
        before, started = self.loop.step, time.perf_counter()
        while time.perf_counter() - started < self.seconds:
            self.loop.round()
        self.turns.append(Turn(self.loop.step - before, time.perf_counter() - started, 0.0))

    def result(self) -> dict[str, Any]:
        return {"turns": self.turns, "precision": "fp32", "others": 0.0}


class _Until(Callback):
    """Ends a turn; last in the row, so that nobody takes it for the end of the training."""

    end = 0.0

    def on_round(self, trainer: Trainer) -> None:
        if time.perf_counter() >= self.end:
            trainer.stop_reason = "the turn is over"


class Ours:
    """What `mezzotint train` does: settled settings, the engine's loop, and all callbacks but the progress bar.

    The diagnosis goes by the clock, and takes part in the turns. Checkpoints, validation, previews and the log go by
    the number of rounds, and few of them would fall into the turns; they are timed by themselves in the end.
    """

    def __init__(self, model: str, seconds: float) -> None:
        self.folder, self.seconds, self.until = tempfile.TemporaryDirectory(), seconds, _Until()
        wish = {"data": {"size": SIZE}, "train": {"minutes": 600.0, "device": "cpu"}}
        prepared, self.why = settle(prepare(model, SET, settings=wish))
        train = prepared.recipe.train
        run = RunFolder.create(Path(self.folder.name) / "run", prepared.recipe)
        callbacks = _callbacks(run, prepared, True, lambda text: None)
        diagnosis = [each for each in callbacks if isinstance(each, Diagnosis)]
        self.others = [each for each in callbacks if not isinstance(each, Diagnosis)]
        self.trainer = Trainer(
            prepared.model, prepared.pictures, train, prepared.device, callbacks=[*diagnosis, self.until]
        )
        self.play, self.turns, self._bare = self.trainer.round, list[Turn](), 0.0
        self.trainer.round = self._timed  # type: ignore[method-assign]
        self.trainer.model.start()
        self.trainer.model.train()
        for callback in callbacks:
            callback.on_start(self.trainer)

    def _timed(self) -> None:
        started = time.perf_counter()
        self.play()
        self._bare += time.perf_counter() - started

    def step(self) -> None:
        before, self._bare, started = self.trainer.step, 0.0, time.perf_counter()
        self.until.end, self.trainer.stop_reason = started + self.seconds, None
        self.trainer._rounds()
        took = time.perf_counter() - started
        self.turns.append(Turn(self.trainer.step - before, self._bare, took - self._bare))

    def result(self) -> dict[str, Any]:
        beside = self._others()
        self.folder.cleanup()
        return {"turns": self.turns, "precision": self.trainer.config.precision, "why": self.why, "others": beside}

    def _others(self, rounds: int = 1000) -> float:
        """Seconds a round of what goes by their number, as if every validation brought a new best one to save."""
        self.trainer.stop_reason, started = None, time.perf_counter()
        for step in range(1, rounds + 1):
            self.trainer.step = step
            for callback in self.others:
                if isinstance(callback, Validation):
                    callback.best = math.inf
                callback.on_round(self.trainer)
        return (time.perf_counter() - started) / rounds


def measure(minutes: float, turns: int, seconds: float, threads: int) -> dict[str, Any]:
    """The number of rounds of each contender in `minutes`, with what it was computed from.

    A round takes the median over the turns, so that a turn in which the machine was busy elsewhere does not count, and
    its share of what the trainer does beside rounds: diagnosis, validation, checkpoints, previews, the log.

    Args:
        minutes: the budget.
        turns: how many are counted; one more goes before them.
        seconds: of one turn.
        threads: torch's threads.
    """
    players: dict[str, Any] = {}
    for model in MODELS:
        for contender, make in zip(CONTENDERS, (Plain, Ours), strict=True):
            players[f"{model}/{contender}"] = partial[Player](make, model, seconds)
    _, results = in_processes(players, turns, threads)
    found = {}
    for name, result in results.items():
        counted: list[Turn] = result.pop("turns")[1:]
        times = [turn.seconds / turn.rounds for turn in counted]
        diagnosis = sum(turn.diagnosis for turn in counted) / sum(turn.rounds for turn in counted)
        beside = diagnosis + result.pop("others")
        a_round = statistics.median(times) + beside
        found[name] = {
            "rounds": max(1, int(minutes * 60 / a_round)),
            "seconds_a_round": a_round,
            "beside_a_round": beside,
            "turns": times,
            **result,
        }
    return {
        "minutes": minutes,
        "threads": threads,
        "batch": BATCH,
        "machine": {
            "processor": platform.machine(),
            "capability": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
        },
        "contenders": found,
    }


def table(pace: dict[str, Any]) -> str:
    """The pace in words."""
    lines = [
        f"{pace['minutes']:g} minutes, {pace['threads']} threads, batch {pace['batch']}",
        "",
        "| model | contender | precision | ms a round (turns) | of it beside rounds | rounds | pictures |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in pace["contenders"].items():
        model, contender = name.split("/")
        turns = f"{min(found['turns']) * 1e3:.1f} to {max(found['turns']) * 1e3:.1f}"
        lines.append(
            f"| {model} | {contender} | {found['precision']} | {found['seconds_a_round'] * 1e3:.1f} ({turns}) | "
            f"{found['beside_a_round'] / found['seconds_a_round']:.1%} | {found['rounds']:,} | "
            f"{found['rounds'] * pace['batch']:,} |"
        )
    return "\n".join(lines)
