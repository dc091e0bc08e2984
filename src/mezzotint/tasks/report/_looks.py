"""The pictures of a report: what the model makes now, beside what it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, MezzotintError
from mezzotint.core.rng import stream
from mezzotint.data.output import to_uint8
from mezzotint.data.types import PictureSet
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.ways import evenly, side_by_side, ways
from mezzotint.metrics.extractor import Extractor
from mezzotint.metrics.neighbours import nearest
from mezzotint.metrics.pixel import psnr
from mezzotint.tasks import _features
from mezzotint.tasks._labels import is_conditional
from mezzotint.tasks._sides import RealSide
from mezzotint.tasks.evaluate import default_extractor
from mezzotint.tasks.extractors import open_extractor
from mezzotint.tasks.reconstruct import fit_channels
from mezzotint.tasks.report._charts import number
from mezzotint.tasks.report._images import Figure, Pictures, figure, read_picture, reduced, ungrid, whole
from mezzotint.tasks.report._learned import Learned, learned
from mezzotint.tasks.sample import draw, interpolate
from mezzotint.tasks.traverse import squared, traversal

_SAMPLES = 64
_PAIRS, _NEAREST = 8, 3
_HELD = 256
_FRAMES = 32
_CODES = 64
"""Of a latent with more units than this, one unit by itself shows little."""
_FILM_BYTES = 1_200_000
_QUICK = 5_000
"""At the end of a training, learned features are taken for no more training pictures than this."""


@dataclass(frozen=True)
class Neighbour:
    """A sample beside the training pictures nearest to it.

    Attributes:
        figure: the sample, a little apart, and the pictures.
        sample: its number.
        distance: to the nearest.
        names: of the training pictures.
    """

    figure: Figure
    sample: int
    distance: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Looks:
    """All pictures of a report; what is not there has a reason in `why`.

    Attributes:
        samples, interpolations, reconstructions, traversals: sheets.
        codes: of each row of the traversals, its name and values in words.
        film: step -> the preview of that step.
        neighbours: the samples that lie nearest to the training pictures.
        yardstick: of `neighbours`, in words.
        learned: what the model is made of.
        translations: held-out pictures, each beside what it becomes in every domain.
        classes: names, where the samples are of all classes in turn.
        why: section -> why it is empty.
    """

    samples: Figure | None = None
    film: Mapping[int, Figure] = field(default_factory=dict)
    interpolations: Figure | None = None
    neighbours: tuple[Neighbour, ...] = ()
    yardstick: str = ""
    reconstructions: Figure | None = None
    psnr: float | None = None
    traversals: Figure | None = None
    codes: tuple[str, ...] = ()
    learned: Learned | None = None
    translations: Figure | None = None
    classes: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)


def film(run: Any, files: list[tuple[int, Path]]) -> dict[int, Figure]:
    """Up to 32 of the previews, the last among them, small enough for a page."""
    if len(files) > _FRAMES:
        files = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _FRAMES).astype(int))]
    frames: dict[int, Figure] = {}
    for step, path in files:
        picture = read_picture(path)
        if picture is not None:
            frames[step] = _frame(run, picture, step)
    while len(frames) > 2 and sum(len(frame.src) for frame in frames.values()) > _FILM_BYTES:
        frames = {step: frames[step] for step in list(frames)[::-2][::-1]}
    return frames


def look(run: Any, pictures: PictureSet | None, missing: str, *, quick: bool = False) -> Looks:
    """Draw everything anew from the model.

    Args:
        run: an opened run.
        pictures: the set it was trained on, or None.
        missing: why there is none.
        quick: only what takes seconds.
    """
    made: dict[str, Any] = {}
    why: dict[str, str] = {}
    can = capabilities(run.model)
    if "samples" in can:
        _attempt("samples", made, why, lambda: _samples(run))
        _attempt("interpolations", made, why, lambda: _interpolations(run))
        if "codes" in can and len(run.model.codes()) <= _CODES:
            _attempt("traversals", made, why, lambda: _traversals(run))
        if pictures is None:
            why["neighbours"] = missing
        else:
            _attempt("neighbours", made, why, lambda: _neighbours(run, pictures, quick))
    elif "translates" in can and pictures is not None:
        _attempt("translations", made, why, lambda: _translations(run, pictures))
    _attempt("learned", made, why, lambda: {"learned": learned(run)})
    if "reconstructs" not in can:
        why["reconstructions"] = f"{run.recipe.name} does not reconstruct."
    elif pictures is None:
        why["reconstructions"] = missing
    else:
        _attempt("reconstructions", made, why, lambda: _reconstructions(run, pictures))
    classes = run.model.spec.classes if is_conditional(run.model) else ()
    return Looks(**made, classes=tuple(classes), why=why)


def _attempt(name: str, made: dict[str, Any], why: dict[str, str], work: Callable[[], dict[str, Any]]) -> None:
    """A report of a model that has gone wrong shows what there is, and says why the rest is not."""
    try:
        made |= work()
    except MezzotintError as error:
        why[name] = str(error)


def _samples(run: Any) -> dict[str, Any]:
    meaning = run.model.spec.meaning
    pictures = np.concatenate(list(draw(run.model, meaning.enough(_shown(run, _SAMPLES)), 0)))
    if meaning.planar:
        alt = f"{len(pictures):,} points of {run.recipe.name} after step {run.step:,}; circles are the true modes"
        return {"samples": whole(meaning.sheet(pictures), alt)}
    columns = _columns(run, len(pictures))
    return {
        "samples": figure(pictures, f"{len(pictures)} samples of {run.recipe.name} after step {run.step:,}", columns)
    }


def _columns(run: Any, count: int) -> int:
    """For a conditional model with few classes, each column is of one class."""
    classes = len(run.model.spec.classes) if is_conditional(run.model) else 0
    return classes if 5 <= classes <= 12 else (8 if count <= 32 else 10)


def _shown(run: Any, most: int) -> int:
    """How many pictures of this size make a sheet that is not too large."""
    side = max(run.recipe.spec.height, run.recipe.spec.width)
    count = most if side <= 64 else most // 2
    columns = _columns(run, count)
    return count // columns * columns


def _interpolations(run: Any) -> dict[str, Any]:
    steps, lines = 9, 5
    picture = interpolate(run, seed=0, steps=steps, rows=lines)
    alt = f"{lines} rows of {steps} pictures, each row leading from one sample to another"
    spec = run.recipe.spec
    pictures = None if spec.meaning.planar else ungrid(picture, (spec.height, spec.width), steps * lines, steps)
    return {"interpolations": whole(picture, alt) if pictures is None else figure(pictures, alt, steps)}


def _traversals(run: Any) -> dict[str, Any]:
    found = traversal(run, rows=8, truncation=0.7)
    pictures, columns = squared(found)
    names = tuple(f"{row.code.name}, {row.said}" for row in found)
    alt = f"{len(found)} rows of up to {columns} pictures; in each row one code changes: {'; '.join(names)}"
    return {"traversals": figure(pictures, alt, columns), "codes": names}


def _translations(run: Any, pictures: PictureSet) -> dict[str, Any]:
    held = pictures.splits["validation"] if len(pictures.splits["validation"]) else pictures.splits["train"]
    found = ways(run.model)
    across = side_by_side(1 + len(found))
    some = held[evenly(len(held), 6 * across)]  # of all domains, in their order
    given = to_tensor(fit_channels(pictures.pictures[some], run.model.spec), run.model.device)
    with torch.no_grad():
        shown = [given, *(way.change(given).float() for way in found)]
    rows = to_uint8(torch.stack(shown, 1).flatten(0, 1).cpu().numpy())
    names = ", ".join(way.name for way in found)
    alt = f"{len(given)} held-out pictures, each followed by what it becomes: {names}"
    return {"translations": figure(rows, alt, across * len(shown))}


def _reconstructions(run: Any, pictures: PictureSet) -> dict[str, Any]:
    held = pictures.splits["validation"] if len(pictures.splits["validation"]) else pictures.splits["train"]
    columns = 10
    meaning = run.model.spec.meaning
    rows = held[: meaning.enough(2 * columns)]
    given = to_tensor(fit_channels(pictures.pictures[rows], run.model.spec), run.model.device)
    with torch.no_grad():
        seen = run.model.reconstruct(given).float()
    kept = "held-out" if held is pictures.splits["validation"] else "training"
    median = float(psnr(seen.clamp(-1, 1), given).median())
    before, after = (meaning.stored(x.cpu().numpy()) for x in (given.float(), seen))
    if meaning.planar:
        alt = f"{len(rows):,} {kept} points, pale, and the same as the model gives them back"
        return {"reconstructions": whole(meaning.pairs(before, after), alt), "psnr": median}
    lines = [part[i : i + columns] for i in range(0, len(rows), columns) for part in (before, after)]
    alt = f"{len(rows)} {kept} pictures; below each row the same pictures as the model gives them back"
    columns = min(columns, len(rows))
    whole_rows = [line for line in lines if len(line) == columns]  # a part of a row would not stand below its row
    return {"reconstructions": figure(np.concatenate(whole_rows), alt, columns), "psnr": median}


def _neighbours(run: Any, pictures: PictureSet, quick: bool) -> dict[str, Any]:
    if pictures.meaning.planar:
        raise DataError(f"The pictures are {pictures.meaning.holds}, of which new ones always lie near.")
    extractor = _extractor(len(pictures.splits["train"]), quick)
    most = 50_000 if 0 < extractor.dims <= 1024 else 10_000  # so that the distances fit into memory
    train = _some(pictures.splits["train"], most)
    held = _some(pictures.splits["validation"], _HELD)
    samples = np.concatenate(list(draw(run.model, _SAMPLES, 0)))
    mine = _features.extract([_features.to_bytes(samples)], len(samples), extractor, _nothing).features
    theirs = _of_set(run, pictures, train, extractor)
    k = min(_NEAREST, len(train))
    where, far = nearest(mine, theirs, k)
    chosen = np.argsort(far[:, 0], kind="stable")[:_PAIRS]
    found = tuple(_neighbour(run, pictures, int(i), samples, train[where[i]], float(far[i, 0])) for i in chosen)
    words = f"{len(train):,} training pictures; distances are of the features of the extractor {extractor.name}"
    if len(held):
        usual = nearest(_of_set(run, pictures, held, extractor), theirs, 1)[1]
        words += (
            f". Of {len(samples)} samples the median lies {number(float(np.median(far[:, 0])))} from its nearest "
            f"training picture; of {len(held):,} pictures that were held out, {number(float(np.median(usual)))}"
        )
    return {"neighbours": found, "yardstick": f"{words}."}


def _extractor(count: int, quick: bool) -> Extractor:
    """Our own where it can be had and does not take long, or else the pixels; the page says which."""
    name = "pixels" if quick and count > _QUICK else default_extractor()
    try:
        return open_extractor(name)
    except MezzotintError:
        return open_extractor("pixels")


def _of_set(run: Any, pictures: PictureSet, rows: NDArray[np.int64], extractor: Extractor) -> NDArray[np.float32]:
    side = RealSide(pictures, "train", rows, None)
    return _features.of_set(
        pictures, rows, lambda some: side.chunks(some, run.model.spec), extractor, _nothing
    ).features


def _some(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(rows) <= most:
        return rows
    # The same stream as of `evaluate`, whose features are then found in the cache.
    return np.sort(stream(0, "evaluate", "train").permutation(rows)[:most])


def _neighbour(
    run: Any, pictures: PictureSet, sample: int, samples: Pictures, rows: NDArray[np.int64], far: float
) -> Neighbour:
    near = fit_channels(pictures.pictures[rows], run.model.spec)
    near = _features.to_bytes(near).numpy().transpose(0, 2, 3, 1)
    names = tuple(pictures.names[i] for i in rows)
    alt = f"Sample {sample}, then the {len(rows)} training pictures nearest to it"
    shown = figure(np.concatenate([samples[sample : sample + 1], near]), alt, 1 + len(rows), room=330, lead=1)
    return Neighbour(shown, sample, far, names)


def _frame(run: Any, picture: Pictures, step: int) -> Figure:
    alt = f"Preview after step {step:,}"
    spec, count = run.recipe.spec, run.recipe.train.preview_count
    for number_of in () if spec.meaning.planar else (count, 2 * count):
        pictures = ungrid(picture, (spec.height, spec.width), number_of)
        if pictures is not None:
            side = max(reduced(pictures[:1]).shape[1:3])
            across = 8 if side <= 16 else 6 if side <= 40 else 4 if side <= 72 else 3
            return figure(pictures[: across * across], alt, min(across, len(pictures)), room=480)
    return whole(picture, alt)


def _nothing(done: int) -> None:
    pass
