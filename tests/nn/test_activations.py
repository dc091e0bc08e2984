"""Activations for penalties: the same values and derivatives as PyTorch's, the second ones too, with less work."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mezzotint.nn.activations import leaky_relu, relu

PAIRS = [(lambda x: leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2)), (relu, F.relu)]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_and_first_derivatives(ours, theirs, dtype) -> None:
    x = torch.tensor([-3.0, -0.5, 0.0, 0.5, 2.0]).to(dtype).requires_grad_()
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours(x.detach()), theirs(x.detach()))
    (got,), (want,) = (torch.autograd.grad(f(x).sum(), x) for f in (ours, theirs))
    assert torch.equal(got, want)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_a_penaltys_gradient_is_the_same(ours, theirs) -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(6, 9).double(), nn.Linear(9, 1).double()
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    found = []
    for act in (ours, theirs):
        (slope,) = torch.autograd.grad(second(act(first(x))).sum(), x, create_graph=True)
        weights = (first.weight, second.weight)
        found.append(torch.autograd.grad((slope.norm(dim=1) - 1).square().mean(), weights))
    for got, want in zip(*found, strict=True):
        assert torch.allclose(got, want)


def test_the_second_pass_never_enters_the_first() -> None:
    """What the layer before the activation computed has no part in the slope, so no zeros are carried through it."""
    layer = nn.Linear(4, 4)
    x = torch.randn(3, 4, requires_grad=True)
    before = layer(x)
    (slope,) = torch.autograd.grad(relu(before).sum(), x, create_graph=True)
    assert torch.autograd.grad(slope.sum(), before, allow_unused=True) == (None,)
