"""A progress bar with an estimate; on a pipe or in a log file, a plain line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mezzotint.engine.callback import Callback

if TYPE_CHECKING:
    from mezzotint.engine.loop import Trainer

_LINE_EVERY = 15.0  # seconds between lines when there is no terminal


class ProgressBar(Callback):
    """Shows where training is, how fast it goes and what the losses are.

    Args:
        title: what is being trained.
        console: where to draw; standard error when left out, so that standard output stays clean.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.title = title
        self.console = console or Console(stderr=True)
        self._shown = 0.0
        self._mark = (0, 0.0)
        self._rate = 0.0

    def on_start(self, trainer: Trainer) -> None:
        self._mark = (trainer.step, trainer.seconds)
        self._shown = time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task(self.title, total=trainer.config.steps, completed=trainer.step, said="")
        self._bar.start()

    def on_round(self, trainer: Trainer) -> None:
        now = time.monotonic()
        if now - self._shown < (0.25 if self.console.is_terminal else _LINE_EVERY):
            return
        self._shown = now
        step, seconds = self._mark
        self._rate = (trainer.step - step) * trainer.config.batch_size / max(trainer.seconds - seconds, 1e-9)
        self._mark = (trainer.step, trainer.seconds)
        said = self._said(trainer)
        total = trainer.config.steps
        if trainer.config.minutes is not None:
            by_time = int(trainer.step * trainer.config.minutes * 60 / max(trainer.seconds, 1e-9))
            total = by_time if total is None else min(total, by_time)
        self._bar.update(self._task, completed=trainer.step, total=total, said=said)
        if not self.console.is_terminal:
            self.console.print(f"{self.title}: step {trainer.step}/{total}, {said}", markup=False, highlight=False)

    def on_close(self, trainer: Trainer) -> None:
        self._bar.update(self._task, completed=trainer.step)
        self._bar.stop()

    def _said(self, trainer: Trainer) -> str:
        losses = "  ".join(f"{key} {value.item():.3g}" for key, value in trainer.losses.items())
        return f"{self._rate:,.0f} pictures/s  {losses}"
