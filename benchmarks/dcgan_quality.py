"""Are samples no worse for the speed? The plain float32 loop and ours, after the same number of pictures.

    MEZZOTINT_DATA=... python benchmarks/dcgan_quality.py --steps 1500 --seeds 0 1 2

MNIST at 32 pixels, the same networks, first weights, batch and optimiser. The peer is the loop that everyone copies:
float32, separate passes for real and generated pictures, fresh gradients for everything. Ours is the engine in
bfloat16 as `train` runs it, without and with the moving average that it delivers. The measure is the Fréchet distance
(Heusel et al. 2017, eq. 6) in the 84 features of a LeNet that was trained by others, of 10,000 generated to the
10,000 test pictures; it is a distance on digits and compares with no published FID. For scale: the distance of 10,000
training pictures. And how sure that network is of the digits, as the mean of its largest probability.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from _plain import BATCH, PlainDCGAN
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import keep_freed_memory
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import Model, PictureSpec, build

COUNT = 10_000
CPU = torch.device("cpu")


class Judge:
    """The LeNet-5 of csinva/gan-vae-pretrained-pytorch (99.1 % on the MNIST test set), pictures 32 x 32 in [-1, 1]."""

    def __init__(self, weights: Path) -> None:
        self.w: dict[str, Tensor] = torch.load(weights, weights_only=True)

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self.w[f"{name}.weight"], self.w[f"{name}.bias"]

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 1, 32, 32] -> features [N, 84] in float64 and probabilities [N, 10]."""
        features, sure = [], []
        for x in ((pictures + 1) / 2).split(1000):
            x = F.max_pool2d(F.relu(F.conv2d(x, *self._layer("convnet.c1"))), 2)
            x = F.max_pool2d(F.relu(F.conv2d(x, *self._layer("convnet.c3"))), 2)
            x = F.relu(F.conv2d(x, *self._layer("convnet.c5"))).flatten(1)
            x = F.relu(F.linear(x, *self._layer("fc.f6")))
            features.append(x.double())
            sure.append(F.linear(x, *self._layer("fc.f7")).softmax(1))
        return torch.cat(features), torch.cat(sure)


def frechet(a: Tensor, b: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two sets of features [N, D], the root by eigenvalues."""
    gap = (a.mean(0) - b.mean(0)).square().sum()
    c1, c2 = torch.cov(a.t()), torch.cov(b.t())
    roots = torch.linalg.eigvals(c1 @ c2).real.clamp(min=0).sqrt().sum()
    return float(gap + c1.trace() + c2.trace() - 2 * roots)


def plain_loop(model: Model, pictures: PictureSet, steps: int, seed: int) -> nn.Module:
    """The loop of the PyTorch tutorial on copies of the model's networks; returns the generator."""
    plain = PlainDCGAN(model, pictures, seed)
    for _ in range(steps):
        plain.round()
    generator: nn.Module = plain.model.generator
    return generator.eval()


def ours(model: Model, pictures: PictureSet, steps: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """The engine; returns the last and the averaged generator."""
    config = TrainConfig(batch_size=BATCH, precision="bf16", steps=steps, seed=seed)
    trainer = Trainer(copy.deepcopy(model), pictures, config, CPU)
    trainer.model.train()
    for _ in range(steps):
        trainer.round()
    last: Any = copy.deepcopy(trainer.model.generator).eval()
    with trainer.using() as averaged:
        return last, copy.deepcopy(averaged.generator)


@torch.no_grad()
def samples(generator: nn.Module) -> Tensor:
    """[10,000, 1, 32, 32] of one fixed set of latents, in float32."""
    latents = torch.randn(COUNT, 100, generator=torch.Generator().manual_seed(12345))
    return torch.cat([generator(z) for z in latents.split(500)])


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    keep_freed_memory()
    judge = Judge(Path(os.environ["MEZZOTINT_DATA"]).parent / "weights" / "mnist-lenet" / "mnist_lenet.pth")
    mnist = open_pictures("mnist", DataConfig(size=32))
    test, _ = judge(to_tensor(mnist.pictures[mnist.splits["test"][:COUNT]]))
    train, sure = judge(to_tensor(mnist.pictures[np.sort(mnist.splits["train"])[:COUNT]]))
    print(f"training pictures: distance {frechet(train, test):.2f}, sureness {float(sure.amax(1).mean()):.3f}")
    results: dict[str, list[float]] = {}
    for seed in options.seeds:
        torch.manual_seed(seed)
        model = build("dcgan", {}, PictureSpec(1, 32, 32, mnist.classes), seed)
        last, averaged = ours(model, mnist, options.steps, seed)
        rows = {
            "plain loop, float32": plain_loop(model, mnist, options.steps, seed),
            "mezzotint, last weights": last,
            "mezzotint, averaged weights": averaged,
        }
        for name, generator in rows.items():
            features, sure = judge(samples(generator))
            results.setdefault(name, []).append(frechet(features, test))
            print(f"seed {seed}  {name:30}{results[name][-1]:8.2f}{float(sure.amax(1).mean()):8.3f}", flush=True)
    for name, values in results.items():
        print(f"{name:30} median {statistics.median(values):.2f}, from {min(values):.2f} to {max(values):.2f}")


if __name__ == "__main__":
    main()
