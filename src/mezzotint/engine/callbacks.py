"""The callbacks that come with the house: saving, stopping, logging, previews."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from mezzotint.core.errors import MissingExtra, NotFinite
from mezzotint.data.output import save_picture
from mezzotint.engine._lines import append, cut_after
from mezzotint.engine.callback import Callback
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.checkpoint import CheckpointStore
from mezzotint.engine.model import Model
from mezzotint.engine.ways import preview_of, styles_beside

if TYPE_CHECKING:
    from mezzotint.engine.loop import Trainer


class Saver(Callback):
    """Writes a checkpoint every so many rounds or minutes, and at the end.

    The end has two: one at once, before anything that may take long or fail (an interrupted process may be killed after
    ten seconds), and one of the finished model.
    """

    def __init__(self, store: CheckpointStore, every: int, minutes: float) -> None:
        self.store, self.every, self.pause = store, every, minutes * 60
        self.saved = -1
        self._clock = time.monotonic()

    def on_start(self, trainer: Trainer) -> None:
        self._clock = time.monotonic()
        self.saved = trainer.step if trainer.step else -1

    def on_round(self, trainer: Trainer) -> None:
        if trainer.done or trainer.step % self.every == 0 or time.monotonic() - self._clock > self.pause:
            self.save(trainer)

    def on_finish(self, trainer: Trainer) -> None:
        self.save(trainer, again=True)

    def save(self, trainer: Trainer, *, again: bool = False, best: bool = False) -> None:
        """Write a checkpoint of this round, unless there is one; `again` replaces it.

        Raises:
            TrainingError: a weight is not a finite number; the checkpoints before are kept.
        """
        if trainer.step != self.saved or again:
            tensors = trainer.tensors()
            for name, value in tensors.items():
                if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                    raise NotFinite(
                        f'"{name}" is no longer finite in step {trainer.step}, so this step was not saved; the last '
                        "checkpoint is sound. Resume it with a lower learning rate or --set train.clip_norm=1."
                    )
            self.store.save(trainer.step, tensors, trainer.state(), best=best)
        self.saved, self._clock = trainer.step, time.monotonic()


class TimeBudget(Callback):
    """Stops when training has taken so many minutes, over all resumes together."""

    def __init__(self, minutes: float) -> None:
        self.limit = minutes * 60

    def on_round(self, trainer: Trainer) -> None:
        if trainer.seconds >= self.limit:
            trainer.stop_reason = f"the {self.limit / 60:g} minutes are up"


class Interrupts(Callback):
    """Turns Ctrl-C and SIGTERM into an orderly stop after the round, and says so. A second Ctrl-C stops at once."""

    def __init__(self, quiet: bool = True) -> None:
        self.interrupted = False
        self.quiet = quiet
        self._before: dict[int, Any] = {}

    def on_start(self, trainer: Trainer) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        if not self.quiet:  # not by print: the signal may have come in the middle of one
            os.write(2, b"\nStopping after this step, and saving; once more stops at once.\n")

    def on_round(self, trainer: Trainer) -> None:
        if self.interrupted:
            trainer.stop_reason = "interrupted"

    def on_close(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()


class JsonLog(Callback):
    """One JSON object a line: step, seconds, rate, and every loss term.

    After a resume the lines beyond the checkpoint are dropped, so that each step stands in the file once.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self._mark = (0, 0.0)

    def on_start(self, trainer: Trainer) -> None:
        cut_after(self.path, trainer.step)
        self._mark = (trainer.step, trainer.seconds)

    def on_round(self, trainer: Trainer) -> None:
        if trainer.step % self.every:
            return
        step, seconds = self._mark
        rate = (trainer.step - step) * trainer.config.batch_size / max(trainer.seconds - seconds, 1e-9)
        self._mark = (trainer.step, trainer.seconds)
        self.write(trainer, {key: round(value.item(), 6) for key, value in trainer.losses.items()} | {"rate": rate})

    def write(self, trainer: Trainer, values: dict[str, float]) -> None:
        """Append one line."""
        clean = {key: value if math.isfinite(value) else None for key, value in values.items()}
        append(self.path, {"step": trainer.step, "seconds": round(trainer.seconds, 3), **clean})


class TensorBoard(Callback):
    """The same numbers as curves for TensorBoard (extra: curves)."""

    def __init__(self, folder: Path, every: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("Writing TensorBoard curves", "curves") from None
        self.every = every
        self._open: Callable[..., Any] = partial(SummaryWriter, str(folder))
        self._writer: Any = None

    def on_start(self, trainer: Trainer) -> None:
        # What a killed run wrote beyond its checkpoint is hidden, so that each step stands once.
        self._writer = self._open(purge_step=trainer.step + 1 if trainer.step else None)

    def on_round(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0:
            for key, value in trainer.losses.items():
                self._writer.add_scalar(key, value.item(), trainer.step)

    def on_close(self, trainer: Trainer) -> None:
        if self._writer is not None:
            self._writer.close()


class Previews(Callback):
    """Leaves a grid of pictures behind: always of the same latents, so that they make a film of the training."""

    def __init__(self, folder: Path, every: int, count: int) -> None:
        self.folder, self.every, self.count = folder, every, count
        self._drawn = -1

    def on_round(self, trainer: Trainer) -> None:
        if self.every and trainer.step % self.every == 0:
            self.draw(trainer)

    def on_finish(self, trainer: Trainer) -> None:
        if trainer.step != self._drawn:
            self.draw(trainer)

    def draw(self, trainer: Trainer) -> None:
        """Write the picture of this round."""
        with trainer.using() as model:
            count = model.spec.meaning.enough(self.count)
            spread = bool({"translates", "stylizes"} & set(capabilities(model)))
            picture = preview(model, trainer.held_out(count, spread=spread)[0], count)
        if picture is not None:
            save_picture(self.folder / f"step-{trainer.step:08d}.png", picture)
        self._drawn = trainer.step


def preview(model: Model, held_out: torch.Tensor, count: int) -> Any:
    """What there is to see of a model: its samples, or else pictures beside what it makes of them.

    Args:
        model: in evaluation mode.
        held_out: [N, C, H, W] pictures in [-1, 1].
        count: how many samples.

    Returns:
        A grid [H, W, C] uint8 (of points a scatter plot over the held-out ones), or None for a model that has nothing
        to show.
    """
    can: Any = model
    offers = capabilities(model)

    def packed(values: torch.Tensor) -> Any:
        return model.spec.meaning.stored(values.float().cpu().numpy())

    if "samples" in offers:
        classes = len(model.spec.classes)
        labels = torch.arange(count) % classes if classes and getattr(model, "conditional", False) else None
        made = packed(can.sample(count, seed=0, labels=labels))
        return model.spec.meaning.sheet(made, real=packed(held_out) if model.spec.meaning.planar else None)
    if "translates" in offers:
        return preview_of(model, held_out)
    if "stylizes" in offers:
        return styles_beside(model, held_out)
    if "reconstructs" in offers:
        return model.spec.meaning.pairs(packed(held_out), packed(can.reconstruct(held_out)))
    return None
