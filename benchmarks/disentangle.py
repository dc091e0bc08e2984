"""Which variational autoencoder takes the factors of `shapes` apart? Four kinds, three seeds, one table.

    python benchmarks/disentangle.py --steps 10000 --jobs 2 --out disentangle

Ten units, a Bernoulli decoder, convolutional networks of half the width, the set's 20,000 pictures at 32 pixels, of
which 2,000 are held out and scored by `mezzotint evaluate --metrics disentanglement,psnr` itself:

- `vae`; `beta_vae` with beta 4; the same with the capacity rising to 25 nats (Burgess et al. 2018), pulled by 100;
  `infovae` with alpha 0 and lambda 100, MMD.

What has finished is skipped when it is called again.
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

import torch

import mezzotint as mz
from mezzotint.core import atomic
from mezzotint.core.config import parse_assignments

ALWAYS = ("model.latent=10", "model.likelihood=bernoulli", "model.width=32", "data.validation=0.1")
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "VAE": ("vae", ()),
    "beta-VAE, beta 4": ("beta_vae", ()),
    "annealed, 25 nats": ("vae", ("model.capacity=25", "model.beta=100", "model.capacity_rounds=CAP")),
    "InfoVAE, alpha 0, lambda 100": ("infovae", ("model.alpha=0", "model.lam=100")),
}


def train(kind: str, seed: int, steps: int, out: Path) -> str:
    """Train and score one; returns a line that says it."""
    torch.set_num_threads(1)
    model, own = KINDS[kind]
    folder = out / f"{kind.replace(' ', '-').replace(',', '')}-{seed}"
    settings = parse_assignments([*ALWAYS, *(each.replace("CAP", str(max(1, steps // 2))) for each in own)])
    started = time.process_time()
    if (folder / "config.json").exists():
        run = mz.resume(folder, quiet=True)
    else:
        run = mz.train(model, "shapes", out=folder, seed=seed, steps=steps, quiet=True, settings=settings, device="cpu")
    scores = {each.name: each.value for each in mz.evaluate(run, metrics="disentanglement,psnr")}
    atomic.write_json(folder / "disentangle.json", {"kind": kind, "seed": seed, "steps": run.step, **scores})
    return f"{kind}, seed {seed}: {run.step:,} steps, {time.process_time() - started:.0f} s"


def main() -> None:
    """Train what has not finished, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("disentangle"))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    done = {(r["kind"], r["seed"]): r for r in map(_read, sorted(options.out.glob("*/disentangle.json")))}
    todo = [(kind, seed) for seed in options.seeds for kind in KINDS if (kind, seed) not in done]
    with ProcessPoolExecutor(options.jobs, mp.get_context("spawn"), max_tasks_per_child=1) as pool:
        for future in as_completed(pool.submit(train, kind, seed, options.steps, options.out) for kind, seed in todo):
            print(time.strftime("%H:%M:%S"), future.result(), flush=True)
    found = [_read(path) for path in sorted(options.out.glob("*/disentangle.json"))]
    names = [name for name in found[0] if name not in ("kind", "seed", "steps")]
    print(f"\n| | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for kind in KINDS:
        mine = [each for each in found if each["kind"] == kind]
        cells = []
        for name in names if mine else ():
            values = [each[name] for each in mine]
            cells.append(f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})")
        print(f"| {kind} | {' | '.join(cells)} |")


def _read(path: Path) -> dict[str, float | str | int]:
    found: dict[str, float | str | int] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    main()
