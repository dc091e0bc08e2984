"""Augmentation: each part alone against NumPy and closed forms, and what training needs of the whole."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import binomtest
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mezzotint.core.errors import ConfigError, DataError
from mezzotint.nn.augment import (
    ADA_COLOUR,
    ADA_COLUMNS,
    ADA_GEOMETRY,
    ADA_TRANSFORMS,
    DEFORM_COLUMNS,
    DIFF_COLUMNS,
    DIFF_TRANSFORMS,
    ada,
    deform,
    diff_augment,
    next_probability,
)

HALF = 0.5  # as a uniform number: no event at p < 0.5, no move, the median of a normal number, which is 0
COLUMN = {  # the gate of each part; its own numbers follow
    "flip": 0, "quarter_turn": 2, "shift": 4, "scale": 7, "rotation": 9, "stretch": 11, "rotation_again": 13,
    "fraction": 15, "brightness": 18, "contrast": 20, "luma_flip": 22, "hue": 24, "saturation": 26,
}  # fmt: skip


def pictures_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def numbers(rows: int, columns: int, seed: int = 1) -> Tensor:
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed))


def one_part(name: str, *own: float, rows: int = 2) -> Tensor:
    """Uniform numbers by which at p = 0.5 this part happens with these numbers and nothing else does."""
    uniform = torch.full((rows, ADA_COLUMNS), HALF)
    uniform[:, COLUMN[name]] = 0.0
    for i, value in enumerate(own):
        uniform[:, COLUMN[name] + 1 + i] = value
    return uniform


def normal_as_uniform(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def resampled(x: Tensor, back: np.ndarray, move: tuple[float, float] = (0, 0)) -> Tensor:
    """SciPy's bilinear resampling, mirrored at the outer pixels; `back` maps (y, x) from the centre to their source."""
    centre = (np.array(x.shape[2:]) - 1) / 2
    offset = centre - back @ centre - np.array(move)
    planes = [
        ndimage.affine_transform(plane, back, offset, order=1, mode="mirror") for plane in x.flatten(0, 1).numpy()
    ]
    return torch.from_numpy(np.stack(planes)).view(x.shape)


# --- geometry of ada -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 2, 9, 12), (2, 3, 32, 20), (2, 4, 16, 16)])
def test_flip(shape: tuple[int, ...]) -> None:
    x = pictures_of(*shape)
    torch.testing.assert_close(ada(x, 0.5, one_part("flip", 0.2)), x.flip(3), rtol=0, atol=1e-5)
    assert torch.equal(ada(x, 0.5, one_part("flip", 0.7)), x)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns(quarters: int) -> None:
    uniform = one_part("quarter_turn", quarters / 4 + 0.1)
    x = pictures_of(2, 3, 11, 11)
    torch.testing.assert_close(ada(x, 0.5, uniform), x.rot90(quarters, (2, 3)), rtol=0, atol=1e-5)
    oblong = pictures_of(2, 3, 11, 16)
    assert torch.equal(ada(oblong, 0.5, uniform), oblong)


@pytest.mark.parametrize(("u_x", "u_y"), [(0.0, 0.999), (0.9, 0.5), (0.3, 0.1)])
def test_shift_is_by_whole_pixels_and_mirrors(u_x: float, u_y: float) -> None:
    x = pictures_of(2, 3, 24, 32)
    right, down = round((2 * u_x - 1) * 32 / 8), round((2 * u_y - 1) * 24 / 8)
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), (8, 8), (8, 8)), mode="reflect")
    want = np.roll(wide, (down, right), (2, 3))[:, :, 8:-8, 8:-8]
    got = ada(x, 0.5, one_part("shift", u_x, u_y))
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 3, 21, 12)])
@pytest.mark.parametrize("z", [-1.3, 0.8])
def test_scale_stretch_and_fraction(shape: tuple[int, ...], z: float) -> None:
    x, u, factor = pictures_of(*shape), normal_as_uniform(z), 2 ** (0.2 * z)
    close: Callable[[Tensor, Tensor], None] = lambda got, want: torch.testing.assert_close(got, want, rtol=0, atol=1e-4)  # noqa: E731
    close(ada(x, 0.5, one_part("scale", u)), resampled(x, np.diag([factor, factor])))
    close(ada(x, 0.5, one_part("stretch", u)), resampled(x, np.diag([1 / factor, factor])))
    moves = (z * shape[2] / 8, -z * shape[3] / 8)
    close(ada(x, 0.5, one_part("fraction", 1 - u, u)), resampled(x, np.eye(2), moves))


