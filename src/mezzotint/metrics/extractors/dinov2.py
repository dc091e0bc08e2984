"""DINOv2's small vision transformer (Oquab et al. 2023, arXiv:2304.07193), whose distances follow people's judgement
better than Inception's (Stein et al. 2023, arXiv:2306.04675)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.metrics.extractor import Output, Weights, register, to_rgb
from mezzotint.metrics.extractors import _files

SIDE, DIMS, DEPTH, HEADS, PATCH = 224, 384, 12, 6, 14
_GRID = 37  # patches a side in training, whose places are learned
_EPS = 1e-6  # of every layer normalisation
_CHUNK = 32
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, of values 0..255


def shapes() -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight of the file."""
    result: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, DIMS),
        "mask_token": (1, DIMS),  # used in training only
        "pos_embed": (1, 1 + _GRID**2, DIMS),
        "patch_embed.proj.weight": (DIMS, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (DIMS,),
        "norm.weight": (DIMS,),
        "norm.bias": (DIMS,),
    }
    linear = {"attn.qkv": (3 * DIMS, DIMS), "attn.proj": (DIMS, DIMS), "mlp.fc1": (4 * DIMS, DIMS)}
    linear["mlp.fc2"] = (DIMS, 4 * DIMS)
    for block in (f"blocks.{k}" for k in range(DEPTH)):
        for name, shape in linear.items():
            result |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            result[f"{block}.{name}"] = (DIMS,)
    return result


@register
class DinoV2(_files.FromFile):
    """Features [N, 384]: the class token after the last normalisation. No logits.

    The published Fréchet DINO distances are of the large network, so these values do not compare with them.
    Pictures are resized in float32 and not rounded; wide ones are squeezed to a square.
    """

    name: ClassVar[str] = "dinov2-vits14"
    title: ClassVar[str] = "Fréchet distance (dinov2-vits14)"
    resizer: ClassVar[str] = "bicubic with antialiasing to 224 x 224"
    weights: ClassVar[Weights | None] = Weights(
        url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        bytes=88_283_115,
        licence="Apache-2.0 (Meta Platforms)",
        file="dinov2_vits14_pretrain.pth",
    )
    dims = DIMS

    def __init__(self, weights: Mapping[str, Tensor], digest: str) -> None:
        super().__init__(weights, digest)
        _files.check(weights, shapes(), self.name)
        self._weights = {name: value.float() for name, value in weights.items()}
        self._places = self._resized_places()

    def extract(self, pictures: Tensor) -> Output:
        """Features of uint8 [N, C, H, W]."""
        return Output(torch.cat([self._few(chunk) for chunk in to_rgb(pictures).split(_CHUNK)]))

    def _few(self, pictures: Tensor) -> Tensor:
        x = pictures.float()
        if x.shape[2:] != (SIDE, SIDE):
            x = functional.interpolate(x, [SIDE, SIDE], mode="bicubic", antialias=True, align_corners=False)
        x = (x.clamp(0, 255) - x.new_tensor(_MEAN).view(3, 1, 1)) / x.new_tensor(_STD).view(3, 1, 1)
        x = functional.conv2d(x, *self._pair("patch_embed.proj"), stride=PATCH).flatten(2).transpose(1, 2)
        x = torch.cat([self._weights["cls_token"].expand(len(x), -1, -1), x], 1) + self._places
        for k in range(DEPTH):
            x = self.block(f"blocks.{k}", x)
        return self._norm("norm", x[:, 0])

    def block(self, name: str, x: Tensor) -> Tensor:
        """x [N, T, 384] -> the same after attention and the two-layer network, each scaled and added."""
        qkv = functional.linear(self._norm(f"{name}.norm1", x), *self._pair(f"{name}.attn.qkv"))
        q, k, v = qkv.unflatten(2, (3, HEADS, DIMS // HEADS)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self._weights[f"{name}.ls1.gamma"] * functional.linear(seen, *self._pair(f"{name}.attn.proj"))
        hidden = functional.linear(self._norm(f"{name}.norm2", x), *self._pair(f"{name}.mlp.fc1"))
        thought = functional.linear(functional.gelu(hidden), *self._pair(f"{name}.mlp.fc2"))
        return x + self._weights[f"{name}.ls2.gamma"] * thought

    def _resized_places(self) -> Tensor:
        """The learned places of 37 x 37 patches for 16 x 16, as the authors resize them: with a scale of 16.1 / 37."""
        token, patches = self._weights["pos_embed"].split([1, _GRID**2], 1)
        square = patches.transpose(1, 2).unflatten(2, (_GRID, _GRID))
        scale = (SIDE // PATCH + 0.1) / _GRID
        small = functional.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([token, small.flatten(2).transpose(1, 2)], 1)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, [DIMS], *self._pair(name), eps=_EPS)

    def _pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
