"""`mezzotint translate`: pictures of one domain as pictures of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, examples
from mezzotint.app.cli.use import CheckpointOption, PicturesArgument, RunArgument, open_run, tell_left_out

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "translate",
        epilog=examples(
            "mezzotint translate runs/seasons summer/ --to winter -o out/",
            "mezzotint translate runs/seasons photo.jpg --to winter --checkpoint best -o out/",
            "mezzotint translate runs/faces me.jpg --to smile=1,hat=0 -o out/",
        ),
    )(translate)


def translate(
    run: RunArgument,
    pictures: PicturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    to: Annotated[
        str, typer.Option("--to", metavar="DOMAIN", help="A folder of the training, or attributes: smile=1,hat=0.")
    ],
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Translate pictures, each at its own size; transparency and 16 bits a channel are kept, metadata is not."""
    from mezzotint.tasks.translate import translate as task

    voice = Voice(json, quiet)
    with voice.working(), voice.progress("Translating") as progress:
        found = task(
            open_run(voice, run, checkpoint, device), pictures, out, to=to, overwrite=overwrite, progress=progress
        )
    tell_left_out(voice, found)
    document = {"out": str(out), "to": to, "files": list(found.files)}

    def human(console: Console) -> None:
        console.print(f"{len(found.files):,} pictures are in {out}.")

    voice.result(document, human)
