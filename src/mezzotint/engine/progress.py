"""A progress bar with an estimate; on a pipe or in a log file, a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def counting(what: str, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error with an estimate, for work that is counted.

    Args:
        what: what is being done, in words.
        quiet: draw nothing.

    Returns:
        A context that gives the function (done, all) which moves the bar, or None when quiet.
    """
    if quiet:
        yield None
        return
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
        shown = {key: value for key, value in trainer.losses.items() if not key.startswith("diagnosis/")}
        losses = "  ".join(f"{key} {value.item():.3g}" for key, value in shown.items())
        return f"{self._rate:,.0f} pictures/s  {losses}"
