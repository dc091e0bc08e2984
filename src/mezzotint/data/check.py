"""What `mezzotint data check photos/` says: is this set fit to learn from, and what would make it better."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.data._archive import TarSource, ZipSource, is_tar
from mezzotint.data._convert import Unreadable
from mezzotint.data._findings import Findings
from mezzotint.data._report import DataReport, Leak, Sizes
from mezzotint.data.decode import Header, probe, quick_header
from mezzotint.data.duplicates import exact_groups, groups_of, look, near_pairs
from mezzotint.data.open import open_pictures
from mezzotint.data.sources import HEAD_BYTES, FolderSource, Source
from mezzotint.data.types import DataConfig, PictureSet

__all__ = ["DataReport", "Leak", "Sizes", "check_pictures"]

Progress = Callable[[int, int], None]


def check_pictures(
    source: str | Path | NDArray[Any] | PictureSet,
    config: DataConfig = DataConfig(),
    *,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
    cache_dir: Path | None = None,
    workers: int | None = None,
    memory_bytes: int | None = None,
    seconds: float | None = None,
) -> DataReport:
    """Read a whole set and report on it.

    Pictures of different sizes are checked at a common one when `config` gives none, and the report says so.

    Args:
        source, config, progress, notify, cache_dir, workers: as for `open_pictures`.
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
    pictures = open_pictures(source, config, progress=progress, notify=notify, cache_dir=cache_dir, workers=workers)
    looks = look(pictures.pictures, progress)
    exact, near = exact_groups(looks.digests), groups_of(near_pairs(pictures.pictures, looks))
    twins = _joined(exact, near)
    report = Findings(pictures, headers, exact, near, twins, looks.blank)
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


def _joined(exact: Sequence[Sequence[int]], near: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups of rows that are twins one way or the other."""
    pairs = [(group[0], row) for group in (*exact, *near) for row in group[1:]]
    return groups_of(np.array(pairs, np.int64).reshape(-1, 2))
