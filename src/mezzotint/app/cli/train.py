"""`mezzotint train`: begin a training, go on with one, or say beforehand what it would cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import (
    FitOption,
    JsonFlag,
    QuietFlag,
    SizeOption,
    Voice,
    complete_model,
    complete_source,
    examples,
    given,
    parse_size,
    table,
)
from mezzotint.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from mezzotint.engine.plan import Plan
    from mezzotint.tasks.prepare import Prepared
    from mezzotint.tasks.run import Run

Settings = dict[str, dict[str, Any]]
ModelArgument = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", help="A model; `mezzotint models` lists them.", autocompletion=complete_model),
]
PicturesArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PICTURES",
        help="A folder, zip, tar, npz, idx or CIFAR file, or a named set (`mezzotint data list`).",
        autocompletion=complete_source,
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="The run folder to make; runs/MODEL-PICTURES when left out.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="With --resume: where the pictures are now, if they have moved.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A .json or .toml file with sections model, data and train, or a run's config.json."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Any setting; `mezzotint models NAME` lists them."),
]

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "train",
        epilog=examples(
            "mezzotint train gan photos/",
            "mezzotint train gan photos/ --size 64 --minutes 60 --out runs/a",
            "mezzotint train dcgan photos/ --size 64 --out runs/a",
            "mezzotint train vae digits --steps 2000 --out runs/digits",
            "mezzotint train dcgan photos/ --size 64x48 --flip --minutes 30 --set model.width=32",
            "mezzotint train dcgan photos/ --size 64 --dry-run",
            "mezzotint train --resume runs/a --steps 20000",
            "mezzotint train dcgan others/ --config runs/a/config.json --out runs/b",
        ),
    )(train)


def train(
    model: ModelArgument = None,
    pictures: PicturesArgument = None,
    out: OutOption = None,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")] = None,
    source: SourceOption = None,
    size: SizeOption = None,
    fit: FitOption = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Mirror half of the training pictures left to right.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Rounds of training in all.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Stop after so many minutes in all.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Pictures in a batch.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps or auto.")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="fp32, bf16 or auto.")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    auto: Annotated[
        bool | None,
        typer.Option(
            "--auto/--no-auto",
            help="Let the model choose what you leave open, by pictures and device; several do unless --no-auto.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it would cost, and stop.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train a model on pictures, or go on with a run."""
    from mezzotint.core.config import merge, parse_assignments

    voice = Voice(json, quiet)
    flags: Settings = {
        "data": given({"size": None if size is None else parse_size(size), "fit": fit, "flip": flip}),
        "train": given(
            {
                "steps": steps,
                "minutes": minutes,
                "batch_size": batch_size,
                "seed": seed,
                "device": device,
                "precision": precision,
            }
        ),
    }
    settings = merge(parse_assignments(assignments or ()), flags)
    if resume is not None:
        others = {"MODEL": model, "--out": out, "--config": config, "--auto": auto, "--dry-run": dry_run or None}
        _refuse_with_resume(others, settings)
        _go_on(voice, resume, source, settings["train"])
        return
    if model is None or pictures is None:
        raise ConfigError("Give a model and pictures, such as: mezzotint train dcgan photos/ --size 64 --out runs/a")
    if source is not None:
        raise ConfigError("--source goes with --resume; name the pictures after the model.")
    if dry_run:
        _foretell(voice, model, pictures, config, settings, auto)
    else:
        _begin(voice, model, pictures, out, config, settings, auto)


def _refuse_with_resume(others: dict[str, Any], settings: Settings) -> None:
    """A run has its model, pictures and folder already; only how it trains may change."""
    taken = [name for name, value in others.items() if value is not None]
    taken += [f"{section}.{name}" for section, values in settings.items() if section != "train" for name in values]
    if taken:
        raise ConfigError(
            f"{taken[0]} cannot be given with --resume, which goes on with the run as it is; --steps, --minutes and "
            "--set train.* change how it trains, and --source says where its pictures have moved."
        )


def _begin(
    voice: Voice,
    model: str,
    pictures: str,
    out: Path | None,
    config: Path | None,
    settings: Settings,
    auto: bool | None,
) -> None:
    from mezzotint.tasks.train import train

    with voice.working():
        run = train(
            model,
            pictures,
            out=out,
            config=config,
            settings=settings,
            auto=auto,
            quiet=voice.quiet,
            tell=voice.tell,
        )
    _report(voice, run)


