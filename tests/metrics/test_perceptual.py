"""The perceptual distance by hand and against the published form written out."""

from __future__ import annotations

import pytest
import torch

from mezzotint.core.errors import DataError
from mezzotint.metrics.perceptual import perceptual_distance


def maps(n: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, c, s, s, generator=generator, dtype=torch.float64) for c, s in ((3, 8), (5, 4))]


def test_by_hand() -> None:
    """(3, 4) has the direction (0.6, 0.8), (1, 0) has (1, 0): 0.16 + 0.64 in one of two places, and 4 in the other."""
    a = torch.tensor([[3.0, 1.0], [4.0, 0.0]]).view(1, 2, 1, 2)
    b = torch.tensor([[1.0, -2.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    assert perceptual_distance([a], [b]).item() == pytest.approx((0.8 + 4) / 2, rel=1e-9)


def test_the_published_form() -> None:
    """With unit vectors |u - v|^2 is 2 - 2 cos."""
    a, b = maps(4, 0), maps(4, 1)
    expected = sum(
        (2 - 2 * torch.nn.functional.cosine_similarity(x, y, dim=1)).mean((1, 2)) for x, y in zip(a, b, strict=True)
    )
    torch.testing.assert_close(perceptual_distance(a, b), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(perceptual_distance(b, a), expected, rtol=1e-6, atol=0)


def test_brightness_of_features_does_not_count_and_dead_ones_are_no_problem() -> None:
    a = maps(2, 0)
    torch.testing.assert_close(perceptual_distance(a, [7 * x for x in a]), torch.zeros(2).double(), atol=1e-12, rtol=0)
    zero = [torch.zeros_like(x) for x in a]
    assert perceptual_distance(zero, zero).tolist() == [0, 0]
    torch.testing.assert_close(perceptual_distance(a, zero), torch.full((2,), 2.0).double())


def test_other_maps_are_refused() -> None:
    for a, b in (([], []), (maps(2, 0), maps(3, 0)), (maps(2, 0), maps(2, 0)[:1])):
        with pytest.raises(DataError, match="feature maps"):
            perceptual_distance(a, b)
