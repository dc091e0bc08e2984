"""`mezzotint traverse` and `encode`: what a model's codes do, and which those of a picture are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, examples
from mezzotint.app.cli.use import CheckpointOption, PicturesArgument, RunArgument, open_run, tell_left_out


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "traverse",
        epilog=examples(
            "mezzotint traverse runs/a -o codes.png",
            "mezzotint traverse runs/a --code c1 --samples 5 --range 1.5 -o slant.png",
            "mezzotint traverse runs/vae --rows 8",
        ),
    )(traverse)
    app.command(
        "encode",
        epilog=examples(
            "mezzotint encode runs/a pictures/ -o codes.csv",
            "mezzotint encode runs/a photo.jpg --json",
        ),
    )(encode)


def traverse(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A picture file; RUN/codes.png when left out.")
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option("--code", metavar="NAME", help="Show this code only, such as c1; repeatable.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Pictures of a continuous code.")] = 10,
    range: Annotated[float, typer.Option("--range", help="How far a continuous code goes to both sides.")] = 2.0,
    rows: Annotated[
        int, typer.Option("--rows", help="Codes at most; of more, those that change the pictures most.")
    ] = 10,
    samples: Annotated[int, typer.Option("--samples", help="Rows for each code, each with other noise.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Decides all that stays the same.")] = 0,
    truncation: Annotated[
        float, typer.Option("--truncation", help="Below 1: more typical pictures, less variety.")
    ] = 1.0,
    label: Annotated[
        str | None, typer.Option("--label", "--labels", help="Classes by name or number, such as cat or 0,1,2 or all.")
    ] = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show what each code of a model does.

    A sheet with a row for each code, in which it goes through its values and all else stays.
    """
    voice = Voice(json, quiet)
    with voice.working():
        opened = open_run(voice, run, checkpoint, device)
        from mezzotint.tasks.traverse import traverse as task

        file = task(
            opened,
            run / "codes.png" if out is None else out,
            codes=code or (),
            steps=steps,
            range=range,
            rows=rows,
            samples=samples,
            seed=seed,
            labels=label,
            truncation=truncation,
        )
    document = {"run": str(opened.path), "model": opened.recipe.name, "step": opened.step, "files": [str(file)]}
    voice.result(document, lambda console: console.print(safe(str(file)), soft_wrap=True))


def encode(
    run: RunArgument,
    pictures: PicturesArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the table to a .csv or .json file.")
    ] = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Read the codes of pictures.

    A table with a row for each picture; without -o it is printed.
    """
    from mezzotint.app.cli._common import table

    voice = Voice(json, quiet)
    with voice.working():
        opened = open_run(voice, run, checkpoint, device)
        from mezzotint.tasks.encode import encode as task

        with voice.progress("Encoding") as progress:
            found = task(opened, pictures, out, progress=progress, tell=voice.tell)
        tell_left_out(voice, found)
    document = {"run": str(opened.path), "step": opened.step, "out": None if out is None else str(out)}
    lines = [[row["picture"], *(_shown(row[code]) for code in found.codes)] for row in found.rows()]
    made = table(["picture", *found.codes], lines)
    said = made if out is None else safe(f"The codes of {len(lines):,} pictures are in {out}.")
    voice.result({**document, "pictures": found.rows()}, lambda console: console.print(said, soft_wrap=out is not None))


def _shown(value: float) -> str:
    return f"{value:.3f}" if value.__class__ is float else str(value)
