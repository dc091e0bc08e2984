"""Pictures in clusters: by their values, by what an extractor sees in them, or by a model's codes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.clustering.reduction import principal_coordinates
from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, DataError, suggest
from mezzotint.core.rng import stream
from mezzotint.data.open import open_pictures
from mezzotint.data.output import grid, save_picture
from mezzotint.data.types import BadFile, DataConfig, PictureSet
from mezzotint.engine.capabilities import require
from mezzotint.metrics.clusters import agreement
from mezzotint.metrics.extractor import EXTRACTORS
from mezzotint.tasks import _measure, _sides
from mezzotint.tasks._cluster_methods import METHODS
from mezzotint.tasks._cluster_page import cluster_page, in_words
from mezzotint.tasks._features import extract, to_bytes
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks.reconstruct import open_for
from mezzotint.tasks.sample import models_that

Progress = Callable[[int, int], None]
_DOCUMENT = "clusters.json"
_SHEET, _ROW = 100, 12
"""Pictures on a cluster's own sheet, and in its row of the overview."""


@dataclass(frozen=True)
class Clustered:
    """What was found.

    Attributes:
        out: the folder with report.html, clusters.csv, clusters.json, overview.png and a sheet for each cluster.
        names: of the pictures.
        labels: the cluster of each, from 0, the largest first.
        sizes: pictures in each cluster.
        scores: how clusters and known classes agree; empty where no class is known.
        notes: sentences a person should read.
        left_out: what could not be read, and why.
    """

    out: Path
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    sizes: tuple[int, ...]
    scores: dict[str, float]
    notes: tuple[str, ...] = ()
    left_out: tuple[BadFile, ...] = ()


def cluster(
    source: Any,
    out: str | Path,
    *,
    method: str = "kmeans",
    clusters: int = 10,
    features: Any = "pixels",
    config: DataConfig = DataConfig(),
    reduce: int | None = None,
    settings: Mapping[str, Any] | None = None,
    most: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Clustered:
    """Divide pictures into clusters, and leave sheets of each.

    Args:
        source: whatever `open_pictures` takes.
        out: a folder, new, empty or of an earlier clustering, which is replaced.
        method: one of `METHODS`.
        clusters: how many.
        features: "pixels", the name of an extractor (see `mezzotint doctor`), or a run, by whose codes is clustered.
        config: how pictures are read.
        reduce: keep so many principal coordinates of the features (see `clustering.reduction`); None keeps all.
        settings: of the method's scikit-learn estimator, such as {"n_init": 20}.
        most: of more pictures than that, so many are drawn at random.
        seed: of the draw and the method.
        progress: called with (done, all) while pictures are looked at.
        tell: told what happens.

    Raises:
        ConfigError: there is no such method, a number is out of range, or `out` holds something else.
        CapabilityError: the run's model does not encode.
        DataError: there are too few or too many pictures.

    Example:
        >>> import tempfile
        >>> found = cluster("digits", tempfile.mkdtemp(), clusters=10, most=300)
        >>> len(found.labels), len(found.sizes), found.scores["accuracy"] > 0.5
        (300, 10, True)
    """
    if method not in METHODS:
        raise ConfigError(f'There is no method "{method}" of clustering; {suggest(method, METHODS)}')
    if clusters < 2:
        raise ConfigError(f"There are 2 clusters at least; got {clusters}.")
    if reduce is not None and reduce < 1:
        raise ConfigError(f"Features are reduced to 1 number at least; got {reduce}.")
    folder = Path(out)
    refuse_file(folder, "Clusters")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _DOCUMENT).is_file():
        raise ConfigError(f"{folder} holds other files, which clusters could replace; name a new folder.")
    estimator = METHODS[method].make(clusters, seed, settings or {})
    run = _opened(features)
    if run is not None and config != DataConfig():
        raise ConfigError(f"Pictures are read as {run.path} was trained on them; leave size and fit out.")
    pictures = open_for(run.recipe, source, tell) if run else open_pictures(source, config, notify=tell)
    rows = _rows(pictures, most, seed, method, clusters)
    x = _points(pictures, rows, features, run, progress)
    if reduce is not None:
        x = principal_coordinates(x, reduce)
    if tell is not None:
        tell(f"Clustering {len(rows):,} pictures of {x.shape[1]:,} numbers by {method}: {METHODS[method].says}.")
    try:
        labels = _ordered(np.asarray(estimator.fit_predict(x), np.int64))
    except (ValueError, TypeError) as error:  # scikit-learn's own words for a setting
        raise ConfigError(f"{method} cannot cluster these pictures so: {str(error).rstrip('.')}.") from None
    sizes = np.bincount(labels)
    notes = [*pictures.notes]
    if len(sizes) < clusters:
        notes.append(f"Only {len(sizes)} clusters were found; the pictures have no more that differ.")
    result = Clustered(
        folder,
        tuple(pictures.names[row] for row in rows),
        labels,
        tuple(sizes.tolist()),
        _scores(pictures, rows, labels),
        tuple(notes),
        pictures.bad,
    )
    _write(
        result,
        pictures,
        rows,
        x,
        {
            "method": method,
            "settings": dict(settings or {}),
            "features": _called(features, run),
            "reduce": reduce,
            "seed": seed,
        },
    )
    return result


