"""Every extractor keeps the contract."""

from __future__ import annotations

import pytest
import torch

from mezzotint.core.errors import ConfigError, DataError
from mezzotint.metrics.extractor import EXTRACTORS, to_rgb

OPEN = [name for name in EXTRACTORS.names() if EXTRACTORS.get(name).weights is None]


def noise(n: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", OPEN)
def test_a_picture_has_the_same_features_in_any_batch(name: str) -> None:
    extractor = EXTRACTORS.get(name).open()
    pictures = noise(7, 3, 40, 24)
    whole = extractor(pictures)
    for batch in (1, 3):
        parts = [extractor(x) for x in pictures.split(batch)]
        torch.testing.assert_close(torch.cat([p.features for p in parts]), whole.features, rtol=1e-5, atol=1e-5)
        for k, layer in enumerate(whole.maps):
            torch.testing.assert_close(torch.cat([p.maps[k] for p in parts]), layer, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 8, 8), (3, 65, 33), (4, 16, 16), (3, 1, 1)])
def test_shapes_and_names(name: str, shape: tuple[int, int, int]) -> None:
    cls = EXTRACTORS.get(name)
    extractor = cls.open()
    got = extractor(noise(2, *shape))
    assert got.features.dtype == torch.float32
    assert got.features.shape == (2, extractor.dims or got.features.shape[1])
    assert not got.features.requires_grad
    assert cls.name == name
    assert ("FID" in cls.title) == (name == "inception-v3-fid")
    assert len(extractor.digest) == 64
    assert extractor.digest == cls.open().digest


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize(
    "pictures", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(1, 5, 8, 8).byte()]
)
def test_what_is_no_picture_is_refused(name: str, pictures: torch.Tensor) -> None:
    with pytest.raises(DataError, match="uint8 pictures"):
        EXTRACTORS.get(name).open()(pictures)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "pixels"'):
        EXTRACTORS.get("pixel")


def test_pixels_are_pixels() -> None:
    pictures = noise(3, 3, 8, 8)
    got = EXTRACTORS.get("pixels").open()(pictures).features
    torch.testing.assert_close(got, pictures.flatten(1).float() / 255)


def test_transparent_is_white_and_opaque_is_itself() -> None:
    picture = torch.tensor([10, 20, 30, 255], dtype=torch.uint8).view(1, 4, 1, 1)
    assert to_rgb(picture).flatten().tolist() == [10, 20, 30]
    picture[:, 3] = 0
    assert to_rgb(picture).flatten().tolist() == [255, 255, 255]
