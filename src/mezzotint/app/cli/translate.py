"""`mezzotint translate`: pictures of one domain as pictures of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, examples
from mezzotint.app.cli.use import CheckpointOption, PicturesArgument, RunArgument, open_run, tell_left_out
from mezzotint.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from mezzotint.tasks.translation_sheet import TranslationSheet


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "translate",
        epilog=examples(
            "mezzotint translate runs/seasons summer/ --to winter -o out/",
            "mezzotint translate runs/seasons photo.jpg --to winter --checkpoint best -o out/",
            "mezzotint translate runs/faces me.jpg --to smile=1,hat=0 -o out/",
            "mezzotint translate runs/seasons summer/ --grid sheet.png",
            "mezzotint translate runs/facades pairs/ --half left --to right -o out/",
            "mezzotint translate runs/styled summer/ --to winter --style-seed 3 -o out/",
            "mezzotint translate runs/styled summer/ --to winter --like snow.jpg -o out/",
            "mezzotint translate runs/styled summer/ --to winter --styles 6 --grid sheet.png",
        ),
    )(translate)


def translate(
    run: RunArgument,
    pictures: PicturesArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to write to.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="DOMAIN",
            help="A folder of the training, or attributes: smile=1,hat=0. Every domain in a folder when left out.",
        ),
    ] = None,
    style_seed: Annotated[
        int | None, typer.Option("--style-seed", help="Of a model with style codes: which style is drawn.")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option("--like", metavar="PICTURE", help="Of such a model: a picture whose style all shall have."),
    ] = None,
    half: Annotated[
        str | None,
        typer.Option("--half", metavar="SIDE", help="Of pairs side by side: which half is taken, left or right."),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option("--grid", metavar="FILE", help="Draw a sheet of the first pictures, with a column a domain."),
    ] = None,
    rows: Annotated[int | None, typer.Option("--rows", help="With --grid: how many pictures; 8 if left out.")] = None,
    styles: Annotated[
        int | None, typer.Option("--styles", help="With --grid: columns of each domain, each in another style.")
    ] = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Translate pictures, each at its own size, or draw a sheet of what they become.

    Transparency and 16 bits a channel are kept, metadata is not.
    """
    if out is None and grid is None:
        raise ConfigError("Say where to: --out out/ for the pictures, or --grid sheet.png for a sheet of them.")
    for name, value in (("--rows", rows), ("--styles", styles)):
        if value is not None and grid is None:
            raise ConfigError(f"{name} is of a sheet; name the sheet with --grid sheet.png, or leave it out.")
    voice = Voice(json, quiet)
    document: dict[str, Any] = {"to": to}
    said: list[str] = []
    with voice.working():
        opened = open_run(voice, run, checkpoint, device)
        style: dict[str, Any] = {"to": to, "style_seed": style_seed, "like": like, "half": half}
        if grid is not None:
            sheet = _sheet(opened, pictures, grid, style | _given(rows=rows, styles=styles), document, said)
            if out is None:  # the pictures say the same
                tell_left_out(voice, sheet)
        if out is not None:
            _pictures(voice, opened, pictures, out, {**style, "overwrite": overwrite}, document, said)

    def human(console: Console) -> None:
        for sentence in said:
            console.print(safe(sentence), soft_wrap=True)

    voice.result(document, human)


def _given(**values: int | None) -> dict[str, int]:
    return {name: value for name, value in values.items() if value is not None}


def _sheet(
    run: Any,
    pictures: str,
    grid: Path,
    options: dict[str, Any],
    document: dict[str, Any],
    said: list[str],
) -> TranslationSheet:
    from mezzotint.tasks.translation_sheet import translation_sheet

    found = translation_sheet(run, pictures, grid, **options)
    document |= {"grid": str(grid), "columns": list(found.columns), "rows": list(found.names)}
    said.append(f"{grid} has a row for each of {len(found.names):,} pictures; its columns: {', '.join(found.columns)}.")
    return found


def _pictures(
    voice: Voice, run: Any, pictures: str, out: Path, options: dict[str, Any], document: dict[str, Any], said: list[str]
) -> None:
    from mezzotint.tasks.translate import translate as task

    with voice.progress("Translating") as progress:
        found = task(run, pictures, out, progress=progress, **options)
    tell_left_out(voice, found)
    document |= {"out": str(out), "files": list(found.files)}
    one = f"{out / found.files[0]} is drawn."
    said.append(f"{len(found.files):,} pictures are in {out}." if len(found.files) > 1 else one)
