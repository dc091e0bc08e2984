"""An independent judge of street scenes: a small U-Net that is trained here on real photographs and their labels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from _translation import Pictures
from _translation_sets import KINDS, VOID
from mezzotint.core.rng import stream
from mezzotint.engine.device import autocast, has_bf16
from mezzotint.engine.feed import to_tensor
from mezzotint.engine.weights import to_channels_last

WIDE = (24, 48, 96, 128)
BATCH = 8


class Twice(nn.Module):
    """Two normalised convolutions of 3x3."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, b, 3, padding=1, bias=False) for c in (a, b))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x


class SegmentNet(nn.Module):
    """Photographs [N, 3, H, W] in [-1, 1], of sides that 8 divides -> logits [N, kinds, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(Twice(a, b) for a, b in pairwise((3, *WIDE)))
        self.up = nn.ModuleList(Twice(a + b, b) for a, b in pairwise(WIDE[::-1]))
        self.last = nn.Conv2d(WIDE[0], len(KINDS), 1)

    def forward(self, x: Tensor) -> Tensor:
        saved = []
        for k, layer in enumerate(self.down):
            x = layer(F.max_pool2d(x, 2) if k else x)
            saved.append(x)
        for layer, before in zip(self.up, saved[-2::-1], strict=True):
            x = layer(torch.cat((F.interpolate(x, scale_factor=2.0), before), 1))
        logits: Tensor = self.last(x).float()
        return logits


class Segmenter:
    """What each pixel shows, in the eyes of a network that has had no part in making any picture.

    Args:
        file: where it is kept once it is trained.
        labels, photos: [N, H, W] and [N, H, W, 3] to train on; half of them are mirrored, each time anew.
        steps: of its training, in batches of 8.
    """

    def __init__(self, file: Path, labels: NDArray[np.uint8], photos: Pictures, steps: int) -> None:
        self.net = SegmentNet()
        if file.is_file():
            self.net.load_state_dict(load_file(file))
        else:
            self._train(labels, photos, steps)
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: value.contiguous() for name, value in self.net.state_dict().items()}, file)
        self.net.eval().requires_grad_(False)

    def _train(self, labels: NDArray[np.uint8], photos: Pictures, steps: int) -> None:
        """Each kind weighs by the root of how rare it is, so that poles and signs count for something."""
        torch.manual_seed(0)
        cpu = torch.device("cpu")
        net = self.net
        to_channels_last(net)
        counts = np.bincount(labels.ravel(), minlength=VOID + 1)[: len(KINDS)]
        weights = torch.from_numpy(np.sqrt(counts.max() / np.maximum(counts, 1))).float().clamp(max=8)
        adam = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2, fused=True)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, 2e-3, steps)
        for step in range(steps):
            draw = stream(step, "segmenter")
            rows, mirrored = draw.integers(0, len(labels), BATCH), draw.random(BATCH) < 0.5
            x, truth = photos[rows].copy(), labels[rows].copy()
            x[mirrored], truth[mirrored] = x[mirrored][:, :, ::-1], truth[mirrored][:, :, ::-1]
            with autocast(cpu, "bf16" if has_bf16(cpu) else "fp32"):
                logits = net(to_tensor(x, channels_last=True))
            loss = F.cross_entropy(logits, torch.from_numpy(truth).long(), weights, ignore_index=VOID)
            adam.zero_grad()
            loss.backward()
            adam.step()
            rate.step()

    @torch.no_grad()
    def __call__(self, photos: Pictures) -> NDArray[np.int64]:
        """The kind [N, H, W] of each pixel."""
        parts = [self.net(to_tensor(photos[i : i + 10])).argmax(1) for i in range(0, len(photos), 10)]
        return torch.cat(parts).numpy()

    def scores(self, photos: Pictures, labels: NDArray[np.uint8]) -> dict[str, float]:
        """How well what it sees in `photos` agrees with `labels`: shares of pixels, void ones left out.

        Returns:
            "pixels": of all that are right. "kinds": the mean over kinds of those that are right. "iou": the mean over
            kinds of what is in both over what is in either. And the share that is right of each kind.
        """
        known = labels != VOID
        table = np.zeros((len(KINDS), len(KINDS)), np.int64)
        np.add.at(table, (labels[known], self(photos)[known]), 1)
        right, of_truth, seen = table.diagonal(), table.sum(1), table.sum(0)
        there = of_truth > 0
        each = right[there] / of_truth[there]
        return {
            "pixels": float(right.sum() / table.sum()),
            "kinds": float(each.mean()),
            "iou": float((right[there] / (of_truth + seen - right)[there]).mean()),
            **dict(zip(np.array(KINDS)[there].tolist(), each.tolist(), strict=True)),
        }
