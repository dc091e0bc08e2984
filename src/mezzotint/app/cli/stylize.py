"""`mezzotint stylize`: pictures and films in the style of other pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, examples
from mezzotint.app.cli.use import CheckpointOption, open_run, tell_left_out

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "stylize",
        epilog=examples(
            "mezzotint stylize photo.jpg --style painting.jpg -o out.png",
            "mezzotint stylize photos/ --style painting.jpg --alpha 0.7 -o out/",
            "mezzotint stylize photo.jpg --style a.jpg --style b.jpg:0.3 --keep-colour -o out.png",
            "mezzotint stylize photo.jpg --style a.jpg --mask sky.png --style b.jpg -o out.png",
            "mezzotint stylize film.mp4 --style painting.jpg -o out.mp4",
        ),
    )(stylize)


def stylize(
    pictures: Annotated[
        str, typer.Argument(metavar="PICTURES", help="One picture, a folder, an archive, or a film such as .mp4.")
    ],
    style: Annotated[
        list[str],
        typer.Option("--style", "-s", metavar="FILE[:WEIGHT]", help="A picture whose style is wanted; again for more."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The picture or film to write, or the folder for several pictures.")
    ],
    mask: Annotated[
        list[Path] | None,
        typer.Option("--mask", help="White where the first style is drawn; again for the second, and so on."),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="How much of the style, 0 to 1.")] = 1.0,
    keep_colour: Annotated[bool, typer.Option("--keep-colour", help="Keep the picture's own colours.")] = False,
    style_size: Annotated[
        int,
        typer.Option("--style-size", help="Larger styles are shrunk to so many pixels a side; more: larger strokes."),
    ] = 512,
    steadiness: Annotated[
        float, typer.Option("--steadiness", help="Of a film: 0 lets each frame be, towards 1 it flickers less.")
    ] = 0.8,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="RUN", help="A training of adain; the package's own when left out.")
    ] = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Draw pictures in the style of others, each at its own size; transparency and 16 bits are kept, metadata not."""
    from mezzotint.tasks.stylize import Look
    from mezzotint.tasks.stylize import stylize as task

    voice = Voice(json, quiet)
    look = Look(style, mask or (), alpha, keep_colour, style_size)
    opened = None if run is None else open_run(voice, run, checkpoint, device)
    with voice.working(), voice.progress("Drawing") as progress:
        found = task(
            pictures, out, look, run=opened, device=device, steadiness=steadiness, overwrite=overwrite,
            progress=progress,
        )  # fmt: skip
    tell_left_out(voice, found)
    document = {"out": str(out), "files": list(found.files)}

    def human(console: Console) -> None:
        one = f"{found.out / found.files[0]} is drawn."
        console.print(safe(f"{len(found.files):,} pictures are in {found.out}." if len(found.files) > 1 else one))

    voice.result(document, human)
