"""Diagnosis while training: when to measure, what to tell, and what is left in `diagnosis.jsonl`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mezzotint.core.errors import DataError, MezzotintError, NotFinite
from mezzotint.engine._lines import append, cut_after
from mezzotint.engine.callback import Callback
from mezzotint.engine.diagnosis import Finding, Moment, Options, judge, said_at_the_end, stopped
from mezzotint.engine.probe import Probe

if TYPE_CHECKING:
    from mezzotint.engine.loop import Trainer

_SHARE = 0.03
"""Of the time of training that measuring may take."""
_WORK = 256
"""The first measurement is expected to take as long as training on so many pictures, and a fifth of a second."""
_SETUP = 0.2
_KEPT = 50
"""Measurements that rules look back on."""
CONSTANT = ("units", "pictures/held_out")
"""Measures that stay as they are, of which a curve shows nothing."""


@dataclass
class Pace:
    """Decides when to measure, so that it takes at most its share of the time.

    Attributes:
        spent: seconds that all measurements took.
        last: seconds that the last one took; None before the first.
        at: how far the training was then, in seconds.

    Example:
        >>> pace = Pace()
        >>> pace.paid(0.3, at=15.0)
        >>> pace.due(24.0, 0.0), pace.due(25.0, 0.0)
        (False, True)
    """

    spent: float = 0.0
    last: float | None = None
    at: float = 0.0

    def due(self, seconds: float, guess: float) -> bool:
        """Whether it may measure, `seconds` into the training; `guess` is what the first one may take."""
        cost = guess if self.last is None else self.last
        # The second: what was saved up in a slow beginning is not spent all at once.
        return self.spent + cost <= _SHARE * seconds and cost <= _SHARE * (seconds - self.at)

    def paid(self, cost: float, at: float) -> None:
        """A measurement took `cost` seconds, `at` seconds into the training."""
        self.spent, self.last, self.at = self.spent + cost, cost, at


class Diagnosis(Callback):
    """Measures at intervals, judges, writes a line each time, and tells of each finding once.

    A finding counts when it holds in two measurements in a row, or at the end. Training is not touched: what it
    measures, and whether it does, makes no difference to the weights.

    Args:
        path: `diagnosis.jsonl` in the run folder.
        options: the run's settings by section, for the advice.
        every: rounds between two measurements; None: as often as 3 % of the time allow; 0: never.
        tell: told of findings while training goes on; what holds at the end is for the caller to say.
    """

    def __init__(
        self, path: Path, options: Options, every: int | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self.path, self.options, self.every, self.tell = path, options, every, tell
        self.history: list[Moment] = []
        self.pending: set[str] = set()
        self.told: set[str] = set()
        self.pace = Pace()
        self._probe: Probe | None = None
        self._held: list[Finding] = []

    def on_start(self, trainer: Trainer) -> None:
        cut_after(self.path, trainer.step)
        self._probe = None

    def on_round(self, trainer: Trainer) -> None:
        if trainer.stop_reason is None and self._due(trainer):
            started = time.perf_counter()
            self.measure(trainer)
            self.pace.paid(time.perf_counter() - started, trainer.seconds)

    def on_finish(self, trainer: Trainer) -> None:
        """A training that chooses its own times is measured at its end too, so that a short one has been once."""
        over = trainer.stop_reason != "interrupted"
        if over and self.every is None and (not self.history or self.history[-1].step < trainer.step):
            self.measure(trainer, at_the_end=True)

    def on_error(self, trainer: Trainer, error: MezzotintError) -> None:
        if isinstance(error, NotFinite):
            last = self.history[-1] if self.history and self.history[-1].step == trainer.step else Moment(0, {})
            cut_after(self.path, trainer.step - 1)  # a step has one line
            self._write(trainer.step, last.measures, [stopped(trainer.step, str(error)), *self._held])

    def measure(self, trainer: Trainer, at_the_end: bool = False) -> list[Finding]:
        """Measure now; returns the findings that count: those of the last time too, and at the end all of them."""
        self._probe = self._probe or Probe(trainer)
        measures = self._probe.measure()
        self.history = [*self.history[1 - _KEPT :], Moment(trainer.step, measures)]
        found = judge(self.history, self.options)
        confirmed = [finding for finding in found if at_the_end or finding.name in self.pending]
        self.pending = {finding.name for finding in found}
        confirmed += said_at_the_end(self.history) if at_the_end else []
        self._held = confirmed
        for name, value in measures.items():
            if name not in CONSTANT:
                trainer.losses[f"diagnosis/{name}"] = torch.tensor(value)
        self._write(trainer.step, measures, confirmed)
        for finding in confirmed:
            if finding.name not in self.told and self.tell is not None and not at_the_end:
                self.tell(f"Step {finding.step:,}: {finding.sentence} {finding.advice}")
            self.told.add(finding.name)
        return confirmed

    def _due(self, trainer: Trainer) -> bool:
        if self.every is not None:
            return self.every > 0 and trainer.step % self.every == 0
        round_seconds = trainer.seconds / max(1, trainer.step)
        return self.pace.due(trainer.seconds, _SETUP + _WORK / trainer.config.batch_size * round_seconds)

    def _write(self, step: int, measures: Mapping[str, float], findings: Sequence[Finding]) -> None:
        rounded = {name: float(f"{value:.6g}") for name, value in measures.items()}
        append(self.path, {"step": step, "measures": rounded, "findings": [each.to_json() for each in findings]})

    def state(self) -> dict[str, Any]:
        if not self.history:
            return {}
        return {
            "history": [[moment.step, dict(moment.measures)] for moment in self.history],
            "pending": sorted(self.pending),
            "told": sorted(self.told),
            "spent": self.pace.spent,
            "last": self.pace.last,
            "at": self.pace.at,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.history = [Moment(int(step), measures) for step, measures in state.get("history", [])]
        self.pending, self.told = set(state.get("pending", [])), set(state.get("told", []))
        self.pace = Pace(state.get("spent", 0.0), state.get("last"), state.get("at", 0.0))


@dataclass(frozen=True)
class Past:
    """What a run's `diagnosis.jsonl` says.

    Attributes:
        now: what held at the last measurement, or stopped the run.
        before: what held at some time, and no longer does; each finding once, as it was seen last.
    """

    now: tuple[Finding, ...] = ()
    before: tuple[Finding, ...] = ()


def read_findings(path: Path) -> Past:
    """The findings of a run; lines that are not whole are passed over, and no file means no findings."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Past()
    seen: dict[str, Finding] = {}
    last: tuple[Finding, ...] = ()
    for line in lines:
        try:
            last = tuple(Finding.from_json(each) for each in json.loads(line)["findings"])
        except (ValueError, KeyError, TypeError, DataError):
            continue
        seen |= {finding.name: finding for finding in last}
    return Past(last, tuple(finding for name, finding in seen.items() if name not in {each.name for each in last}))