def _opened(features: Any) -> Any | None:
    """The run that `features` is, opened; None for pixels and extractors."""
    if hasattr(features, "recipe"):
        run = features
    elif features == "pixels" or features in EXTRACTORS.names():
        return None
    elif Path(features).is_dir():
        from mezzotint.tasks.run import load

        run = load(features)
    else:
        known = sorted({"pixels", *EXTRACTORS.names()})
        raise ConfigError(
            f'"{features}" is neither features nor a run; {suggest(str(features), known).rstrip(".")}, or the folder '
            "of a training."
        )
    require(run.model, "encodes", "cluster by codes", others=models_that("encodes"))
    return run


def _called(features: Any, run: Any | None) -> str:
    return str(features) if run is None else f"codes of {run.path}"


def _rows(pictures: PictureSet, most: int | None, seed: int, method: str, clusters: int) -> NDArray[np.int64]:
    count = len(pictures)
    rows = np.arange(count)
    if most is not None and count > most:
        rows = np.sort(stream(seed, "cluster").permutation(count)[:most])
    if len(rows) < clusters:
        raise DataError(f"{clusters} clusters need as many pictures; {pictures.source} has {len(rows)}.")
    if len(rows) > METHODS[method].most:
        raise DataError(
            f"{method} takes up to {METHODS[method].most:,} pictures, by memory, and these are {len(rows):,}; use "
            f"--most {METHODS[method].most}, or another method."
        )
    return rows


def _points(
    pictures: PictureSet, rows: NDArray[np.int64], features: Any, run: Any | None, progress: Progress | None
) -> NDArray[np.float32]:
    """What is clustered, [N, D]."""
    done = 0

    def moved(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, len(rows))

    real = _sides.RealSide(pictures, "all", rows, None)
    if run is not None:
        return _measure.encoded(run.model, real, rows, moved)
    if features == "pixels":
        stored = pictures.pictures[rows].reshape(len(rows), -1)
        moved(len(rows))
        # from 0 for black, so that a darker picture of the same thing lies on the same line
        return (stored / np.iinfo(stored.dtype).max).astype(np.float32)
    extractor = EXTRACTORS.get(features).open()
    return extract(real.chunks(rows), len(rows), extractor, moved).features


def _ordered(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clusters numbered by size, the largest first; none is empty."""
    values, where, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(values))
    return rank[where]


def _scores(pictures: PictureSet, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[str, float]:
    if pictures.labels is None or len(pictures.classes) < 2:
        return {}
    truth = np.asarray(pictures.labels[rows])
    known = truth >= 0
    return agreement(truth[known], labels[known]) if known.any() else {}


def _write(
    result: Clustered,
    pictures: PictureSet,
    rows: NDArray[np.int64],
    x: NDArray[np.float32],
    how: dict[str, Any],
) -> None:
    with atomic.explained(result.out):
        result.out.mkdir(parents=True, exist_ok=True)
        for old in result.out.glob("cluster-*.png"):
            old.unlink()
    # First, since it marks the folder as ours.
    document = {**how, "pictures": pictures.source, "sizes": list(result.sizes), "scores": result.scores}
    atomic.write_json(result.out / _DOCUMENT, document)
    shown, sheets = [], []
    for k in range(len(result.sizes)):
        mine = np.flatnonzero(result.labels == k)
        near = mine[np.square(x[mine] - x[mine].mean(0)).sum(1).argsort(kind="stable")]  # the most typical first
        sheet = to_bytes(pictures.pictures[rows[near[:_SHEET]]]).permute(0, 2, 3, 1).numpy()
        save_picture(result.out / f"cluster-{k:0{len(str(len(result.sizes) - 1))}d}.png", grid(sheet))
        sheets.append(sheet)
        row = np.full((_ROW, *sheet.shape[1:]), 255, np.uint8)
        row[: min(_ROW, len(sheet))] = sheet[:_ROW]
        shown.append(row)
    save_picture(result.out / "overview.png", grid(np.concatenate(shown), columns=_ROW))
    _write_page(result, pictures, rows, sheets, how)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = None if pictures.labels is None else pictures.labels[rows]
    writer.writerow(["picture", "cluster"] if classes is None else ["picture", "cluster", "class"])
    for i, name in enumerate(result.names):
        row_of = [name.encode("utf-8", "backslashreplace").decode(), int(result.labels[i])]
        if classes is not None:
            row_of.append(pictures.classes[classes[i]] if classes[i] >= 0 else "")
        writer.writerow(row_of)
    atomic.write_text(result.out / "clusters.csv", text.getvalue())


def _write_page(
    result: Clustered,
    pictures: PictureSet,
    rows: NDArray[np.int64],
    sheets: list[NDArray[np.uint8]],
    how: dict[str, Any],
) -> None:
    """The same to be looked at in a browser."""
    facts = {"pictures": f"{len(rows):,}", "method": str(how["method"]), "features": str(how["features"])}
    if how["reduce"] is not None:
        facts["coordinates"] = f"{how['reduce']:,}"
    facts |= {name: str(value) for name, value in how["settings"].items()}
    known = pictures.labels is not None and len(pictures.classes) > 1
    members = in_words(result.labels, np.asarray(pictures.labels)[rows], pictures.classes) if known else ()
    source = Path(pictures.source).name or pictures.source
    document = cluster_page(source, facts, result.scores, sheets, result.sizes, members, result.notes)
    atomic.write_text(result.out / "report.html", document)
