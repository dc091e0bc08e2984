"""The model card: the README.md of a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mezzotint.core import atomic
from mezzotint.data.output import save_picture
from mezzotint.data.types import PictureSet
from mezzotint.engine.callbacks import preview
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.feed import to_tensor
from mezzotint.tasks.run import Run


def write_card(run: Run, pictures: PictureSet, count: int = 64) -> None:
    """Draw `samples.png` and write the `README.md` of the run on `pictures`."""
    rows = pictures.splits["validation"] if len(pictures.splits["validation"]) else pictures.splits["train"]
    with torch.no_grad():
        picture = preview(run.model, to_tensor(pictures.pictures[rows[:count]], run.model.device), count)
    if picture is not None:
        save_picture(run.path / "samples.png", picture)
    atomic.write_text(run.path / "README.md", card(run))


def card(run: Run) -> str:
    """The text of the model card."""
    recipe, model = run.recipe, run.model
    spec, data = recipe.spec, recipe.summary
    kinds = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}
    classes = f", {len(spec.classes)} classes" if spec.classes else ""
    parameters = sum(p.numel() for p in model.parameters())
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
        f"mezzotint sample {run.path} -n 64 --seed 3 -o grid.png",
        f"mezzotint train --resume {run.path} --steps {2 * run.step}",
        "```",
        "",
        f"It {', '.join(capabilities(model))}.",
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
        f"{recipe.train.precision}, seed {recipe.train.seed}; {parameters:,} parameters.",
        "",
        *_table("model", recipe.model.to_json()),
        *_table("train", recipe.train.to_json()),
        *_table("data", recipe.data.to_json()),
        "## Limits",
        "",
        "The model knows only what it was trained on, may repeat training pictures, and has their biases.",
        "Mind the rights in the pictures it was trained on.",
        "",
    ]
    return "\n".join(lines)


def _table(section: str, values: dict[str, Any]) -> list[str]:
    rows = [f"| {section}.{key} | {value} |" for key, value in values.items() if value is not None]
    return ["| setting | value |", "| --- | --- |", *rows, ""]
