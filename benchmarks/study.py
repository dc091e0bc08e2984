"""DCGAN and VAE beside the plain loops that everyone copies, for the same minutes, and beside real pictures.

    MEZZOTINT_DATA=... python benchmarks/study.py pace --minutes 3 --out pace.json
    MEZZOTINT_DATA=... python benchmarks/study.py run --pace pace.json --out study --jobs 2
    MEZZOTINT_DATA=... python benchmarks/study.py score --out study

MNIST and Fashion-MNIST at 32 pixels, the same networks, first weights, batch (64) and order of pictures. `pace`
measures, in turn and on two threads, how many rounds each contender plays in the minutes; it wants an idle machine.
`run` trains each for its number of rounds, however slow the machine is meanwhile, with one thread and two at a time;
what has finished is skipped when it is called again, and what `mezzotint` had begun goes on from its checkpoint.
`score` compares 10,000 samples of each run with the 10,000 test pictures; the floor is as many training pictures.

Ours is `mz.train` with its defaults: the number format that it takes on this machine, diagnosis, validation,
checkpoints and previews in its time, and the averaged weights as its result. What `train` does once at the end (the
calibration, the report) is no part of its `--minutes`, and so not of ours. The peers are in `_plain.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import _study_pace
import _study_runs
import _study_scores
from _study_runs import CONTENDERS, MODELS, Entry
from mezzotint.core import atomic

SETS = ("mnist", "fashion-mnist")


def pace(options: argparse.Namespace) -> None:
    """Measure and write the pace."""
    found = _study_pace.measure(options.minutes, options.turns, options.seconds, options.threads)
    atomic.write_json(options.out, found)
    print(_study_pace.table(found))


def entries(pace: dict[str, Any], options: argparse.Namespace) -> list[Entry]:
    """All there is to train, a seed at a time, so that what is there when it is stopped early is a whole."""
    found = []
    for seed in options.seeds:
        for name in options.sets:
            for model in options.models:
                for contender in CONTENDERS:
                    own = pace["contenders"][f"{model}/{contender}"]
                    rounds = options.rounds or own["rounds"]
                    found.append(Entry(name, model, contender, seed, rounds, own["precision"]))
    return found


def run(options: argparse.Namespace) -> None:
    """Train what has not finished yet."""
    pace = json.loads(options.pace.read_text(encoding="utf-8"))
    todo = []
    for entry in entries(pace, options):
        before = _study_runs.read(entry.folder(options.out))
        if before is not None and before["rounds"] != entry.rounds:
            raise SystemExit(
                f"{entry.folder(options.out)} holds a run of {before['rounds']:,} rounds, and the pace says "
                f"{entry.rounds:,}; take another --out, or remove it."
            )
        if before is None:
            todo.append(entry)
    # Work in seconds of the pace; how long a second of it takes here is found out as runs finish.
    work = {e: e.rounds * pace["contenders"][f"{e.model}/{e.contender}"]["seconds_a_round"] for e in todo}
    slower, left = float(pace["threads"]) / options.threads, sum(work.values())
    print(f"{len(todo)} runs to do; about {left * slower / options.jobs / 60:.0f} minutes", flush=True)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    done, took, failed = 0.0, 0.0, 0
    # A process for each run: how memory is kept is a whole process's setting, which the peer does not have.
    with ProcessPoolExecutor(options.jobs, mp.get_context("spawn"), max_tasks_per_child=1) as pool:
        futures: dict[Future[float], Entry] = {
            pool.submit(_study_runs.train, entry, options.out, options.samples, options.threads): entry
            for entry in todo
        }
        try:
            for future in as_completed(futures):
                entry = futures[future]
                left -= work[entry]
                error = future.exception()
                if error is not None:
                    failed += 1
                    print(f"{entry}: failed: {error}", flush=True)
                    continue
                done, took = done + work[entry], took + future.result()
                minutes = left * took / done / options.jobs / 60
                spent = f"{entry.rounds:,} rounds in {future.result() / 60:.1f} minutes"
                print(f"{time.strftime('%H:%M:%S')}  {entry}: {spent}; {minutes:.0f} minutes left", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise SystemExit("Stopped; call it again to go on.") from None
    if failed:
        raise SystemExit(f"{failed} runs failed; call it again to try them again.")


def score(options: argparse.Namespace) -> None:
    """Score what has finished, draw the picture, print the table."""
    sets = [name for name in options.sets if any(_study_scores.finished(options.out, name))]
    if not sets:
        raise SystemExit(f"No run has finished in {options.out}; begin with study.py run.")
    for name in sets:
        _study_scores.draw_floor(options.out, name, options.seeds)
    found = _study_scores.table(options.out, sets, options.metrics)
    atomic.write_text(options.out / "table.md", found + "\n")
    print(f"\n{found}\n\n{_study_scores.sheet(options.out, sets)}")


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("pace", help="how many rounds fit into the minutes")
    one.add_argument("--minutes", type=float, default=3.0)
    one.add_argument("--turns", type=int, default=8, help="of each contender; one more is not counted")
    one.add_argument("--seconds", type=float, default=10.0, help="of a turn")
    one.add_argument("--threads", type=int, default=2)
    one.add_argument("--out", type=Path, default=Path("pace.json"))
    one.set_defaults(do=pace)
    two = commands.add_parser("run", help="train what has not finished")
    two.add_argument("--pace", type=Path, default=Path("pace.json"))
    two.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    two.add_argument("--threads", type=int, default=1, help="of each run")
    two.add_argument("--jobs", type=int, default=2, help="runs at a time")
    two.add_argument("--rounds", type=int, help="instead of the pace's, to try it out")
    two.add_argument("--samples", type=int, default=_study_scores.COUNT, help="of each run")
    two.set_defaults(do=run)
    three = commands.add_parser("score", help="score what has finished")
    three.add_argument("--metrics", default="frechet,kid,prdc", help="of the package; frechet alone is much faster")
    three.set_defaults(do=score)
    for command in (two, three):
        command.add_argument("--out", type=Path, default=Path("study"))
        command.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
