"""Weights of encoders that are not trained here: the package's own, and VGG-19's from a file of others."""

from __future__ import annotations

import functools
import math
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mezzotint.core import atomic
from mezzotint.core.errors import DataError
from mezzotint.data.cache import default_folder
from mezzotint.data.download import RemoteFile, download
from mezzotint.nn.vgg import StyleEncoder

SMALL_WIDTH = 16
"""Channels of the own encoder's first level, a quarter of VGG-19's."""
OWN = Path(__file__).with_name("adain.safetensors")
"""The own encoder and the decoder that ships, made by `scripts/train_style.py`; float16."""
VGG19 = RemoteFile(
    "vgg_normalised_conv3_1.pth",
    (
        "https://raw.githubusercontent.com/pietrocarbo/deep-transfer/30b40b175d0d4afa19789fd57b5439aed125c1a5/"
        "models/autoencoder_vgg19/vgg19_3/vgg_normalised_conv3_1.pth",
    ),
    "ff8506173d3a17e7b0fbfbff242c00b6827cfbcd7c21852b46806ae6a3fd7b09",
    2_223_308,
)
"""VGG-19 to relu3_1 as AdaIN and others have it, scaled so that each channel's mean is 1 (Gatys et al. 2016)."""
LICENCE = "CC BY 4.0 (Visual Geometry Group, University of Oxford)"


@functools.cache
def own_weights() -> dict[str, Tensor]:
    """Tensors of the package's own file, in float32.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        return {name: value.float() for name, value in load_file(OWN).items()}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{OWN} is missing or damaged, the weights of adain; reinstall the package.") from error


def read_small(encoder: StyleEncoder) -> None:
    """Put the package's own weights into an encoder of `SMALL_WIDTH`."""
    known = {name.removeprefix("encoder."): value for name, value in own_weights().items()}
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.copy_(known[name])


def own_decoder() -> tuple[dict[str, int], dict[str, Tensor]]:
    """Settings and weights of the decoder that ships."""
    weights = own_weights()
    decoder = {name.removeprefix("decoder."): x for name, x in weights.items() if name.startswith("decoder.")}
    given, width = len(decoder["stages.0.conv.weight"][0]), len(decoder["last.conv.weight"][0])
    return {"levels": 1 + round(math.log2(given / SMALL_WIDTH)), "width": width}, decoder


def read_vgg(encoder: StyleEncoder, file: str = "", allow_download: bool = False) -> None:
    """Put VGG-19's weights into an encoder of width 64.

    Args:
        encoder: of 3 or 4 levels; 4 need a file of the person's own, such as `vgg_normalised.pth`.
        file: where the weights are: 3x3 convolutions in order, after one of 1x1 that prepares the colours. Empty: what
            is in the cache.
        allow_download: fetch what is not in the cache; it has 3 levels.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    wanted = encoder.convolutions()
    path = Path(file).expanduser() if file else _cached(len(encoder.leading), allow_download)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"There is no file {path}; give the path to VGG-19's weights.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read as tensors; name another file.") from error
    tensors = [value for value in content.values() if isinstance(value, Tensor)] if isinstance(content, dict) else []
    weights, biases = ([value for value in tensors if value.dim() == dims] for dims in (4, 1))
    shapes = [tuple(conv.weight.shape) for conv in wanted]
    if [tuple(w.shape) for w in weights[: len(wanted) + 1]] != [(3, 3, 1, 1), *shapes] or len(biases) < len(weights):
        raise DataError(
            f"{path} is not VGG-19 up to relu{len(encoder.leading)}_1 in the normalised form, which begins with a 1x1 "
            "convolution of the colours; name another file, or set model.levels=3."
        )
    _fill(wanted, weights, biases)


def _cached(levels: int, allowed: bool) -> Path:
    folder = default_folder() / "encoders"
    path = folder / VGG19.name
    if levels > 3:
        raise DataError(
            "VGG-19 up to relu4_1 has no public file that is known here; name yours with model.vgg_file, or set "
            "model.levels=3."
        )
    if path.is_file() and atomic.file_sha256(path) == VGG19.sha256:
        return path
    if not allowed:
        raise DataError(
            f"model.encoder=vgg19 needs {VGG19.name} ({VGG19.size / 1e6:.1f} MB, licence: {LICENCE}), which is not on "
            f"this machine; allow its download from {VGG19.urls[0]} with model.allow_download=true, or name the file "
            "with model.vgg_file."
        )
    return download(VGG19, folder)


@torch.no_grad()
def _fill(wanted: list[nn.Conv2d], weights: list[Tensor], biases: list[Tensor]) -> None:
    """The convolutions, with the first 1x1 one, of colours 0 to 1, taken into the second for colours -1 to 1."""
    for conv, weight, bias in zip(wanted, weights[1:], biases[1:], strict=False):
        assert conv.bias is not None
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
    colours, offset = weights[0].flatten(1).double(), biases[0].double()
    first, bias = wanted[0], biases[1].double()
    old = weights[1].double()
    assert first.bias is not None
    first.weight.copy_(torch.einsum("oikl,ij->ojkl", old, colours) / 2)
    shift = offset + colours.sum(1) / 2
    first.bias.copy_(bias + torch.einsum("oikl,i->o", old, shift))
