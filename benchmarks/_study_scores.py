"""What the runs of `study.py` are worth: scores, a table, and a picture to see what the numbers mean."""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import _judges
import mezzotint as mz
from _frechet import frechet
from _judges import Judge
from _study_runs import CONTENDERS, MODELS, SIZE, Entry, keep, pictures_of, read
from mezzotint.core import atomic
from mezzotint.core.rng import stream
from mezzotint.data.open import open_pictures
from mezzotint.data.output import grid
from mezzotint.data.types import DataConfig

COUNT, ACROSS, SCALE, LABEL = 10_000, 12, 2, 370
SCORES = {
    "Fréchet": "Fréchet distance",
    "KID": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
"""Head of a column -> how the name of the score begins."""

# No network for Fashion-MNIST that others have trained is at hand; one for small photographs is an independent view.
JUDGES = {
    "mnist": ("LeNet-5 of MNIST", _judges.lenet),
    "fashion-mnist": ("ResNet-20 of CIFAR-10", lambda: _judges.resnet("resnet20-12fca82f.th")),
}
FLOOR = ("training pictures", "real")


def finished(out: Path, set_name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The floor's draws and the finished runs on a set: folder and what it says of itself."""
    found = [(file.parent, read(file.parent)) for file in sorted((out / set_name).glob("*/run.json"))]
    order = [FLOOR, *((model, contender) for model in MODELS for contender in CONTENDERS)]
    for group in order:
        for folder, run in found:
            if run is not None and (run["model"], run["contender"]) == group:
                yield folder, run


def draw_floor(out: Path, set_name: str, seeds: list[int]) -> None:
    """As many real training pictures as the runs have samples, drawn by each seed."""
    pictures = open_pictures(set_name, DataConfig(size=SIZE))
    runs = [folder for folder, run in finished(out, set_name) if not run["diverged"] and run["contender"] != "real"]
    count = len(pictures_of(runs[0])) if runs else COUNT
    for seed in seeds:
        entry = Entry(set_name, *FLOOR, seed)
        folder = entry.folder(out)
        if read(folder) is None or len(pictures_of(folder)) != count:
            rows = np.sort(stream(seed, "floor").permutation(pictures.splits["train"])[:count])
            keep(folder, entry, pictures.pictures[rows], batch=0, diverged="")


@functools.cache
def _judge(set_name: str) -> tuple[Judge, Tensor]:
    """The judge of a set, and its features of the test pictures."""
    pictures = open_pictures(set_name, DataConfig(size=SIZE))
    judge = JUDGES[set_name][1]()
    return judge, judge(_bytes(pictures.pictures[pictures.splits["test"][:COUNT]]))


def _bytes(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)


def score(folder: Path, run: dict[str, Any], metrics: str) -> dict[str, float]:
    """The scores of one folder's samples against the test pictures, by head of column; kept in its `scores.json`."""
    file, samples = folder / "scores.json", folder / "samples.npz"
    if not file.is_file() or file.stat().st_mtime < samples.stat().st_mtime:
        found = mz.evaluate(samples, run["set"], metrics, split="test", n=COUNT, extractor="mezzotint-1", size=SIZE)
        judge, real = _judge(run["set"])
        value = frechet(real, judge(_bytes(pictures_of(folder))))
        by = {"name": JUDGES[run["set"]][0], "frechet": value}
        atomic.write_json(file, {"evaluation": found.to_json(), "judge": by})
    kept = json.loads(file.read_text(encoding="utf-8"))
    scores = kept["evaluation"]["scores"]
    values = {head: s["value"] for head, name in SCORES.items() for s in scores if s["name"].startswith(name)}
    return values | {"judge": kept["judge"]["frechet"]}


def table(out: Path, sets: list[str], metrics: str) -> str:
    """Markdown: a row for each set, model and contender; the median over the seeds, and the range."""
    words = metrics.split(",")
    chosen = [head for head in SCORES if {"Fréchet": "frechet", "KID": "kid"}.get(head, "prdc") in words]
    heads = ["set", "model", "contender", "rounds", "pictures seen", "runs", *chosen, "Fréchet, independent judge"]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    for name in sets:
        rows: dict[tuple[Any, ...], list[dict[str, float] | None]] = {}
        for folder, run in finished(out, name):
            key = (run["model"], run["contender"], run["rounds"], run["batch"])
            rows.setdefault(key, []).append(None if run["diverged"] else score(folder, run, metrics))
            print(f"scored {folder}", flush=True)
        for (model, contender, rounds, batch), found in rows.items():
            good = [each for each in found if each is not None]
            runs = f"{len(found)}" + (f", {len(found) - len(good)} diverged" if len(good) < len(found) else "")
            size = [f"{rounds:,}", f"{rounds * batch:,}"] if rounds else ["", ""]
            values = [_spread([each[head] for each in good]) for head in (*chosen, "judge")]
            lines.append("| " + " | ".join([name, model, contender, *size, runs, *values]) + " |")
    of = "; ".join(f"{JUDGES[name][0]} for {name}" for name in sets)
    said = f"Median of the runs (least to most). The scores' extractor is mezzotint-1; the judge's: {of}."
    return "\n".join([*lines, "", said])


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    median, least, most = (f"{value:.3g}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least} to {most})" if len(values) > 1 else median


def sheet(out: Path, sets: list[str]) -> Path:
    """`samples.png`: the first samples of every run, a row each, beside its name; nothing is picked."""
    rows, font = list[Image.Image](), ImageFont.load_default(size=16)
    for name in sets:
        for folder, run in finished(out, name):
            words = f"{run['set']}: {run['contender']} {run['model']}, seed {run['seed']}"
            if run["diverged"]:
                strip = np.full((SCALE * SIZE, SIZE, 1), 255, np.uint8)
                words += ", diverged"
            else:
                first = pictures_of(folder)[:ACROSS]
                strip = grid(first, columns=ACROSS, scale=SCALE)
            row = Image.new("L", (LABEL + strip.shape[1], strip.shape[0]), 255)
            ImageDraw.Draw(row).text((8, strip.shape[0] // 2), words, fill=0, font=font, anchor="lm")
            row.paste(Image.fromarray(strip[:, :, 0]), (LABEL, 0))
            rows.append(row)
    whole = Image.new("L", (max(row.width for row in rows), sum(row.height for row in rows)), 255)
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    whole.save(out / "samples.png")
    return out / "samples.png"
