"""A network that has learned nothing: the second baseline every learned extractor has to beat."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.core.rng import normal
from mezzotint.metrics.extractor import Extractor, Output, register, to_rgb

_SIDE = 32
_WIDTHS = (3, 32, 64, 128)


@register
class Random(Extractor):
    """Three convolutions (3 x 3, stride 2) with fixed random weights, rectified; features are the mean over space.

    Example:
        >>> Random.open()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).features.shape
        torch.Size([2, 128])
    """

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Fréchet distance (random)"
    resizer: ClassVar[str] = "bilinear with antialiasing to 32 x 32"

    def __init__(self) -> None:
        self.dims = _WIDTHS[-1]
        # He et al. (2015): variance 2 / fan-in keeps the scale from layer to layer.
        self._kernels = [
            torch.from_numpy(
                normal((out, into, 3, 3), 0, "random extractor", layer) * np.float32((2 / 9 / into) ** 0.5)
            )
            for layer, (into, out) in enumerate(pairwise(_WIDTHS))
        ]
        content = hashlib.sha256(self.resizer.encode())
        for kernel in self._kernels:
            content.update(kernel.numpy().tobytes())
        self.digest = content.hexdigest()

    @classmethod
    def open(cls, path: Path | None = None) -> Random:
        """Ready to use; the weights come from a seed."""
        return cls()

    def extract(self, pictures: Tensor) -> Output:
        """Features [N, 128] and three feature maps."""
        x = to_rgb(pictures).float() / 127.5 - 1
        x = functional.interpolate(x, [_SIDE, _SIDE], mode="bilinear", antialias=True, align_corners=False)
        maps = []
        for kernel in self._kernels:
            x = functional.conv2d(x, kernel, stride=2, padding=1).relu()
            maps.append(x)
        return Output(x.mean((2, 3)), None, tuple(maps))
