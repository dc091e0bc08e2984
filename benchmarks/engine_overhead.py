"""What the engine costs a step over a bare loop, on a two-layer model: `python benchmarks/engine_overhead.py`.

Both train the same network with the same optimiser on the same batches. The engine adds seeding, the finite check,
turns, logging every 20 steps, a progress bar, a time budget, and the moving average of the weights.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import nn

from _turns import in_turn
from mezzotint.core.config import Config
from mezzotint.data.batches import Batches
from mezzotint.engine.callbacks import Interrupts, JsonLog, TimeBudget
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model, Paper, PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.engine.progress import ProgressBar
from mezzotint.testing._make import make_pictures

STEPS, BATCH = 1000, 32


def net() -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 64))


class Two(Model):
    """The two layers as a model."""

    name = "two"
    summary = "Two layers."
    paper = Paper("Nobody", 2026, "Two layers")
    Config = Config
    averaged = ("net",)

    def __init__(self) -> None:
        super().__init__(Config(), PictureSpec(1, 8, 8))
        self.net = net()

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("two", self.net, self.loss, OptimizerSpec("adam", 1e-3)),)

    def loss(self, turn: Turn) -> Terms:
        return {"square": F.mse_loss(self.net(turn.pictures), turn.pictures.flatten(1))}


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(2)
    pictures = make_pictures(count=400)
    config = TrainConfig(batch_size=BATCH, steps=None, minutes=60, precision="fp32")
    log = Path(tempfile.mkdtemp()) / "log.jsonl"
    callbacks: list[Any] = [
        JsonLog(log, 20),
        ProgressBar("two", Console(file=log.open("w"))),
        Interrupts(),
        TimeBudget(60),
    ]
    trainer = Trainer(Two(), pictures, config, torch.device("cpu"), callbacks=callbacks)
    trainer.model.train()
    for callback in callbacks:
        callback.on_start(trainer)

    def engine() -> None:
        for _ in range(STEPS):
            trainer.round()
            for callback in callbacks:
                callback.on_round(trainer)

    plain = net()
    adam = torch.optim.Adam(plain.parameters(), 1e-3, fused=True)
    batches = Batches(pictures, BATCH, 0, rows=pictures.splits["train"])
    position = 0

    def bare() -> None:
        nonlocal position
        for _ in range(STEPS):
            x = to_tensor(batches.at(position).pictures)
            adam.zero_grad()
            F.mse_loss(plain(x), x.flatten(1)).backward()
            adam.step()
            position += BATCH

    seconds = in_turn({"bare": bare, "engine": engine}, turns=9)
    for callback in callbacks:
        callback.on_close(trainer)
    for name, times in seconds.items():
        print(f"{name:7} {statistics.median(times) / STEPS * 1e6:7.1f} microseconds a step")
    extra = [(b - a) / STEPS * 1e6 for a, b in zip(seconds["bare"], seconds["engine"], strict=True)]
    print(f"engine over bare: median {statistics.median(extra):.1f}, from {min(extra):.1f} to {max(extra):.1f}")


if __name__ == "__main__":
    main()
