"""`mezzotint report`: everything about a run on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, complete_source, examples
from mezzotint.app.cli.use import CheckpointOption, RunArgument, open_run


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "report",
        epilog=examples("mezzotint report runs/a", "mezzotint report runs/a -o a.html --checkpoint best"),
    )(report)


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="An .html file; RUN/report.html when left out.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PICTURES",
            help="The pictures it was trained on, if they have moved.",
            autocompletion=complete_source,
        ),
    ] = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write one page about a run.

    Diagnosis, scores, samples, film, curves, settings: one file that opens offline, on a phone, and prints.
    """
    voice = Voice(json, quiet)
    with voice.working():
        from mezzotint.tasks.report import report as task

        opened = open_run(voice, run, checkpoint, device)
        written = task(opened, out, data=data, tell=voice.tell)
    document = {"run": str(opened.path), "step": opened.step, "report": str(written)}
    voice.result(document, lambda console: console.print(safe(str(written)), soft_wrap=True))
