"""The classical family beside an autoencoder, a VAE and a GAN: digits, clothes and faces in one table.

    MEZZOTINT_DATA=... python benchmarks/classical_table.py run --minutes 3 --jobs 2 --out classical
    MEZZOTINT_DATA=... python benchmarks/classical_table.py score --out classical

MNIST and Fashion-MNIST at 28 pixels (60,000 training pictures) and ORL's 400 faces at 48 x 40, each model by
`mezzotint train` itself: those that are fitted until they are, and the others for so many minutes, on one thread each.
"+ gmm" is a mixture of 100 normal distributions of the model's codes, in the place of its own prior. Scored is the
Fréchet distance (`mezzotint-1`) of 5,000 samples to the test pictures, or to all faces. The floor is as many training
pictures (of the faces one half against the other). What has finished is skipped when it is called again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import mezzotint as mz
from _frechet import frechet
from mezzotint.core import atomic
from mezzotint.core.config import parse_assignments
from mezzotint.data.named import load_named
from mezzotint.data.open import open_pictures
from mezzotint.data.output import grid, save_picture
from mezzotint.data.types import DataConfig
from mezzotint.engine.model import MODELS
from mezzotint.metrics.extractor import EXTRACTORS, Extractor
from mezzotint.tasks.sample import draw

SAMPLES, SEED, SHOWN = 5000, 12345, 12
FACES = "orl-faces/orl_faces.zip"
SETS = ("mnist", "fashion-mnist", "orl")


class Row(NamedTuple):
    """A model, and whether its codes get a mixture for a sampler."""

    model: str
    settings: tuple[str, ...] = ()
    mixture: tuple[str, ...] = ()


MIXTURE = ("model.components=100", "model.covariance=full")
ROWS: dict[str, Row] = {
    "pca": Row("pca", ("model.components=50",)),
    "pca + gmm": Row("pca", ("model.components=50",), MIXTURE),
    "kmeans": Row("kmeans", ("model.components=50",)),
    "lda": Row("lda"),
    "ssc": Row("ssc", ("model.components=20", "model.dimensions=12")),
    "topics": Row("topics", ("model.topics=50", "model.words=200", "model.passes=10")),
    "autoencoder": Row("autoencoder", ("model.width=32",)),
    "autoencoder + gmm": Row("autoencoder", ("model.width=32",), MIXTURE),
    "vae": Row("vae", ("model.width=32",)),
    "vae + gmm": Row("vae", ("model.width=32",), MIXTURE),
    "dcgan": Row("dcgan", ("model.width=32", "model.discriminator_width=32")),
}
FACE_MIXTURE = ("model.components=10", "model.covariance=diag", "model.least=1e-3")
FOR_FACES = {
    "kmeans": ("model.components=20", "model.covariance=diag"),
    "ssc": ("model.components=15", "model.dimensions=9", "model.least=1e-4"),
    "lda": ("model.shrinkage=0.3",),
}
"""400 pictures say less of a covariance."""


def source(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8]]:
    """Pictures to train on [N, H, W, C] with their classes [N], and pictures to compare with."""
    if name == "orl":
        path = Path(os.environ["MEZZOTINT_DATA"]) / FACES
        faces = open_pictures(path, DataConfig(size=(48, 40), validation=0))
        assert faces.labels is not None
        return faces.pictures[:], faces.labels, faces.pictures[:]
    known = load_named(name)
    assert known.labels is not None
    assert known.fixed_splits is not None
    train, test = known.fixed_splits["train"], known.fixed_splits["test"]
    return known.pictures[train], known.labels[train], known.pictures[test]


def train(name: str, title: str, minutes: float, out: Path) -> str:
    """Train one, draw, keep; returns a line that says it."""
    torch.set_num_threads(1)
    row, folder = ROWS[title], out / f"{name}-{title.replace(' ', '')}"
    base = out / f"{name}-{row.model}" / "run"
    settings = FOR_FACES.get(row.model, row.settings) if name == "orl" else row.settings
    given = str(Path(os.environ["MEZZOTINT_DATA"]) / FACES) if name == "orl" else name
    size = ("data.size=[48,40]",) if name == "orl" else ()
    started = time.process_time()
    if row.mixture:
        mixture = FACE_MIXTURE if name == "orl" else row.mixture
        sampler = folder / "run"
        if not (sampler / "config.json").exists():
            mz.train("gmm", str(base), out=sampler, quiet=True, settings=parse_assignments([*mixture]))
        run = mz.load(base, sampler=sampler)
    else:
        wish = parse_assignments([*settings, *size, "data.validation=0", "train.device=cpu", "train.diagnose_every=0"])
        length: dict[str, Any] = {} if MODELS.get(row.model).fitted() else {"minutes": minutes}
        run = mz.train(row.model, given, out=base, quiet=True, settings=wish, **length)
    seconds = time.process_time() - started
    samples = np.concatenate(list(draw(run.model, SAMPLES, SEED)))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "samples.npy", samples)
    atomic.write_json(folder / "row.json", {"set": name, "title": title, "seconds": seconds, "steps": run.step})
    return f"{name}: {title} in {seconds:.0f} s"


def run(options: argparse.Namespace) -> None:
    """Train what has not finished: first what has no mixture, since mixtures are of the codes of others."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for second in (False, True):
        todo = [
            (name, title)
            for name in options.sets
            for title, row in ROWS.items()
            if bool(row.mixture) == second
            and not (options.out / f"{name}-{title.replace(' ', '')}" / "row.json").is_file()
        ]
        with ProcessPoolExecutor(options.jobs, mp.get_context("spawn"), max_tasks_per_child=1) as pool:
            for future in as_completed(
                pool.submit(train, name, title, options.minutes, options.out) for name, title in todo
            ):
                print(time.strftime("%H:%M:%S"), future.result(), flush=True)


