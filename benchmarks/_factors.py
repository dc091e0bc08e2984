"""An independent judge of the factors of drawn shapes: a network that is trained here on real pictures of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from _translation import Pictures
from mezzotint.core.rng import stream
from mezzotint.data.shapes import FACTORS, SYMMETRY, render, sample_factors
from mezzotint.engine.device import autocast, has_bf16
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.weights import to_channels_last

NAMES = (*FACTORS, "domain")
_COUNTS = [len(values) for values in FACTORS.values()]
_PERIODS = np.array(
    [_period if (_period := SYMMETRY[shape] / 22.5).is_integer() else _COUNTS[5] for shape in FACTORS["shape"]],
    np.int64,
)
"""Shape -> turns of 22.5 degrees after which it looks the same; all 16 differ where that is no whole number."""
BATCH = 64


def seen(factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """Factors [N, 7] with the first of all rotations that look alike."""
    found = factors.copy()
    found[:, 5] %= _PERIODS[factors[:, 0]]
    return found


class FactorNet(nn.Module):
    """Pictures [N, 3, S, S] in [-1, 1] -> logits of every value of each factor, and of the domains, side by side."""

    def __init__(self, size: int, domains: int) -> None:
        super().__init__()
        self.counts = [*_COUNTS, domains]
        wide = (3, 32, 64, 64, 96, 96)
        self.halved = (0, 2, 4) if size == 32 else (0, 1, 2, 4)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(wide))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in wide[1:])
        self.hidden = nn.Linear(wide[-1] * 16, 512)
        self.last = nn.Linear(512, sum(self.counts))

    def forward(self, x: Tensor) -> list[Tensor]:
        for k, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            x = F.max_pool2d(x, 2) if k in self.halved else x
        return list(self.last(F.relu(self.hidden(x.flatten(1)))).float().split(self.counts, 1))


class Judge:
    """What each picture shows, in the eyes of a network that has had no part in making any.

    Args:
        out: the folder where it is kept once it is trained.
        domains: of the pictures it knows.
        size: of them, 32 or 64.
        steps: of its training, in batches of 64 pictures that are drawn anew each time.
    """

    def __init__(self, out: Path, domains: Sequence[str], size: int, steps: int) -> None:
        self.domains, self.size = tuple(domains), size
        self.net = FactorNet(size, len(domains))
        file = out / f"judge-{'-'.join(domains)}-{size}-{steps}.safetensors"
        if file.is_file():
            self.net.load_state_dict(load_file(file))
        else:
            self._train(steps)
            out.mkdir(parents=True, exist_ok=True)
            save_file({name: value.contiguous() for name, value in self.net.state_dict().items()}, file)
        self.net.eval().requires_grad_(False)

    def _train(self, steps: int) -> None:
        torch.manual_seed(0)
        cpu = torch.device("cpu")
        net = self.net
        to_channels_last(net)
        adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, 3e-3, steps)
        for step in range(steps):
            pictures, truth = self._drawn(step)
            with autocast(cpu, "bf16" if has_bf16(cpu) else "fp32"):
                logits = net(to_tensor(pictures, channels_last=True))
            terms = [F.cross_entropy(each, truth[:, k]) for k, each in enumerate(logits)]
            adam.zero_grad()
            torch.stack(terms).sum().backward()
            adam.step()
            rate.step()

    def _drawn(self, step: int) -> tuple[Pictures, Tensor]:
        """Pictures of domains by chance, and what they show [N, 8]."""
        factors = sample_factors(BATCH, 10_000 + step)
        kinds = stream(step, "kinds").integers(0, len(self.domains), BATCH)
        pictures = np.empty((BATCH, self.size, self.size, 3), np.uint8)
        for k, name in enumerate(self.domains):
            pictures[kinds == k] = render(factors[kinds == k], self.size, name)
        return pictures, torch.from_numpy(np.column_stack((seen(factors), kinds)))

    @torch.no_grad()
    def __call__(self, pictures: Pictures) -> NDArray[np.int64]:
        """Factors and the domain [N, 8]; a rotation is the first of all that look alike."""
        parts = [self.net(to_tensor(pictures[i : i + 250])) for i in range(0, len(pictures), 250)]
        return np.concatenate([np.column_stack([x.argmax(1).numpy() for x in part]) for part in parts])

    def right(self, pictures: Pictures, factors: NDArray[np.int64], domain: str) -> dict[str, float]:
        """The share of pictures that show each factor as it is in `factors` [N, 7], and the domain."""
        truth = np.column_stack((seen(factors), np.full(len(factors), self.domains.index(domain))))
        same = self(pictures) == truth
        return dict(zip(NAMES, same.mean(0).tolist(), strict=True))


def said(shares: dict[str, float]) -> str:
    """One line of what is right."""
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def written(path: Path, value: object) -> None:
    """All numbers, for later; what is infinite, such as PSNR of equal pictures, as nothing."""
    path.write_text(json.dumps(_finite(value), indent=1, allow_nan=False), encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
