"""Stacked MNIST: three digits on top of each other as colours, so that a set has 1,000 modes that can be counted.

Metz et al. (2017), "Unrolled Generative Adversarial Networks", arXiv:1611.02163, section 3.3.1, made it first; the
number of pictures is that of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and PacGAN (Lin et al. 2018,
arXiv:1712.04086): 128,000 to train with, and 26,000 to count modes among.
"""

from __future__ import annotations

import numpy as np

from mezzotint.core.rng import stream
from mezzotint.data.raw import RawArrays

TRAIN, TEST = 128_000, 26_000


def stack(digits: RawArrays, train: int = TRAIN, test: int = TEST, seed: int = 0) -> RawArrays:
    """Pictures [train + test, H, W, 3] of three digits each, drawn at random with replacement.

    Those for training are made of `digits`' training pictures, those for testing of its test pictures. Digits are drawn
    as often as they are there, so the 1,000 classes are nearly, and not quite, equally frequent.

    Args:
        digits: grey pictures [N, H, W, 1] with labels 0 to 9 and a fixed test part.
        train, test: how many to make; the first ones do not depend on these.
        seed: of the choice.

    Returns:
        The class is the number: hundreds in red, tens in green, ones in blue, "000" to "999".
    """
    assert digits.labels is not None
    assert digits.fixed_splits is not None
    chosen = []
    for part, count in (("train", train), ("test", test)):
        rows = digits.fixed_splits[part]
        chosen.append(rows[stream(seed, "stacked", part).integers(0, len(rows), (count, 3))])
    picks = np.concatenate(chosen)
    count, (height, width) = len(picks), digits.pictures.shape[1:3]
    pictures = np.empty((count, height, width, 3), digits.pictures.dtype)
    for channel in range(3):
        pictures[..., channel] = digits.pictures[picks[:, channel], ..., 0]
    names = [f"{part}/{i:06d}" for part, many in (("train", train), ("test", test)) for i in range(many)]
    return RawArrays(
        pictures,
        digits.labels[picks] @ np.array([100, 10, 1]),
        tuple(f"{number:03d}" for number in range(1000)),
        tuple(names),
        fixed_splits={"train": np.arange(train), "test": np.arange(train, count)},
    )
