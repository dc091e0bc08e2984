"""Convolutions that are differentiated twice give what PyTorch's own give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mezzotint.nn.twice import TwiceConv2d, forth


def losses(layer: nn.Conv2d, x: Tensor) -> list[Tensor]:
    """The output, and the gradients of an R1-like loss by the pictures and the weights."""
    x = x.clone().requires_grad_()
    y = layer(x)
    (slope,) = torch.autograd.grad(y.square().sum() + y.sin().sum(), x, create_graph=True)
    loss = slope.square().sum() + y.cos().sum()
    return [y.detach(), *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize(("kernel", "padding", "groups"), [(1, 0, 1), (3, 1, 1), (3, 1, 4), (3, 1, 8), (3, 0, 2)])
@pytest.mark.parametrize("last", [False, True])
def test_second_derivatives_are_pytorchs(kernel: int, padding: int, groups: int, last: bool) -> None:
    torch.manual_seed(0)
    ours = TwiceConv2d(8, 16, kernel, padding=padding, groups=groups).double()
    theirs = nn.Conv2d(8, 16, kernel, padding=padding, groups=groups).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 8, 5, 7, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    for a, b in zip(losses(ours, x), losses(theirs, x), strict=True):
        torch.testing.assert_close(a, b)


def test_derivatives_of_any_order() -> None:
    """Against finite differences."""
    torch.manual_seed(0)
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: forth(a, b, (1, 2)), (x, w))
    assert torch.autograd.gradgradcheck(lambda a, b: forth(a, b, (1, 2)).square(), (x, w))


def test_mixed_precision_leaves_gradients_in_their_own() -> None:
    layer = TwiceConv2d(4, 4, 1)
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    (slope,) = torch.autograd.grad(y.float().square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == slope.dtype == torch.float32
