"""StarGAN: are attributes what was asked for, does the rest stay, and is it the same picture? Shapes and faces.

    MEZZOTINT_DATA=... python benchmarks/translate_attributes.py --sets shapes --peer stargan --jobs 2
    MEZZOTINT_DATA=... python benchmarks/translate_attributes.py --sets faces --peer stargan --jobs 2
    MEZZOTINT_DATA=... python benchmarks/translate_attributes.py --steps 2 --test 24 --judge-steps 20 \\
        --set model.width=8 model.critic_width=8 --out try

Each set has an attribute of three values and one that is yes or no; both are changed, apart and together.

- `shapes`, 32 pixels: red, green or blue, on white or black ground, with all other factors of the set. The true picture
  of each change is known: the mean difference from it in levels of 0 to 255, and PSNR. The judge is a network that was
  trained here on real pictures; a change counts if it sees the very colour and ground that were asked for, out of eight
  and six; what is kept are the other factors.
- `faces`, 64 pixels: grown-ups of UTKFace of 20 to 31, of 32 to 49, or older; men and women. The judge is a network of
  others for age and gender, and how often it is right on the held-out people is said. A change counts if it sees the
  bracket and the gender that were asked for, and what shall stay is kept if it sees what the person is; so the row of
  untranslated pictures says how often it sees that at all. Likeness to the picture before is the cosine of
  MobileNet-v2's features, less their mean; beside it that of another person who is what was asked for.
- `generations`: the same of those who are 20 to 30 or at least 50 years old, and nobody between. To the judge they are
  old from 40 on, and it is right on 97 % of them, so that a bar of 95 % can be reached by what is right.

There and back again: PSNR to the picture before, by way of a picture of 8 bits.

`--peer` is a folder with github.com/yunjey/stargan: its own `Solver.train`, with its own networks of the same width and
blocks, the same batches, schedule and number of pictures, in float32. Of ours there are two rows: by the averaged
weights, which are what a run gives, and by the last ones, as of the reference. What has finished is skipped when it is
called again, and what `mezzotint` had begun goes on. Sheets lie in `--out`; those of faces are not to be published.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _attributes import Faces, Generations, Shapes, Task, in_words, means, told
from _factors import written
from _translation import decibels, in_jobs, is_kept, kept, sheet, table
from _translation_runs import OURS, REFERENCE, ROWS, missing, place, train_stargan

_FACES = ("model.width=24", "model.critic_width=24", "model.blocks=3", "train.schedule=late")
SETTINGS: dict[str, tuple[str, ...]] = {
    "shapes": ("model.width=24", "model.critic_width=32", "model.blocks=3", "train.schedule=late"),
    "faces": _FACES,
    "generations": _FACES,
}
"""Networks so small that a CPU gets somewhere."""
STEPS = {"shapes": 3000, "faces": 2000, "generations": 2000}
BATCH = {"shapes": 16, "faces": 8, "generations": 8}
SHOWN = 12
KEYS = ("asked", "kept", "levels", "decibels", "alike", "back")
HEAD = ("as asked, %", "rest kept, %", "from the truth, levels", "PSNR, dB", "likeness", "there and back, dB")
SHAPE = {"asked": (".1f", 100.0), "kept": (".1f", 100.0), "alike": (".3f", 1.0)}


def opened(name: str, options: argparse.Namespace) -> Task:
    """The set and its judge."""
    if name == Shapes.title:
        return Shapes(options.out, options.count, options.test, options.judge_steps)
    return {each.title: each for each in (Faces, Generations)}[name](options.test)


def work(name: str, task: Task, options: argparse.Namespace) -> list[tuple[Any, ...]]:
    """What has not finished, as arguments of `train_stargan`."""
    pictures, values = task.train
    columns = dict(zip(task.names, task.targets(values).T.copy(), strict=True))
    held = task.held[0], task.targets(task.held[1])
    asked = {change: task.targets(task.changed(task.held[1], change)) for change in task.changes}
    found: list[tuple[Any, ...]] = []
    for seed in options.seeds:
        folder = options.out / f"{name}-{seed}"
        for row in (OURS, *([REFERENCE] if options.peer else [])):
            steps = options.steps or STEPS[name]
            if missing(row, folder, steps):
                how = (steps, options.batch_size or BATCH[name], seed, [*SETTINGS[name], *options.set], options.peer)
                found.append((row, name, (pictures, columns), held, asked, folder, *how))
    return found


def line(task: Task, by: str, seed: str, change: str, scores: dict[str, dict[str, float]]) -> list[str]:
    """A row of the table: of one change, or of all of them."""
    mine = scores if change == "all" else {change: scores[change]}
    return [by, seed, in_words(task, change), *(told(means(mine, key), *SHAPE.get(key, (".1f", 1.0))) for key in KEYS)]


def report(name: str, task: Task, options: argparse.Namespace) -> None:
    """The table, the sheet and the file of all numbers."""
    every = [(by, "", scores) for by, scores in task.rows().items()]
    shown = [task.held[0]]
    runs = []
    for row in ROWS:
        for seed in options.seeds:
            path = place(options.out / f"{name}-{seed}", row)
            if not is_kept(path):
                continue
            made, said = kept(path)
            scores = {change: task.scores(change, made[change]) for change in task.changes}
            for change in task.changes:
                scores[change]["back"] = decibels(made[f"{change}/back"], task.held[0])
            every.append((row, str(seed), scores))
            runs.append({"by": row, "seed": seed, **said})
            if seed == options.seeds[0] and row != ROWS[1]:
                shown += [made[change] for change in task.changes]
    written(options.out / f"{name}.json", {"judge": task.about(), "rows": every, "runs": runs})
    lines = [line(task, *each[:2], change, each[2]) for change in (*task.changes, "all") for each in every]
    print(f"\n{name}: the judge is right on real pictures as follows: {task.about()}")
    for each in runs:
        print(f"{each['by']}, seed {each['seed']}: {each['steps']:,} steps, {each['processor_seconds']:.0f} s")
    print(f"\n{table(('by', 'seed', 'change', *HEAD), lines)}\n", flush=True)
    sheet(options.out / f"{name}.png", shown, SHOWN)


def main() -> None:
    """Train what has not finished, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(STEPS), default=list(STEPS))
    parser.add_argument("--steps", type=int, help=f"{STEPS} when left out; each with five turns of the discriminator")
    parser.add_argument("--batch-size", type=int, help=f"{BATCH} when left out")
    parser.add_argument("--count", type=int, default=10_000, help="shapes to train on")
    parser.add_argument("--test", type=int, default=300, help="pictures held out")
    parser.add_argument("--judge-steps", type=int, default=3000, help="of the judge of shapes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peer", type=Path, help="folder of the reference implementation")
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="settings, such as model.blocks=6; model's hold for both"
    )
    parser.add_argument("--out", type=Path, default=Path("translate-attributes"))
    options = parser.parse_args()
    tasks = {name: opened(name, options) for name in options.sets}
    in_jobs(train_stargan, [each for name, task in tasks.items() for each in work(name, task, options)], options.jobs)
    for name, task in tasks.items():
        report(name, task, options)


if __name__ == "__main__":
    main()
