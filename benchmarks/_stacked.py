"""Stacked MNIST: which of the 1,000 three-digit numbers do samples show?

The protocol of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761, section 4.2) and PacGAN (Lin et al. 2018,
arXiv:1712.04086, section 4.2): 26,000 samples, a digit classifier on each colour channel, the number of classes that
are hit, and the KL divergence from their histogram to that of the data. The classifier is our own
(`scripts/train_digit_classifier.py`), so numbers compare with published ones only roughly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from mezzotint.metrics.modes import class_modes

SIDE = 28
CLASSES = 1000
SAMPLES = 26_000
WEIGHTS = Path(__file__).with_name("digits.safetensors")
_BATCH = 1000


class DigitNet(nn.Module):
    """Digits [N, 1, 28, 28] in [-1, 1] -> logits [N, 10]: three convolutions, 29,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)]
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(conv.out_channels) for conv in self.convs)
        self.head = nn.Linear(64 * 9, 10)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(F.max_pool2d(conv(x), 2)))
        return self.head(x.flatten(1))


def classifier(weights: Path = WEIGHTS) -> DigitNet:
    """The trained classifier, in evaluation mode, from what `scripts/train_digit_classifier.py` has left."""
    net = DigitNet()
    net.load_state_dict({name: value.float() for name, value in load_file(weights).items()}, strict=False)
    return net.eval()


@torch.no_grad()
def digits(net: nn.Module, channels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The digit [N] that each grey picture [N, 28, 28] shows."""
    found = []
    for start in range(0, len(channels), _BATCH):
        x = torch.from_numpy(np.ascontiguousarray(channels[start : start + _BATCH])).float()
        found.append(net(x.div_(127.5).sub_(1)[:, None]).argmax(1))
    return torch.cat(found).numpy()


def numbers(net: nn.Module, samples: NDArray[np.uint8], fit: Literal["crop", "pad"] = "crop") -> NDArray[np.int64]:
    """The number 0 to 999 [N] that samples [N, S, S, 3] show: hundreds in red, tens in green, ones in blue.

    Args:
        fit: how the digits came to another size than 28: `crop`, the default of the data options, has scaled them,
            `pad` has put a border around them.
    """
    same = _resized(samples, fit)
    count = len(same)
    shown = digits(net, same.transpose(3, 0, 1, 2).reshape(-1, SIDE, SIDE)).reshape(3, count)
    return shown[0] * 100 + shown[1] * 10 + shown[2]


def modes(
    samples: NDArray[np.uint8],
    fit: Literal["crop", "pad"] = "crop",
    real: Any = None,
    net: nn.Module | None = None,
) -> tuple[int, float]:
    """How many of the 1,000 numbers samples [N, S, S, 3] show, and KL(samples || real) in nats.

    Args:
        fit: as in `numbers`.
        real: how often each number occurs in the real set, [1000]; equally often when left out.
        net: the classifier; the one beside this file when left out.
    """
    found = class_modes(numbers(net or classifier(), samples, fit), CLASSES, real)
    return int(found.found.value), found.kl.value


def _resized(samples: NDArray[np.uint8], fit: str) -> NDArray[np.uint8]:
    side = samples.shape[1]
    if side == SIDE:
        return samples
    if fit == "pad":
        edge = (side - SIDE) // 2
        return samples[:, edge : edge + SIDE, edge : edge + SIDE]
    parts = []
    for start in range(0, len(samples), _BATCH):
        x = torch.from_numpy(np.ascontiguousarray(samples[start : start + _BATCH])).permute(0, 3, 1, 2).float()
        x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
        parts.append(x.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)
