"""Pictures as a model sees them, beside what they were, with a number for the difference."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data.open import open_pictures
from mezzotint.data.output import save_picture
from mezzotint.data.scatter import sheet, stored
from mezzotint.data.sound import save_sounds
from mezzotint.data.tables import from_levels, from_values, save_table, to_levels
from mezzotint.data.types import BadFile, DataConfig, PictureSet, Points
from mezzotint.engine.capabilities import require
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.recipe import Recipe
from mezzotint.metrics.pixel import psnr
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks.sample import models_that, save_all

ROWS = "rows.csv"
"""What reconstructions of a table are written to."""
_CHUNK = 64
_SHOWN = 64
_MODES = {1: "grey", 2: "rgba", 3: "rgb", 4: "rgba"}
_REFUSED = frozenset('<>:"/\\|?*#%')  # by Windows, or to be escaped in addresses
_FRAME = re.compile(r"(.*)#(\d{4,})", re.DOTALL)


@dataclass(frozen=True)
class Reconstructions:
    """What was written.

    Attributes:
        out: the folder.
        names: what each picture is called in its source.
        files: the file of each, within `out`.
        psnr: decibels for each, between the picture and its reconstruction; infinity where they are equal.
        left_out: what could not be read, and why.
        notes: sentences a person should read.
    """

    out: Path
    names: tuple[str, ...]
    files: tuple[str, ...]
    psnr: tuple[float, ...]
    left_out: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """The mean PSNR in decibels."""
        return math.fsum(self.psnr) / len(self.psnr)

    def to_json(self) -> dict[str, Any]:
        """What `scores.json` holds; infinity is null."""
        pictures = zip(self.names, self.files, self.psnr, strict=True)
        return {
            "count": len(self.names),
            "psnr": {"mean": _number(self.mean), "min": _number(min(self.psnr)), "max": _number(max(self.psnr))},
            "pictures": [{"name": _text(n), "file": f, "psnr": _number(p)} for n, f, p in pictures],
            "left_out": [{"path": _text(bad.path), "reason": bad.reason} for bad in self.left_out],
            "notes": list(self.notes),
        }


def reconstruct(
    run: Any,
    source: Any,
    out: str | Path,
    *,
    beside: bool = True,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Reconstructions:
    """Give every picture back as the model sees it.

    Pictures are read as the run read its own, so that other sizes and modes are brought to the model's. Each becomes
    a PNG file of its own name in `out`; `scores.json` has the PSNR of each, of values clipped to what a picture holds.

    Args:
        run: an opened run, whose model reconstructs.
        source: one picture, a folder, archive, named set or array: whatever `open_pictures` takes.
        out: a folder; it is made if it is not there.
        beside: also write `grid.png`, the first 64 pictures each beside its reconstruction.
        overwrite: replace files of these names.
        progress: called with (done, all).
        tell: told of the licence of a named set that is about to be downloaded.

    Raises:
        CapabilityError: the model does not reconstruct.
        ConfigError: `out` is (the name of) a file, or holds a file of one of the names.
        DataError: there is nothing to read.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> run = mz.train("vae", "digits", steps=2, out=folder + "/a", quiet=True)
        >>> found = reconstruct(run, np.zeros((3, 20, 20), np.uint8), folder + "/b")
        >>> found.files
        ('000000.png', '000001.png', '000002.png')
    """
    require(run.model, "reconstructs", "reconstruct", others=models_that("reconstructs"))
    return write_as_seen(
        run, source, out, run.model.reconstruct, beside=beside, overwrite=overwrite, progress=progress, tell=tell
    )


def write_as_seen(
    run: Any,
    source: Any,
    out: str | Path,
    see: Callable[[Tensor], Tensor],
    *,
    beside: bool,
    overwrite: bool,
    extra: tuple[str, ...] = (),
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Reconstructions:
    """As `reconstruct`, with `see` giving pictures [n, C, H, W] back, some at a time and in their order.

    `extra` names further files that the caller is going to write to `out`.
    """
    out = Path(out)
    refuse_file(out, "Reconstructions")
    pictures = open_for(run.recipe, source, tell)
    table = run.recipe.spec.columns is not None
    files = (ROWS,) * len(pictures) if table else tuple(f"{stem}.png" for stem in unique_stems(pictures.names))
    extra += ("grid.png",) if beside else ()
    taken = None if overwrite else next((f for f in (*files, *extra, "scores.json") if (out / f).exists()), None)
    if taken is not None:
        raise ConfigError(f"{out / taken} is there already; choose another folder, or pass --overwrite.")
    with atomic.explained(out):
        out.mkdir(parents=True, exist_ok=True)
    scores, pairs = _work(run.model, see, pictures, [out / file for file in files], progress)
    if beside:
        save_picture(out / "grid.png", _beside(pairs, run.model.spec.points))
    result = Reconstructions(out, pictures.names, files, scores, pictures.bad, pictures.notes)
    atomic.write_json(out / "scores.json", {"model": run.recipe.name, **result.to_json()})
    return result


def open_for(recipe: Recipe, source: Any, notify: Callable[[str], None] | None = None) -> PictureSet:
    """Open pictures as a run's model takes them: `settings_for`, and the rows of a table by the run's own columns.

    Raises:
        DataError: they cannot be read, or a table has other columns.
    """
    pictures = open_pictures(source, settings_for(recipe), notify=notify)
    own, given = recipe.spec.columns, pictures.columns
    if own is None or own == given:
        return pictures
    if given is None or given.names != own.names:
        held = "no table" if given is None else f"the columns {', '.join(given.names)}"
        raise DataError(f"{pictures.source} holds {held}; this run takes the columns {', '.join(own.names)}.")
    rows = to_levels(from_levels(pictures.pictures, given), own)
    return replace(pictures, pictures=rows, columns=own)


def settings_for(recipe: Recipe) -> DataConfig:
    """How to read pictures so that a run's model takes them: the run's own settings, its size and mode made plain."""
    alpha = recipe.data.alpha
    if recipe.spec.channels in (1, 3) and alpha == "keep":  # there was none to keep
        alpha = "white"
    return recipe.data.changed(
        size=(recipe.spec.height, recipe.spec.width) if recipe.spec.columns is None else None,
        mode=_MODES[recipe.spec.channels],
        alpha=alpha,
        depth=recipe.data.depth if recipe.spec.points is None else "16",
        labels=recipe.data.labels if recipe.spec.columns is not None else None,
        attributes=(),
        group=None,
        validation=0.0,
        test=0.0,
    )


def fit_channels(pictures: NDArray[Any], spec: PictureSpec) -> NDArray[Any]:
    """Pictures [N, H, W, C] read with `settings_for`, with the model's channels: RGBA becomes grey with alpha."""
    if pictures.shape[3] == spec.channels:
        return np.array(pictures)
    # The weights of ITU-R 601, as everywhere in Pillow.
    grey = np.rint(pictures[..., :3] @ np.array([0.299, 0.587, 0.114])).astype(pictures.dtype)
    return np.stack([grey, pictures[..., 3]], axis=3)


