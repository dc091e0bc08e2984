"""What `mezzotint data check photos/` says: is this set fit to learn from, and what would make it better."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.data._archive import TarSource, ZipSource, is_tar
from mezzotint.data._convert import Unreadable
from mezzotint.data.decode import Header, probe, quick_header
from mezzotint.data.duplicates import exact_groups, groups_of, look, near_pairs
from mezzotint.data.open import open_pictures
from mezzotint.data.sources import HEAD_BYTES, FolderSource, Source
from mezzotint.data.types import SPLITS, BadFile, DataConfig, PictureSet

Progress = Callable[[int, int], None]

_USUAL_MODES = {"L", "RGB", "RGBA"}
_FEW = 500
_SHOWN = 5


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
        memory_bytes, seconds: predictions for a training, where a caller has made them.
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
            said.append(f"Their modes are {_counted(self.modes)}.")
        said += [f"{file.path} cannot be used: it {file.reason}." for file in self.bad[:_SHOWN]]
        if len(self.bad) > _SHOWN:
            said.append(f"So it is with {len(self.bad) - _SHOWN:,} more files.")
        if self.classes:
            more = f", and {self.unlabelled:,} have none" if self.unlabelled else ""
            said.append(f"By class: {_counted(self.classes)}{more}.")
        said.append(f"By part: {_counted(self.parts)}.")
        for groups, how in ((self.exact, "equal"), (self.near, "nearly equal")):
            if groups:
                said.append(f"{sum(map(len, groups)):,} pictures are {how}, such as {' and '.join(groups[0][:3])}.")
        if not self.exact and not self.near:
            said.append("No picture is there twice.")
        if self.memory_bytes is not None:
            said.append(f"Training will need about {self.memory_bytes / 2**20:,.0f} MiB of memory.")
        if self.seconds is not None:
            said.append(f"Training will take about {_duration(self.seconds)}.")
        return [*said, *self.notes, *self.suggestions]


def check_pictures(
    source: str | Path | NDArray[Any] | PictureSet,
    config: DataConfig = DataConfig(),
    *,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    workers: int | None = None,
    memory_bytes: int | None = None,
    seconds: float | None = None,
) -> DataReport:
    """Read a whole set and report on it.

    Pictures of different sizes are checked at a common one when `config` gives none, and the report says so.

    Args:
        source, config, progress, cache_dir, workers: as for `open_pictures`.
        memory_bytes, seconds: predictions for a training, to be told with the rest.

    Raises:
        DataError: there is no usable picture, or the options do not fit the pictures.

    Example:
        >>> report = check_pictures(np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8))
        >>> report.sentences()[0]
        'an array holds 4 usable pictures, read as 8 x 8 grey.'
    """
    headers = _headers(source)
    advice: list[str] = []
    if config.size is None and len({(h.height, h.width) for h in headers}) > 1:
        size = _common_size(headers)
        advice.append(f"The pictures differ in size, so they were checked at {size} pixels; train with --size {size}.")
        config = config.changed(size=size)
    pictures = open_pictures(source, config, progress=progress, cache_dir=cache_dir, workers=workers)
    looks = look(pictures.pictures, progress)
    exact, near = exact_groups(looks.digests), groups_of(near_pairs(pictures.pictures, looks))
    twins = _joined(exact, near)
    report = _Findings(pictures, headers, exact, near, twins, looks.blank)
    advice += report.advice(config, looks.grey)
    classes, unlabelled = report.classes()
    return DataReport(
        source=pictures.source,
        fingerprint=pictures.fingerprint,
        count=len(pictures),
        shape=pictures.shape,
        depth=8 * pictures.pictures.dtype.itemsize,
        bad=pictures.bad,
        modes=dict(Counter(h.mode for h in headers).most_common()),
        sizes=_sizes(headers),
        exact=report.named(exact),
        near=report.named(near),
        contradictions=report.named(report.contradictions()),
        blank=tuple(pictures.names[i] for i in np.flatnonzero(looks.blank)),
        leaks=report.leaks(),
        classes=classes,
        unlabelled=unlabelled,
        parts={name: len(rows) for name, rows in pictures.splits.items()},
        suggestions=tuple(advice),
        notes=pictures.notes,
        memory_bytes=memory_bytes,
        seconds=seconds,
    )


@dataclass
class _Findings:
    """What follows from the pictures, their headers and their twins. Groups hold rows."""

    pictures: PictureSet
    headers: Sequence[Header]
    exact: Sequence[Sequence[int]]
    near: Sequence[Sequence[int]]
    twins: Sequence[Sequence[int]]
    blank: NDArray[np.bool_]
    part: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.part = ["train"] * len(self.pictures)
        for name, rows in self.pictures.splits.items():
            for row in rows.tolist():
                self.part[row] = name

    def named(self, groups: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self.pictures.names[row] for row in group) for group in groups)

    def classes(self) -> tuple[dict[str, int], int]:
        labels = self.pictures.labels
        if labels is None:
            return {}, 0
        known = np.bincount(labels[labels >= 0], minlength=len(self.pictures.classes)).tolist()
        return dict(zip(self.pictures.classes, known, strict=True)), int((labels < 0).sum())

    def contradictions(self) -> list[Sequence[int]]:
        labels = self.pictures.labels
        if labels is None:
            return []
        return [group for group in self.twins if len({int(labels[i]) for i in group if labels[i] >= 0}) > 1]

    def leaks(self) -> tuple[Leak, ...]:
        names, found = self.pictures.names, []
        for group in self.twins:
            # A leak is told from the side of the part that must stay unseen.
            ordered = sorted(group, key=lambda row: SPLITS.index(self.part[row]))
            first = ordered[0]
            found += [
                Leak(names[row], self.part[row], names[first], self.part[first])
                for row in ordered[1:]
                if self.part[row] != self.part[first]
            ]
        return tuple(found)

    def advice(self, config: DataConfig, grey: bool) -> list[str]:
        """Sentences on what to do, the most important first."""
        said, count = [], len(self.pictures)
        leaks, contradictions = self.leaks(), self.contradictions()
        if leaks:
            said.append(
                f"{_are(len(leaks), 'held-out picture')} also in another part ({leaks[0].name} is {leaks[0].twin}), "
                "which makes scores too good: remove the copies, or keep them together with a group column."
            )
        if contradictions:
            pair = " and ".join(self.pictures.names[row] for row in contradictions[0][:2])
            said.append(f"{_are(len(contradictions))} in two classes at once ({pair}): decide for one.")
        copies = sum(len(group) - 1 for group in self.twins)
        if copies > 0.01 * count:
            said.append(f"{_are(copies)} there more than once, which a model learns by heart: remove the copies.")
        if self.pictures.bad:
            said.append(f"{_plural(len(self.pictures.bad), 'file')} cannot be used: save them again, or remove them.")
        if self.blank.any():
            name = self.pictures.names[int(self.blank.argmax())]
            said.append(f"{_are(int(self.blank.sum()))} of one colour only, such as {name}: remove what shows nothing.")
        if count < _FEW:
            said.append(f"{_are(count)} few: expect copies of them from a GAN, and watch the neighbours shown.")
        return said + self._class_advice() + self._format_advice(config, grey)

    def _class_advice(self) -> list[str]:
        classes, _ = self.classes()
        said = [f'The class "{name}" has no picture.' for name, n in classes.items() if n == 0][:_SHOWN]
        held = {name: n for name, n in classes.items() if n}
        if len(held) > 1:
            most, least = max(held, key=held.__getitem__), min(held, key=held.__getitem__)
            if held[most] > 5 * held[least]:
                said.append(
                    f'The class "{most}" has {held[most]:,} pictures and "{least}" {held[least]:,}: '
                    "rare classes will be learnt badly, so collect more of them."
                )
        return said

    def _format_advice(self, config: DataConfig, grey: bool) -> list[str]:
        said = []
        modes = Counter(h.mode for h in self.headers)
        odd = {mode: n for mode, n in modes.most_common() if mode not in _USUAL_MODES}
        if odd:
            said.append(f"Some files have unusual modes ({_counted(odd)}); they were converted, so look at a few.")
        if modes["L"] and modes["RGB"] and self.pictures.shape[0] >= 3:
            said.append(f"{_are(modes['L'])} grey among colour ones: use --mode grey if colour is no matter.")
        if grey and self.pictures.shape[0] >= 3:
            said.append(
                "All pictures are grey although they have colour channels: --mode grey needs a third of the memory."
            )
        if self.headers:
            _, height, width = self.pictures.shape
            small = sum(h.height < height or h.width < width for h in self.headers)
            if small > 0.05 * len(self.headers):
                said.append(f"{_are(small)} smaller than {height} x {width}, and enlarged: take a smaller --size.")
            cut = 1 - median(_kept(h, height / width) for h in self.headers)
            if config.fit == "crop" and cut > 0.2:
                said.append(f"Cropping loses {100 * cut:.0f} % of the median picture: --fit pad would keep it all.")
        return said


def _headers(source: object) -> list[Header]:
    """The headers of all readable files, or none where the source is not made of picture files."""
    if not isinstance(source, str | Path):
        return []
    path = Path(source).expanduser()
    files: Source
    if path.is_dir():
        files = FolderSource(path)
    elif not path.is_file():
        return []
    elif zipfile.is_zipfile(path):
        files = ZipSource(path)
    elif is_tar(path):
        files = TarSource(path)
    else:
        files = FolderSource(path)
    try:
        names = [member.name for member in files.listing().members]
        if files.sequential:
            found = [_probe(data, None) for _, data in files.stream(names)]
        else:
            found = [_probe(None, lambda limit, name=name: files.read(name, limit)) for name in names]  # type: ignore[misc]
    finally:
        files.close()
    return [header for header in found if header is not None]


def _probe(data: bytes | Unreadable | None, read: Callable[[int | None], bytes] | None) -> Header | None:
    """A header, or None for what cannot be read; the reason comes out when the pictures are opened."""
    try:
        if read is not None:
            data = read(HEAD_BYTES)
            quick = quick_header(data)
            if quick is not None:
                return quick
            if len(data) == HEAD_BYTES:
                data = read(None)
        return probe(data) if isinstance(data, bytes) else None
    except Unreadable:
        return None


def _common_size(headers: Sequence[Header]) -> int:
    """The power of two from 16 to 256 that does not enlarge the median picture."""
    side = median(min(h.height, h.width) for h in headers)
    return int(2 ** int(np.clip(np.log2(max(side, 1)), 4, 8)))


def _sizes(headers: Sequence[Header]) -> Sizes | None:
    if not headers:
        return None
    sizes = sorted({(h.height, h.width) for h in headers}, key=lambda size: (size[0] * size[1], size))
    middle = int(median(h.height for h in headers)), int(median(h.width for h in headers))
    return Sizes(len(sizes), sizes[0], middle, sizes[-1])


def _kept(header: Header, ratio: float) -> float:
    """The share of a picture that is left when it is cropped to height / width = `ratio`."""
    own = header.height / header.width
    return min(own, ratio) / max(own, ratio)


def _joined(exact: Sequence[Sequence[int]], near: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups of rows that are twins one way or the other."""
    pairs = [(group[0], row) for group in (*exact, *near) for row in group[1:]]
    return groups_of(np.array(pairs, np.int64).reshape(-1, 2))


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {n:,}" for name, n in list(counts.items())[:12]]
    return ", ".join(shown) + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _are(count: int, noun: str = "picture") -> str:
    return f"{_plural(count, noun)} {'is' if count == 1 else 'are'}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
