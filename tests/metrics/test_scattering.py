"""The scattering transform beside Kymatio's numbers, and what has to hold of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mezzotint.metrics.extractor import EXTRACTORS
from mezzotint.metrics.scattering import Scattering

GOLDEN = Path(__file__).parents[1] / "golden" / "scattering.json"


def test_numbers_are_those_of_kymatio() -> None:
    """Kymatio 0.3.0, Scattering2D(J=3, L=6) of a picture with a wave, a chirp and an edge."""
    r, c = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    x = 0.5 + 0.3 * torch.sin(0.9 * r + 0.4 * c) * torch.cos(0.02 * r * c) + 0.2 * ((c > 20) & (r < 17))
    found = Scattering(32, 48, angles=6)(x[None])[0]
    wanted = json.loads(GOLDEN.read_text())
    assert found.shape == (127, 4, 6)
    torch.testing.assert_close(found.sum((1, 2)), torch.tensor(wanted["sums"]), atol=2e-4, rtol=1e-4)
    rows = found[[0, 1, 7, 20, 40, 126], 1]
    torch.testing.assert_close(rows, torch.tensor(wanted["last"]), atol=1e-5, rtol=1e-4)


def test_a_flat_picture_has_its_value_and_nothing_else() -> None:
    found = Scattering(16, 24, scales=2)(torch.full((2, 16, 24), 0.7))
    torch.testing.assert_close(found[:, 0], torch.full((2, 4, 6), 0.7))
    assert found[:, 1:].abs().max() < 1e-5


def test_turning_a_picture_turns_angles() -> None:
    """A quarter turn moves what is at one angle to the angle a quarter further."""
    x = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    transform = Scattering(32, 32)
    one, turned = (transform(each)[0, 1:25].unflatten(0, (3, 8)) for each in (x, x.rot90(dims=(1, 2))))
    moved = one.roll(4, 1).rot90(dims=(2, 3))
    # places are every eighth pixel from the first on, so those of the turned picture lie seven pixels off
    torch.testing.assert_close(moved.mean((2, 3)), turned.mean((2, 3)), atol=0.01, rtol=0.1)


@pytest.mark.parametrize("size", [(8, 32), (33, 32)])
def test_sizes_that_do_not_divide_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        Scattering(*size)


def test_as_features_brightness_counts_little_and_places_count() -> None:
    extractor = EXTRACTORS.get("scattering").open()
    x = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    x[0, :, 4:10, 4:10], x[1, :, 4:10, 4:10], x[2, :, 18:24, 18:24] = 240, 120, 240
    features = extractor(x).features
    assert features.shape == (3, extractor.dims)
    same, moved = (features[0] - features[1]).norm(), (features[0] - features[2]).norm()
    assert same < 0.1 * moved
    torch.testing.assert_close(extractor(x[1:2]).features[0], features[1])
