"""What an evaluation found, as it is kept in `scores.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mezzotint.core import atomic
from mezzotint.core.errors import MezzotintError, suggest
from mezzotint.metrics.score import Comparison, Score, ScoreError, compare

SCHEMA = 1


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model, or of one set of pictures.

    Attributes:
        of: what was scored: the run folder, or the pictures.
        step: the round of the run, or None.
        scores: in the order they were asked for.
        skipped: score that was not asked for by name -> why it was left out.
        notes: sentences about the whole.
    """

    of: str
    step: int | None
    scores: tuple[Score, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Score]:
        return iter(self.scores)

    def __getitem__(self, name: str) -> Score:
        """The score of that name, or the only one whose name begins so.

        Raises:
            ScoreError: there is none, or several.
        """
        found = [each for each in self.scores if each.name == name]
        found = found or [each for each in self.scores if each.name.startswith(name)]
        if len(found) != 1:
            raise ScoreError(f'There is no one score "{name}"; {suggest(name, [each.name for each in self.scores])}')
        return found[0]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema": SCHEMA,
            "of": self.of.encode("utf-8", "backslashreplace").decode(),
            "step": self.step,
            "scores": [each.to_json() for each in self.scores],
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, made: Any, where: str = "the evaluation") -> Evaluation:
        """The inverse of `to_json`.

        Raises:
            ScoreError: it is something else.
        """
        keys = {"schema", "of", "step", "scores", "skipped", "notes"}
        if not isinstance(made, Mapping) or set(made) != keys or made["schema"] != SCHEMA:
            raise ScoreError(f"{where} does not hold the scores of an evaluation of this version; evaluate again.")
        try:
            scores = tuple(Score.from_json(each, f"score {i} of {where}") for i, each in enumerate(made["scores"]))
            step = None if made["step"] is None else int(made["step"])
            return cls(str(made["of"]), step, scores, dict(made["skipped"]), tuple(map(str, made["notes"])))
        except MezzotintError:
            raise
        except (TypeError, ValueError) as error:
            raise ScoreError(f"{where} holds a value of a wrong type ({error}); evaluate again.") from error

    def save(self, path: str | Path) -> Path:
        """Write it to `path`, which is replaced if it is there.

        Raises:
            TrainingError: it cannot be written.
        """
        path = Path(path)
        with atomic.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, self.to_json())
        return path


def load_scores(path: str | Path) -> Evaluation:
    """Read what `Evaluation.save` wrote: a file, or a run folder with its `scores.json`.

    Raises:
        ScoreError: there is none, or it is something else.
    """
    path = Path(path)
    file = path / "scores.json" if path.is_dir() else path
    if not file.is_file():
        raise ScoreError(f"{file} is not there; make it with mezzotint evaluate.")
    try:
        made = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ScoreError(f"{file} cannot be read ({error}); evaluate again.") from error
    return Evaluation.from_json(made, str(file))


def compare_scores(a: Evaluation | str | Path, b: Evaluation | str | Path) -> dict[str, Comparison]:
    """Compare two evaluations score by score.

    Args:
        a, b: evaluations, or what `load_scores` reads.

    Returns:
        name -> comparison, for the scores that both have.

    Raises:
        ScoreError: they share none, or two of one name were not measured in the same way.
    """
    one, other = (each if isinstance(each, Evaluation) else load_scores(each) for each in (a, b))
    theirs = {each.name: each for each in other}
    shared = [each for each in one if each.name in theirs]
    if not shared:
        raise ScoreError(f"{one.of} and {other.of} share no score; evaluate both with the same --metrics.")
    names = (one.of, other.of) if one.of != other.of else ("the first", "the second")
    return {each.name: compare(each, theirs[each.name], names) for each in shared}
