"""PSNR: against its closed form, against torchmetrics, and at the edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.core.errors import DataError
from mezzotint.metrics.pixel import psnr


@given(st.floats(1e-6, 2), st.floats(0.5, 255))
def test_psnr_of_a_constant_difference(difference: float, top: float) -> None:
    a = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
    assert psnr(a, a + difference, top).item() == pytest.approx(20 * math.log10(top / difference), abs=1e-9)


def test_psnr_agrees_with_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional.image")
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(5, 3, 9, 7, generator=generator) * 2 - 1 for _ in range(2))
    theirs = functional.peak_signal_noise_ratio(a.double(), b.double(), data_range=2.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(a, b), theirs, rtol=1e-6, atol=0)  # theirs takes the log of the range in float32


def test_psnr_is_one_number_a_picture_in_float64() -> None:
    a = torch.zeros(3, 1, 2, 2)
    b = a.clone()
    b[1] += 0.5
    got = psnr(a, b)
    assert got.dtype == torch.float64
    assert got.shape == (3,)
    assert got[0] == got[2] == math.inf
    assert got[1].item() == pytest.approx(10 * math.log10(16))


def test_psnr_of_bytes_does_not_wrap_around() -> None:
    a = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    b = torch.full_like(a, 255)
    assert psnr(a, b, top=255).item() == psnr(b, a, top=255).item() == 0


def test_psnr_of_nothing_and_of_nan() -> None:
    assert psnr(torch.zeros(0, 1, 2, 2), torch.zeros(0, 1, 2, 2)).shape == (0,)
    broken = torch.full((1, 1, 2, 2), math.nan)
    assert psnr(broken, torch.zeros(1, 1, 2, 2)).isnan().all()


@pytest.mark.parametrize(
    ("one", "other"),
    [((1, 1, 2, 2), (1, 1, 2, 3)), ((2, 1, 2, 2), (1, 1, 2, 2)), ((4, 4), (4, 4)), ((1, 0, 2, 2),) * 2],
)
def test_psnr_refuses_other_shapes(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="one shape"):
        psnr(torch.zeros(one), torch.zeros(other))


@pytest.mark.parametrize("top", [0.0, -1.0, math.nan])
def test_psnr_refuses_an_impossible_range(top: float) -> None:
    a = torch.zeros(1, 1, 2, 2)
    with pytest.raises(DataError, match="above 0"):
        psnr(a, a, top)