def unique_stems(names: Sequence[str]) -> list[str]:
    """File names without suffix: the stem of each name where that is clear, else its whole path, else a number too.

    They differ even where upper and lower case do not, hold nothing that a file system refuses, and are never "grid".

    Example:
        >>> unique_stems(["cats/1.png", "dogs/1.jpg", "2.png", "film.gif#0007"])
        ['cats-1', 'dogs-1', '2', 'film-0007']
    """
    parts = [_parts(name) for name in names]
    short = [_safe(stem + frame) for _, stem, frame in parts]
    whole = [_safe(folder + stem + frame) for folder, stem, frame in parts]
    count = Counter(stem.lower() for stem in short)
    taken = {"grid"}
    result = []
    for one, other in zip(short, whole, strict=True):
        stem = one if count[one.lower()] == 1 else other
        candidate, number = stem, 2
        while candidate.lower() in taken:
            candidate, number = f"{stem}-{number}", number + 1
        taken.add(candidate.lower())
        result.append(candidate)
    return result


@torch.no_grad()
def _work(
    model: Any,
    see: Callable[[Tensor], Tensor],
    pictures: PictureSet,
    files: Sequence[Path],
    progress: Callable[[int, int], None] | None,
) -> tuple[tuple[float, ...], NDArray[Any]]:
    """Write the files; returns the PSNR of each and the pairs to show, [2 * shown, H, W, C]."""
    scores: list[float] = []
    pairs: list[NDArray[Any]] = []
    rows: list[NDArray[np.float64]] = []
    for start in range(0, len(pictures), _CHUNK):
        original = to_tensor(fit_channels(pictures.pictures[start : start + _CHUNK], model.spec), model.device)
        seen = see(original).float()
        values = stored(seen.cpu().numpy(), model.spec.points)
        if model.spec.columns is not None:
            rows.append(from_values(seen.cpu().numpy(), model.spec.columns))
        else:
            save_all(files[start : start + len(values)], values)
        if model.spec.sound is not None:
            save_sounds(files[start : start + len(values)], values, model.spec.sound)
        if start < _SHOWN:
            before = stored(original.cpu().numpy(), model.spec.points)
            both = np.stack([before, values], 1)[: _SHOWN - start]
            pairs.append(both.reshape(-1, *values.shape[1:]))
        scores += psnr(original, seen.clamp(-1, 1)).tolist()
        if progress is not None:
            progress(len(scores), len(pictures))
    if model.spec.columns is not None:
        save_table(files[0], np.concatenate(rows), model.spec.columns)
    return tuple(scores), np.concatenate(pairs)


def _beside(pairs: NDArray[Any], points: Points | None) -> NDArray[np.uint8]:
    """Each picture beside its reconstruction; of points, the reconstructions over the points."""
    if points is not None:
        return sheet(pairs[1::2], points, real=pairs[::2])
    return sheet(pairs, None, columns=2 * math.ceil(math.sqrt(len(pairs) / 4)))


def _parts(name: str) -> tuple[str, str, str]:
    """Folder with its slash, stem, and the number of a frame with a dash: "a/b.gif#0007" is "a/", "b", "-0007"."""
    match = _FRAME.fullmatch(name)
    file, frame = (match[1], f"-{match[2]}") if match else (name, "")
    folder, slash, base = file.rpartition("/")
    return folder + slash, PurePosixPath(base).stem, frame


def _safe(stem: str) -> str:
    """A stem that every file system takes: one form of each letter, printable, and of at most 200 bytes."""
    composed = unicodedata.normalize("NFC", stem.replace("/", "-"))
    kept = "".join(ch if ch.isprintable() and ch not in _REFUSED else "_" for ch in composed)
    return kept.strip(". ").encode()[:200].decode(errors="ignore").strip(". ") or "picture"


def _text(name: str) -> str:
    """A name that may hold bytes that are no text, as text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
