"""The moments that style is, beside torch's own statistics and by finite differences."""

from __future__ import annotations

import torch

from mezzotint.nn.transfer import EPS, moments


def test_moments_and_their_gradient_are_those_of_torch() -> None:
    torch.manual_seed(0)
    x = (torch.randn(3, 5, 6, 7) * 2 + 1).contiguous(memory_format=torch.channels_last).requires_grad_()
    again = x.detach().clone().requires_grad_()
    weights = torch.randn(3, 2, 5)
    found = moments(x)
    wanted = torch.stack((again.mean((2, 3)), (again.var((2, 3), correction=0) + EPS).sqrt()), 1)
    torch.testing.assert_close(found, wanted)
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, again.grad)
    assert x.grad.is_contiguous(memory_format=torch.channels_last)


def test_moments_have_all_derivatives() -> None:
    torch.manual_seed(0)

    def of(x: torch.Tensor) -> torch.Tensor:
        return moments(x).square()

    x = torch.randn(2, 3, 2, 2, requires_grad=True)
    assert torch.autograd.gradcheck(of, x, eps=1e-2, atol=1e-2, rtol=1e-2)
    assert torch.autograd.gradgradcheck(of, x, eps=1e-2, atol=2e-2, rtol=2e-2)


def test_the_gradient_of_bfloat16_features_is_bfloat16_and_near() -> None:
    torch.manual_seed(0)
    wide = torch.randn(2, 4, 16, 16).relu()
    x, exact = wide.bfloat16().requires_grad_(), wide.bfloat16().float().requires_grad_()
    for each in (x, exact):
        moments(each).sum().backward()
    assert x.grad is not None
    assert exact.grad is not None
    assert x.grad.dtype == torch.bfloat16
    torch.testing.assert_close(x.grad.float(), exact.grad, rtol=1e-2, atol=1e-5)
