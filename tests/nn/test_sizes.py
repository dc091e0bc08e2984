"""Halving a picture and doubling it again, for every size."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from mezzotint.nn.sizes import cut, even, resolutions


@pytest.mark.parametrize("other", [8, 61, 256])
def test_every_step_is_a_doubling_that_can_be_cut(other: int) -> None:
    for side in range(8, 257):
        for height, width in ((side, other), (other, side), (side, side)):
            found = resolutions(height, width)
            assert found[-1] == (height, width)
            assert 3 <= min(found[0]) <= 6, "the smallest layer has about four pixels"
            for small, large in pairwise(found):
                assert all(2 * a - b in (0, 1) for a, b in zip(small, large, strict=True)), (height, width)


def test_even_and_cut_are_inverse() -> None:
    x = torch.rand(1, 2, 5, 6)
    assert even(x).shape == (1, 2, 6, 6)
    assert torch.equal(cut(even(x), (5, 6)), x)
