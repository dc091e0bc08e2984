"""`mezzotint edit`: pictures with more or less of something."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, examples
from mezzotint.app.cli.use import (
    CheckpointOption,
    PicturesArgument,
    RunArgument,
    open_run,
    tell_left_out,
    written,
)


class Method(StrEnum):
    """How a direction is found."""

    means = "means"
    linear = "linear"


class _Pairs(TyperCommand):
    """`--add smile 1.5` is `--add smile=1.5`: Typer has no options of two values that may come several times."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined, rest = list[str](), list(args)
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] == "--add" and rest:
                name = rest.pop(0)
                if rest and _amount(name) is None and (_number(rest[0]) is not None or not rest[0].startswith("-")):
                    name = f"{name}={rest.pop(0)}"
                joined.append(name)
        return super().parse_args(ctx, joined)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _amount(text: str) -> float | None:
    """The number after the last equals sign, if there is one."""
    return _number(text.rpartition("=")[2]) if "=" in text else None


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "edit",
        cls=_Pairs,
        epilog=examples(
            "mezzotint edit runs/a face.png --add smile 1.5 -o out/",
            "mezzotint edit runs/a faces/ --add colour=red 1 --add age -2 -o out/ --method linear",
            "mezzotint edit runs/a face.png --add smile 1 --data labelled/ -o out/",
        ),
    )(edit)


def edit(
    run: RunArgument,
    pictures: PicturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    add: Annotated[
        list[str],
        typer.Option(
            "--add",
            metavar="ATTRIBUTE AMOUNT",
            help="A class, a column of numbers, or column=word, and how much of it: 1 is from without to with. "
            "May be given several times.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PICTURES", help="Labelled pictures, if not those of the training."),
    ] = None,
    method: Annotated[
        Method, typer.Option("--method", help="Differences of means, or what a linear reader goes by.")
    ] = Method.means,
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of labelled pictures.", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Change what pictures show, by an attribute that labelled pictures have.

    Writes each picture again with more (or less) of it, and grid.png, each beside its original.
    """
    from mezzotint.core.errors import ConfigError
    from mezzotint.tasks.edit import edit as task

    voice = Voice(json, quiet)
    with voice.working():
        amounts = {}
        for each in add:
            amount = _amount(each)
            if amount is None:
                raise ConfigError(
                    f'"{each}" has no amount that is a number; write --add smile 1.5, or --add smile=1.5.'
                )
            amounts[each.rpartition("=")[0]] = amount
        opened = open_run(voice, run, checkpoint, device)
        with voice.progress("Editing") as progress:
            made = task(
                opened,
                pictures,
                out,
                amounts,
                data=data,
                method=method.value,
                seed=seed,
                overwrite=overwrite,
                progress=progress,
                tell=voice.tell,
            )
        tell_left_out(voice, made)
    said = f"{len(made.files):,} pictures in {made.out}, and grid.png, which shows them beside the originals."
    written(voice, opened, made, said, add=amounts)
