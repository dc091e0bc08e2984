"""Kill a saving process at random moments and see whether the run can be resumed: it must be, every time.

    python benchmarks/kill_during_save.py --kills 200

A child process saves checkpoints in a tight loop, their content derived from the step; the parent kills it with
SIGKILL at a random moment, opens the store as a resuming run would, and checks what it finds. The child of the next
trial resumes from there. `kill_trial` takes any command that saves into a store, such as the training of
a model, and any check of what was found.

A kill loses nothing that the operating system holds in its cache: this shows that a checkpoint is whole or not
there, not that it survives a power cut. (For that the order of flushes matters; tests/faults looks at it.)
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mezzotint.core.errors import CheckpointError
from mezzotint.engine.checkpoint import Checkpoint, CheckpointStore

_START_SECONDS = 120.0


@dataclass
class KillReport:
    """What came of a number of kills.

    Attributes:
        kills: how many processes were killed while they ran.
        resumable: after how many of them a checkpoint was found that passed the check.
        partials: half-written checkpoints that were lying about after the kills, none of which was taken for one.
        steps_back: the most steps that a resume lost against the newest checkpoint seen before; 0 is none.
        last_step: the step reached in the end.
        failures: a sentence for each kill after which the run could not be resumed.
    """

    kills: int = 0
    resumable: int = 0
    partials: int = 0
    steps_back: int = 0
    last_step: int = -1
    failures: tuple[str, ...] = ()

    def table(self) -> str:
        """A small table to print."""
        rows = {
            "kills": self.kills,
            "resumable": self.resumable,
            "partial folders seen": self.partials,
            "most steps lost": self.steps_back,
            "last step": self.last_step,
        }
        return "\n".join(f"{name:<22}{value:>8}" for name, value in rows.items())


def kill_trial(
    command: list[str],
    store_folder: Path,
    check: Callable[[Checkpoint], None],
    kills: int,
    seed: int,
    longest_delay: float = 0.2,
) -> KillReport:
    """Start `command`, kill it at a random moment while it saves, check the store; `kills` times.

    Args:
        command: a program that resumes from the store, if there is something in it, and goes on saving into it.
        store_folder: the folder of its `CheckpointStore`.
        check: raises `AssertionError` if a checkpoint is not what was saved at its step.
        kills: how often.
        seed: of the delays.
        longest_delay: the kill comes up to so many seconds after the child's first sign of saving.

    Raises:
        RuntimeError: the command ends by itself, or saves nothing for two minutes.
    """
    delays = random.Random(seed)
    report = KillReport()
    for number in range(kills):
        _run_and_kill(command, store_folder, delays.uniform(0.0, longest_delay))
        report.kills += 1
        report.partials += sum(1 for _ in store_folder.glob(".partial-*"))
        try:
            found = CheckpointStore(store_folder).latest()
            if found is None and report.last_step >= 0:
                raise AssertionError("there is no checkpoint any more")
            if found is not None:
                check(found)
                if found.warnings:
                    raise AssertionError(found.warnings[0])
                report.steps_back = max(report.steps_back, report.last_step - found.step)
                report.last_step = max(report.last_step, found.step)
            # A first save that was cut short leaves nothing, and the run starts anew: that is resumable too.
            report.resumable += 1
        except (CheckpointError, AssertionError) as error:
            report.failures += (f"kill {number}: {error}",)
    return report


def _run_and_kill(command: list[str], store_folder: Path, delay: float) -> None:
    before = _listing(store_folder)
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + _START_SECONDS
        while not _listing(store_folder) - before:  # what the last one left being cleared away is no sign of saving
            if child.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"{command} saved nothing in {store_folder}; try it by hand.")
            time.sleep(0.001)
        time.sleep(delay)
        if child.poll() is not None:
            raise RuntimeError(f"{command} ended by itself with status {child.returncode}; give it more to do.")
    finally:
        child.kill()
        child.wait()


def _listing(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def content(step: int, megabytes: float) -> dict[str, Tensor]:
    """Tensors that only this step has: different sizes at every step, so that mixed files would show."""
    count = int(megabytes * 2**20 / 4) + step % 7
    return {
        "weights": torch.arange(count, dtype=torch.float32) + step,
        "moments.half": torch.full((step % 5, 3), step % 1000, dtype=torch.bfloat16),
        "step": torch.tensor(step),
    }


def check_content(found: Checkpoint, megabytes: float, acknowledged: Path) -> None:
    """What was found is what its step has, and is no older than what the child had been told was saved."""
    expected = content(found.step, megabytes)
    assert found.tensors.keys() == expected.keys(), f"step {found.step} has other tensors"
    for name, tensor in expected.items():
        assert torch.equal(found.tensors[name], tensor), f"{name} is not that of step {found.step}"
    assert found.state == {"step": found.step, "text": "x" * (found.step % 100)}, "the state is of another step"
    told = int(acknowledged.read_text() or -1) if acknowledged.exists() else -1
    assert found.step >= told, f"step {told} was saved, and step {found.step} is what is left"


def save_for_ever(folder: Path, megabytes: float, acknowledged: Path) -> None:
    """The child: resume, then save as fast as possible until killed."""
    store = CheckpointStore(folder, keep=2)
    found = store.latest()
    step = found.step if found else 0
    while True:
        step += 1
        state = {"step": step, "text": "x" * (step % 100)}
        store.save(step, content(step, megabytes), state, best=step % 10 == 0)
        if step % 4 == 0:
            store.save(step, content(step, megabytes), state)
        partial = acknowledged.with_suffix(".new")
        partial.write_text(str(step))
        partial.replace(acknowledged)


def main() -> int:
    """Run the benchmark, or be its child."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=float, default=4.0, help="size of a checkpoint")
    parser.add_argument("--folder", type=Path, help="where to save; a temporary folder by default")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        save_for_ever(options.folder / "store", options.megabytes, options.folder / "acknowledged")
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.folder or Path(temporary)
        command = [sys.executable, __file__, "--child", "--folder", str(folder), "--megabytes", str(options.megabytes)]
        report = kill_trial(
            command,
            folder / "store",
            lambda found: check_content(found, options.megabytes, folder / "acknowledged"),
            options.kills,
            options.seed,
        )
    print(report.table())
    for failure in report.failures:
        print(failure)
    return 1 if report.failures or report.steps_back else 0


if __name__ == "__main__":
    sys.exit(main())
