"""SSIM and MS-SSIM against torchmetrics, and at their ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import structural_similarity_index_measure

from mezzotint.core.errors import DataError
from mezzotint.metrics.ssim import WEIGHTS, ms_ssim, pair_up, scale_note, scales, ssim


def pictures(n: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth noise in 0..255, so that neighbouring pixels are alike."""
    noise = torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    return ((smooth - 0.3) * 600).clamp(0, 255).to(torch.uint8)


def damaged(x: torch.Tensor, by: float = 20.0) -> torch.Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(9))
    return (x.float() + by * noise).clamp(0, 255).to(torch.uint8)


def inside(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SSIM and contrast by torchmetrics, where the window lies inside (it also counts the mirrored border)."""
    whole = structural_similarity_index_measure(x, y, data_range=255.0, reduction="none", return_full_image=True)
    contrast = structural_similarity_index_measure(
        x, y, data_range=255.0, reduction="none", return_contrast_sensitivity=True
    )
    return whole[1][..., 5:-5, 5:-5].mean((1, 2, 3)), contrast[1]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 40), (2, 11, 12)])
def test_ssim_against_torchmetrics(shape: tuple[int, int, int]) -> None:
    a = pictures(3, *shape)
    b = damaged(a)
    torch.testing.assert_close(ssim(a, b), inside(a.double(), b.double())[0], rtol=1e-6, atol=1e-9)
    assert (ssim(a, b) < ssim(a, damaged(a, 5.0))).all()


def test_ssim_against_scipy() -> None:
    """The published formula with scipy's Gaussian filter, whose window is the same at truncate = 3.5."""
    a = pictures(1, 1, 20, 24)
    x, y = (each[0, 0].double().numpy() for each in (a, damaged(a)))

    def smooth(picture: np.ndarray) -> np.ndarray:
        return gaussian_filter(picture, 1.5, truncate=3.5)[5:-5, 5:-5]

    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(a, damaged(a)).item() == pytest.approx(expected.mean(), rel=1e-6)


@pytest.mark.parametrize(("side", "count"), [(16, 1), (28, 2), (64, 3), (96, 4), (180, 5)])
def test_ms_ssim_against_torchmetrics_scale_by_scale(side: int, count: int) -> None:
    a = pictures(2, 1, side, side)
    x, y = a.double(), damaged(a).double()
    found = ms_ssim(x, y)
    assert scales(side, side) == count
    weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
    expected = torch.ones(2, dtype=torch.float64)
    for scale in range(count):
        both, contrast = inside(x, y)
        expected = expected * (both if scale == count - 1 else contrast) ** weights[scale]
        x, y = (torch.nn.functional.avg_pool2d(each, 2) for each in (x, y))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_equal_and_opposite_pictures() -> None:
    a = pictures(2, 3, 48, 48)
    torch.testing.assert_close(ssim(a, a), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(ms_ssim(a, a), torch.ones(2, dtype=torch.float64))
    assert (ssim(a, 255 - a) < 0).all()
    assert (ms_ssim(a, 255 - a) == 0).all()


def test_ranges_are_told_apart() -> None:
    a = pictures(2, 1, 24, 24)
    b = damaged(a)
    scaled = [x.double() / 127.5 - 1 for x in (a, b)]
    # The constants go with the range, the means do not: only structure is the same.
    assert ssim(*scaled, top=2.0).shape == (2,)
    zero_based = [x.double() / 255 for x in (a, b)]
    torch.testing.assert_close(ssim(*zero_based, top=1.0), ssim(a, b), rtol=1e-9, atol=1e-12)


def test_a_flat_picture_is_no_division_by_zero() -> None:
    a = torch.zeros(1, 1, 16, 16)
    assert ssim(a, a).item() == 1
    assert 0 < ssim(a, a + 255).item() < 1e-3


def test_scales_and_what_is_said_of_them() -> None:
    assert [scales(n, 500) for n in (10, 11, 21, 22, 43, 44, 87, 88, 175, 176)] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert scale_note(176, 200) == ""
    assert "2 of its 5 scales" in scale_note(28, 28)


def test_pairs_are_disjoint() -> None:
    a, b = pair_up(torch.arange(7).view(7, 1, 1, 1))
    assert sorted([*a.flatten().tolist(), *b.flatten().tolist()]) == list(range(6))


def test_what_cannot_be_is_refused() -> None:
    small, a = torch.zeros(1, 1, 10, 30), torch.zeros(1, 1, 12, 12)
    for function in (ssim, ms_ssim):
        with pytest.raises(DataError, match=r"at least 11 x 11 pixels.*got 10 x 30"):
            function(small, small)
        with pytest.raises(DataError, match="one shape"):
            function(a, a[:, :, :11])
        with pytest.raises(DataError, match="above 0"):
            function(a, a, 0.0)