@pytest.mark.parametrize("which", ["rotation", "rotation_again"])
def test_rotation_keeps_the_shape_of_things_in_an_oblong_picture(which: str) -> None:
    x, angle = pictures_of(2, 3, 16, 24), 2 * math.pi * 0.15
    back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    torch.testing.assert_close(ada(x, 0.5, one_part(which, 0.15)), resampled(x, back), rtol=0, atol=1e-4)


def test_several_parts_are_one_resampling_in_the_stated_order() -> None:
    """A flip first and a turn after it; the other order would give another picture."""
    x = pictures_of(2, 3, 16, 16)
    both = torch.minimum(one_part("flip", 0.2), one_part("quarter_turn", 0.3))
    torch.testing.assert_close(ada(x, 0.5, both), x.flip(3).rot90(1, (2, 3)), rtol=0, atol=1e-5)
    both[:, COLUMN["shift"] : COLUMN["shift"] + 3] = torch.tensor([0.0, 1.0, 0.5])
    want = np.pad(x.flip(3).rot90(1, (2, 3)).numpy(), ((0, 0), (0, 0), (0, 0), (2, 0)), mode="reflect")[..., :16]
    np.testing.assert_allclose(ada(x, 0.5, both).numpy(), want, rtol=0, atol=1e-5)


# --- colours of ada --------------------------------------------------------------------------------------------


def colour_map(name: str, value: float) -> np.ndarray:
    """The 4 x 4 matrices of the paper's appendix B; Rodrigues' formula for the hue."""
    v = np.array([1.0, 1, 1]) / math.sqrt(3)
    out = np.eye(4)
    if name == "brightness":
        out[:3, 3] = 0.2 * value
    elif name == "contrast":
        out[:3, :3] *= 2 ** (0.5 * value)
    elif name == "luma_flip":
        out[:3, :3] -= 2 * np.outer(v, v)
    elif name == "hue":
        cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
        out[:3, :3] += math.sin(value) * cross + (1 - math.cos(value)) * cross @ cross
    else:
        out[:3, :3] = np.outer(v, v) + 2**value * (np.eye(3) - np.outer(v, v))
    return out


PARTS = [
    ("brightness", 1.1, normal_as_uniform(1.1)),
    ("contrast", -0.7, normal_as_uniform(-0.7)),
    ("luma_flip", 0.0, 0.1),
    ("hue", 2 * math.pi * 0.3, 0.3),
    ("saturation", 0.9, normal_as_uniform(0.9)),
]


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_alone_and_together(channels: int) -> None:
    x = pictures_of(2, channels, 8, 9)
    together, uniform = np.eye(4), torch.full((2, ADA_COLUMNS), HALF)
    for name, value, u in PARTS:
        own = one_part(name, u)
        uniform[:, COLUMN[name] : COLUMN[name] + 2] = own[:, COLUMN[name] : COLUMN[name] + 2]
        together = colour_map(name, value) @ together
        for matrix, given in ((colour_map(name, value), own), (together, uniform)):
            want = np.einsum("ij,njhw->nihw", matrix[:3, :3], x[:, :3].numpy()) + matrix[:3, 3][:, None, None]
            got = ada(x, 0.5, given)
            np.testing.assert_allclose(got[:, :3].numpy(), want, rtol=0, atol=1e-5, err_msg=name)
            assert torch.equal(got[:, 3:], x[:, 3:])


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_knows_brightness_contrast_and_luma_flip(channels: int) -> None:
    x = pictures_of(2, channels, 8, 9)
    wants = {"brightness": x + 0.22, "contrast": x * 2**-0.35, "luma_flip": -x, "hue": x, "saturation": x}
    for name, _, u in PARTS:
        got = ada(x, 0.5, one_part(name, u))
        torch.testing.assert_close(got[:, :1], wants[name][:, :1], rtol=0, atol=1e-5)
        assert torch.equal(got[:, 1:], x[:, 1:])


