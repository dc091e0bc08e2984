"""All adversarial models on four sets of pictures; few pictures with and without augmentation; lazy regularisation.

    MEZZOTINT_DATA=... python benchmarks/gan_table.py run --plan table --seconds 120 --out gan-table --jobs 2
    MEZZOTINT_DATA=... python benchmarks/gan_table.py run --plan few --seconds 120 --out gan-table --jobs 2
    MEZZOTINT_DATA=... python benchmarks/gan_table.py run --plan lazy --seconds 120 --out gan-table --jobs 2
    MEZZOTINT_DATA=... python benchmarks/gan_table.py score --plan table --out gan-table

The budget is processor time of one thread, so that a busy machine changes little. Each training has the settings that
`mezzotint train` would take, with networks of half the width so that a CPU gets somewhere, and the averaged weights as
its result. 5,000 samples of each are compared with all pictures of the set, up to 5,000 (in `few` with all that the
few are from), by the Fréchet distance of `mezzotint-1`: lower than what held-out pictures would give where a set is
small, and alike for all. The floor is one half of the set against the other. What has finished is skipped when it is
called again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from _frechet import frechet
from _test_sets import load
from mezzotint.core import atomic
from mezzotint.core.config import parse_assignments
from mezzotint.data.open import open_pictures
from mezzotint.data.output import grid, save_picture
from mezzotint.data.types import DataConfig
from mezzotint.engine.loop import Trainer
from mezzotint.metrics.extractor import EXTRACTORS
from mezzotint.tasks.prepare import prepare, settle
from mezzotint.tasks.sample import draw

SAMPLES, SEED = 5000, 12345
SIZES: dict[str, tuple[str, int | tuple[int, int]]] = {
    "orl": ("orl-faces/orl_faces.zip", (48, 40)),
    "omniglot": ("omniglot-small/images_background_small1.zip", 32),
    "clothing": ("clothing-subset/clothing_96_500.zip", 32),
}
WIDE = ("model.width=32", "model.discriminator_width=32")
MODELS: dict[str, tuple[str, ...]] = {
    "dcgan": WIDE,
    "wgan": WIDE,
    "wgan_gp": WIDE,
    "infogan": WIDE,
    "gan": ("model.width=16", "model.discriminator_width=12"),
}
SETS = ("cifar10", "cifar10-lossless", *SIZES)
AUGMENTED = ("none", "diffaugment", "adaptive")


class Entry(NamedTuple):
    """One training: the set, of which only the first `few` pictures where that is not 0."""

    set: str
    model: str
    settings: tuple[str, ...]
    seed: int
    few: int = 0

    @property
    def title(self) -> str:
        changed = [each.removeprefix("model.") for each in self.settings if each not in MODELS[self.model]]
        return " ".join([self.model, *changed])

    @property
    def where(self) -> str:
        return f"{self.set}{f', {self.few} pictures' if self.few else ''}"

    def folder(self, out: Path) -> Path:
        return out / "-".join([self.where, self.title, str(self.seed)]).replace(" ", "-").replace(",", "")


def planned(options: argparse.Namespace) -> list[Entry]:
    """A seed at a time, so that what is there when it is stopped early is a whole."""
    found = [each for each in _all(options.plan, options.seeds) if each.model in options.models]
    return [each._replace(settings=(*each.settings, *options.set)) for each in found if each.set in options.sets]


def _all(plan: str, seeds: list[int]) -> list[Entry]:
    found = []
    for seed in seeds:
        if plan == "table":
            for name in SETS:
                found += [Entry(name, model, settings, seed) for model, settings in MODELS.items()]
        elif plan == "few":
            for name in ("cifar10-lossless", "orl"):
                for few in (100, 400):
                    for augment in AUGMENTED:
                        settings = (*MODELS["dcgan"], f"model.augment={augment}")
                        found.append(Entry(name, "dcgan", settings, seed, few))
        else:
            for every in (1, 4, 16):
                found.append(Entry("cifar10", "gan", (*MODELS["gan"], f"model.penalty_every={every}"), seed))
                found.append(Entry("cifar10", "wgan_gp", (*MODELS["wgan_gp"], f"model.penalty_every={every}"), seed))
    return found


def pictures(name: str) -> NDArray[np.uint8]:
    """All pictures of a set [N, H, W, C], in a fixed order mixed by a seed."""
    if name not in SIZES:
        return load(name)[0].permute(0, 2, 3, 1).numpy()
    path, size = SIZES[name]
    opened = open_pictures(Path(os.environ["MEZZOTINT_DATA"]) / path, DataConfig(size=size, validation=0))
    order = np.random.default_rng(0).permutation(len(opened.pictures))
    found: NDArray[np.uint8] = opened.pictures[order]
    return found


def train(entry: Entry, seconds: float, out: Path, precision: str) -> str:
    """Train for so many seconds of processor time, draw, keep; returns a line that says it."""
    torch.set_num_threads(1)
    always = ("train.device=cpu", "train.steps=1000000", f"train.precision={precision}")
    wish = parse_assignments([*entry.settings, f"train.seed={entry.seed}", *always])
    source = pictures(entry.set)[: entry.few or None]
    prepared, _ = settle(prepare(entry.model, source, settings={**wish, "data": {"validation": 0.0}}))
    trainer = Trainer(prepared.model, prepared.pictures, prepared.recipe.train, prepared.device)
    trainer.model.start()
    trainer.model.train()
    started = time.process_time()
    while time.process_time() - started < seconds:
        trainer.round()
    with trainer.using() as model:
        drawn = np.concatenate(list(draw(model, SAMPLES, SEED)))
    folder = entry.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "samples.npy", drawn)
    atomic.write_json(folder / "run.json", {**entry._asdict(), "rounds": trainer.step, "seconds": seconds})
    return f"{entry.where}: {entry.title}, seed {entry.seed}: {trainer.step:,} rounds"


def run(options: argparse.Namespace) -> None:
    """Train what has not finished."""
    todo = [entry for entry in planned(options) if not (entry.folder(options.out) / "run.json").is_file()]
    print(f"{len(todo)} trainings, at least {len(todo) * options.seconds / 60 / options.jobs:.0f} minutes", flush=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.jobs, mp.get_context("spawn"), max_tasks_per_child=1) as pool:
        for future in as_completed(
            pool.submit(train, entry, options.seconds, options.out, options.precision) for entry in todo
        ):
            print(time.strftime("%H:%M:%S"), future.result(), flush=True)


def score(options: argparse.Namespace) -> None:
    """Score what has finished: a table, and a picture with the first samples of seed 0 of each."""
    extractor = EXTRACTORS.get("mezzotint-1").open()
    real: dict[str, torch.Tensor] = {}
    rows: dict[tuple[str, str], list[tuple[float, int]]] = {}
    strips: dict[str, list[NDArray[np.uint8]]] = {}
    for entry in planned(options):
        folder = entry.folder(options.out)
        if not (folder / "run.json").is_file():
            continue
        if entry.set not in real:
            real[entry.set] = extractor(_bytes(pictures(entry.set)[:SAMPLES])).features
            half = len(real[entry.set]) // 2
            floor = frechet(real[entry.set][:half], real[entry.set][half:])
            print(f"{entry.set}: {len(real[entry.set]):,} pictures, one half against the other {floor:.3g}", flush=True)
        samples = np.load(folder / "samples.npy")
        value = frechet(real[entry.set], extractor(_bytes(samples)).features)
        rounds = json.loads((folder / "run.json").read_text())["rounds"]
        rows.setdefault((entry.where, entry.title), []).append((value, rounds))
        if entry.seed == options.seeds[0]:
            strips.setdefault(entry.set, []).append(samples[:16])
    print("\n| set | model | seeds | rounds | Fréchet distance (mezzotint-1), median (least to most) |")
    print("| --- | --- | --- | --- | --- |")
    for (where, title), found in rows.items():
        values = [value for value, _ in found]
        rounds = statistics.median(count for _, count in found)
        spread = f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"
        print(f"| {where} | {title} | {len(found)} | {rounds:,.0f} | {spread} |")
    for name, parts in strips.items():
        path = options.out / f"{options.plan}-{name}.png"
        save_picture(path, grid(np.concatenate(parts), columns=16, scale=2))
        print(path)


def _bytes(array: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2)


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("do", choices=("run", "score"))
    parser.add_argument("--plan", choices=("table", "few", "lazy"), default="table")
    parser.add_argument("--seconds", type=float, default=120.0, help="of processor time, each")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto may err beside others"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=list(MODELS), help="these only")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="these only")
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="further settings of all, such as model.dense=1024"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("gan-table"))
    options = parser.parse_args()
    {"run": run, "score": score}[options.do](options)


if __name__ == "__main__":
    main()
