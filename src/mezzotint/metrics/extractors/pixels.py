"""The pixels themselves, made small: the baseline every learned extractor has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from mezzotint.metrics.extractor import Extractor, Output, register, settings_digest

_SIDE = 32


@register
class Pixels(Extractor):
    """Pixels in [0, 1], of pictures whose longer side is brought down to 32; smaller ones are left as they are.

    Example:
        >>> import torch
        >>> Pixels.open()(torch.full((2, 1, 64, 32), 255, dtype=torch.uint8)).features.shape
        torch.Size([2, 512])
    """

    name: ClassVar[str] = "pixels"
    title: ClassVar[str] = "Fréchet distance (pixels)"
    resizer: ClassVar[str] = "bilinear with antialiasing, longer side at most 32"

    def __init__(self) -> None:
        self.dims = 0
        self.digest = settings_digest({"name": self.name, "resizer": self.resizer, "range": [0, 1], "version": 1})

    @classmethod
    def open(cls, path: Path | None = None) -> Pixels:
        """Ready to use; there is nothing to load."""
        return cls()

    def extract(self, pictures: Tensor) -> Output:
        """Features [N, C * h * w]."""
        height, width = pictures.shape[2:]
        small = pictures.float() / 255
        if max(height, width) > _SIDE:
            scale = _SIDE / max(height, width)
            size = [max(1, round(height * scale)), max(1, round(width * scale))]
            small = functional.interpolate(small, size, mode="bilinear", antialias=True, align_corners=False)
        return Output(small.flatten(1), None, (small,))
