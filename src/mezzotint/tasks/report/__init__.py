"""The report of a run: one HTML file that opens offline, on a phone and in the dark, and prints well."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, MezzotintError
from mezzotint.data.types import PictureSet
from mezzotint.engine.folder import RunFolder
from mezzotint.metrics.score import ScoreError
from mezzotint.tasks._advice import on_validation
from mezzotint.tasks._sources import open_source
from mezzotint.tasks.card import card, held_out_scores
from mezzotint.tasks.evaluation import Evaluation, load_scores
from mezzotint.tasks.report import _learned, _sections
from mezzotint.tasks.report._images import read_picture, whole
from mezzotint.tasks.report._looks import Looks, film, look
from mezzotint.tasks.report._page import page
from mezzotint.tasks.report._records import previews, read_diagnosis, read_log
from mezzotint.tasks.run import Run, load

__all__ = ["report", "write_report"]

_SUFFIXES = (".html", ".htm")


def report(
    run: Run | str | Path,
    out: str | Path | None = None,
    *,
    data: Any = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a run, and bring its model card, the short form, up to date.

    The page holds the diagnosis in words, the scores of `scores.json` with intervals, samples, the film of the
    previews, interpolations, what each code does, the training pictures nearest to samples, reconstructions, curves,
    settings, the data, and the command that makes the run again. It is one file, asks nothing of any network, and is
    seldom above 2 MB.

    Args:
        run: an opened run, or its folder.
        out: an .html file; it is replaced if it is there. `report.html` in the run folder when left out.
        data: the pictures it was trained on, if they have moved.
        tell: told of what is missing, and of licences.

    Returns:
        The file.

    Raises:
        ConfigError: `out` is not the name of an .html file.
        CheckpointError: the folder holds no run, or none of its checkpoints is whole.
        TrainingError: the file cannot be written.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> run = mz.train("vae", "digits", steps=2, out=tempfile.mkdtemp() + "/a", quiet=True)
        >>> report(run).name
        'report.html'
    """
    target = None if out is None else Path(out)
    if target is not None and (target.suffix.lower() not in _SUFFIXES or target.is_dir()):
        raise ConfigError(f'A report is saved as .html; "{target}" is not the name of such a file.')
    opened = run if isinstance(run, Run) else load(run)
    pictures, missing = _pictures(opened, data, tell)
    if missing and tell is not None:
        tell(missing)
    own = held_out_scores(opened, pictures) if pictures is not None else {}
    written = write_report(opened, pictures, own, out=target, missing=missing)
    if target is None and pictures is not None:
        atomic.write_text(RunFolder(opened.path).card, card(opened, own))
    return written


def write_report(
    run: Run,
    pictures: PictureSet | None,
    own: Mapping[str, str],
    *,
    out: Path | None = None,
    missing: str = "",
    quick: bool = False,
    draw: bool = True,
) -> Path:
    """Write the page from what there is.

    Args:
        run: opened.
        pictures: the set it was trained on; None if it cannot be had, and `missing` says why.
        own: what the model says of itself on held-out pictures.
        out: the file; `report.html` in the run folder when left out.
        quick: only what takes seconds.
        draw: whether the model draws pictures anew; else those in the folder are shown.
    """
    folder = RunFolder(run.path)
    looks = look(run, pictures, missing, quick=quick) if draw else _as_it_lies(folder)
    looks = replace(looks, film=film(run, previews(folder.pictures)))
    evaluation, problem = _scores(folder.path)
    advice = on_validation(run)
    contents = _sections.Contents(
        run=run,
        log=read_log(folder.log),
        diagnosis=read_diagnosis(folder.path / "diagnosis.jsonl"),
        evaluation=evaluation,
        problem=problem,
        own=own,
        looks=looks,
        pictures=pictures,
        made=time.strftime("%Y-%m-%d"),
        made_with=_versions(folder),
        advice=() if advice is None else (advice,),
    )
    every = (
        ("diagnosis", "Diagnosis", _sections.diagnosis),
        ("scores", "Scores", _sections.score_section),
        ("samples", "Samples", _sections.samples),
        ("translations", "Translations", _sections.translations),
        ("learned", "What it has learned", lambda c: _learned.section(c.looks.learned)),
        ("film", "How it learned", _sections.film),
        ("interpolations", "Interpolations", _sections.interpolations),
        ("traversals", "Traversals", _sections.traversals),
        ("neighbours", "Nearest training pictures", _sections.neighbours),
        ("reconstructions", "Reconstructions", _sections.reconstructions),
        ("curves", "Curves", _sections.curves),
        ("settings", "Settings", _sections.settings),
        ("data", "Data", _sections.data),
        ("again", "Make it again", _sections.again),
    )
    sections = [(name, heading, body) for name, heading, make in every if (body := make(contents)) is not None]
    title = f"{run.recipe.name} on {_sections.source_name(run.recipe.summary.source)}"
    target = folder.report if out is None else out
    with atomic.explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(target, page(title, _sections.headline(contents), sections))
    return target


def _pictures(run: Run, data: Any, tell: Callable[[str], None] | None) -> tuple[PictureSet | None, str]:
    """The set a run was trained on, or why it cannot be had."""
    source = run.recipe.summary.source
    try:
        opened = open_source(source if data is None else data, run.recipe.data, notify=tell)
    except MezzotintError as error:
        if data is not None:
            raise
        return None, f"The training pictures cannot be shown: {error}"
    if opened.fingerprint != run.recipe.summary.fingerprint:
        what = _sections.source_name(source) if data is None else "what was given"
        return None, f"The training pictures cannot be shown: {what} does not hold the pictures of this run any more."
    return opened, ""


def _as_it_lies(folder: RunFolder) -> Looks:
    """What is in the folder, of a run that was stopped and has no time to draw."""
    later = f"The training was stopped; mezzotint report {folder.path} draws this."
    why = dict.fromkeys(("samples", "interpolations", "neighbours", "reconstructions"), later)
    picture = read_picture(folder.samples)
    return Looks(why=why, samples=None if picture is None else whole(picture, "Samples", 720))


def _scores(folder: Path) -> tuple[Evaluation | None, str]:
    if not (folder / "scores.json").exists():
        return None, ""
    try:
        return load_scores(folder), ""
    except ScoreError as error:
        return None, str(error)


def _versions(folder: RunFolder) -> dict[str, str]:
    try:
        found = json.loads(folder.config.read_text(encoding="utf-8"))["versions"]
        return {str(name): str(version) for name, version in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
