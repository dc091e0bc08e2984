"""The scattering transform as features: nothing is learned, so they favour no kind of picture."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.metrics.extractor import Extractor, Output, register, settings_digest, to_rgb
from mezzotint.metrics.scattering import Scattering

SIDE, SCALES, ANGLES = 32, 3, 8
_GREY = (0.299, 0.587, 0.114)
_LEAST = 1e-4
"""Below that an average says nothing of the picture, and is left small."""
_CHUNK = 16
"""Pictures whose coefficients fit into a cache together."""


@register
class ScatteringFeatures(Extractor):
    """Features [N, 3472]: 217 averages at 4 x 4 places of the grey picture, each of the 217 divided by its largest.

    So what counts is where an edge of some size and angle is, and not how strong all of them are. It is what clusters
    handwriting best without learning (You et al. 2016, arXiv:1507.01238, section 4.2).
    """

    name: ClassVar[str] = "scattering"
    title: ClassVar[str] = "Fréchet distance (scattering)"
    resizer: ClassVar[str] = f"bilinear with antialiasing to {SIDE} x {SIDE}"

    def __init__(self) -> None:
        self._transform = Scattering(SIDE, SIDE, SCALES, ANGLES)
        self.dims = self._transform.channels * (SIDE // 2**SCALES) ** 2
        self.digest = settings_digest({"side": SIDE, "scales": SCALES, "angles": ANGLES, "grey": _GREY})

    @classmethod
    def open(cls, path: Path | None = None) -> ScatteringFeatures:
        """Ready to use; there is no file."""
        return cls()

    def extract(self, pictures: Tensor) -> Output:
        """Features of uint8 pictures [N, C, H, W]."""
        return Output(torch.cat([self._of(part) for part in pictures.split(_CHUNK)]))

    def _of(self, pictures: Tensor) -> Tensor:
        grey = (to_rgb(pictures).float() * torch.tensor(_GREY)[:, None, None]).sum(1, keepdim=True) / 255
        if grey.shape[2:] != (SIDE, SIDE):
            grey = F.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        found = self._transform(grey[:, 0]).flatten(2)
        return (found / found.abs().amax(2, keepdim=True).clamp(min=_LEAST)).flatten(1)
