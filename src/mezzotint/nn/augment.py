"""Augmentation of what a discriminator sees, so that few pictures last longer. Pure functions of tensors.

Both the real and the generated pictures go through the same function before the discriminator, with draws of their
own; gradients flow back to the pictures, twice where a penalty asks for it. All chance comes in as uniform numbers,
one row a picture, so a run can be resumed exactly and several processes see what one would.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError, DataError, suggest
from mezzotint.nn import _augmentforms as forms

DIFF_TRANSFORMS = ("colour", "translation", "cutout")
"""The parts of `diff_augment`, in the order in which they are applied."""

DIFF_COLUMNS = 7
"""Uniform numbers that `diff_augment` takes for each picture."""

ADA_GEOMETRY = ("flip", "quarter_turn", "shift", "scale", "rotation", "stretch", "fraction")
"""The geometric parts of `ada`, in the order in which they are applied ("rotation" also again after "stretch")."""

ADA_COLOUR = ("brightness", "contrast", "luma_flip", "hue", "saturation")
"""The parts of `ada` that change colours, in the order in which they are applied."""

ADA_TRANSFORMS = ADA_GEOMETRY + ADA_COLOUR
"""All parts of `ada`: the set "bgc" of the paper."""

ADA_COLUMNS = 28
"""Uniform numbers that `ada` takes for each picture, however many parts are chosen."""

DEFORM_COLUMNS = 6
"""Uniform numbers that `deform` takes for each picture."""


def diff_augment(pictures: Tensor, uniform: Tensor, transforms: Collection[str] = DIFF_TRANSFORMS) -> Tensor:
    """DiffAugment (Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738).

    Every picture is changed: brightness by up to 0.5 on the scale of [-1, 1], saturation times
    0 to 2, contrast about the picture's mean times 0.5 to 1.5; moved by whole pixels, up to an eighth of each side,
    with zeros where nothing was; and a rectangle of half of each side set to zero. Grey pictures have no saturation,
    and an alpha channel keeps its values when colours change.

    Args:
        pictures: [N, C, H, W] in [-1, 1], 1 to 4 channels: grey, grey with alpha, colour, colour with alpha.
        uniform: [N, DIFF_COLUMNS] in [0, 1).
        transforms: which of `DIFF_TRANSFORMS` to apply.

    Returns:
        [N, C, H, W] in the type and memory order of `pictures`, not clipped to [-1, 1].

    Raises:
        ConfigError: a name that is none of `DIFF_TRANSFORMS`.
        DataError: pictures of more than 4 channels.
        ValueError: `uniform` has another shape.

    Example:
        >>> pictures = torch.ones(2, 3, 32, 32)
        >>> seen = diff_augment(pictures, torch.full((2, DIFF_COLUMNS), 0.5), ["cutout"])
        >>> int((seen[0, 0] == 0).sum())
        256
    """
    _check(pictures, uniform, DIFF_COLUMNS, transforms, DIFF_TRANSFORMS)
    u = uniform.to(pictures.dtype)
    out = pictures.contiguous()  # these few passes take half the time where a channel lies in one piece
    if "colour" in transforms:
        brightness, saturation, contrast = u[:, 0] - 0.5, u[:, 1] * 2, u[:, 2] + 0.5
        mean = out[:, : forms.hues(out)].mean((1, 2, 3))
        still = torch.zeros_like(contrast)
        # Brightness moves the mean as well, so contrast leaves the brightness as it is.
        out = forms.recolour(out, contrast, contrast * saturation, still, brightness + (1 - contrast) * mean)
    if "translation" in transforms or "cutout" in transforms:
        out = forms.move_and_cut(out, u[:, 3:7], "translation" in transforms, "cutout" in transforms)
    return forms.in_order_of(pictures, out)


def ada(
    pictures: Tensor,
    p: float | Tensor,
    uniform: Tensor,
    transforms: Collection[str] = ADA_TRANSFORMS,
) -> Tensor:
    """The transformations of adaptive discriminator augmentation (Karras et al. 2020, "Training Generative Adversarial
    Networks with Limited Data", arXiv:2006.06676, appendix B), the set "bgc": each for each picture with probability p.

    With z standard normal, u uniform and W, H the sides, in this order:

        flip            left to right, in half of the cases
        quarter_turn    by 0, 90, 180 or 270 degrees; never where the picture is not square
        shift           by whole pixels, up to W/8 and H/8
        scale           times 2^(0.2 z)
        rotation        by u degrees of the full circle, with probability 1 - sqrt(1 - p)
        stretch         the width times 2^(0.2 z), the height divided by it; then rotation once more
        fraction        moved by W z/8 and H z'/8
        brightness      plus 0.2 z
        contrast        times 2^(0.5 z), about 0
        luma_flip       the mean of the channels negated, in half of the cases
        hue             turned about the grey axis by u degrees of the full circle
        saturation      times 2^z

    Geometry is one bilinear resampling, colours one linear map. The paper upsamples by a wavelet filter and filters
    on the way down; here nothing is filtered, which on small pictures costs a little sharpness instead of much time.
    The paper's padding is also by reflection, as far as the largest move needs; here it goes on without end. Grey
    pictures know brightness, contrast and luma_flip only. An alpha channel moves with the picture and keeps its values.
    The paper finds that up to p = 0.8 or so nothing of the augmentation leaks into what the generator makes.

    Args:
        pictures: [N, C, H, W] in [-1, 1], 1 to 4 channels: grey, grey with alpha, colour, colour with alpha.
        p: the probability, a number or a tensor [] or [N]; at the number 0 the pictures come back as they are.
        uniform: [N, ADA_COLUMNS] in [0, 1).
        transforms: which of `ADA_TRANSFORMS` to apply; the numbers that each takes stay the same.

    Returns:
        [N, C, H, W] in the type and memory order of `pictures`, not clipped to [-1, 1].

    Raises:
        ConfigError: a name that is none of `ADA_TRANSFORMS`, or a number p outside [0, 1].
        DataError: pictures of more than 4 channels, or with a side of one pixel.
        ValueError: `uniform` has another shape.

    Example:
        >>> pictures = torch.rand(2, 3, 16, 16) * 2 - 1
        >>> seen = ada(pictures, 0.5, torch.rand(2, ADA_COLUMNS))
        >>> seen.shape == pictures.shape, bool((ada(pictures, 0.0, torch.rand(2, ADA_COLUMNS)) == pictures).all())
        (True, True)
    """
    _check(pictures, uniform, ADA_COLUMNS, transforms, ADA_TRANSFORMS)
    if not isinstance(p, Tensor):
        if not 0 <= p <= 1:
            raise ConfigError(f"The probability of augmentation is {p}; give a number from 0 to 1.")
        if p == 0:
            return pictures
    if min(pictures.shape[2:]) < 2:
        raise DataError("Augmentation moves pictures and needs at least 2 pixels a side; give larger pictures.")
    probability = torch.as_tensor(p, dtype=pictures.dtype, device=pictures.device)
    draws = forms.Draws(uniform.to(pictures.dtype), probability, frozenset(transforms))
    linear, offset = forms.inverse_geometry(draws, *pictures.shape[2:])
    out = pictures.contiguous()
    if set(transforms) & set(ADA_GEOMETRY):
        out = forms.resample(out, linear, offset)
    if set(transforms) & set(ADA_COLOUR):
        out = forms.recolour(out, *forms.colours(draws))
    return forms.in_order_of(pictures, out)


def deform(pictures: Tensor, uniform: Tensor) -> Tensor:
    """Each picture turned, slanted, scaled and moved a little, so that it shows the same thing from elsewhere.

    Turned by up to 20 degrees either way, slanted by up to 0.3 of its height, each side times 2^-0.3 to 2^0.3, and
    moved by up to a tenth of each side; bilinear, mirrored at the outer pixels.

    Args:
        pictures: [N, C, H, W].
        uniform: [N, DEFORM_COLUMNS] in [0, 1).

    Returns:
        [N, C, H, W] in the type and memory order of `pictures`.

    Example:
        >>> pictures = torch.rand(2, 1, 16, 16)
        >>> still = deform(pictures, torch.full((2, DEFORM_COLUMNS), 0.5))
        >>> bool((still == pictures).all()), deform(pictures, torch.rand(2, DEFORM_COLUMNS)).shape == pictures.shape
        (True, True)
    """
    linear, offset = forms.small_geometry(2 * uniform.float() - 1, *pictures.shape[2:])
    return forms.in_order_of(pictures, forms.resample(pictures.contiguous(), linear, offset))


def next_probability(
    p: float,
    sign_mean: float,
    pictures_seen: int,
    *,
    target: float = 0.6,
    pictures_for_full: int = 500_000,
) -> float:
    """The probability of augmentation after one more adjustment (Karras et al. 2020, section 3.2).

    The heuristic of overfitting is r_t = E[sign(D(x))] over real pictures x: 0 where the discriminator guesses, 1 where
    it knows all of them. Above the target p rises, below it falls, at a pace that takes it from 0 to 1 in
    `pictures_for_full` pictures.

    Args:
        p: the probability so far, in [0, 1].
        sign_mean: r_t, in [-1, 1], measured since the last adjustment; D's output is a logit, positive for real.
        pictures_seen: real pictures that the discriminator saw since the last adjustment (the paper: 4 batches of 64).
        target: of r_t.
        pictures_for_full: pictures in which p goes from 0 to 1.

    Returns:
        The new p, in [0, 1]; the old one where r_t is at the target exactly or not a number.

    Example:
        >>> next_probability(0.5, sign_mean=0.9, pictures_seen=5_000)
        0.51
    """
    step = pictures_seen / pictures_for_full
    moved = p + step * ((sign_mean > target) - (sign_mean < target))
    return min(max(moved, 0.0), 1.0)


def _check(pictures: Tensor, uniform: Tensor, columns: int, chosen: Collection[str], known: tuple[str, ...]) -> None:
    for name in chosen:
        if name not in known:
            raise ConfigError(f'There is no augmentation called "{name}"; {suggest(name, known)}')
    if pictures.shape[1] > 4:
        raise DataError(f"Augmentation knows pictures of 1 to 4 channels, not {pictures.shape[1]}; switch it off.")
    if uniform.shape != (len(pictures), columns):
        raise ValueError(f"uniform has the shape {list(uniform.shape)}, not {[len(pictures), columns]}")