# --- ada as a whole --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, torch.zeros(()), torch.zeros(5)])
def test_p_of_zero_is_the_identity(p: float | Tensor) -> None:
    x = pictures_of(5, 3, 13, 8)
    assert torch.equal(ada(x, p, torch.zeros(5, ADA_COLUMNS)), x)


def test_extreme_uniform_numbers_stay_finite() -> None:
    x = pictures_of(2, 3, 8, 8)
    for value in (0.0, 1 - 2.0**-24):
        for p in (torch.ones(2), 1.0):
            assert torch.isfinite(ada(x, p, torch.full((2, ADA_COLUMNS), value))).all()


@pytest.mark.parametrize("name", ADA_TRANSFORMS)
def test_share_of_touched_pictures(name: str) -> None:
    """Each part changes pictures with probability p, less the cases where a flip or a turn draws "as it is"."""
    n, p = 4000, 0.3
    # A shift is one pixel at most here; |u| < 1/2 rounds to none, along both sides in a quarter of the cases.
    share = p * {"flip": 0.5, "quarter_turn": 0.75, "luma_flip": 0.5, "shift": 0.75}.get(name, 1.0)
    x = pictures_of(1, 3, 8, 8).expand(n, -1, -1, -1)
    touched = ((ada(x, p, numbers(n, ADA_COLUMNS), [name]) - x).abs().amax((1, 2, 3)) > 1e-6).sum().item()
    assert binomtest(int(touched), n, share).pvalue > 1e-4


def test_parts_happen_independently_and_to_the_probability_of_each_picture() -> None:
    n = 4000
    x = pictures_of(1, 3, 8, 8).expand(n, -1, -1, -1)
    p = torch.tensor([0.0, 0.2, 1.0]).repeat(n)[:n]
    changed = (ada(x, p, numbers(n, ADA_COLUMNS), ["scale", "contrast"]) - x).abs().amax((1, 2, 3)) > 1e-6
    assert not changed[p == 0].any()
    assert changed[p == 1].all()
    some = changed[p == 0.2]
    assert binomtest(int(some.sum()), len(some), 1 - 0.8**2).pvalue > 1e-4


# --- DiffAugment -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_diff_colour_is_brightness_then_saturation_then_contrast(channels: int) -> None:
    x, u = pictures_of(3, channels, 8, 12), numbers(3, DIFF_COLUMNS)
    want = x.numpy().astype(np.float64)
    colour = want[:, :3] if channels >= 3 else want[:, :1]
    brightness, saturation, contrast = (u[:, i].numpy()[:, None, None, None] for i in range(3))
    colour = colour + brightness - 0.5
    grey = colour.mean(1, keepdims=True)
    colour = (colour - grey) * (2 * saturation) + grey
    mean = colour.mean((1, 2, 3), keepdims=True)
    colour = (colour - mean) * (contrast + 0.5) + mean
    got = diff_augment(x, u, ["colour"])
    np.testing.assert_allclose(got[:, : colour.shape[1]].numpy(), colour, rtol=0, atol=1e-5)
    assert torch.equal(got[:, colour.shape[1] :], x[:, colour.shape[1] :])


def test_diff_translation_pads_with_zeros_and_reaches_an_eighth() -> None:
    x = pictures_of(400, 2, 16, 24)
    got, seen = diff_augment(x, numbers(400, DIFF_COLUMNS), ["translation"]), set()
    for i in range(400):
        padded = torch.nn.functional.pad(x[i], (3, 3, 2, 2))
        fits = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-3, 4)
            if torch.equal(got[i], padded[:, 2 - dy : 18 - dy, 3 - dx : 27 - dx])
        ]
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) == 5 * 7


