"""The command `mezzotint`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from mezzotint.app.cli import (
    cluster,
    codes,
    data,
    edit,
    evaluate,
    info,
    latents,
    report,
    stylize,
    train,
    translate,
    use,
)
from mezzotint.app.cli._answer import EXIT_CODES, Group, listen
from mezzotint.app.cli._common import examples

app = typer.Typer(
    name="mezzotint",
    cls=Group,
    help="Train, compare and use generative models on your own pictures, on the machine you have.",
    epilog=examples(
        "mezzotint doctor",
        "mezzotint data check photos/ --size 64",
        "mezzotint train dcgan photos/ --size 64 --out runs/a",
        "mezzotint sample runs/a -n 64 --seed 3 -o grid.png",
        "mezzotint evaluate runs/a",
        "mezzotint report runs/a",
    )
    + f"\n\n{EXIT_CODES}\n\nMEZZOTINT_DEBUG=1 adds the traceback to every error.",
    # Plain help: rich's panels would cost as much time again as all the rest of `mezzotint --help`.
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        info.print_version()
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


train.add_to(app)
use.add_to(app)
latents.add_to(app)
edit.add_to(app)
codes.add_to(app)
evaluate.add_to(app)
cluster.add_to(app)
translate.add_to(app)
stylize.add_to(app)
report.add_to(app)
data.add_to(app)
info.add_to(app)


def run() -> int:
    """Run the command line on `sys.argv`; the exit code."""
    listen()
    try:
        app(prog_name="mezzotint")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