def score(options: argparse.Namespace) -> None:
    """Score what has finished: a table, and a picture with the first samples of each."""
    extractor = EXTRACTORS.get("mezzotint-1").open()
    found: dict[str, dict[str, str]] = {title: {} for title in ("training pictures", *ROWS)}
    for name in options.sets:
        training, _, real = source(name)
        rng = np.random.default_rng(0)
        real = real[rng.permutation(len(real))]
        features = extractor(_bytes(real)).features
        half = len(features) // 2
        some = training[rng.permutation(len(training))[:SAMPLES]]
        floor = frechet(features[:half], features[half:]) if name == "orl" else _distance(features, some, extractor)
        found["training pictures"][name] = f"{floor:.3g}"
        strips = [real[:SHOWN]]
        for title in ROWS:
            folder = options.out / f"{name}-{title.replace(' ', '')}"
            if not (folder / "row.json").is_file():
                continue
            samples = np.load(folder / "samples.npy")
            seconds = json.loads((folder / "row.json").read_text())["seconds"]
            found[title][name] = f"{_distance(features, samples, extractor):.3g} ({seconds:.0f} s)"
            strips.append(samples[:SHOWN])
        save_picture(options.out / f"{name}.png", grid(np.concatenate(strips), columns=SHOWN, scale=2))
    print(f"| | {' | '.join(options.sets)} |\n| --- |{' --- |' * len(options.sets)}")
    for title, cells in found.items():
        print(f"| {title} | {' | '.join(cells.get(name, '') for name in options.sets)} |")


def _distance(real: torch.Tensor, samples: NDArray[np.uint8], extractor: Extractor) -> float:
    return frechet(real, extractor(_bytes(samples)).features)


def _bytes(array: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2)


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("do", choices=("run", "score"))
    parser.add_argument("--minutes", type=float, default=3.0, help="of those that are trained")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("classical"))
    options = parser.parse_args()
    {"run": run, "score": score}[options.do](options)


if __name__ == "__main__":
    main()
