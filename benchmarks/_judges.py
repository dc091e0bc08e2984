"""Networks that other people trained, as judges of pictures: uint8 [N, 3, H, W] in, features [N, D] out.

None of them had a part in training our extractor. Their files lie in `weights/` beside the folder MEZZOTINT_DATA.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Judge = Callable[[Tensor], Tensor]


def folder() -> Path:
    """Where the weights of others lie."""
    return Path(os.environ["MEZZOTINT_DATA"]).parent / "weights"


def lenet() -> Judge:
    """LeNet-5 for MNIST (csinva/gan-vae-pretrained-pytorch): the 84 features before the last layer."""
    w = torch.load(folder() / "mnist-lenet" / "mnist_lenet.pth", weights_only=True)

    def judge(pictures: Tensor) -> Tensor:
        x = _resized(pictures, 32).mean(1, keepdim=True) / 255
        for name in ("c1", "c3"):
            x = F.max_pool2d(F.conv2d(x, w[f"convnet.{name}.weight"], w[f"convnet.{name}.bias"]).relu(), 2)
        x = F.conv2d(x, w["convnet.c5.weight"], w["convnet.c5.bias"]).relu().flatten(1)
        return F.linear(x, w["fc.f6.weight"], w["fc.f6.bias"]).relu()

    return _in_parts(judge)


def resnet(file: str) -> Judge:
    """ResNet-20 or -56 for CIFAR-10 (akamaster/pytorch_resnet_cifar10): the 64 features after the mean over space."""
    state = torch.load(folder() / "cifar-resnet" / file, map_location="cpu", weights_only=True)["state_dict"]
    w = {name.removeprefix("module."): value for name, value in state.items()}
    blocks = sorted({name.rsplit(".", 2)[0] for name in w if name.startswith("layer")}, key=_by_number)

    def norm(x: Tensor, name: str) -> Tensor:
        parts = (w[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    def judge(pictures: Tensor) -> Tensor:
        mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
        x = norm(F.conv2d((_resized(pictures, 32) / 255 - mean) / std, w["conv1.weight"], padding=1), "bn1").relu()
        for block in blocks:
            wide = w[f"{block}.conv1.weight"]
            stride = 2 if wide.shape[0] != wide.shape[1] else 1
            y = norm(F.conv2d(x, wide, stride=stride, padding=1), f"{block}.bn1").relu()
            y = norm(F.conv2d(y, w[f"{block}.conv2.weight"], padding=1), f"{block}.bn2")
            if stride == 2:  # option A of the paper: every second pixel, new channels are zero
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, wide.shape[1] // 2, wide.shape[1] // 2))
            x = (x + y).relu()
        return x.mean((2, 3))

    return _in_parts(judge)


def mobilenet() -> Judge:
    """MobileNet-v2 for ImageNet (google-coral/test_data): the 1,280 features after the mean over space."""
    with np.load(folder() / "mobilenet-v2" / "mobilenet_v2_1.0_224_int8.npz") as file:
        raw = {name: torch.from_numpy(file[name]) for name in file}

    def conv(name: str, x: Tensor, bounded: bool = True) -> Tensor:
        kernel = raw[f"{name}.q"].float() * raw[f"{name}.scale"].view(-1, 1, 1, 1)
        stride = int(raw[f"{name}.stride"])
        if kernel.shape[2] == 3:  # on even sizes TensorFlow pads to the right and below at stride 2
            x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        groups = x.shape[1] if kernel.shape[1] == 1 else 1
        x = F.conv2d(x, kernel, raw[f"{name}.bias"], stride, groups=groups)
        return x.clamp(0, 6) if bounded else x

    def judge(pictures: Tensor) -> Tensor:
        x = conv("stem", _resized(pictures, 224) / 127.5 - 1)
        for k in range(1, 18):
            y = conv(f"b{k}.expand", x) if f"b{k}.expand.q" in raw else x
            y = conv(f"b{k}.project", conv(f"b{k}.dw", y), bounded=False)
            x = x + y if x.shape == y.shape else y
        return conv("head", x).mean((2, 3))

    return _in_parts(judge, 32)


def face() -> Judge:
    """Age and gender of faces (justadudewhohacks/face-api.js): the 512 features below both answers."""
    return _in_parts(_face(_face_weights()), 64)


def face_answers() -> Judge:
    """The answers of the same network, [N, 2]: the age in years, and the probability of a woman.

    Trained on UTKFace among others, so on real pictures of that set it is surer than it would be elsewhere.
    """
    w = _face_weights()
    features = _face(w)

    def judge(pictures: Tensor) -> Tensor:
        x = features(pictures)
        age = F.linear(x, w["fc.age.weights"], w["fc.age.bias"])
        woman = F.linear(x, w["fc.gender.weights"], w["fc.gender.bias"]).softmax(1)[:, 1:]
        return torch.cat((age, woman), 1)

    return _in_parts(judge, 64)


def _face_weights() -> dict[str, Tensor]:
    with np.load(folder() / "face-age-gender" / "face_age_gender_tinyxception.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def _face(w: dict[str, Tensor]) -> Judge:

    def padded(x: Tensor, kernel: int, stride: int, value: float = 0) -> Tensor:
        """As TensorFlow's "same" pads: more to the right and below when it does not divide."""
        total = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
        (top, left), (bottom, right) = [t // 2 for t in total], [t - t // 2 for t in total]
        return F.pad(x, (left, right, top, bottom), value=value)

    def conv(x: Tensor, name: str) -> Tensor:
        kernel = w[f"{name}.filters"]
        return F.conv2d(padded(x, kernel.shape[2], 2), kernel, w[f"{name}.bias"], stride=2)

    def separable(x: Tensor, name: str) -> Tensor:
        x = F.conv2d(x, w[f"{name}.depthwise_filter"], padding=1, groups=x.shape[1])
        return F.conv2d(x, w[f"{name}.pointwise_filter"], w[f"{name}.bias"])

    def reduction(x: Tensor, name: str, rectify: bool) -> Tensor:
        y = separable(x.relu() if rectify else x, f"{name}.separable_conv0")
        y = separable(y.relu(), f"{name}.separable_conv1")
        y = F.max_pool2d(padded(y, 3, 2, -torch.inf), 3, 2)
        return y + conv(x, f"{name}.expansion_conv")

    def judge(pictures: Tensor) -> Tensor:
        mean = torch.tensor([122.782, 117.001, 104.298])[:, None, None]
        x = conv((_resized(pictures, 112) - mean) / 255, "entry_flow.conv_in").relu()
        x = reduction(x, "entry_flow.reduction_block_0", rectify=False)
        x = reduction(x, "entry_flow.reduction_block_1", rectify=True)
        for k in (0, 1):
            y = x
            for j in range(3):
                y = separable(y.relu(), f"middle_flow.main_block_{k}.separable_conv{j}")
            x = x + y
        x = reduction(x, "exit_flow.reduction_block", rectify=True)
        return separable(x, "exit_flow.separable_conv").relu().mean((2, 3))

    return judge


def _resized(pictures: Tensor, side: int) -> Tensor:
    x = pictures.float()
    return x if x.shape[2:] == (side, side) else F.interpolate(x, [side, side], mode="bilinear", antialias=True)


def _in_parts(judge: Judge, size: int = 250) -> Judge:
    @torch.no_grad()
    def whole(pictures: Tensor) -> Tensor:
        colour = pictures.expand(-1, 3, -1, -1)
        return torch.cat([judge(part) for part in colour.split(size)])

    return whole


def _by_number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix("layer").split("."))
