"""pix2pix from labels to photographs of streets: does a network that knows real streets see in them what was asked for?

    MEZZOTINT_DATA=... python benchmarks/translate_camvid.py --out translate-camvid --jobs 2
    MEZZOTINT_DATA=... python benchmarks/translate_camvid.py --steps 4 --judge-steps 4 --set model.width=8 --out try

CamVid, 160 x 120: trained by `mezzotint train pix2pix` on the 367 pairs of its training part, labels as coloured
pictures, half of the pairs mirrored; judged on the 101 pairs of its validation part. Those are seven seconds of one
drive; the training part has frames of that street until a second before them and from a second after. The judge is a
small U-Net that is trained here on the real photographs of the training part alone. Of what it sees in real and in made
photographs, compared with the labels that they were made of, void left out: the share of pixels that is right, the mean
of that share over the eleven kinds, and the mean over kinds of what is in both over what is in either (IoU). It is how
Isola et al. (2016, arXiv:1611.07004, section 4.1) judge Cityscapes, where theirs is an FCN of others.

Chance is a real photograph of another frame: half of the drive away. The sheet holds rows of labels, made and real
photographs, of frames at even distances. What has finished is skipped when it is called again, and what had begun goes
on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from _factors import said, written
from _segmenter import Segmenter
from _trained import trained
from _translation import decibels, in_jobs, keep, kept, set_of, sheet, table, translated, unfinished
from _translation_sets import camvid, coloured
from mezzotint.core.config import parse_assignments

SMALL = ("model.width=32", "model.critic_width=32", "train.schedule=late", "data.flip=true")
"""Networks of half the width, so that a CPU gets somewhere."""
SHOWN = 6


def train(folder: Path, steps: int, batch_size: int, seed: int, settings: list[str]) -> str:
    """Train one and keep what it makes of the labels of the validation part; returns a line that says it."""
    torch.set_num_threads(1)
    labels, photos = camvid("train")
    pictures = set_of("camvid", {"labels": coloured(labels), "photos": photos})
    started = time.process_time()
    run = trained(
        "pix2pix", pictures, folder / "run", steps=steps, quiet=True, seed=seed, batch_size=batch_size, device="cpu",
        settings=parse_assignments(settings),
    )  # fmt: skip
    asked = coloured(camvid("val")[0])
    told: dict[str, Any] = {"steps": run.step, "batch_size": batch_size, "seed": seed}
    told |= {"precision": run.recipe.train.precision, "processor_seconds": time.process_time() - started}
    keep(folder / "made", {"photos": translated(run.model.translate, asked, _whatever(len(asked)), 10)}, **told)
    return f"seed {seed}: {run.step:,} steps of {batch_size // 2} pairs, {told['processor_seconds']:.0f} s"


def _whatever(count: int) -> Tensor:
    return torch.ones(count, 1)  # it goes one way only


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def main() -> None:
    """Train what has not finished, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch-size", type=int, default=2, help="pictures, half of them labels")
    parser.add_argument("--judge-steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, such as model.likeness=10")
    parser.add_argument("--out", type=Path, default=Path("translate-camvid"))
    options = parser.parse_args()
    todo = []
    for seed in options.seeds:
        folder = options.out / f"seed-{seed}"
        if unfinished(folder / "made", options.steps, folder / "run"):
            todo.append((folder, options.steps, options.batch_size, seed, [*SMALL, *options.set]))
    in_jobs(train, todo, options.jobs)
    judge = Segmenter(options.out / f"judge-{options.judge_steps}.safetensors", *camvid("train"), options.judge_steps)
    labels, real = camvid("val")
    found: dict[str, dict[str, Any]] = {"real photographs": judge.scores(real, labels)}
    rows = [coloured(labels)]
    for seed in options.seeds:
        made, told = kept(options.out / f"seed-{seed}" / "made")
        scores = {**judge.scores(made["photos"], labels), "decibels": decibels(made["photos"], real)}
        found[f"mezzotint, seed {seed}, {told['steps']:,} steps"] = {**scores, "run": told}
        rows.append(made["photos"])
    other = np.roll(real, len(real) // 2, 0)
    found["photographs of another frame"] = {**judge.scores(other, labels), "decibels": decibels(other, real)}
    written(options.out / "results.json", found)
    lines = [
        [name, *(f"{100 * scores[key]:.1f}" for key in ("pixels", "kinds", "iou")), _number(scores.get("decibels"))]
        for name, scores in found.items()
    ]
    head = ("photographs", "pixels right, %", "mean over kinds, %", "IoU, %", "PSNR to the real one, dB")
    print(f"\n{table(head, lines)}\n")
    for name, scores in found.items():
        print(f"{name}: {said({k: v for k, v in scores.items() if k not in ('decibels', 'run')})}")
    places = np.linspace(0, len(real) - 1, SHOWN).astype(int)
    sheet(options.out / "camvid.png", [row[places] for row in (*rows[:2], real)], SHOWN)


if __name__ == "__main__":
    main()
