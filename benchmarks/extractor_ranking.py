"""Does the embedded extractor rank runs as independent networks do? Spearman's correlation, with its interval.

    MEZZOTINT_DATA=... python benchmarks/extractor_ranking.py --cache build/ranking
    MEZZOTINT_DATA=... python benchmarks/extractor_ranking.py --study study --pictures 5000

Ten runs of graded quality for each set: a small DCGAN and a small VAE, each after five numbers of steps. Each run draws
pictures; a judge (`_judges.py`, trained by others on the same kind of pictures) ranks the runs by the Fréchet
distance of its own features to those of real pictures that no run was trained on; so does each extractor. Two
intervals of 95 %: over the pictures (both ranks from resampled pictures), and over the choice of the runs (resampled
runs, the wider one).

With `--study` the runs are the twelve of `study.py` on each of its sets, all of the same two minutes, three seeds of
each: the order that is hard to tell.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

import _judges
import _study_scores
from _frechet import frechet
from _judges import Judge
from _study_runs import CONTENDERS, pictures_of
from _test_sets import load
from mezzotint.core.rng import stream
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import PictureSpec, build
from mezzotint.metrics.extractor import EXTRACTORS

RUNS = {"dcgan": (25, 75, 200, 450, 900), "vae": (25, 75, 200, 500, 1200)}
SMALL = {"dcgan": {"width": 16, "discriminator_width": 16}, "vae": {"width": 16}}
JUDGES: dict[str, tuple[str, ...]] = {
    "mnist": ("LeNet-5",),
    "cifar10": ("ResNet-20", "ResNet-56", "MobileNet-v2"),
    "utkface": ("face age/gender", "MobileNet-v2"),
}
STUDY = {"mnist": ("LeNet-5",), "fashion-mnist": ("ResNet-20",)}
SLOW = {"MobileNet-v2": 400}  # pictures of each run; 0.6 GFLOP each
Sets = dict[str, Tensor]  # "real" and ten runs, uint8 [N, C, 32, 32]


def judge(name: str) -> Judge:
    """The network called `name`."""
    if name.startswith("ResNet"):
        return _judges.resnet(
            {"20": "resnet20-12fca82f.th", "56": "resnet56-4bfd9763.th"}[name.removeprefix("ResNet-")]
        )
    return {"LeNet-5": _judges.lenet, "MobileNet-v2": _judges.mobilenet, "face age/gender": _judges.face}[name]()


def runs(name: str, count: int, scale: float, cache: Path | None) -> Sets:
    """The pictures of all runs on a set; from `cache` when they are there."""
    file = cache / f"{name}-{count}-{scale:g}.npz" if cache else None
    if file is not None and file.is_file():
        with np.load(file) as kept:
            return {key: torch.from_numpy(kept[key]) for key in kept}
    pictures, _ = load(name)
    if pictures.shape[2:] != (32, 32):
        pictures = F.interpolate(pictures.float(), [32, 32], mode="bilinear", antialias=True).round().byte()
    sets = {"real": pictures[:count]}
    train = open_pictures(pictures[count:].permute(0, 2, 3, 1).numpy(), DataConfig(size=32))
    for model, steps in RUNS.items():
        trainer = _trainer(model, train)
        for step in (max(1, int(each * scale)) for each in steps):
            while trainer.step < step:
                trainer.round()
            with trainer.using() as averaged, torch.no_grad():
                drawn = torch.cat([averaged.generate(z) for z in averaged.latent(count, 1).split(250)])
            sets[f"{model} {step}"] = ((drawn.float() + 1) * 127.5).round().clamp(0, 255).byte()
            print(f"{name}: {model} after {step} steps", flush=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, **{key: value.numpy() for key, value in sets.items()})
    return sets


def studied(out: Path, name: str, count: int) -> Sets:
    """The first pictures of every run of the study on a set, beside the set's test pictures."""
    pictures = open_pictures(name, DataConfig(size=32))
    found = {"real": pictures.pictures[pictures.splits["test"][:count]]}
    for folder, run in _study_scores.finished(out, name):
        if run["contender"] in CONTENDERS and not run["diverged"]:
            found[folder.name] = pictures_of(folder)[:count]
    return {key: torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2) for key, x in found.items()}