def _go_on(voice: Voice, path: Path, source: str | None, options: dict[str, Any]) -> None:
    from mezzotint.tasks.train import resume

    with voice.working():
        run = resume(path, source=source, quiet=voice.quiet, tell=voice.tell, **options)
    _report(voice, run)


def _report(voice: Voice, run: Run) -> None:
    from mezzotint.tasks.card import use_of

    samples = run.path / "samples.png"
    document = {
        "run": str(run.path),
        "model": run.recipe.name,
        "step": run.step,
        "seconds": round(run.seconds, 3),
        "samples": str(samples) if samples.exists() else None,
        "card": str(run.path / "README.md"),
        "report": str(run.path / "report.html"),
        "warnings": list(run.warnings),
        "findings": [each.to_json() for each in run.findings],
    }

    def human(console: Console) -> None:
        path = _shown(run.path)
        lines = [
            f"Trained {run.recipe.name} for {run.step:,} steps in {_duration(run.seconds)}; all of it is in {path}."
        ]
        lines.append(f"All about it:  {_shown(run.path / 'report.html')}")
        if samples.exists():
            lines.append(f"What it makes: {_shown(samples)}")
            lines.append(f"More of it:    {use_of(run, path)}")
        if not run.fit_over:
            longer = 2 * run.step
            bent = f" --set train.schedule_steps={longer}" if run.recipe.train.schedule != "constant" else ""
            lines.append(f"Train on:      mezzotint train --resume {path} --steps {longer}{bent}")
        console.print("\n".join(lines), soft_wrap=True)

    voice.result(document, human)


def _foretell(
    voice: Voice, model: str, pictures: str, config: Path | None, settings: Settings, auto: bool | None
) -> None:
    from dataclasses import asdict

    from mezzotint.tasks.prepare import predict, prepare, settle

    with voice.working():
        with voice.progress("Reading pictures") as progress:
            prepared = prepare(
                model, pictures, config=config, settings=settings, auto=auto, progress=progress, tell=voice.tell
            )
        prepared, why = settle(prepared)
        plan = predict(prepared)
    seconds = _length(prepared, plan)
    document = {
        "config": prepared.recipe.to_json(),
        "plan": asdict(plan),
        "seconds": round(seconds, 3),
        "device": str(prepared.device),
        "notes": [*prepared.pictures.notes, *prepared.chosen, why],
    }
    voice.result(document, lambda console: _show_plan(console, prepared, plan, seconds, why))


def _length(prepared: Prepared, plan: Plan) -> float:
    train = prepared.recipe.train
    limits = [train.steps * plan.seconds] if train.steps is not None else []
    limits += [train.minutes * 60] if train.minutes is not None else []
    return min(limits)


def _show_plan(console: Console, prepared: Prepared, plan: Plan, seconds: float, why: str) -> None:
    recipe = prepared.recipe
    config = recipe.to_json()
    sections = {"model": config["model"], "data": config["data"]["settings"], "train": config["train"]}
    rows = [
        (f"{section}.{name}", value)
        for section, values in sections.items()
        for name, value in values.items()
        if value is not None
    ]
    console.print(table(("setting", "value"), rows))
    spec, data = recipe.spec, recipe.summary
    networks = ", ".join(f"{name} {count:,}" for name, count in plan.parameters.items())
    costs = [
        (
            "pictures",
            f"{data.count:,} of {spec.height} x {spec.width}, {spec.channels} channels; {data.train:,} to train",
        ),
        ("left out", f"{data.left_out:,} files"),
        ("parameters", f"{sum(plan.parameters.values()):,} ({networks})"),
        ("one step", f"{_amount(plan.flops)}FLOP, {plan.seconds * 1000:.3g} ms on {prepared.device}"),
        ("training", f"about {_duration(seconds)}"),
        ("memory", f"about {_amount(plan.memory)}B beside the program itself"),
    ]
    console.print(table(("what it takes", ""), costs))
    for note in (*prepared.pictures.notes, *prepared.chosen, why, "Nothing was written; leave --dry-run out to train."):
        console.print(safe(note), soft_wrap=True)


def _shown(path: Path) -> str:
    """A path as it can be pasted into a shell, control characters apart."""
    from shlex import quote

    text = str(path)
    return safe(quote(f"./{text}" if text.startswith("-") else text))


def _amount(value: float) -> str:
    for unit, letter in _UNITS:
        if value >= unit:
            return f"{value / unit:.3g} {letter}"
    return f"{value:.3g} "


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:.3g} minutes" if seconds < 6000 else f"{seconds / 3600:.3g} hours"
