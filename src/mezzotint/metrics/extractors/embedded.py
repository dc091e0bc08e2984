"""Our own small extractor, which comes with the package: it works offline and for every set.

Nine convolutions, trained by `scripts/train_extractor.py`; `docs/extractor.md` says on what, and what it is good for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from mezzotint.core import atomic
from mezzotint.core.errors import DataError
from mezzotint.metrics.extractor import Extractor, Output, register, to_rgb

SIDE, DIMS = 32, 96
_CHUNK = 128  # pictures at a time: their feature maps then stay in the processor's cache
_FILE = Path(__file__).with_name("mezzotint-1.safetensors")
_SHA256 = "402811a0de5220ef5294bdeca77c0f1fa93ef79534d4ae2f1f79f3c7df6220ca"


@dataclass(frozen=True)
class Layer:
    """A 3 x 3 convolution with rectifier; `kept` layers are what distances and the feature are made of."""

    name: str
    inputs: int
    outputs: int
    stride: int = 1
    residual: bool = False
    kept: bool = False


LAYERS = (
    Layer("conv1", 3, 16, kept=True),
    Layer("conv2", 16, 32, stride=2),
    Layer("conv3", 32, 32, residual=True, kept=True),
    Layer("conv4", 32, 64, stride=2),
    Layer("conv5", 64, 64, residual=True),
    Layer("conv6", 64, 64, residual=True, kept=True),
    Layer("conv7", 64, 128, stride=2),
    Layer("conv8", 128, 128, residual=True),
    Layer("conv9", 128, 128, residual=True, kept=True),
)
POOLED = 16 + 32 + 64 + 4 * 128


def maps_of(x: Tensor, convolve: Callable[[str, Tensor], Tensor]) -> tuple[Tensor, ...]:
    """The kept feature maps of x [N, 3, 32, 32]; `convolve(name, x)` is a layer up to its rectifier."""
    kept = []
    for layer in LAYERS:
        y = convolve(layer.name, x)
        x = (y + x if layer.residual else y).relu()
        if layer.kept:
            kept.append(x)
    return tuple(kept)


def pool(maps: tuple[Tensor, ...]) -> Tensor:
    """[N, POOLED]: means over space, of the last map over each quarter, so that layout counts too."""
    *early, last = maps
    return torch.cat([*(x.mean((2, 3)) for x in early), functional.avg_pool2d(last, 2).flatten(1)], 1)


@register
class Embedded(Extractor):
    """Features [N, 96] of pictures resized to 32 x 32, class logits over its training sets, and four feature maps.

    Each feature has a variance of about one over its training pictures, clean and damaged. Wide pictures are squeezed
    to a square. Grey is repeated, and what is transparent is laid on white.

    Example:
        >>> Embedded.open()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).features.shape
        torch.Size([2, 96])
    """

    name: ClassVar[str] = "mezzotint-1"
    title: ClassVar[str] = "Fréchet distance (mezzotint-1)"
    resizer: ClassVar[str] = "bilinear with antialiasing to 32 x 32"
    dims = DIMS

    def __init__(self, weights: Mapping[str, Tensor], digest: str) -> None:
        self._weights = dict(weights)
        self.digest = digest

    @classmethod
    def open(cls, path: Path | None = None) -> Embedded:
        """Ready to use.

        Args:
            path: another file of weights of the same form; the package's own when left out.

        Raises:
            DataError: the file is missing, damaged or of another form.
        """
        file = path or _FILE
        if not file.is_file():
            raise DataError(f"{file} is missing, the weights of {cls.name}; reinstall the package, or name the file.")
        digest = atomic.file_sha256(file)
        if path is None and digest != _SHA256:
            raise DataError(f"{file} is damaged (its SHA-256 is not that of {cls.name}); reinstall the package.")
        try:
            weights = load_file(file)
        except (SafetensorError, OSError) as error:
            raise DataError(f"{file} cannot be read as safetensors ({error}); name another file.") from error
        _check(weights, file)
        return cls(weights, digest)

    def extract(self, pictures: Tensor) -> Output:
        """Features, logits and maps of uint8 [N, C, H, W]."""
        parts = [self._few(chunk) for chunk in pictures.split(_CHUNK)]
        features = torch.cat([part.features for part in parts])
        logits = functional.linear(features, self._weights["classes.weight"], self._weights["classes.bias"])
        maps = tuple(torch.cat(same) for same in zip(*(part.maps for part in parts), strict=True))
        return Output(features, logits, maps)

    def _few(self, pictures: Tensor) -> Output:
        x = to_rgb(pictures).float() / 127.5 - 1
        if x.shape[2:] != (SIDE, SIDE):
            x = functional.interpolate(x, [SIDE, SIDE], mode="bilinear", antialias=True, align_corners=False)
        maps = maps_of(x.contiguous(memory_format=torch.channels_last), self._convolve)
        return Output(
            functional.linear(pool(maps), self._weights["embed.weight"], self._weights["embed.bias"]), maps=maps
        )

    def _convolve(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, stride=_STRIDES[name], padding=1)


_STRIDES = {layer.name: layer.stride for layer in LAYERS}


def _check(weights: Mapping[str, Tensor], file: Path) -> None:
    expected: dict[str, tuple[int, ...]] = {"embed.weight": (DIMS, POOLED), "embed.bias": (DIMS,)}
    for layer in LAYERS:
        expected[f"{layer.name}.weight"] = (layer.outputs, layer.inputs, 3, 3)
        expected[f"{layer.name}.bias"] = (layer.outputs,)
    classes = weights["classes.bias"].shape if "classes.bias" in weights else (0,)
    expected |= {"classes.weight": (*classes, DIMS), "classes.bias": tuple(classes)}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise DataError(f"{file} does not hold the weights of mezzotint-1 ({wrong[0]} is wrong); name another file.")