@pytest.mark.parametrize("shape", [(300, 3, 16, 24), (300, 1, 9, 8)])
def test_diff_cutout_is_a_rectangle_of_zeros_of_half_a_side(shape: tuple[int, ...]) -> None:
    x = pictures_of(*shape).abs() + 0.1
    got = diff_augment(x, numbers(300, DIFF_COLUMNS), ["cutout"])
    hole = [int(side / 2 + 0.5) for side in shape[2:]]
    sizes = set()
    for before, after in zip(x, got, strict=True):
        zero = (after == 0).all(0)
        rows, columns = zero.any(1).nonzero(), zero.any(0).nonzero()
        height, width = (int(at.max() - at.min()) + 1 for at in (rows, columns))
        assert int(zero.sum()) == height * width
        assert torch.equal(after[:, ~zero], before[:, ~zero])
        sizes.add((height, width))
    assert max(size[0] for size in sizes) == hole[0]
    assert max(size[1] for size in sizes) == hole[1]
    assert min(size[0] for size in sizes) == (hole[0] + 1) // 2  # its centre is at the border at most


def test_diff_augment_moves_before_it_cuts() -> None:
    x, u = pictures_of(4, 3, 16, 16), numbers(4, DIFF_COLUMNS)
    steps = x
    for name in DIFF_TRANSFORMS:
        steps = diff_augment(steps, u, [name])
    torch.testing.assert_close(diff_augment(x, u), steps)


# --- what training needs ---------------------------------------------------------------------------------------

AUGMENTS = {
    "diff": (diff_augment, DIFF_COLUMNS),
    "ada": (lambda x, u: ada(x, 0.8, u), ADA_COLUMNS),
}


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("shape", [(3, 1, 4, 3), (2, 4, 3, 3)])
def test_gradients_once_and_twice(name: str, shape: tuple[int, ...]) -> None:
    augment, columns = AUGMENTS[name]
    x, u = pictures_of(*shape).double().requires_grad_(), numbers(shape[0], columns).double()
    assert gradcheck(lambda x: augment(x, u), (x,), fast_mode=True)
    assert gradgradcheck(lambda x: augment(x, u), (x,), fast_mode=True)


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_r1_through_augmentation(name: str, layout: torch.memory_format) -> None:
    """For a linear critic w the penalty |A^T w|^2 has the gradient 2 A A^T w, which needs no second derivative."""
    augment, columns = AUGMENTS[name]
    u = numbers(6, columns)
    x = pictures_of(6, 3, 16, 16).to(memory_format=layout).requires_grad_()
    w = pictures_of(6, 3, 16, 16, seed=3).requires_grad_()
    (by_picture,) = torch.autograd.grad((w * augment(x, u)).sum(), x, create_graph=True)
    (got,) = torch.autograd.grad(by_picture.square().sum(), w)
    with torch.no_grad():
        want = 2 * (augment(by_picture, u) - augment(torch.zeros_like(x), u))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_depends_on_its_own_numbers_alone(name: str, channels: int) -> None:
    augment, columns = AUGMENTS[name]
    x, u = pictures_of(37, channels, 12, 16), numbers(37, columns)
    whole = augment(x, u)
    assert torch.equal(whole, augment(x.clone(), u.clone()))
    for start, stop in ((0, 1), (3, 4), (36, 37), (5, 22), (20, 37)):
        part = augment(x[start:stop], u[start:stop])
        # to rounding: with AVX512 torch computes the last few numbers of a tensor by other instructions
        torch.testing.assert_close(whole[start:stop], part, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (3, 2, 8, 256), (3, 3, 33, 20), (3, 4, 9, 9)])
def test_layout_type_and_input_are_kept(name: str, shape: tuple[int, ...]) -> None:
    augment, columns = AUGMENTS[name]
    u = numbers(3, columns)
    plain = pictures_of(*shape)
    last = plain.to(memory_format=torch.channels_last)
    before = plain.clone()
    got, turned = augment(plain, u), augment(last, u)
    assert got.shape == plain.shape
    assert got.dtype == torch.float32
    assert got.is_contiguous()
    assert turned.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, before)
    assert torch.equal(got, turned)


