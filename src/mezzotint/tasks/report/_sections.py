"""The sections of a report, each as a heading and what stands below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.core.config import Config
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.recipe import versions
from mezzotint.tasks.evaluation import Evaluation
from mezzotint.tasks.report._charts import Series, number
from mezzotint.tasks.report._command import command, place
from mezzotint.tasks.report._curves import charts
from mezzotint.tasks.report._html import Html, join, rows, tag
from mezzotint.tasks.report._looks import Looks
from mezzotint.tasks.report._records import Diagnosis, Finding
from mezzotint.tasks.report._scores import scores

_KINDS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}
_CLASSES = 60
_KEY_FRAMES = 6


@dataclass(frozen=True)
class Contents:
    """All that a report is made of.

    Attributes:
        run: opened.
        log: curves by name.
        diagnosis: what was found while it trained.
        evaluation: the scores, or None; `problem` says what is wrong with their file.
        own: what the model says of itself on held-out pictures.
        looks: the pictures.
        pictures: the set it was trained on, or None.
        made: the day it was written.
        made_with: versions that the run was trained with.
        advice: further sentences on the training.
    """

    run: Any
    log: Mapping[str, Series]
    diagnosis: Diagnosis
    evaluation: Evaluation | None
    problem: str
    own: Mapping[str, str]
    looks: Looks
    pictures: PictureSet | None
    made: str
    made_with: Mapping[str, str]
    advice: tuple[str, ...] = ()


def headline(c: Contents) -> Html:
    """What was trained on what, how long, and how it stands."""
    recipe, spec = c.run.recipe, c.run.recipe.spec
    facts = {
        "steps": f"{c.run.step:,}",
        "time": duration(c.run.seconds),
        "training pictures": f"{recipe.summary.train:,}",
        "size": f"{spec.height} x {spec.width}",
        "parameters": f"{c.run.model.learned:,}",
    }
    verb = "was fitted in" if c.run.model.fitted() else "trained"
    lead = f"{recipe.name} {verb} {c.run.step:,} steps of {recipe.train.batch_size} pictures in {facts['time']}"
    return tag(
        "header",
        tag("p", "Mezzotint report", class_="over"),
        tag("h1", f"{recipe.name} on {source_name(recipe.summary.source)}"),
        tag("p", f"{lead}. ", tag("b", _state(c.run)), class_="lead"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()), class_="key"),
        tag("p", f"{c.run.model.summary} {c.run.model.paper}.", class_="quiet"),
    )


def diagnosis(c: Contents) -> Html:
    """What is wrong, in words, each with advice."""
    parts: list[Any] = [tag("p", text, class_="warn") for text in (*c.run.warnings, *c.advice)]
    found = c.diagnosis.findings
    if found:
        parts.append(
            tag(
                "ul",
                *(tag("li", *_finding(each), class_="now" if each.now else None) for each in found),
                class_="findings",
            )
        )
    elif c.diagnosis.times:
        times = "once" if c.diagnosis.times == 1 else f"{c.diagnosis.times:,} times"
        parts.append(tag("p", f"Nothing was found wrong: the training was examined {times}."))
    elif not parts:
        parts.append(tag("p", "This run holds no record of its training being examined."))
    return join(*parts)


def score_section(c: Contents) -> Html:
    """Scores with intervals."""
    again = f"mezzotint evaluate {c.run.path}"
    return scores(c.evaluation, c.problem, c.run.step, again, c.own)


def translations(c: Contents) -> Html | None:
    """What held-out pictures become; nothing for a model that does not translate."""
    if c.looks.translations is None:
        return _why(c, "translations") if "translates" in _can(c) else None
    return _figure(c.looks.translations.img(), f"{c.looks.translations.alt}.")


def samples(c: Contents) -> Html | None:
    """What it makes now; nothing for a model that does not sample."""
    if c.looks.samples is None:
        return _why(c, "samples") if "samples" in _can(c) else None
    classes = c.looks.classes
    words = f"Drawn with seed 0 after step {c.run.step:,}, not chosen."
    if classes:
        shown = ", ".join(classes[:_CLASSES]) + (" ..." if len(classes) > _CLASSES else "")
        words += f" The classes take turns: {shown}."
    return _figure(c.looks.samples.img(), words)


def film(c: Contents) -> Html | None:
    """The previews, always of the same latents; without scripts the last one, on paper a few of them."""
    frames = list(c.looks.film.items())
    if not frames:
        return tag("p", "No previews were drawn (train.preview_every is 0).") if not c.looks.why else _why(c, "film")
    last = len(frames) - 1
    key = {round(i * last / (_KEY_FRAMES - 1)) for i in range(_KEY_FRAMES)}
    shown = [
        tag(
            "figure",
            frame.img(),
            tag("figcaption", f"step {step:,}"),
            class_="key" if i in key else None,
            hidden=i != last,
        )
        for i, (step, frame) in enumerate(frames)
    ]
    controls = tag(
        "p",
        tag("button", "Play", type="button"),
        tag("input", type="range", min=0, max=last, value=last, step=1, aria_label="Preview, from first to last"),
        class_="controls",
        hidden=True,
    )
    what = "latents" if "samples" in _can(c) else "pictures"
    words = f"The same {what} again and again while the model learned."
    return tag("div", *shown, controls if last else None, tag("p", words, class_="quiet"), class_="film")


def interpolations(c: Contents) -> Html | None:
    """Ways through latent space; nothing for a model that does not sample."""
    if c.looks.interpolations is None:
        return _why(c, "interpolations") if "samples" in _can(c) else None
    words = "Each row leads from one sample to another, along the sphere. Jumps and ghosts speak against the model."
    return _figure(c.looks.interpolations.img(), words)


def traversals(c: Contents) -> Html | None:
    """What each code does, for a model whose codes are few."""
    if c.looks.traversals is None:
        return _why(c, "traversals") if "traversals" in c.looks.why else None
    words = f"In each row one code goes its way, and all else stays; from the top: {'; '.join(c.looks.codes)}."
    return _figure(c.looks.traversals.img(), words)


def neighbours(c: Contents) -> Html | None:
    """Are samples copies? The most suspicious ones beside what they may be copies of."""
    if not c.looks.neighbours:
        return _why(c, "neighbours") if "samples" in _can(c) else None
    pairs = [
        tag(
            "figure",
            each.figure.img(),
            tag("figcaption", f"sample {each.sample}, {number(each.distance)} from ", tag("code", each.names[0])),
        )
        for each in c.looks.neighbours
    ]
    words = "The samples that lie nearest to a training picture, each with its three nearest. Searched were "
    return join(tag("p", words, c.looks.yardstick), tag("div", *pairs, class_="pairs"))


def reconstructions(c: Contents) -> Html | None:
    """Held-out pictures and what the model makes of them; nothing for a model that does not."""
    if c.looks.reconstructions is None:
        return _why(c, "reconstructions") if "reconstructs" in _can(c) else None
    words = c.looks.reconstructions.alt + (
        f". Median PSNR {number(c.looks.psnr)} dB." if c.looks.psnr is not None else "."
    )
    return _figure(c.looks.reconstructions.img(), words)


def curves(c: Contents) -> Html:
    """Losses, and what the diagnosis measured."""
    marks = sorted({each.first for each in c.diagnosis.findings})
    losses, measures = charts(c.log, "a", marks), charts(c.diagnosis.measures, "b", marks)
    if losses is None and measures is None:
        return tag("p", "The log holds no line yet; it is written every train.log_every steps.")
    words = "Pale: as measured. Strong: the average over a twentieth of the curve."
    if marks:
        words += " Dashed: where the diagnosis first found something."
    return join(
        losses,
        tag("h3", "Measured by the diagnosis") if measures is not None else None,
        measures,
        tag("p", words, class_="quiet"),
    )


def settings(c: Contents) -> Html:
    """Every setting; those that are not the default ones stand out."""
    recipe = c.run.recipe
    parts = [
        ("Model", recipe.model, type(recipe.model)()),
        ("Training", recipe.train, TrainConfig()),
        ("Data", recipe.data, DataConfig()),
    ]
    changed = [
        (f"{section}.{name}", value)
        for section, (_, mine, usual) in zip(("model", "train", "data"), parts, strict=True)
        for name, value in _changed(mine, usual)
    ]
    tables = [join(tag("h3", name), _settings(mine, usual)) for name, mine, usual in parts]
    return join(
        tag("p", "Other than the default:", class_="quiet"),
        rows(changed, class_="facts"),
        tag("details", tag("summary", "All settings"), *tables),
    )


def data(c: Contents) -> Html:
    """What it was trained on."""
    recipe, spec, pictures = c.run.recipe, c.run.recipe.spec, c.pictures
    summary = recipe.summary
    facts = {
        "pictures": f"{summary.count:,}, {_KINDS[spec.channels]}, {spec.height} x {spec.width} pixels",
        "parts": f"{summary.train:,} to train, {summary.validation:,} to validate, {summary.test:,} to test",
        "left out": f"{summary.left_out:,} files" if summary.left_out else "nothing",
        "source": place(summary.source),
        "fingerprint": tag("code", summary.fingerprint),
    }
    parts: list[Any] = [rows(facts.items(), class_="facts")]
    if spec.classes:
        counts = _class_counts(pictures, spec.classes)
        shown = [tag("li", name, tag("small", f" {n:,}") if n is not None else None) for name, n in counts[:_CLASSES]]
        more = len(counts) - len(shown)
        parts += [
            tag("h3", f"{len(spec.classes):,} classes"),
            tag("ul", *shown, tag("li", f"and {more:,} more") if more else None, class_="classes"),
        ]
    if pictures is not None:
        parts += [tag("p", note, class_="quiet") for note in pictures.notes]
    return join(*parts)


def again(c: Contents) -> Html:
    """The command that makes the run again, and with what it was made."""
    words = (
        "With the same versions, on a CPU of the same kind, this gives the same weights bit for bit, unless settings "
        "were changed by a resume."
    )
    if c.run.recipe.summary.source == "an array":
        words = f"It was trained on an array: put its .npy file in the place of PICTURES. {words}"
    now = versions()
    pairs = [
        (name, version if now.get(name) == version else f"{version}; this page was made with {now.get(name)}")
        for name, version in c.made_with.items()
    ]
    return join(
        tag("pre", tag("code", command(c.run))),
        tag("p", words, class_="quiet"),
        tag("h3", "Versions"),
        rows([*pairs, ("written on", c.made)], class_="facts"),
    )


def source_name(source: str) -> str:
    """The last part of a path, or the name of a set."""
    return Path(source).name or source


def duration(seconds: float) -> str:
    """A time for people.

    Example:
        >>> duration(7.2), duration(84), duration(3 * 3600 + 120)
        ('7 s', '1 min 24 s', '3 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _state(run: Any) -> str:
    train = run.recipe.train
    if run.fit_over:
        return "Its fit is done."
    if train.steps is not None and run.step >= train.steps:
        return "It has done all its steps."
    if train.minutes is not None and run.seconds >= 60 * train.minutes:
        return f"Its {train.minutes:g} minutes are up."
    if train.patience and run.waited >= train.patience:
        return f"It stopped because {run.waited:,} validations in a row brought nothing better."
    whole = f" of {train.steps:,}" if train.steps is not None else ""
    return f"It was stopped at step {run.step:,}{whole} and can go on: mezzotint train --resume {run.path}"


def _finding(finding: Finding) -> tuple[Html, ...]:
    seen = f"Seen at step {finding.first:,}"
    if finding.times > 1:
        seen = f"Seen {finding.times:,} times, from step {finding.first:,} to step {finding.last:,}"
    gone = "" if finding.now else "; no longer at the end"
    return (
        tag("p", tag("b", finding.sentence)),
        tag("p", finding.advice),
        tag("p", f"{finding.name}. {seen}{gone}.", class_="quiet"),
    )


def _settings(mine: Config, usual: Config) -> Html:
    changed = {name for name, _ in _changed(mine, usual)}
    helps = {name: field.description or "" for name, field in type(mine).model_fields.items()}
    lines = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", tag("b", _shown(value)) if name in changed else _shown(value)),
            tag("td", helps.get(name, ""), class_="quiet"),
        )
        for name, value in mine.to_json().items()
    ]
    return tag("div", tag("table", tag("tbody", *lines), class_="facts"), class_="wide")


def _changed(mine: Config, usual: Config) -> list[tuple[str, str]]:
    defaults = usual.to_json()
    return [(name, _shown(value)) for name, value in mine.to_json().items() if value != defaults[name]]


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _class_counts(pictures: PictureSet | None, classes: tuple[str, ...]) -> list[tuple[str, int | None]]:
    if pictures is None or pictures.labels is None or pictures.classes != classes:
        return [(name, None) for name in classes]
    return [(name, int((pictures.labels == i).sum())) for i, name in enumerate(classes)]


def _can(c: Contents) -> list[str]:
    from mezzotint.engine.capabilities import capabilities

    return capabilities(c.run.model)


def _figure(picture: Html, words: str) -> Html:
    return tag("figure", picture, tag("figcaption", words))


def _why(c: Contents, name: str) -> Html:
    return tag("p", c.looks.why.get(name, "There is nothing to show."), class_="quiet")
