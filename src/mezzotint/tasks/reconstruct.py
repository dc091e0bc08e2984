"""Pictures as a model sees them, beside what they were, with a number for the difference."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError
from mezzotint.data.open import open_pictures
from mezzotint.data.output import save_picture
from mezzotint.data.types import BadFile, DataConfig, PictureSet
from mezzotint.engine.capabilities import require
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.recipe import Recipe
from mezzotint.metrics.pixel import psnr
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks.sample import models_that

_CHUNK = 64  # of which the first is shown
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
    meaning = run.recipe.spec.meaning
    files = (meaning.one_file,) * len(pictures)
    if not meaning.one_file:
        files = tuple(f"{stem}.png" for stem in unique_stems(pictures.names))
    extra += ("grid.png",) if beside else ()
    taken = None if overwrite else next((f for f in (*files, *extra, "scores.json") if (out / f).exists()), None)
    if taken is not None:
        raise ConfigError(f"{out / taken} is there already; choose another folder, or pass --overwrite.")
    with atomic.explained(out):
        out.mkdir(parents=True, exist_ok=True)
    seen = _Seen(run.model, see, pictures, progress)
    meaning.save_values([out / file for file in files], seen)
    if beside:
        columns = 2 * math.ceil(math.sqrt(len(seen.before) / 2))
        save_picture(out / "grid.png", meaning.pairs(seen.before, seen.after, columns))
    result = Reconstructions(out, pictures.names, files, tuple(seen.scores), pictures.bad, pictures.notes)
    atomic.write_json(out / "scores.json", {"model": run.recipe.name, **result.to_json()})
    return result


def open_for(recipe: Recipe, source: Any, notify: Callable[[str], None] | None = None) -> PictureSet:
    """Open pictures as a run's model takes them: `settings_for`, and the rows of a table by the run's own columns.

    Raises:
        DataError: they cannot be read, or a table has other columns.
    """
    pictures = open_pictures(source, settings_for(recipe), notify=notify)
    adopted = recipe.spec.meaning.adopted(pictures.pictures, pictures.meaning, pictures.source)
    if adopted is pictures.pictures:
        return pictures
    return replace(pictures, pictures=adopted, meaning=recipe.spec.meaning)


def settings_for(recipe: Recipe) -> DataConfig:
    """How to read pictures so that a run's model takes them: the run's own settings, its size and mode made plain."""
    alpha = recipe.data.alpha
    if recipe.spec.channels in (1, 3) and alpha == "keep":  # there was none to keep
        alpha = "white"
    return recipe.data.changed(
        **{"size": (recipe.spec.height, recipe.spec.width), **recipe.spec.meaning.reads},
        mode=_MODES[recipe.spec.channels],
        alpha=alpha,
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


class _Seen:
    """The pictures as the model sees them, some at a time, and what is kept of them meanwhile.

    Attributes:
        scores: the PSNR of each so far.
        before, after: the first ones as they are stored, [shown, H, W, C], and the same as the model gives them back.
    """

    def __init__(
        self,
        model: Any,
        see: Callable[[Tensor], Tensor],
        pictures: PictureSet,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._model, self._see, self._pictures, self._progress = model, see, pictures, progress
        self.scores: list[float] = []
        self.before: NDArray[Any]
        self.after: NDArray[Any]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Model values [n, C, H, W] in [-1, 1]."""
        for start in range(0, len(self._pictures), _CHUNK):
            seen = self._one(start)
            yield seen
            if self._progress is not None:
                self._progress(len(self.scores), len(self._pictures))

    @torch.no_grad()
    def _one(self, start: int) -> NDArray[np.float32]:
        model, some = self._model, self._pictures.pictures[start : start + _CHUNK]
        original = to_tensor(fit_channels(some, model.spec), model.device)
        seen = self._see(original).float()
        values: NDArray[np.float32] = seen.cpu().numpy()
        if not start:
            stored = model.spec.meaning.stored
            self.before, self.after = stored(original.cpu().numpy()), stored(values)
        self.scores += psnr(original, seen.clamp(-1, 1)).tolist()
        return values


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
