"""`mezzotint project`: from pictures to latents of a model that only goes the other way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, examples
from mezzotint.app.cli.use import (
    CheckpointOption,
    PicturesArgument,
    RunArgument,
    open_run,
    tell_left_out,
    written,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "project",
        epilog=examples(
            "mezzotint project runs/a photo.jpg -o found/",
            "mezzotint project runs/a faces/ -o found/ --steps 500",
            "mezzotint project runs/a cat.png -o found/ --label cat --json",
        ),
    )(project)


def project(
    run: RunArgument,
    pictures: PicturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    steps: Annotated[int, typer.Option("--steps", help="Steps of the search; more come nearer.", min=1)] = 200,
    label: Annotated[
        str | None, typer.Option("--label", metavar="CLASS", help="The class, for a conditional model.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the random latents to begin from.", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find real pictures in a model that generates.

    Writes each picture as the model can make it, its latents (latents.npy), and how near they come (scores.json).
    """
    from mezzotint.tasks.project import LATENTS
    from mezzotint.tasks.project import project as task

    voice = Voice(json, quiet)
    with voice.working():
        opened = open_run(voice, run, checkpoint, device)
        with voice.progress("Searching") as progress:
            made = task(
                opened,
                pictures,
                out,
                steps=steps,
                label=label,
                seed=seed,
                overwrite=overwrite,
                progress=progress,
                tell=voice.tell,
            )
        tell_left_out(voice, made)
    said = f"{len(made.files):,} pictures and {LATENTS} in {made.out}; PSNR {made.mean:.2f} dB on average."
    written(voice, opened, made, said)
