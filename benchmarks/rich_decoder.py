"""InfoVAE's claim: with a rich decoder a VAE's latent tells less and less of the picture, and InfoVAE's does not.

    MEZZOTINT_DATA=... python benchmarks/rich_decoder.py --steps 3000 --jobs 2 --out rich

Binarised MNIST at 28 pixels, 16 latents, convolutional coders of half the width, a Bernoulli likelihood. Four models:
with independent pixels (`vae`; `infovae`) and with a decoder that sees the pixels before (`pixelvae`, six layers of 16
channels), trained on the VAE's bound (alpha 0, lambda 1) and on InfoVAE's (alpha 1, lambda 100). Scored on 10,000 test
pictures by `mezzotint evaluate --metrics latent,likelihood`: the mutual information of latent and picture (at most
log 10,000 = 9.2 nats), the KL divergence, active units, and the bound. A linear classifier of the digit by the latent
(scikit-learn's logistic regression, 10,000 training pictures) says the same in another way: 10 % is chance. What has
finished is skipped when it is called again; each run leaves its report and samples.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mezzotint as mz
from _trained import trained
from mezzotint.core import atomic
from mezzotint.core.config import parse_assignments
from mezzotint.data.named import load_named
from mezzotint.engine.feed import to_tensor

LATENT, COUNT = 16, 10_000
ALWAYS = (
    *(f"model.latent={LATENT}", "model.width=32", "model.likelihood=bernoulli", "model.binarise=true"),
    *("data.size=28", "train.preview_every=0", "train.diagnose_every=0"),
)
RICH = ("model.context_width=16", "model.context_layers=6")
INFO = ("model.alpha=1", "model.lam=100")
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "independent pixels, VAE": ("vae", ()),
    "independent pixels, InfoVAE": ("infovae", INFO),
    "autoregressive, VAE": ("pixelvae", RICH),
    "autoregressive, InfoVAE": ("pixelvae", (*RICH, *INFO)),
}


def latents(model: Any, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The means of q(z|x), [N, latent]."""
    parts = [to_tensor(pictures[i : i + 500], model.device) for i in range(0, len(pictures), 500)]
    return np.concatenate([model.infer(part)[0].cpu().numpy() for part in parts])


def told(model: Any) -> float:
    """The share of test digits that a linear classifier of latents gets right."""
    mnist = load_named("mnist")
    assert mnist.labels is not None
    assert mnist.fixed_splits is not None
    train, test = mnist.fixed_splits["train"][:COUNT], mnist.fixed_splits["test"]
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    reader.fit(latents(model, mnist.pictures[train]), mnist.labels[train])
    return float(reader.score(latents(model, mnist.pictures[test]), mnist.labels[test]))


def train(kind: str, seed: int, steps: int, out: Path) -> str:
    """Train and score one; returns a line that says it."""
    torch.set_num_threads(1)
    model, own = KINDS[kind]
    folder = out / f"{kind.replace(' ', '-').replace(',', '')}-{seed}"
    run = trained(
        model, "mnist", folder, steps=steps, quiet=True, seed=seed, settings=parse_assignments([*ALWAYS, *own])
    )
    scores = {each.name: each.value for each in mz.evaluate(run, metrics="latent,likelihood")}
    scores["digits told by a line"] = told(run.model)
    atomic.write_json(folder / "rich.json", {"kind": kind, "seed": seed, "steps": run.step, **scores})
    return f"{kind}, seed {seed}: {run.step:,} steps in {run.seconds:.0f} s"


def main() -> None:
    """Train what has not finished, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("rich"))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    done = {(r["kind"], r["seed"]) for r in map(_read, sorted(options.out.glob("*/rich.json")))}
    todo = [(kind, seed) for seed in options.seeds for kind in KINDS if (kind, seed) not in done]
    with ProcessPoolExecutor(options.jobs, mp.get_context("spawn"), max_tasks_per_child=1) as pool:
        for future in as_completed(pool.submit(train, kind, seed, options.steps, options.out) for kind, seed in todo):
            print(time.strftime("%H:%M:%S"), future.result(), flush=True)
    found = [_read(path) for path in sorted(options.out.glob("*/rich.json"))]
    names = [name for name in found[0] if name not in ("kind", "seed")]
    print(f"\n| | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for each in sorted(found, key=lambda row: (list(KINDS).index(row["kind"]), row["seed"])):
        print(f"| {each['kind']}, seed {each['seed']} | {' | '.join(f'{each[name]:,.3g}' for name in names)} |")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    main()
