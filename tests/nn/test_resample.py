"""Halving and doubling layers against the two operators that each of them stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.nn.resample import DoublingConv2d, HalvingConv2d, spread


def halved(layer: HalvingConv2d, x: Tensor) -> Tensor:
    return F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)


def doubled(layer: DoublingConv2d, x: Tensor) -> Tensor:
    wide = F.interpolate(F.pad(x, (1, 1, 1, 1), "replicate"), scale_factor=2.0, mode="bilinear")
    return F.conv2d(wide[:, :, 1:-1, 1:-1], layer.weight, layer.bias)


KINDS: dict[str, tuple[Any, Callable[[Any, Tensor], Tensor]]] = {
    "halving": (HalvingConv2d, halved),
    "doubling": (DoublingConv2d, doubled),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(2, 2), (6, 10), (16, 16)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_pair(kind: str, size: tuple[int, int], bias: bool) -> None:
    make, slowly = KINDS[kind]
    torch.manual_seed(0)
    layer = make(5, 3, bias=bias).double()
    x = torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
    found, wanted = layer(x), slowly(layer, x)
    torch.testing.assert_close(found, wanted)
    weighted = torch.randn_like(found)
    parameters = [x, *layer.parameters()]
    for a, b in zip(
        torch.autograd.grad((found * weighted).sum(), parameters),
        torch.autograd.grad((wanted * weighted).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_in_bfloat16_as_close_as_the_pair(kind: str) -> None:
    """By the fast forms, under autocast, beside float32."""
    make, slowly = KINDS[kind]
    torch.manual_seed(0)
    layer, x = make(16, 8), torch.randn(4, 16, 16, 16)
    exact = slowly(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        found, pair = layer(x), slowly(layer, x)
    assert found.dtype == torch.bfloat16
    assert (found - exact).abs().max() <= 2 * (pair - exact).abs().max() + 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_a_penalty_of_the_slope_has_the_gradient_of_the_pair(kind: str) -> None:
    make, slowly = KINDS[kind]
    torch.manual_seed(0)
    layer = make(3, 4).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def penalty(function: Callable[[Tensor], Tensor]) -> Tensor:
        (slope,) = torch.autograd.grad(function(x).square().sum(), x, create_graph=True)
        (gradient,) = torch.autograd.grad(slope.square().sum(), layer.weight)
        return gradient

    torch.testing.assert_close(penalty(layer), penalty(lambda y: slowly(layer, y)))


def test_a_flat_kernel_spreads_to_the_weights_of_doubling_twice() -> None:
    """Ones over 3 and ones over 2, one after the other, are 1, 2, 2, 1."""
    row = torch.tensor([1.0, 2.0, 2.0, 1.0])
    assert torch.equal(spread(torch.ones(1, 1, 3, 3))[0, 0], row[:, None] * row)
