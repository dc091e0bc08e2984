"""Train the small classifier of digits that counts the modes of Stacked MNIST (`benchmarks/_stacked.py`).

    python scripts/train_digit_classifier.py --out benchmarks/digits.safetensors

MNIST's 60,000 training digits, shifted by up to two pixels; Adam with a learning rate that rises and falls once. The
test digits are looked at once, at the end. Weights are saved with the normalisation's moments, as float16.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save

from mezzotint.core import atomic
from mezzotint.core.rng import stream
from mezzotint.data.named import load_named

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _stacked import DigitNet, classifier, digits

SHIFT = 2


def shifted(pictures: torch.Tensor, draw: np.random.Generator) -> torch.Tensor:
    """uint8 pictures [N, 28, 28], each moved by up to two pixels both ways, as floats [N, 1, 28, 28] in [-1, 1]."""
    count, height, width = pictures.shape
    padded = F.pad(pictures, (SHIFT,) * 4)
    down, right = torch.from_numpy(draw.integers(0, 2 * SHIFT + 1, (2, count)))
    rows = down[:, None] + torch.arange(height)
    columns = right[:, None] + torch.arange(width)
    moved = padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return moved.float().div_(127.5).sub_(1)[:, None]


def train(epochs: int, batch: int, rate: float, seed: int) -> DigitNet:
    """A trained network, in evaluation mode."""
    arrays = load_named("mnist")
    rows = arrays.fixed_splits["train"]
    pictures = torch.from_numpy(arrays.pictures[rows][..., 0])
    labels = torch.from_numpy(arrays.labels[rows])
    torch.manual_seed(seed)
    net = DigitNet().to(memory_format=torch.channels_last).train()
    steps = epochs * (len(pictures) // batch)
    optimiser = torch.optim.Adam(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    started, seen = time.perf_counter(), 0
    for epoch in range(epochs):
        draw = stream(seed, "digits", epoch)
        order = torch.from_numpy(draw.permutation(len(pictures)))
        for chosen in order.split(batch)[: len(pictures) // batch]:
            x = shifted(pictures[chosen], draw).to(memory_format=torch.channels_last)
            loss = F.cross_entropy(net(x), labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            seen += len(chosen)
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, {time.perf_counter() - started:.0f} s", flush=True)
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=6e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    net = train(options.epochs, options.batch, options.rate, options.seed)
    weights = {
        name: value.detach().half().contiguous()
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(options.out, save(weights))
    arrays = load_named("mnist")
    rows = arrays.fixed_splits["test"]
    right = digits(classifier(options.out), arrays.pictures[rows][..., 0]) == arrays.labels[rows]
    print(f"accuracy on the {len(rows):,} test digits, as saved: {100 * right.mean():.2f} %")


if __name__ == "__main__":
    main()
