"""CycleGAN where the right answer is known: drawn shapes of two domains, unpaired, beside the reference implementation.

    python benchmarks/translate_shapes.py --peer pytorch-CycleGAN-and-pix2pix --out translate-shapes --jobs 2
    python benchmarks/translate_shapes.py --domains flat textured --out translate-textured --jobs 2
    python benchmarks/translate_shapes.py --steps 4 --count 40 --test 20 --judge-steps 20 --set model.width=8 --out try

Domains of the set `shapes`: equal factors in two of them are a true pair, so of each picture it is known what should
become of it. Trained on 5,000 pictures of each, drawn from factors of their own, so that no two of them are a pair;
judged on 1,000 others of each:

- the mean difference |a - b| from the true picture, in levels of 0 to 255, and PSNR;
- the factors that are kept, by a network that was trained here on real pictures of both domains and is right on such as
  often as the row "true pictures" says (rotations that look alike count as one); and whether it takes the picture for
  one of the domain that was asked for;
- PSNR of there and back again, by way of a picture of 8 bits.

`--peer` is a folder with github.com/junyanz/pytorch-CycleGAN-and-pix2pix: its own `CycleGANModel` with the same
networks, first weights, batches, schedule and number of pictures, in float32. Of ours there are two rows: by the
averaged weights, which are what a run gives, and by the last ones, as of the reference. What has finished is skipped
when it is called again, and what `mezzotint` had begun goes on.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from _factors import NAMES, Judge, said, written
from _translation import Pictures, decibels, in_jobs, is_kept, kept, levels, sheet, table
from _translation_runs import OURS, REFERENCE, ROWS, missing, place, train_cyclegan
from mezzotint.data.shapes import DOMAINS, render, sample_factors

SMALL = ("model.width=32", "model.critic_width=32", "model.critic_layers=2", "train.schedule=late")
"""Networks of half the width, and patches of 34 pixels instead of 70, for pictures of 32."""
SEEDS = (101, 202, 303)
"""Of the factors of both domains and of the pictures that are judged."""


class Task:
    """What is to be translated.

    Attributes:
        train: domain -> pictures of factors of its own.
        factors: of the pictures that are judged, [N, 7].
        held: those pictures in both domains, which are each other's truth.
    """

    def __init__(self, domains: list[str], size: int, count: int, test: int) -> None:
        self.domains = domains
        self.train = {
            name: render(sample_factors(count, seed), size, name) for name, seed in zip(domains, SEEDS, strict=False)
        }
        self.factors: NDArray[np.int64] = sample_factors(test, SEEDS[2])
        self.held: tuple[Pictures, Pictures] = (
            render(self.factors, size, domains[0]),
            render(self.factors, size, domains[1]),
        )


def scored(made: dict[str, Pictures], task: Task, judge: Judge) -> dict[str, Any]:
    """Both ways: what is far from the truth, and what is kept."""
    a, b = task.held
    found: dict[str, Any] = {}
    for way, true, source, domain in (("ab", b, a, task.domains[1]), ("ba", a, b, task.domains[0])):
        found[way] = {
            "levels": levels(made[way], true),
            "decibels": decibels(made[way], true),
            "right": judge.right(made[way], task.factors, domain),
        }
        if way + way[0] in made:
            found[way]["back"] = decibels(made[way + way[0]], source)
    return found


def line(row: str, seeds: list[dict[str, Any]], way: str, title: str) -> list[str]:
    """A row of the table: medians over the seeds."""

    def median(values: list[float], form: str) -> str:
        text = format(statistics.median(values), form)
        return text if len(values) == 1 else f"{text} ({min(values):{form}} to {max(values):{form}})"

    mine = [each[way] for each in seeds]
    kept_ = [100 * statistics.mean(each["right"][name] for name in NAMES[:-1]) for each in mine]
    cells = [
        median([each["levels"] for each in mine], ".1f"),
        median([each["decibels"] for each in mine], ".1f"),
        median(kept_, ".1f"),
        median([100 * each["right"]["domain"] for each in mine], ".1f"),
        median([each["back"] for each in mine], ".1f") if "back" in mine[0] else "",
    ]
    return [title, row, str(len(mine)), *cells]


def report(options: argparse.Namespace, task: Task) -> None:
    """The tables, the sheet, and results.json."""
    judge = Judge(options.out, task.domains, options.size, options.judge_steps)
    a, b = task.held
    rows = {
        "true pictures": [scored({"ab": b, "ba": a}, task, judge)],
        "untranslated": [scored({"ab": a, "ba": b}, task, judge)],
    }
    sheets: dict[str, list[Pictures]] = {"ab": [a, b], "ba": [b, a]}
    for row in ROWS:
        for seed in options.seeds:
            path = place(options.out / f"seed-{seed}", row)
            if is_kept(path):
                made, told = kept(path)
                rows.setdefault(row, []).append({**told, **scored(made, task, judge)})
                if seed == options.seeds[0]:
                    for way, parts in sheets.items():
                        parts.append(made[way])
    ways = {"ab": " to ".join(task.domains), "ba": " to ".join(task.domains[::-1])}
    head = ("way", "by", "seeds", "from the truth, levels", "PSNR, dB", "factors kept, %", "told as the domain, %")
    lines = [line(row, found, way, title) for way, title in ways.items() for row, found in rows.items()]
    print(f"\n{table((*head, 'there and back, dB'), lines)}\n")
    for way, title in ways.items():
        for row, found in rows.items():
            print(f"{title}, {row}: {said(found[0][way]['right'])}")
        sheet(options.out / f"{title.replace(' ', '-')}.png", sheets[way], 12)
    written(options.out / "results.json", rows)


def main() -> None:
    """Train what has not finished, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--domains", nargs=2, default=["flat", "outline"], choices=DOMAINS)
    parser.add_argument("--size", type=int, default=32, choices=(32, 64))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=8, help="pictures, half of them of each domain")
    parser.add_argument("--count", type=int, default=5000, help="pictures of each domain to train on")
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--judge-steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peer", type=Path, help="folder of the reference implementation")
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="settings, such as model.width=64; model's hold for both"
    )
    parser.add_argument("--out", type=Path, default=Path("translate-shapes"))
    options = parser.parse_args()
    task = Task(options.domains, options.size, options.count, options.test)
    title = f"shapes {' and '.join(options.domains)}"
    todo = []
    for seed in options.seeds:
        folder = options.out / f"seed-{seed}"
        for row in (OURS, *([REFERENCE] if options.peer else [])):
            if missing(row, folder, options.steps):
                how = (options.steps, options.batch_size, seed, [*SMALL, *options.set], options.peer)
                todo.append((row, title, task.train, task.held, folder, *how))
    in_jobs(train_cyclegan, todo, options.jobs)
    report(options, task)


if __name__ == "__main__":
    main()
