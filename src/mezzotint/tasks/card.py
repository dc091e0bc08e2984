"""The model card: the README.md of a run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mezzotint.core import atomic
from mezzotint.data.output import save_picture
from mezzotint.data.types import PictureSet
from mezzotint.engine.callbacks import preview
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.diagnosing import read_findings
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.folder import RunFolder
from mezzotint.engine.ways import evenly
from mezzotint.metrics.pixel import psnr
from mezzotint.metrics.score import ScoreError
from mezzotint.tasks.evaluation import load_scores
from mezzotint.tasks.run import Run

_JUDGED = 512
"""Held-out pictures that the scores of the card are measured on, at most."""


def write_card(run: Run, pictures: PictureSet, count: int = 64, *, scores: bool = True) -> dict[str, str]:
    """Draw `samples.png` and write the `README.md` of the run on `pictures`; without scores it takes no time.

    Returns:
        What `held_out_scores` found.
    """
    rows = pictures.splits["validation"] if len(pictures.splits["validation"]) else pictures.splits["train"]
    shown = (
        rows[evenly(len(rows), count)] if {"translates", "stylizes"} & set(capabilities(run.model)) else rows[:count]
    )
    with torch.no_grad():
        picture = preview(run.model, to_tensor(pictures.pictures[shown], run.model.device), count)
    if picture is not None:
        save_picture(run.path / "samples.png", picture)
    own = held_out_scores(run, pictures) if scores else {}
    atomic.write_text(run.path / "README.md", card(run, own))
    return own


@torch.no_grad()
def held_out_scores(run: Run, pictures: PictureSet) -> dict[str, str]:
    """What the model's own capabilities say of it on up to 512 validation pictures: name -> value and unit."""
    rows = pictures.splits["validation"][:_JUDGED]
    if not len(rows):
        return {}
    model, batch = run.model, run.recipe.train.batch_size
    held = to_tensor(pictures.pictures[rows], model.device)
    labels = None if pictures.labels is None else torch.from_numpy(pictures.labels[rows]).to(model.device)
    marks = [None] * len(held) if labels is None else labels.split(batch)
    offered, scores = capabilities(model), {"validation pictures": f"{len(held):,}"}
    if "scores" in offered:
        nats = torch.cat([model.log_likelihood(x, seed=0) for x in held.split(batch)])
        scores["log-likelihood, or its lower bound"] = f"{nats.mean():,.1f} nats a picture"
        scores["the same"] = f"{model.bits_per_dim(nats).mean():.3f} bits a value"
    if "reconstructs" in offered:
        again = torch.cat([model.reconstruct(x) for x in held.split(batch)])
        scores["reconstruction, median PSNR"] = f"{psnr(again, held).median():.1f} dB"
    if "discriminates" in offered and "samples" in offered:
        known = labels if getattr(model, "conditional", False) else None
        generated = model.sample(len(held), seed=2, labels=known)
        right = [
            ((model.discriminate(x, mark) > 0.5) == real).float()
            for side, real in ((held, True), (generated, False))
            for x, mark in zip(side.split(batch), marks, strict=False)
        ]
        scores["told rightly by its discriminator: real or generated"] = f"{torch.cat(right).mean():.0%}"
    return scores


def use_of(run: Run, path: str) -> str:
    """The command that a person will want first of a run that is at `path`."""
    offered = capabilities(run.model)
    if "translates" in offered:
        known: Any = run.model
        return f"mezzotint translate {path} PICTURES --to {shlex.quote(known.domains()[-1])} -o out/"
    if "stylizes" in offered:
        return f"mezzotint stylize PICTURES --style PICTURE --run {path} -o out/"
    return f"mezzotint sample {path} -n 64 --seed 3 -o grid.png"


def card(run: Run, scores: Mapping[str, str]) -> str:
    """The text of the model card; `scores` are those of `held_out_scores`."""
    recipe, model = run.recipe, run.model
    spec, data = recipe.spec, recipe.summary
    kinds = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}
    classes = f", {len(spec.classes)} classes" if spec.classes else ""
    lines = [
        f"# {recipe.name} on {Path(data.source).name}",
        "",
        "![samples](samples.png)",
        "",
        f"{model.summary} {model.paper}.",
        "",
        "## Use it",
        "",
        "```",
        use_of(run, str(run.path)),
        *([] if run.fit_over else [f"mezzotint train --resume {run.path} --steps {2 * run.step}"]),
        "```",
        "",
        f"It {', '.join(capabilities(model))}. All about it, with curves and pictures: [report.html](report.html).",
        "",
        "## Trained on",
        "",
        f"{data.count:,} {kinds[spec.channels]} pictures of {spec.height} x {spec.width} pixels{classes}: "
        f"{data.train:,} to train, {data.validation:,} to validate, {data.test:,} to test; "
        f"{data.left_out:,} files were left out. Fingerprint `{data.fingerprint[:16]}`.",
        "",
        "## How",
        "",
        f"{run.step:,} steps of {recipe.train.batch_size} pictures in {run.seconds:,.0f} seconds, "
        f"{recipe.train.precision}, seed {recipe.train.seed}; {model.learned:,} parameters.",
        "",
        *_table("model", recipe.model.to_json()),
        *_table("train", recipe.train.to_json()),
        *_table("data", recipe.data.to_json()),
        *_scores(scores),
        *_diagnosis(run),
        *_measured(run),
        "## Limits",
        "",
        "The model knows only what it was trained on, may repeat training pictures, and has their biases.",
        "Mind the rights in the pictures it was trained on.",
        "",
    ]
    return "\n".join(lines)


def _scores(scores: Mapping[str, str]) -> list[str]:
    if not scores:
        return []
    rows = [f"| {name} | {value} |" for name, value in scores.items()]
    note = (
        "Measured by the model itself on pictures it was not trained on; they compare runs on the same pictures only."
    )
    return ["## Scores", "", "| | |", "| --- | --- |", *rows, "", note, ""]


def _diagnosis(run: Run) -> list[str]:
    past = read_findings(RunFolder(run.path).diagnosis)
    rows = [f"- **{each.name}**, step {each.step:,}: {each.sentence} {each.advice}" for each in past.now]
    rows += [f"- {each.name}, last seen at step {each.step:,}: {each.sentence}" for each in past.before]
    return ["## Diagnosis", "", *rows, ""] if rows else []


def _measured(run: Run) -> list[str]:
    """The scores of `scores.json` with their intervals; nothing if there is no such file, or not a sound one."""
    try:
        found = load_scores(run.path)
    except ScoreError:
        return []
    rows = []
    for score in found:
        span = "" if score.low is None or score.high is None else f"{score.low:.4g} to {score.high:.4g}"
        counts = f"{score.contract.n_real:,} / {score.contract.n_fake:,}"
        value = f"{score.value:.4g} {score.unit}".strip()
        rows.append(f"| {score.name} | {value} | {span} | {score.contract.split} | {counts} |")
    step = "" if found.step is None else f" after step {found.step:,}"
    note = f"Measured by `mezzotint evaluate`{step}; what decides each is in `scores.json`."
    head = ["| score | value | 95 % interval | part | real / generated |", "| --- | --- | --- | --- | --- |"]
    return ["## Scores with intervals", "", *head, *rows, "", note, ""]


def _table(section: str, values: dict[str, Any]) -> list[str]:
    rows = [f"| {section}.{key} | {value} |" for key, value in values.items() if value is not None]
    return ["| setting | value |", "| --- | --- |", *rows, ""]
