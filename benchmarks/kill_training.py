"""Kill the real training of every registered model at random moments of saving; each time it must go on exactly.

    python benchmarks/kill_training.py --kills 200

The child is what a person runs: `mezzotint.train`, then `mezzotint.resume`, with a checkpoint after every round. The
parent kills it with SIGKILL, opens the run as a resuming one would, and compares what it finds, weights, moving
average, optimiser and position in the data, bit for bit with a training that nobody ever disturbed. So a checkpoint
of mixed files, a lost round and a resume that is not exact all show.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

import mezzotint as mz
from kill_during_save import KillReport, kill_trial
from mezzotint.data.batches import Batches
from mezzotint.data.output import save_picture
from mezzotint.engine.checkpoint import Checkpoint
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS
from mezzotint.tasks.prepare import prepare

SIZE = 16
FOR_EVER = 10**7


def settings_of(model: str) -> dict[str, dict[str, Any]]:
    """A network small enough that most of the time is saving."""
    train = {"steps": FOR_EVER, "save_every": 1, "preview_every": 0, "log_every": 1, "batch_size": 8}
    fixed = {"precision": "fp32", "device": "cpu", "ema_every": 1}
    return {"model": dict(MODELS.get(model).tiny), "train": {**train, **fixed}, "data": {"size": SIZE}}


def source_of(model: str, folder: Path) -> str:
    """Digits; for a model of two domains, zeros and ones in two folders, with the same names."""
    if MODELS.get(model).order is Batches:
        return "digits"
    domains = folder / "domains"
    if not domains.exists():
        digits = load_digits(n_class=2)
        for kind in (0, 1):
            (domains / str(kind)).mkdir(parents=True)
            for k, picture in enumerate(digits.images[digits.target == kind][:80]):
                save_picture(domains / str(kind) / f"{k:02d}.png", (picture * 15).astype(np.uint8))
    return str(domains)


class Undisturbed:
    """The training that is never killed: the state after any round, made on demand and in order."""

    def __init__(self, model: str, folder: Path) -> None:
        made = prepare(model, source_of(model, folder), settings=settings_of(model))
        self.trainer = Trainer(made.model, made.pictures, made.recipe.train, made.device)
        self.trainer.model.train()

    def check(self, found: Checkpoint) -> None:
        """`found` is bit for bit what an undisturbed training has after so many rounds."""
        assert found.step >= self.trainer.step, f"step {found.step} was found after step {self.trainer.step}"
        while self.trainer.step < found.step:
            self.trainer.round()
        expected = self.trainer.tensors()
        assert found.tensors.keys() == expected.keys(), f"step {found.step} has other tensors"
        for name, tensor in expected.items():
            assert torch.equal(found.tensors[name], tensor), f"{name} is not that of step {found.step}"
        assert found.state["examples"] == self.trainer.examples, "the position in the data is another"


def train_for_ever(model: str, run: Path) -> None:
    """The child: begin, or go on."""
    if any((run / "checkpoints").glob("step-*")):
        mz.resume(run, quiet=True)
    else:
        if run.exists():  # killed before its first checkpoint: there is nothing to go on with
            run.rename(run.with_name(f"stillborn-{time.time_ns()}"))
        mz.train(model, source_of(model, run.parent), out=run, settings=settings_of(model), quiet=True)


def kill_model(model: str, kills: int, seed: int, folder: Path) -> KillReport:
    """The report of `kills` kills of one model's training."""
    run = folder / model
    command = [sys.executable, __file__, "--child", model, "--folder", str(folder)]
    return kill_trial(command, run / "checkpoints", Undisturbed(model, folder).check, kills, seed)


def main() -> int:
    """Run the benchmark, or be its child."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", nargs="+", default=MODELS.names())
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)  # in both, so that sums are added up in the same order
    if options.child:
        train_for_ever(options.child, options.folder / options.child)
        return 0
    bad = 0
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            report = kill_model(model, options.kills, options.seed, Path(folder))
        print(f"{model}\n{report.table()}", flush=True)
        for failure in report.failures:
            print(failure)
        bad += bool(report.failures) or report.steps_back > 0
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
