"""`mezzotint doctor`, `models` and `version`: what there is, and whether it works here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import JsonFlag, QuietFlag, Voice, complete_model, examples, table

if TYPE_CHECKING:
    from rich.console import Console

    from mezzotint.core.config import Config
    from mezzotint.engine.model import Model


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("models", epilog=examples("mezzotint models", "mezzotint models dcgan", "mezzotint models --json"))(
        models
    )
    app.command("doctor", epilog=examples("mezzotint doctor", "mezzotint doctor --json"))(doctor)
    app.command("version", epilog=examples("mezzotint version", "mezzotint version --json"))(version)


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="One model, with all its settings.", autocompletion=complete_model),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the models, or all settings of one."""
    from mezzotint.engine.model import MODELS

    voice = Voice(json, quiet)
    if name is None:
        known = [_describe(MODELS.get(each)) for each in MODELS.names()]
        rows = [(m["name"], m["summary"], ", ".join(m["capabilities"]), m["paper"]) for m in known]
        voice.result(known, lambda console: console.print(table(("name", "what it is", "it", "paper"), rows)))
        return
    cls = MODELS.get(name)
    about = {**_describe(cls), "settings": _settings(cls.Config)}
    voice.result(about, lambda console: _show_model(console, about))


def _describe(cls: type[Model]) -> dict[str, Any]:
    from mezzotint.engine.capabilities import capabilities

    return {
        "name": cls.name,
        "summary": cls.summary,
        "capabilities": capabilities(cls),
        "paper": str(cls.paper),
    }


def _settings(config: type[Config]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from mezzotint.core.config import describe

    return [asdict(info) for info in describe(config)]


def _show_model(console: Console, about: dict[str, Any]) -> None:
    from mezzotint.data.types import DataConfig
    from mezzotint.engine.config import TrainConfig

    console.print(f"{about['name']}: {about['summary']}", soft_wrap=True)
    console.print(f"{about['paper']}.", soft_wrap=True)
    console.print(f"It {', '.join(about['capabilities'])}.", soft_wrap=True)
    shared = (("data", _settings(DataConfig)), ("train", _settings(TrainConfig)))
    for section, settings in (("model", about["settings"]), *shared):
        rows = [(f"{section}.{s['name']}", s["type"], _default(s["default"]), s["range"], s["help"]) for s in settings]
        console.print(table(("--set", "type", "default", "range", "what it does"), rows))


def _default(value: Any) -> str:
    from json import dumps

    return "" if value is None else value if isinstance(value, str) else dumps(value, default=str)


def doctor(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Look at this machine.

    What Mezzotint can use of it, what is missing, and what to do about it.
    """
    from mezzotint.tasks.doctor import examine

    voice = Voice(json, quiet)
    with voice.working():
        diagnosis = examine()
    voice.result(diagnosis.to_dict(), lambda console: _print_sentences(console, diagnosis.sentences()))


def _print_sentences(console: Console, sentences: Any) -> None:
    for sentence in sentences:
        console.print(safe(sentence), soft_wrap=True)


def version(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Print the version."""
    if json or not quiet:
        print_version(json)


def print_version(json: bool = False) -> None:
    """Print the version; as JSON, also those of what Mezzotint stands on."""
    from mezzotint import __version__

    if json:
        from mezzotint.engine.recipe import versions

        Voice(json).result({**versions(), "mezzotint": __version__}, lambda console: None)
    else:
        print(f"mezzotint {__version__}")
