"""What the commands share: printing, progress, the reading of values, completion."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors (and what --json asks for).")]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps, or auto for the fastest there is.")
]
SizeOption = Annotated[str | None, typer.Option("--size", metavar="PIXELS", help="64, or HEIGHTxWIDTH such as 64x48.")]
FitOption = Annotated[str | None, typer.Option("--fit", help="How other shapes are made to fit: crop, pad or stretch.")]

_PIPE_WIDTH = 120


def examples(*lines: str) -> str:
    """The text under a command's help. The mark keeps typer from filling the lines up."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@dataclass(frozen=True)
class Voice:
    """Where a command speaks: results on standard output, everything else on standard error.

    Args:
        json: results are one JSON document.
        quiet: nothing but errors, and the JSON document if asked for.
    """

    json: bool = False
    quiet: bool = False

    def tell(self, text: str) -> None:
        """A sentence by the way."""
        if not self.quiet:
            print(safe(text), file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """While it lasts, what libraries print cannot get into the results."""
        with contextlib.redirect_stdout(sys.stderr):
            yield

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None] | None]:
        """A bar on standard error with an estimate; gives the function (done, all) that moves it, or None if quiet."""
        if self.quiet:
            yield None
            return
        from mezzotint.engine.progress import counting

        with counting(what) as move:
            yield move

    def result(self, document: Any, human: Callable[[Console], None]) -> None:
        """What the command found out: the document as JSON, or what `human` prints."""
        if self.json:
            # Lone surrogates (file names that are not text) become \\udcXX, which JSON reads back as they were.
            print(json.dumps(document, ensure_ascii=False, indent=2, default=str))
        elif not self.quiet:
            human(console())


def console(stderr: bool = False) -> Console:
    """A rich console that takes texts as they are."""
    from rich.console import Console

    plain = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not plain.is_terminal:
        plain.width = max(plain.width, _PIPE_WIDTH)
    return plain


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> Any:
    """A rich table of texts; nothing is cut off, long texts are folded."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*("" if value is None else safe(str(value)) for value in row))
    return made


def parse_size(text: str) -> int | tuple[int, int]:
    """`64` as 64, `64x48` as (64, 48).

    Raises:
        ConfigError: it is neither.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})(?:[xX×]([1-9]\d{0,4}))?", text.strip(), re.ASCII)
    if match is None:
        raise ConfigError(f'--size takes pixels, such as 64, or HEIGHTxWIDTH, such as 64x48; got "{text}".')
    height, width = match.groups()
    return int(height) if width is None else (int(height), int(width))


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the person gave: flags that were left out must not override a settings file."""
    return {key: value for key, value in values.items() if value is not None}


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin so, read from the files: a Tab must not wait for torch."""
    import pkgutil
    from importlib.metadata import entry_points

    import mezzotint.models

    names = {point.name for point in entry_points(group="mezzotint.models")}
    for folder in mezzotint.models.__path__:
        for module in pkgutil.iter_modules([folder]):
            if not module.name.startswith("_"):
                source = Path(folder, f"{module.name}.py").read_text(encoding="utf-8")
                names.update(re.findall(r'^    name(?:: [\w\[\]]+)? = "([^"]+)"', source, re.MULTILINE))
    return sorted(name for name in names if name.startswith(incomplete))


def complete_source(incomplete: str) -> list[str]:
    """Named sets that begin so; where none does, the shell completes file names."""
    from mezzotint.data import named

    return [name for name in named.names() if name.startswith(incomplete)]
