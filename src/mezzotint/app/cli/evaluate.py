"""`mezzotint evaluate`: scores with intervals, of a model or of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import (
    DeviceOption,
    JsonFlag,
    QuietFlag,
    SizeOption,
    Voice,
    complete_source,
    examples,
    parse_size,
    table,
)
from mezzotint.app.cli.use import CheckpointOption, SamplerOption, open_run
from mezzotint.core.errors import ConfigError, MezzotintError

if TYPE_CHECKING:
    from rich.console import Console

    from mezzotint.tasks.evaluation import Evaluation


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "evaluate",
        epilog=examples(
            "mezzotint evaluate runs/a",
            "mezzotint evaluate runs/a --data photos/ --metrics frechet,kid,prdc",
            "mezzotint evaluate runs/vae --sampler runs/maf",
            "mezzotint evaluate generated/ --data photos/ -o scores.json",
        ),
    )(evaluate)


def evaluate(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="The folder of a training, or generated pictures.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PICTURES",
            help="Real pictures; those the run was trained from when left out.",
            autocompletion=complete_source,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="NAMES",
            help="Such as frechet,kid,prdc; when left out all that can be had, but nll, which takes long.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Of the real pictures: train, validation, test or all. Test when left out."),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--n", "--number", help="Pictures of each kind.")] = None,
    extractor: Annotated[
        str | None, typer.Option("--extractor", metavar="NAME", help="What makes the features; our own by default.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FOLDER", help="Where the extractor's file is, if it has one.")
    ] = None,
    allow_download: Annotated[
        bool, typer.Option("--allow-download", help="Let the extractor's file be fetched; its licence is shown.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the pictures drawn and of every choice.")] = 0,
    size: SizeOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where the scores go; RUN/scores.json for a run, RUN/scores-SAMPLER.json with a sampler.",
        ),
    ] = None,
    sampler: SamplerOption = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Score a model or pictures against real ones.

    Each score comes with a 95 % interval and with everything that decides it: extractor, numbers, part, seed.
    """
    voice = Voice(json, quiet)
    with voice.working():
        from mezzotint.tasks.evaluate import evaluate as task

        opened: Any = what
        target = out
        if (Path(what) / "config.json").is_file():
            opened = open_run(voice, Path(what), checkpoint, device, sampler)
            own = "scores.json" if sampler is None else f"scores-{sampler.resolve().name}.json"
            target = out or Path(what) / own
        elif sampler is not None:
            raise ConfigError(f"--sampler draws for a run, and {what} is none; leave it out.")
        with voice.progress("Evaluating") as progress:
            found = task(
                opened,
                data,
                metrics,
                split=split,
                n=n,
                extractor=extractor,
                seed=seed,
                size=None if size is None else parse_size(size),
                weights=weights,
                allow_download=allow_download,
                notify=voice.tell,
                progress=progress,
            )
        if target is not None:
            found.save(target)
        if opened is not what and target == Path(what) / "scores.json":
            _renew(voice, opened)
        for sentence in _once(found):
            voice.tell(sentence)
    voice.result(found.to_json(), lambda console: _print(console, found, target))


def _renew(voice: Voice, run: Any) -> None:
    """Bring the run's report and card up to date; the scores are kept whatever becomes of them."""
    from mezzotint.tasks.report import report

    try:
        report(run)
    except MezzotintError as error:
        voice.tell(f"The report was not brought up to date: {error}")


def _once(found: Evaluation) -> list[str]:
    """What is to be read beside the numbers: each sentence once, with the scores it belongs to."""
    said: dict[str, list[str]] = {note: [] for note in found.notes}
    for score in found:
        for warning in score.warnings:
            said.setdefault(warning, []).append(score.name)
    return [
        sentence if sentence in found.notes else f"{', '.join(names)}: {sentence}" for sentence, names in said.items()
    ]


def _print(console: Console, found: Evaluation, target: Path | None) -> None:
    rows = []
    for score in found:
        span = "" if score.low is None or score.high is None else f"{score.low:.4g} to {score.high:.4g}"
        arrow = {"lower": "lower", "higher": "higher", "none": ""}[score.better]
        counts = f"{score.contract.n_real:,} / {score.contract.n_fake:,}"
        rows.append((score.name, f"{score.value:.4g} {score.unit}".strip(), span, arrow, counts))
    console.print(table(("score", "value", "95 % interval", "better", "real / generated"), rows))
    for name, why in found.skipped.items():
        console.print(safe(f"Left out: {name}, {why}."), soft_wrap=True)
    if target is not None:
        console.print(safe(f"The scores are in {target}."), soft_wrap=True)
