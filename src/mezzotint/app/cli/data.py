"""`mezzotint data`: look at pictures before training on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import Group, safe
from mezzotint.app.cli._common import (
    FitOption,
    JsonFlag,
    QuietFlag,
    SizeOption,
    Voice,
    complete_source,
    examples,
    given,
    parse_size,
    table,
)
from mezzotint.core.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from rich.console import Console

    from mezzotint.data.check import DataReport


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        cls=Group,
        help="Look at pictures before training on them.",
        epilog=examples("mezzotint data check photos/ --size 64", "mezzotint data list"),
        rich_markup_mode=None,
        invoke_without_command=True,
    )
    group.callback()(_alone)
    group.command(
        "check",
        epilog=examples(
            "mezzotint data check photos/",
            "mezzotint data check photos.zip --size 64x48 --fit pad",
            "mezzotint data check digits --json",
        ),
    )(check)
    group.command("list", epilog=examples("mezzotint data list", "mezzotint data list --json"))(list_sets)
    app.add_typer(group, name="data")


def _alone(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def check(
    pictures: Annotated[
        str,
        typer.Argument(
            metavar="PICTURES",
            help="A folder, zip, tar, npz, idx or CIFAR file, or a named set.",
            autocompletion=complete_source,
        ),
    ],
    size: SizeOption = None,
    fit: FitOption = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="data.NAME=VALUE", help="Any setting of the section data.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="Whose training to predict by a few steps of it; or none.")
    ] = "dcgan",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Say what a set of pictures holds.

    Sizes, colours, classes, doubles, what would be left out of a training and why, and what a training would take.
    """
    from mezzotint.core.config import merge, parse_assignments
    from mezzotint.data.check import check_pictures
    from mezzotint.data.types import DataConfig

    voice = Voice(json, quiet)
    flags = {"data": given({"size": None if size is None else parse_size(size), "fit": fit})}
    settings = merge(parse_assignments(assignments or ()), flags)
    if set(settings) > {"data"}:
        raise ConfigError(f'data check takes settings of the section data only; got "{min(set(settings) - {"data"})}".')
    config = DataConfig.build(settings["data"], "data")
    if model != "none":
        from mezzotint.engine.model import MODELS

        MODELS.get(model)  # a misspelling is answered before the pictures are read
    with voice.working(), voice.progress("Reading pictures") as progress:
        report = check_pictures(pictures, config, progress=progress, notify=voice.tell)
    if model != "none":
        with voice.working():
            report = _predicted(report, model, pictures, settings)
    voice.result(report.to_dict(), lambda console: _print_sentences(console, report.sentences()))


def _predicted(report: DataReport, model: str, source: str, settings: dict[str, dict[str, Any]]) -> DataReport:
    """The report with what a training with the default settings would take."""
    from dataclasses import replace

    from mezzotint.tasks.prepare import predict, prepare, settle

    _, height, width = report.shape
    size = height if height == width else [height, width]
    try:
        prepared = prepare(model, source, settings={**settings, "data": {**settings["data"], "size": size}})
        prepared, _ = settle(prepared)
        plan, train = predict(prepared), prepared.recipe.train
    except (ConfigError, TrainingError) as error:  # such as pictures too large for the model
        return replace(report, notes=(*report.notes, f"What training {model} takes was not predicted: {error}"))
    steps = train.steps or 0
    return replace(
        report,
        training=f"Training {model} ({steps:,} steps of {train.batch_size} at {height} x {width})",
        memory_bytes=plan.memory,
        seconds=plan.seconds * steps,
    )


def _print_sentences(console: Console, sentences: Any) -> None:
    for sentence in sentences:
        console.print(safe(sentence), soft_wrap=True)


def list_sets(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the sets that are known by name."""
    from mezzotint.data import named

    known = [named.describe(name) for name in named.names()]
    document = [
        {
            "name": each.name,
            "summary": each.summary,
            "licence": each.licence,
            "reference": each.reference,
            "download_bytes": sum(file.size for file in each.files),
        }
        for each in known
    ]
    rows = [
        (each.name, each.summary, each.licence, _megabytes(sum(file.size for file in each.files))) for each in known
    ]
    columns = ("name", "what it holds", "licence", "download")
    Voice(json, quiet).result(document, lambda console: console.print(table(columns, rows)))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size else "none"