def _trainer(model: str, train: object) -> Trainer:
    fresh = build(model, SMALL[model], PictureSpec(train.shape[0], 32, 32, ()), 0)
    trainer = Trainer(fresh, train, TrainConfig(batch_size=64, precision="fp32", steps=10**6), torch.device("cpu"))
    trainer.model.train()
    return trainer


def distances(features: dict[str, Tensor], random: np.random.Generator | None = None) -> list[float]:
    """From the real pictures to each run; of resampled pictures when `random` is given."""
    drawn = {key: x if random is None else x[random.integers(0, len(x), len(x))] for key, x in features.items()}
    return [frechet(drawn["real"], x) for key, x in drawn.items() if key != "real"]


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Spearman's; 0 where one of them is constant."""
    value = spearmanr(a, b).statistic if len(set(a)) > 1 and len(set(b)) > 1 else 0.0
    return float(value)


def over_runs(a: list[float], b: list[float], repeats: int = 2000) -> np.ndarray:
    """The correlation over resampled runs, its 2.5 and 97.5 percentiles."""
    random = stream(0, "over runs")
    x, y = np.array(a), np.array(b)
    rows = (random.integers(0, len(x), len(x)) for _ in range(repeats))
    return np.percentile([rank_correlation(x[each].tolist(), y[each].tolist()) for each in rows], [2.5, 97.5])


def over_pictures(one: dict[str, Tensor], other: dict[str, Tensor], repeats: int) -> np.ndarray:
    """The correlation over resampled pictures, its 2.5 and 97.5 percentiles."""
    random = stream(0, "over pictures")
    return np.percentile(
        [rank_correlation(distances(one, random), distances(other, random)) for _ in range(repeats)], [2.5, 97.5]
    )


def main() -> None:
    """Train, judge, rank, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000, help="of each run")
    parser.add_argument("--sets", nargs="+", choices=list(JUDGES | STUDY), help="default: all there are")
    parser.add_argument("--study", type=Path, help="rank the runs in this folder of study.py")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of steps")
    parser.add_argument("--repeats", type=int, default=50, help="resamplings of the pictures")
    parser.add_argument("--cache", type=Path, help="where the pictures of the runs are kept")
    parser.add_argument("--runs-only", action="store_true", help="only train the runs")
    parser.add_argument("--extractors", nargs="+", default=["mezzotint-1", "pixels", "random"])
    options = parser.parse_args()
    judges = STUDY if options.study else JUDGES
    everything = {
        name: studied(options.study, name, options.pictures)
        if options.study
        else runs(name, options.pictures, options.scale, options.cache)
        for name in options.sets or judges
    }
    if options.runs_only:
        return
    lines = [
        "| set | judge | extractor | Spearman | 95 % over pictures | 95 % over runs |",
        "|---|---|---|---|---|---|",
    ]
    for name, sets in everything.items():
        own = {
            each: {key: extractor(x).features for key, x in sets.items()}
            for each, extractor in ((each, EXTRACTORS.get(each).open()) for each in options.extractors)
        }
        found = {each: distances(features) for each, features in own.items()}
        print("\n| " + " | ".join((name, *list(sets)[1:])) + " |\n|" + "---|" * len(sets))
        for each, values in found.items():
            print(f"| {each} | " + " | ".join(f"{value:.4g}" for value in values) + " |")
        for title in judges[name]:
            network, most = judge(title), SLOW.get(title, options.pictures)
            theirs = {key: network(x[:most]) for key, x in sets.items()}
            values = distances(theirs)
            print(f"| {title} | " + " | ".join(f"{value:.4g}" for value in values) + " |", flush=True)
            for each in options.extractors:
                rho, wide = rank_correlation(values, found[each]), over_runs(values, found[each])
                near = over_pictures(theirs, own[each], options.repeats) if each == "mezzotint-1" else None
                words = f"{near[0]:.2f} to {near[1]:.2f}" if near is not None else ""
                lines.append(f"| {name} | {title} | {each} | {rho:.3f} | {words} | {wide[0]:.2f} to {wide[1]:.2f} |")
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
