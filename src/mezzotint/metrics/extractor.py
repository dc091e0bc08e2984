"""What turns pictures into features, from which scores are computed. An extractor is a plug: one file."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from mezzotint.core.errors import DataError
from mezzotint.core.registry import Registry

EXTRACTORS: Registry[type[Extractor]] = Registry(
    "extractor", package="mezzotint.metrics.extractors", group="mezzotint.extractors"
)


@dataclass(frozen=True)
class Weights:
    """A file of other people's that may be downloaded.

    Attributes:
        url: the official address.
        sha256: of the whole file, hex.
        bytes: its length.
        licence: shown before the download.
        file: the name under which it is looked for and kept.
    """

    url: str
    sha256: str
    bytes: int
    licence: str
    file: str


@dataclass(frozen=True)
class Output:
    """What an extractor says of N pictures.

    Attributes:
        features: [N, D] float32.
        logits: [N, K] float32, for the inception score and for classification; None where there are no classes.
        maps: feature maps, each [N, C_i, H_i, W_i] float32, for the LPIPS-style distance; () where there are none.
    """

    features: Tensor
    logits: Tensor | None = None
    maps: tuple[Tensor, ...] = ()


class Extractor(ABC):
    """The base of all extractors.

    Attributes:
        name: what a person calls it.
        title: what the Fréchet distance with it is called: "FID" for the standard Inception alone.
        resizer: how pictures are brought to its size, in words.
        weights: the file to download, or None.
        dims: the number of features; 0 where it depends on the pictures.
        digest: SHA-256 of the weights (of the settings, where there are none).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    resizer: ClassVar[str]
    weights: ClassVar[Weights | None] = None
    dims: int
    digest: str

    @classmethod
    @abstractmethod
    def open(cls, path: Path | None = None) -> Extractor:
        """Ready to use.

        Args:
            path: the file of `weights`, for an extractor that has one.
        """

    @abstractmethod
    def extract(self, pictures: Tensor) -> Output:
        """What it says of uint8 pictures [N, C, H, W] that have been checked; called without gradients."""

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Output:
        """What it says of pictures; the same for any batch size.

        Args:
            pictures: uint8 [N, C, H, W] in 0..255, C from 1 to 4 (2 and 4: the last is alpha).

        Raises:
            DataError: they are something else.
        """
        if pictures.dtype != torch.uint8 or pictures.dim() != 4 or not 1 <= pictures.shape[1] <= 4:
            raise DataError(
                f"Features are taken of uint8 pictures [N, C, H, W] with 1 to 4 channels; got {pictures.dtype} "
                f"{list(pictures.shape)}."
            )
        if not pictures.shape[2:].numel():
            raise DataError(f"Features are taken of pictures with at least one pixel; got {list(pictures.shape)}.")
        return self.extract(pictures)


E = TypeVar("E", bound=type[Extractor])


def register(cls: E) -> E:
    """Class decorator: make an extractor known by its `name`.

    Raises:
        ConfigError: the name is taken.
    """
    EXTRACTORS.add(cls.name, cls)
    return cls


def to_rgb(pictures: Tensor) -> Tensor:
    """uint8 [N, 1..4, H, W] as [N, 3, H, W]: grey is repeated, and what is transparent is laid on white.

    Example:
        >>> to_rgb(torch.tensor([0, 51], dtype=torch.uint8).view(1, 2, 1, 1)).flatten().tolist()
        [204, 204, 204]
    """
    channels = pictures.shape[1]
    if channels in (2, 4):
        alpha = pictures[:, -1:].int()
        # Rounded as Pillow rounds when it pastes one picture on another.
        pictures = ((pictures[:, :-1].int() * alpha + 255 * (255 - alpha) + 127) // 255).to(torch.uint8)
    return pictures.expand(-1, 3, -1, -1) if pictures.shape[1] == 1 else pictures


def settings_digest(settings: dict[str, Any]) -> str:
    """SHA-256 of settings, for an extractor that has no file of weights."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
