"""What a check of a set has found, as data and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mezzotint.data.types import BadFile

SHOWN = 5
"""Items of a kind that are named before the rest is only counted."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the original files: how many different ones, and (height, width) at both ends and in the middle."""

    different: int
    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]


@dataclass(frozen=True)
class Leak:
    """A held-out picture that is also, or nearly, in another part."""

    name: str
    part: str
    twin: str
    twin_part: str


@dataclass(frozen=True)
class DataReport:
    """Everything that was found out about a set.

    Attributes:
        source, fingerprint: what was checked.
        count: pictures that can be used.
        shape: (channels, height, width) as packed, and bits a channel in `depth`.
        bad: files that cannot be used, and why.
        modes: Pillow mode -> files that have it; empty for sets that are no files.
        sizes: of the original files, or None for sets that are no files.
        exact: groups of names whose decoded pixels are equal.
        near: groups of names that look the same, though their pixels differ.
        contradictions: groups of such names whose class differs.
        blank: names of pictures that show one colour only.
        leaks: held-out pictures with a twin in another part.
        classes: class name -> pictures; `unlabelled` pictures have none.
        parts: split -> pictures.
        suggestions: sentences that say what to do about it, the most important first.
        notes: what was noted while reading.
        training, memory_bytes, seconds: which training, and predictions for it, where a caller has made them.
    """

    source: str
    fingerprint: str
    count: int
    shape: tuple[int, int, int]
    depth: int
    bad: tuple[BadFile, ...]
    modes: Mapping[str, int]
    sizes: Sizes | None
    exact: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]
    contradictions: tuple[tuple[str, ...], ...]
    blank: tuple[str, ...]
    leaks: tuple[Leak, ...]
    classes: Mapping[str, int]
    unlabelled: int
    parts: Mapping[str, int]
    suggestions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    training: str = "Training"
    memory_bytes: int | None = None
    seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["bad"] = [vars(file) for file in self.bad]
        plain["leaks"] = [vars(leak) for leak in self.leaks]
        plain["sizes"] = None if self.sizes is None else {k: _listed(v) for k, v in vars(self.sizes).items()}
        return {name: _listed(value) for name, value in plain.items()}

    def sentences(self) -> list[str]:
        """The report in words, one sentence an item."""
        channels, height, width = self.shape
        kind = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}[channels]
        said = [f"{self.source} holds {self.count:,} usable pictures, read as {height} x {width} {kind}."]
        if self.sizes is not None and self.sizes.different > 1:
            low, mid, high = (f"{h} x {w}" for h, w in (self.sizes.smallest, self.sizes.median, self.sizes.largest))
            said.append(f"The files have {self.sizes.different:,} sizes, from {low} over {mid} (median) to {high}.")
        if self.modes:
            said.append(f"Their modes are {counted(self.modes)}.")
        said += [f"{file.path} cannot be used: it {file.reason}." for file in self.bad[:SHOWN]]
        if len(self.bad) > SHOWN:
            said.append(f"So it is with {len(self.bad) - SHOWN:,} more files.")
        if self.classes:
            more = f", and {self.unlabelled:,} have none" if self.unlabelled else ""
            said.append(f"By class: {counted(self.classes)}{more}.")
        said.append(f"By part: {counted(self.parts)}.")
        for groups, how in ((self.exact, "equal"), (self.near, "nearly equal")):
            if groups:
                said.append(f"{sum(map(len, groups)):,} pictures are {how}, such as {' and '.join(groups[0][:3])}.")
        if not self.exact and not self.near:
            said.append("No picture is there twice.")
        if self.memory_bytes is not None:
            said.append(f"{self.training} will need about {self.memory_bytes / 2**20:,.0f} MiB of memory.")
        if self.seconds is not None:
            said.append(f"{self.training} will take about {_duration(self.seconds)} on this machine.")
        return [*said, *self.notes, *self.suggestions]


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def counted(counts: Mapping[str, int]) -> str:
    """Such as `RGB 12, L 3`."""
    shown = [f"{name} {n:,}" for name, n in list(counts.items())[:12]]
    return ", ".join(shown) + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
