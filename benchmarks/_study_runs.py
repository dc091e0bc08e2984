"""The runs of `study.py`: what there is to train, and one training in a process of its own, with its samples."""

from __future__ import annotations

import io
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import mezzotint as mz
from _plain import BATCH, PLAIN
from mezzotint.core import atomic
from mezzotint.core.errors import DataError, MezzotintError, NotFinite
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.model import Model, PictureSpec, build
from mezzotint.tasks.sample import draw

SIZE, SAMPLE_SEED = 32, 12345
MODELS = ("dcgan", "vae")
CONTENDERS = ("plain", "mezzotint")


@dataclass(frozen=True)
class Entry:
    """One training of the study.

    Attributes:
        set: name of the pictures.
        model: name of the model.
        contender: one of CONTENDERS; or "real" for the floor, whose model is "training pictures".
        seed: of the first weights, the order of the pictures and the noise; for the floor, of the choice of pictures.
        rounds: how many; 0 for the floor.
        precision: the number format that `mezzotint train` settled on when the pace was measured.
    """

    set: str
    model: str
    contender: str
    seed: int
    rounds: int = 0
    precision: str = "fp32"

    def __str__(self) -> str:
        return f"{self.set}, {self.model}, {self.contender}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        """Where its results are."""
        return out / self.set / f"{self.model}-{self.contender}-{self.seed}".replace(" ", "-")


def fresh(model: str, pictures: PictureSet, seed: int) -> Model:
    """The model with the first weights that `train` would give it."""
    channels, height, width = pictures.shape
    classes = pictures.classes if pictures.labels is not None else ()
    return build(model, {}, PictureSpec(channels, height, width, classes), seed)


def read(folder: Path) -> dict[str, Any] | None:
    """What a finished run says of itself; None where none has finished."""
    file = folder / "run.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def pictures_of(folder: Path) -> NDArray[np.uint8]:
    """The samples of a finished run, [N, H, W, C]."""
    with np.load(folder / "samples.npz") as file:
        return file["images"]


def keep(folder: Path, entry: Entry, pictures: NDArray[np.uint8] | None, **more: Any) -> None:
    """Write the samples [N, H, W, C], and last of all the file by which a run counts as finished."""
    folder.mkdir(parents=True, exist_ok=True)
    if pictures is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, images=pictures)
        atomic.write_bytes(folder / "samples.npz", buffer.getvalue())
    atomic.write_json(folder / "run.json", asdict(entry) | more)


def train(entry: Entry, out: Path, samples: int, threads: int) -> float:
    """Train, draw `samples` pictures, keep them; returns the seconds of it all.

    A training whose numbers are no longer finite is a result too: it is kept as such, without samples.
    """
    torch.set_num_threads(threads)
    started, folder, pictures, diverged = time.perf_counter(), entry.folder(out), None, ""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model = (_ours if entry.contender == "mezzotint" else _plain)(entry, folder)
        trained = time.perf_counter() - started
        pictures = np.concatenate(list(draw(model, samples, SAMPLE_SEED)))
    except (NotFinite, DataError) as error:
        if isinstance(error, DataError) and "not finite" not in str(error):
            raise
        trained, diverged = time.perf_counter() - started, str(error)
    keep(folder, entry, pictures, batch=BATCH, threads=threads, seconds=trained, diverged=diverged)
    return time.perf_counter() - started


def _plain(entry: Entry, folder: Path) -> Model:
    """The plain loop; it keeps nothing on the way, so what was interrupted begins again."""
    pictures = open_pictures(entry.set, DataConfig(size=SIZE))
    loop = PLAIN[entry.model](fresh(entry.model, pictures, entry.seed), pictures, entry.seed)
    for _ in range(entry.rounds):
        loop.round()
    model: Model = loop.model
    return model.eval()


def _ours(entry: Entry, folder: Path) -> Model:
    """`mz.train` with its defaults, or `mz.resume` where it was interrupted; the model with its averaged weights."""
    path = folder / "run"
    if (path / "config.json").is_file():
        run = mz.resume(path, quiet=True)
    else:
        shutil.rmtree(path, ignore_errors=True)  # interrupted before there was anything to go on from
        asked = {"steps": entry.rounds, "seed": entry.seed, "precision": entry.precision, "device": "cpu"}
        run = mz.train(entry.model, entry.set, out=path, size=SIZE, quiet=True, **asked)
    if run.step != entry.rounds:
        raise MezzotintError(f"{path} is a run of {run.step:,} rounds, not {entry.rounds:,}; remove it.")
    model: Model = run.model
    return model
