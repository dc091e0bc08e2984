"""What the data layer hands to everything above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from mezzotint.core.config import Config, option
from mezzotint.data.meaning import PICTURES, Meaning

Fit = Literal["crop", "pad", "stretch"]
Mode = Literal["auto", "grey", "rgb", "rgba"]
SPLITS = ("train", "validation", "test")
NARROWED = "animated, CMYK, PPM or TIFF in compressed planes"
"""Of which pictures of 16 bits a channel only 8 are read."""


class DataConfig(Config):
    """How pictures are read. Everything here, and the content of the source, decides the packed array."""

    size: int | tuple[int, int] | None = option(
        None, "Height and width in pixels: one number, or [height, width]; empty keeps the pictures' own size."
    )
    fit: Fit = option("crop", "How a picture of another shape is made to fit: crop the middle, pad, or stretch.")
    mode: Mode = option("auto", "Colour mode; auto takes the least that holds every picture.")
    alpha: Literal["keep", "white", "black", "drop"] = option(
        "white", "What becomes of transparency: keep it as a fourth channel, lay it on white or black, or drop it."
    )
    depth: Literal["auto", "8", "16"] = option("8", "Bits a channel; 16-bit pictures are scaled, never clipped.")
    patch: int | None = option(
        None, "Cut pictures into patches of so many pixels a side, which are then the pictures.", ge=1, le=4096
    )
    frames: Literal["first", "all"] = option("first", "Of an animated file, take the first frame or all.")
    rate: int = option(16_000, "Of sounds: samples a second, to which they are brought.", ge=1000, le=192_000)
    pad_value: int = option(0, "Grey value of the border when fit is pad, 0 to 255.", ge=0, le=255)
    labels: str | None = option(None, "Column of the metadata file that is the class label.")
    attributes: tuple[str, ...] = option(
        (),
        "What a model of attributes learns, each yes or no: columns of the metadata file that hold 1 and 0, or "
        "column=word.",
    )
    halves: bool = option(
        False, "Each picture is a pair side by side: its left and its right half are the pictures, each of data.size."
    )
    pairs: bool = option(False, "Pictures of one name in several folders belong together, in one part of the set.")
    group: str | None = option(None, "Column of the metadata file whose equal values must stay in one split.")
    validation: float = option(0.1, "Share of the pictures held out for validation.", ge=0, lt=1)
    test: float = option(0.0, "Share of the pictures held out for testing.", ge=0, lt=1)
    split_seed: int = option(0, "Seed of the split.", ge=0)
    flip: bool = option(False, "Mirror half of the training pictures left to right.")

    @field_validator("depth", mode="before")
    @classmethod
    def _depth_in_words(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value  # --set data.depth=8 arrives as a number


@dataclass(frozen=True)
class BadFile:
    """One file that could not be used, and the reason in words."""

    path: str
    reason: str


@dataclass(frozen=True)
class PictureSet:
    """A set of pictures of one size, packed.

    Attributes:
        pictures: [N, H, W, C] uint8 or uint16, usually memory-mapped; C is 1, 3 or 4 (2 is grey with alpha).
        labels: [N] int64 class index, -1 where unknown; None when the source has no classes.
        classes: the class names; `labels` index it.
        names: N names, unique, relative to the source.
        attributes: column name -> [N] array (numbers as float64, words as str) from metadata.
        captions: N texts, or None.
        splits: split name -> sorted indices into the N pictures; the three are disjoint and cover everything.
        bad: what was left out, and why.
        source: what the person named, for messages.
        fingerprint: SHA-256 of content and options, hex; equal fingerprints mean equal arrays.
        notes: sentences a person should read (modes converted, licences shown, ...).
        meaning: what the values are: of pictures to look at, of points of the plane, of sounds, of a table's rows.
        targets: [N, K] float32, 1 or 0, NaN where unknown: the attributes that were asked for; else None.
        target_names: K names.
    """

    pictures: NDArray[Any]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    names: tuple[str, ...]
    splits: Mapping[str, NDArray[np.int64]]
    source: str
    fingerprint: str
    attributes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    captions: tuple[str, ...] | None = None
    bad: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()
    meaning: Meaning = PICTURES
    targets: NDArray[np.float32] | None = None
    target_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every picture."""
        _, height, width, channels = self.pictures.shape
        return channels, height, width

    def split(self, name: str) -> PictureSet:
        """The pictures of one split as a set of their own (its `splits` then hold only that one)."""
        rows = self.splits[name]
        return replace(
            self,
            pictures=self.pictures[rows],
            labels=None if self.labels is None else self.labels[rows],
            names=tuple(self.names[i] for i in rows),
            attributes={key: column[rows] for key, column in self.attributes.items()},
            captions=None if self.captions is None else tuple(self.captions[i] for i in rows),
            targets=None if self.targets is None else self.targets[rows],
            splits={s: np.arange(len(rows)) if s == name else np.empty(0, np.int64) for s in SPLITS},
        )
