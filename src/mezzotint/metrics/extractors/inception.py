"""Inception-v3 with the weights of the original FID (Heusel et al. 2017, arXiv:1706.08500).

The network is Szegedy et al. 2015 (arXiv:1512.00567) as the graph `inception-2015-12-05` has it, which differs from
others in three places: average pools leave the padding out of the mean, the last block pools by maximum, and
there are 1,008 logits. Names of weights are those of the file, the conversion to PyTorch of that graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.metrics.extractor import Output, Weights, register, to_rgb
from mezzotint.metrics.extractors import _files

SIDE, DIMS, CLASSES = 299, 2048, 1008
_EPS = 1e-3  # of every batch normalisation
_NORM = ("weight", "bias", "running_mean", "running_var")
_CHUNK = 16  # pictures at a time; at 299 x 299 the first maps take 11 MB each


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, its batch normalisation and the rectifier."""

    name: str
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    pads: bool = True

    @property
    def padding(self) -> tuple[int, int]:
        """Half the kernel, which keeps the size, or none."""
        return (self.kernel[0] // 2, self.kernel[1] // 2) if self.pads else (0, 0)


Pool = str  # "mean", "max" (3 x 3, stride 1, size kept) or "halve" (3 x 3 maximum, stride 2, no padding)
Step = Conv | Pool | tuple[Conv, ...]  # several convolutions side by side end a branch
Branch = tuple[Step, ...]


def _a(pool: int) -> tuple[Branch, ...]:
    """35 x 35: 1 x 1, 5 x 5, twice 3 x 3, and a pool."""
    return (
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))),
        (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)), Conv("branch3x3dbl_3", 96, (3, 3))),
        ("mean", Conv("branch_pool", pool)),
    )


def _c(width: int) -> tuple[Branch, ...]:
    """17 x 17: 7 x 7 as 1 x 7 and 7 x 1, once and twice."""
    row, column = (1, 7), (7, 1)
    return (
        (Conv("branch1x1", 192),),
        (Conv("branch7x7_1", width), Conv("branch7x7_2", width, row), Conv("branch7x7_3", 192, column)),
        (
            Conv("branch7x7dbl_1", width),
            Conv("branch7x7dbl_2", width, column),
            Conv("branch7x7dbl_3", width, row),
            Conv("branch7x7dbl_4", width, column),
            Conv("branch7x7dbl_5", 192, row),
        ),
        ("mean", Conv("branch_pool", 192)),
    )


def _e(pool: Pool) -> tuple[Branch, ...]:
    """8 x 8: branches that end in 1 x 3 and 3 x 1 side by side."""
    row, column = (1, 3), (3, 1)
    return (
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), (Conv("branch3x3_2a", 384, row), Conv("branch3x3_2b", 384, column))),
        (
            Conv("branch3x3dbl_1", 448),
            Conv("branch3x3dbl_2", 384, (3, 3)),
            (Conv("branch3x3dbl_3a", 384, row), Conv("branch3x3dbl_3b", 384, column)),
        ),
        (pool, Conv("branch_pool", 192)),
    )


def _narrower(name: str, outputs: int) -> Conv:
    return Conv(name, outputs, (3, 3), stride=2, pads=False)


_B: tuple[Branch, ...] = (
    (_narrower("branch3x3", 384),),
    (Conv("branch3x3dbl_1", 64), Conv("branch3x3dbl_2", 96, (3, 3)), _narrower("branch3x3dbl_3", 96)),
    ("halve",),
)
_D: tuple[Branch, ...] = (
    (Conv("branch3x3_1", 192), _narrower("branch3x3_2", 320)),
    (
        Conv("branch7x7x3_1", 192),
        Conv("branch7x7x3_2", 192, (1, 7)),
        Conv("branch7x7x3_3", 192, (7, 1)),
        _narrower("branch7x7x3_4", 192),
    ),
    ("halve",),
)

