"""Batch normalisation whose batch has parts, instance normalisation channels last."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mezzotint.nn.norm import BatchNorm2d, InstanceNorm2d, grouped


def test_grouped_batch_norm_is_separate_passes() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm2d(5), nn.BatchNorm2d(5)
    x = torch.randn(8, 5, 3, 3) * torch.linspace(1, 4, 8).view(-1, 1, 1, 1)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    with grouped(ours, 2):
        got = ours(a)
    want = torch.cat([theirs(b[:4]), theirs(b[4:])])
    assert torch.equal(got, want)
    seed = torch.randn_like(x)
    got.backward(seed)
    want.backward(seed)
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-6)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])
    assert ours.groups == 1
    assert torch.equal(ours(x), theirs(x))


def test_grouped_refuses_what_it_cannot_keep_apart() -> None:
    with pytest.raises(ValueError, match="mix"), grouped(nn.Sequential(nn.BatchNorm2d(2)), 2):
        pass
    norm = BatchNorm2d(2)
    with pytest.raises(ValueError, match="equal parts"), grouped(norm, 2):
        norm(torch.randn(3, 2, 2, 2))
    assert norm.groups == 1


def test_one_value_a_channel_is_normalised_by_the_running_statistics() -> None:
    """Torch refuses it; a batch of one picture must train all the same."""
    norm = BatchNorm2d(3)
    with torch.no_grad():
        norm(torch.randn(9, 3, 1, 1) * 2 + 1)
    remembered = {name: value.clone() for name, value in norm.state_dict().items()}
    x = torch.randn(1, 3, 1, 1)
    got = norm(x)
    mean, variance = (remembered[f"running_{name}"].view(1, 3, 1, 1) for name in ("mean", "var"))
    torch.testing.assert_close(got, (x - mean) / (variance + norm.eps).sqrt())
    got.sum().backward()
    assert norm.weight.grad is not None
    for name, value in norm.state_dict().items():
        assert torch.equal(value, remembered[name]), "one value teaches nothing"


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 16, 16), (3, 16, 24, 32), (3, 4, 5, 6)])
def test_instance_norm_is_torchs_in_any_derivative_and_stays_channels_last(
    shape: tuple[int, ...], affine: bool
) -> None:
    torch.manual_seed(0)
    ours, theirs = (norm(shape[1], affine=affine) for norm in (InstanceNorm2d, nn.InstanceNorm2d))
    if affine:
        for norm in (ours, theirs):
            nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    x, y = torch.randn(2, *shape)
    found = []
    for norm, layout in ((ours, torch.channels_last), (theirs, torch.contiguous_format)):
        at = (3 * x + 1).contiguous(memory_format=layout).requires_grad_()
        out = norm(at)
        (slope,) = torch.autograd.grad((out * y).sum(), at, create_graph=True)
        (again,) = torch.autograd.grad((slope * x).sum(), at)
        found.append((out, slope, again))
        if layout is torch.channels_last and x[0].numel() >= 8192:
            assert out.is_contiguous(memory_format=layout)
    for got, wanted in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