@pytest.mark.parametrize("name", AUGMENTS)
def test_autocast_does_not_round_pictures(name: str) -> None:
    augment, columns = AUGMENTS[name]
    u, grads = numbers(3, columns), []
    for enabled in (False, True):
        x = pictures_of(3, 3, 16, 16).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = augment(x, u)
            grads.append((out.detach(), *torch.autograd.grad(out.square().sum(), x)))
    for plain, cast in zip(*grads, strict=True):
        assert torch.equal(plain, cast)


def test_bad_input_is_one_sentence() -> None:
    x = pictures_of(2, 3, 8, 8)
    with pytest.raises(ConfigError, match=r'"hues".*"hue"'):
        ada(x, 0.5, numbers(2, ADA_COLUMNS), ["hues"])
    with pytest.raises(ConfigError, match="cutout"):
        diff_augment(x, numbers(2, DIFF_COLUMNS), ["cutuot"])
    with pytest.raises(ConfigError, match="from 0 to 1"):
        ada(x, 1.5, numbers(2, ADA_COLUMNS))
    with pytest.raises(ConfigError, match="from 0 to 1"):
        ada(x, math.nan, numbers(2, ADA_COLUMNS))
    with pytest.raises(DataError, match="channels"):
        diff_augment(pictures_of(2, 5, 8, 8), numbers(2, DIFF_COLUMNS))
    with pytest.raises(DataError, match="2 pixels"):
        ada(pictures_of(2, 3, 8, 1), 0.5, numbers(2, ADA_COLUMNS))
    with pytest.raises(ValueError, match=r"\[2, 7\].*\[2, 28\]"):
        ada(x, 0.5, numbers(2, DIFF_COLUMNS))
    assert set(ADA_GEOMETRY) | set(ADA_COLOUR) == set(ADA_TRANSFORMS)


# --- the controller --------------------------------------------------------------------------------------------


def test_controller_goes_from_none_to_all_in_the_stated_pictures_and_stays_in_bounds() -> None:
    p, seen = 0.0, 0
    while p < 1:
        p = next_probability(p, 0.9, 256)
        seen += 256
    assert abs(seen - 500_000) <= 256
    assert next_probability(p, 0.9, 256) == 1
    assert next_probability(1.0, 0.1, 250_000) == 0.5
    assert next_probability(0.0, -1.0, 256) == 0
    assert next_probability(0.4, 0.6, 256) == 0.4
    assert next_probability(0.4, math.nan, 256) == 0.4
    assert next_probability(0.5, 0.55, 100, target=0.5, pictures_for_full=1000) == 0.6


def test_controller_settles_where_the_discriminator_meets_the_target() -> None:
    """A discriminator that knows less the more is augmented, r = 1 - p, is held at r = 0.6."""
    p = 0.0
    for _ in range(2000):
        p = next_probability(p, 1 - p, 256)
    assert abs(p - 0.4) <= 256 / 500_000


def test_small_deformations_move_what_they_say() -> None:
    """A point, seen through each of the six numbers alone, lies where the stated map puts it."""
    picture = torch.zeros(1, 1, 41, 41)
    picture[0, 0, 20, 28] = 1  # 8 to the right of the centre

    def centre(column: int, value: float) -> tuple[float, float]:
        u = torch.full((1, DEFORM_COLUMNS), 0.5)
        u[0, column] = value
        seen = deform(picture, u)[0, 0]
        mass = seen / seen.sum()
        place = torch.arange(41.0) - 20
        return float((mass.sum(0) * place).sum()), float((mass.sum(1) * place).sum())

    angle = math.radians(20)
    assert centre(0, 0.0) == pytest.approx((8 * math.cos(angle), 8 * math.sin(angle)), abs=0.2)
    assert centre(1, 1.0) == pytest.approx((8, 0), abs=0.2)  # a slant moves nothing in the middle row
    assert centre(2, 0.0) == pytest.approx((8 * 2**0.3, 0), abs=0.2)
    assert centre(3, 0.0) == pytest.approx((8, 0), abs=0.2)
    assert centre(4, 0.0) == pytest.approx((8 + 4.1, 0), abs=0.2)
    assert centre(5, 1.0) == pytest.approx((8, -4.1), abs=0.2)
