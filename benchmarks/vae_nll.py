"""How likely are test digits? The negative log-likelihood of a VAE on black-and-white MNIST, by importance sampling.

    MEZZOTINT_DATA=... python benchmarks/vae_nll.py --network burda --epochs 300 --lr 3e-3 --out runs/nll
    MEZZOTINT_DATA=... python benchmarks/vae_nll.py --draws 50 --grow 1 --backward 5 --path --epochs 400 --lr 3e-3
    MEZZOTINT_DATA=... python benchmarks/vae_nll.py --network pythae --epochs 500 --out runs/nll --resume

MNIST at 28 x 28, trained by `mezzotint train` itself and scored by the model's own `importance_log_likelihood`. Both
write what they have as they go, so with `--resume` an interruption loses minutes at most; `--resume --until 650` goes
on with a finished run, the rate where the longer schedule has it. Beside which numbers:

- `burda`: 86.76 nats (Burda et al. 2016, table 1: VAE, one stochastic layer, k = 1). Two hidden layers of 200 tanh
  units, 50 latents; black or white drawn anew each time a picture is trained on, by its grey level (dynamic
  binarisation); all 60,000 training pictures; the last weights; 5,000 samples. The paper has batches of 20, Adam with
  eps 1e-4, Glorot's first weights with biases from the mean picture, and 3,280 epochs in which the learning rate falls
  in eight steps from 1e-3 to 1e-4. Here: batches of 100, eps 1e-8, a cosine to zero over `--epochs`, and the moving
  average of the weights that `train` delivers (`--ema 0` turns it off). `--draws 50` trains by the importance-weighted
  bound (the paper's IWAE with k = 50: 84.78 nats); with `--grow 1` the draws grow from 1 to 50 over all rounds.
- `pythae`: 89.78 nats (its table of reproduced results; 784-400-40, relu, batches of 100). That number is of the
  *static* set of Larochelle and Murray (2011), binarised once, with 50,000 pictures to train on and 10,000 to choose
  the best epoch by, and of 200 samples. Here: binarised once, by a draw of our own, the same division, the best
  checkpoint by the bound on up to 1,024 of the 10,000, 5,000 samples. Static numbers are worse than dynamic ones, since
  a set that never changes is learnt by heart; `--binarisation dynamic` shows by how much.

Test pictures are binarised once, by one fixed draw, which is not that of any paper. The estimate is an upper bound of
the NLL on average. The interval is that of the mean over pictures; what training anew changes is seen from `--seeds`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import mezzotint as mz
from mezzotint.core.rng import derive, stream
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.feed import to_tensor
from mezzotint.metrics.score import mean_estimate

NETWORKS: dict[str, dict[str, Any]] = {
    "burda": {"hidden": [200, 200], "latent": 50, "activation": "tanh"},
    "pythae": {"hidden": [400], "latent": 40, "activation": "relu"},
}
BINARISATION = {"burda": "dynamic", "pythae": "static"}
CHUNK = 100


def black_and_white(pictures: NDArray[np.uint8], part: str) -> NDArray[np.uint8]:
    """0 or 255 [N, 28, 28, 1] in place of greys, by one fixed draw for each part."""
    coins = stream(0, "vae_nll", part).random(pictures.shape, dtype=np.float32)
    return np.where(coins < pictures / np.float32(255), np.uint8(255), np.uint8(0))


def train(options: argparse.Namespace, pictures: NDArray[np.uint8], seed: int) -> Any:
    """A trained run, begun or gone on with."""
    static = options.binarisation == "static"
    held = 1 / 6 if static else 0.0
    epoch = round(len(pictures) * (1 - held)) // options.batch
    steps = options.epochs * epoch
    bound: dict[str, Any] = {"bound": "importance", "draws": options.draws} if options.draws > 1 else {}
    kind = f"-{options.draws}-draws" if bound else ""
    growth = round(options.grow * steps)
    marks = {
        "grow": growth,
        "backward": options.backward,
        "path": options.path,
        "muon": options.optimizer == "muon",
    }
    kind += "".join(f"-{name}-{int(value)}" for name, value in marks.items() if value)
    bound |= {
        "draws_rounds": growth,
        "backward": options.backward,
        "gradient": "path" if options.path else "total",
        "optimizer": options.optimizer,
    }
    path = Path(options.out) / f"{options.network}-{options.binarisation}{kind}-{options.epochs}-epochs-seed-{seed}"
    source = black_and_white(pictures, "train") if static else pictures
    if options.resume and path.exists():
        more: dict[str, Any] = (
            dict.fromkeys(("steps", "schedule_steps"), options.until * epoch) if options.until else {}
        )
        mz.resume(path, source=source, quiet=options.quiet, **more)
        return mz.load(path, "best" if static else "latest", device=options.device)
    model = {"network": "mlp", "likelihood": "bernoulli", "binarise": not static, "lr": options.lr, "beta2": 0.999}
    mz.train(
        "vae",
        source,
        out=path,
        settings={"model": {**model, **bound, **NETWORKS[options.network]}, "data": {"validation": held}},
        quiet=options.quiet,
        steps=steps,
        batch_size=options.batch,
        seed=seed,
        device=options.device,
        precision=options.precision,
        schedule=options.schedule,
        warmup=options.warmup,
        ema=options.ema,
        save_every=10**9,  # by the minute
        preview_every=50 * epoch,
        validate_every=epoch,
        log_every=max(1, epoch // 4),
        diagnose_every=0,
    )
    return mz.load(path, "best" if static else "latest", device=options.device)


def scored(run: Any, test: NDArray[np.uint8], samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """ELBO and log-likelihood, nats [N] each, and the seconds that the second took; what is known already is kept."""
    known = run.path / f"nll-step-{run.step}-{samples}.npy"
    found = list(np.load(known)) if known.exists() else []
    started, saved = time.perf_counter(), time.perf_counter()
    bound = []
    for start in range(0, len(test), CHUNK):
        x, seed = to_tensor(test[start : start + CHUNK], run.model.device), derive(0, "vae_nll", start)
        bound.append(run.model.log_likelihood(x, seed=seed).double().cpu().numpy())
        if start >= len(found):
            found += run.model.importance_log_likelihood(x, samples=samples, seed=seed).double().tolist()
        last = start + CHUNK >= len(test)
        if len(x) == CHUNK and (last or time.perf_counter() - saved > 30):
            saved = time.perf_counter()
            part = known.with_suffix(".part.npy")
            np.save(part, np.array(found))
            os.replace(part, known)
    return np.concatenate(bound), np.array(found[: len(test)]), time.perf_counter() - started


def row(options: argparse.Namespace, run: Any, test: NDArray[np.uint8], seed: int) -> str:
    """The line of the table."""
    bound, nats, seconds = scored(run, test, options.samples)
    nll = mean_estimate(-nats)
    train = run.recipe.train
    falls = "" if train.schedule == "constant" else f", {train.schedule} to 0"
    return (
        f"| {options.network} | {options.draws}{', path' if options.path else ''} | {options.optimizer} "
        f"| {options.binarisation} | {seed} | {options.until or options.epochs} "
        f"| {train.batch_size} "
        f"| {run.recipe.model.lr:g}{falls} | {train.ema:g} | {run.seconds / 60:.1f} | {-bound.mean():.2f} "
        f"| {nll.value:.2f} [{nll.low:.2f}, {nll.high:.2f}] | {options.samples:,} x {len(nats):,} in {seconds:.0f} s |"
    )


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=tuple(NETWORKS), default="burda")
    parser.add_argument("--binarisation", choices=("dynamic", "static"), help="of the training pictures")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--until", type=int, default=0, help="with --resume: go on to so many epochs, same schedule")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--draws", type=int, default=1, help="of the importance-weighted bound; 1 is the VAE's")
    parser.add_argument("--backward", type=int, default=0, help="of the draws, so many carry gradients; 0: all")
    parser.add_argument("--grow", type=float, default=0.0, help="share of the rounds in which the draws grow from 1")
    parser.add_argument("--path", action="store_true", help="the encoder learns by the path gradient")
    parser.add_argument("--optimizer", choices=("adam", "muon"), default="adam")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--schedule", choices=("constant", "linear", "cosine"), default="cosine")
    parser.add_argument("--warmup", type=int, default=0, help="steps")
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--precision", choices=("fp32", "bf16", "auto"), default="fp32")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=10_000, help="test pictures that are scored")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default="runs/vae-nll", help="folder of the runs")
    parser.add_argument("--resume", action="store_true", help="go on with the runs that are there")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    options.binarisation = options.binarisation or BINARISATION[options.network]
    torch.set_num_threads(options.threads)
    mnist = open_pictures("mnist", DataConfig(validation=0))
    pictures = mnist.pictures[mnist.splits["train"]]
    test = black_and_white(mnist.pictures[mnist.splits["test"][: options.pictures]], "test")
    lines = []
    for seed in options.seeds:
        lines.append(row(options, train(options, pictures, seed), test, seed))
        print(lines[-1], flush=True)
    names = "network | draws | optimiser | binarised | seed | epochs | batch | lr | ema | minutes | -ELBO | NLL, nats"
    print(f"\n| {names} | scored |")
    print(f"|{' --- |' * 13}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
