"""`mezzotint cluster`: pictures that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._common import (
    FitOption,
    JsonFlag,
    QuietFlag,
    SizeOption,
    Voice,
    examples,
    given,
    parse_size,
    table,
)
from mezzotint.app.cli.use import PicturesArgument, tell_left_out

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(
        "cluster",
        epilog=examples(
            "mezzotint cluster photos/ --size 64 -k 12 --features mezzotint-1 -o clusters/",
            "mezzotint cluster faces.zip --method ssc-outliers -k 10 -o people/",
            "mezzotint cluster mnist -k 10 --features scattering --reduce 500 --method ssc-elastic -o digits/",
            "mezzotint cluster photos/ -k 8 --method ssc-elastic --set method.gamma=50 -o clusters/",
            "mezzotint cluster digits -k 10 --features runs/vae -o digits/",
        ),
    )(cluster)


def cluster(
    pictures: PicturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    clusters: Annotated[int, typer.Option("--clusters", "-k", help="How many.", min=2)] = 10,
    method: Annotated[
        str,
        typer.Option(
            "--method", help="kmeans, gmm, agglomerative, ssc, ssc-outliers, ssc-omp or ssc-elastic (subspaces)."
        ),
    ] = "kmeans",
    features: Annotated[
        str,
        typer.Option(
            "--features",
            metavar="WHAT",
            help="pixels, scattering, another extractor such as mezzotint-1, or a run: its codes.",
        ),
    ] = "pixels",
    reduce: Annotated[
        int | None, typer.Option("--reduce", help="Keep so many principal coordinates of the features.", min=1)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="method.NAME=VALUE",
            help="Any setting of the method's scikit-learn estimator, such as method.n_components=gap.",
        ),
    ] = None,
    size: SizeOption = None,
    fit: FitOption = None,
    most: Annotated[int | None, typer.Option("--most", help="Of more pictures, draw so many.", min=2)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw and the method.", min=0)] = 0,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Divide pictures into clusters.

    Writes report.html, clusters.csv, overview.png with a row for each cluster, and a sheet for each; where classes are
    known, says how far clusters and classes agree.
    """
    from mezzotint.data.types import DataConfig
    from mezzotint.tasks.cluster import cluster as task

    voice = Voice(json, quiet)
    settings = method_settings(assignments or [])
    values = given({"size": None if size is None else parse_size(size), "fit": fit})
    with voice.working(), voice.progress("Looking at pictures") as progress:
        found = task(
            pictures,
            out,
            method=method,
            clusters=clusters,
            features=features,
            config=DataConfig.build(values, "data"),
            reduce=reduce,
            settings=settings,
            most=most,
            seed=seed,
            progress=progress,
            tell=voice.tell,
        )
    tell_left_out(voice, found)
    document = {"out": str(out), "method": method, "sizes": list(found.sizes), "scores": found.scores}

    def human(console: Console) -> None:
        console.print(table(("cluster", "pictures"), [(k, f"{n:,}") for k, n in enumerate(found.sizes)]))
        for name, value in found.scores.items():
            console.print(f"{name}: {value:.4g}")
        console.print(f"See {out / 'report.html'}; the cluster of each picture is in {out / 'clusters.csv'}.")

    voice.result(document, human)


def method_settings(assignments: list[str]) -> dict[str, Any]:
    """`["method.gamma=100"]` as values by name."""
    from mezzotint.core.config import parse_assignments
    from mezzotint.core.errors import ConfigError

    sections = parse_assignments(assignments)
    for other in sections.keys() - {"method"}:
        raise ConfigError(f'Clustering has settings of its method only; write --set method.NAME=VALUE, not "{other}".')
    return sections.get("method", {})