STEM: tuple[Conv | Pool, ...] = (
    _narrower("Conv2d_1a_3x3", 32),
    Conv("Conv2d_2a_3x3", 32, (3, 3), pads=False),
    Conv("Conv2d_2b_3x3", 64, (3, 3)),
    "halve",
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, (3, 3), pads=False),
    "halve",
)
BLOCKS: dict[str, tuple[Branch, ...]] = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _B,
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _D,
    "Mixed_7b": _e("mean"),
    "Mixed_7c": _e("max"),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight of the file."""
    result: dict[str, tuple[int, ...]] = {"fc.weight": (CLASSES, DIMS), "fc.bias": (CLASSES,)}

    def add(prefix: str, conv: Conv, inputs: int) -> int:
        result[f"{prefix}.conv.weight"] = (conv.outputs, inputs, *conv.kernel)
        result.update((f"{prefix}.bn.{part}", (conv.outputs,)) for part in _NORM)
        return conv.outputs

    width = 3
    for conv in STEM:
        if isinstance(conv, Conv):
            width = add(conv.name, conv, width)
    for block, branches in BLOCKS.items():
        total = 0
        for branch in branches:
            now = width
            for step in branch:
                if isinstance(step, Conv):
                    now = add(f"{block}.{step.name}", step, now)
                elif isinstance(step, tuple):
                    now = sum([add(f"{block}.{each.name}", each, now) for each in step])
            total += now
        width = total
    return result


def fold(weights: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Convolutions with their batch normalisation inside, as name -> (weight, bias)."""
    result = {}
    for name in (key.removesuffix(".conv.weight") for key in weights if key.endswith(".conv.weight")):
        part = {key: weights[f"{name}.bn.{key}"].double() for key in _NORM}
        gain = part["weight"] / (part["running_var"] + _EPS).sqrt()
        kernel = weights[f"{name}.conv.weight"].double() * gain[:, None, None, None]
        result[name] = (kernel.float(), (part["bias"] - part["running_mean"] * gain).float())
    return result


def resize_tf1(pictures: Tensor, side: int = SIDE) -> Tensor:
    """TensorFlow 1's `resize_bilinear`: output i lies at i * size / side, without half pixels and without antialiasing.

    Args:
        pictures: [N, C, H, W] of any type.

    Returns:
        [N, C, side, side] float32, in the range of the input.

    Example:
        >>> resize_tf1(torch.tensor([0.0, 8.0]).view(1, 1, 1, 2), 4)[0, 0, 0].tolist()
        [0.0, 4.0, 8.0, 8.0]
    """
    x = pictures.float()
    for dim in (3, 2):  # columns first, as there
        size = x.shape[dim]
        at = torch.arange(side, device=x.device) * torch.tensor(size / side, device=x.device)
        low = at.floor().long().clamp_max(size - 1)
        part = (at - low).view([-1, 1] if dim == 2 else [-1])
        first, second = x.index_select(dim, low), x.index_select(dim, (low + 1).clamp_max(size - 1))
        x = first + (second - first) * part
    return x


@register
class Inception(_files.FromFile):
    """Features [N, 2048] after the average pool; with these, and only with these, a Fréchet distance is called FID.

    Logits [N, 1008] leave out the bias, as the inception score's own code does (Salimans et al. 2016). Pictures are
    resized as the original graph does it, in float32 from the 8-bit values, and scaled as (x - 128) / 128.
    """

    name: ClassVar[str] = "inception-v3-fid"
    title: ClassVar[str] = "FID"
    resizer: ClassVar[str] = "bilinear of TensorFlow 1 (no half pixels, no antialiasing) to 299 x 299"
    weights: ClassVar[Weights | None] = Weights(
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        bytes=95_628_359,
        licence="Apache-2.0 (TensorFlow models; converted by pytorch-fid)",
        file="pt_inception-2015-12-05-6726825d.pth",
    )
    dims = DIMS

    def __init__(self, weights: Mapping[str, Tensor], digest: str) -> None:
        super().__init__(weights, digest)
        _files.check(weights, shapes(), self.name)
        self._convs = fold(weights)
        self._head = weights["fc.weight"].float()

    def extract(self, pictures: Tensor) -> Output:
        """Features and logits of uint8 [N, C, H, W]."""
        chunks = to_rgb(pictures).split(_CHUNK)
        features = torch.cat([self.pooled((resize_tf1(chunk) - 128) / 128) for chunk in chunks])
        return Output(features, functional.linear(features, self._head))

    def pooled(self, x: Tensor) -> Tensor:
        """[N, 3, 299, 299] in -1..1 -> [N, 2048]."""
        for step in STEM:
            x = self._step("", step, x)
        for block, branches in BLOCKS.items():
            x = self.block(block, branches, x)
        return x.mean((2, 3))

    def block(self, name: str, branches: tuple[Branch, ...], x: Tensor) -> Tensor:
        """All branches of a block, one after the other in the channels."""
        results = []
        for branch in branches:
            y = x
            for step in branch:
                y = self._step(f"{name}.", step, y)
            results.append(y)
        return torch.cat(results, 1)

    def _step(self, prefix: str, step: Step, x: Tensor) -> Tensor:
        if isinstance(step, tuple):
            return torch.cat([self._step(prefix, each, x) for each in step], 1)
        if isinstance(step, Conv):
            weight, bias = self._convs[prefix + step.name]
            return functional.conv2d(x, weight, bias, step.stride, step.padding).relu()
        if step == "mean":
            return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return functional.max_pool2d(x, 3, 1, 1) if step == "max" else functional.max_pool2d(x, 3, 2)
