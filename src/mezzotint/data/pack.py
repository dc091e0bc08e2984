"""Decoding many pictures at once, straight into a packed array on the disk.

Where size and depth are given one pass is enough: rows are grey until the first colour picture comes. Otherwise the
headers of all pictures are read first, and settle what all rows look like. Threads do the work, because Pillow
lets go of the interpreter while it decodes and resizes. Rows are written to the file
rather than through a memory map, so that a full disk is an error and not a crash, and so that memory stays
small however large the set is.
"""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.core.errors import DataError
from mezzotint.data._convert import Unreadable
from mezzotint.data._headers import Header, probe, quick_header
from mezzotint.data._plan import make_plan, needs_headers
from mezzotint.data._rows import RowFile
from mezzotint.data.cache import PICTURES_FILE, Meta
from mezzotint.data.decode import Plan, decode_cut, shrink_stacked
from mezzotint.data.sources import HEAD_BYTES, Listing, Member, Source
from mezzotint.data.types import DataConfig

T = TypeVar("T")
Progress = Callable[[int, int], None]
_CHUNK = 32
_CHUNK_BYTES = 64 * 2**20
_UNSHRUNK_BYTES = 8 * 2**20


@dataclass
class Packed:
    """The outcome of one chunk of files: rows and their digests, or reasons; and each file's own digest."""

    first: list[int] = field(default_factory=list)
    rows: list[NDArray[Any]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    content: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    files: int = 0
    unshrunk: int = 0

    def shrink(self, plan: Plan) -> None:
        """Bring the rows that are larger than the plan to its size."""
        self.rows, self.unshrunk = shrink_stacked(self.rows, plan), 0


def pack(
    source: Source,
    listing: Listing,
    config: DataConfig,
    folder: Path,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Meta:
    """Decode every member of `listing` into `folder`/pictures.npy, [N, H, W, C] sorted by name.

    Files that cannot be used are left out and listed in the result with a reason.

    Raises:
        DataError: no picture could be used, or they differ in size and no size was asked for.
    """
    threads = workers or max(1, min(32, os.cpu_count() or 1))
    with _quiet(), ThreadPoolExecutor(threads) as pool:
        bad = [(b.path, b.reason) for b in listing.bad]
        notes: list[str] = []
        content: list[tuple[str, bytes]] = []
        headers: dict[str, Header] | None = None
        if needs_headers(config):
            headers, broken = _probe_all(pool, threads, source, listing.members, config)
            bad += broken
            content = _hashes(source, [name for name, _ in broken])
            _refuse_if_empty(headers, bad, source.where)
        plan = make_plan(None if headers is None else list(headers.values()), config, source.where, [])
        counts = {m.name: 1 for m in listing.members} if headers is None else _frames(headers)
        meta, found = _pack_rows(pool, threads, source, plan, counts, folder, bad, content, progress)
        make_plan(found, config, source.where, notes)
        meta.notes = notes + meta.notes
        return meta


def content_digest(pairs: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over names and digests of files, in the order of the names."""
    whole = hashlib.sha256()
    for name, digest in sorted(pairs, key=lambda pair: pair[0]):
        whole.update(name.encode("utf-8", "surrogateescape") + b"\0" + digest)
    return whole.hexdigest()


def hash_content(source: Source, members: Sequence[Member]) -> str:
    """The `content_digest` of a source without decoding anything."""
    return content_digest(_hashes(source, [m.name for m in members]))


def _hashes(source: Source, names: Sequence[str]) -> list[tuple[str, bytes]]:
    found = source.stream(names)
    return [(name, hashlib.sha256(data).digest()) for name, data in found if not isinstance(data, Unreadable)]


def _frames(headers: Mapping[str, Header]) -> dict[str, int]:
    return {name: header.frames for name, header in headers.items()}


def _refuse_if_empty(found: object, bad: Sequence[tuple[str, str]], where: str) -> None:
    if found:
        return
    if not bad:
        raise DataError(f"{where} holds no picture; give a folder or archive with PNG or JPEG files.")
    number = "The only picture" if len(bad) == 1 else f"None of the {len(bad):,} pictures"
    rest = "cannot be used" if len(bad) == 1 else "can be used"
    raise DataError(f"{number} of {where} {rest}; the first, {bad[0][0]}, {bad[0][1]}.")


def _probe_all(
    pool: ThreadPoolExecutor, threads: int, source: Source, members: Sequence[Member], config: DataConfig
) -> tuple[dict[str, Header], list[tuple[str, str]]]:
    every = config.frames == "all"

    def look(items: Sequence[tuple[str, bytes | Unreadable | None]]) -> list[tuple[str, Header | str]]:
        return [(name, _probe_one(source, name, data, every)) for name, data in items]

    headers: dict[str, Header] = {}
    bad: list[tuple[str, str]] = []
    for found in _spread(pool, threads, look, _chunks(source, [m.name for m in members])):
        for name, header in found:
            if isinstance(header, str):
                bad.append((name, header))
            else:
                headers[name] = header
    return dict(sorted(headers.items())), bad


def _probe_one(source: Source, name: str, data: bytes | Unreadable | None, every: bool) -> Header | str:
    try:
        if isinstance(data, Unreadable):
            raise data
        if data is None:
            head = source.read(name, HEAD_BYTES)
            quick = quick_header(head)
            if quick is not None:
                return quick
            data = head if len(head) < HEAD_BYTES else source.read(name)
        return probe(data, every)
    except Unreadable as error:
        return str(error)


def _pack_rows(
    pool: ThreadPoolExecutor,
    threads: int,
    source: Source,
    plan: Plan,
    counts: Mapping[str, int],
    folder: Path,
    bad: list[tuple[str, str]],
    content: list[tuple[str, bytes]],
    progress: Progress | None,
) -> tuple[Meta, list[Header]]:
    first, total = {}, 0
    for name, count in counts.items():
        first[name], total = total, total + count

    def work(items: Sequence[tuple[str, bytes | Unreadable | None]]) -> Packed:
        packed = Packed(files=len(items))
        for name, data in items:
            _decode_into(packed, source, name, data, plan, first[name], counts[name])
        packed.shrink(plan)
        packed.digests = [hashlib.sha256(np.ascontiguousarray(row).data).digest() for row in packed.rows]
        return packed

    digests: dict[int, bytes] = {}
    headers: list[Header] = []
    remarks: Counter[str] = Counter()
    done = 0
    with RowFile(folder / PICTURES_FILE, plan, total) as rows:
        chunk = max(1, min(_CHUNK, _CHUNK_BYTES // max(1, int(np.prod(plan.shape)) * plan.dtype().itemsize)))
        for packed in _spread(pool, threads, work, _chunks(source, list(counts), chunk)):
            rows.write(packed.first, packed.rows)
            digests.update(zip(packed.first, packed.digests, strict=True))
            content += packed.content
            bad += packed.bad
            headers += packed.headers
            remarks += packed.remarks
            done += packed.files
            if progress is not None:
                progress(done, len(counts))
        _refuse_if_empty(digests, bad, source.where)
        good = sorted(digests)
        rows.finish(good)
    origin = [(name, k) for name, count in counts.items() for k in range(count)]
    frames = [origin[i][1] for i in good] if total > len(counts) else None
    pixels = hashlib.sha256(repr((rows.shape, plan.dtype().dtype.str)).encode())
    for i in good:
        pixels.update(digests[i])
    meta = Meta(
        files=[origin[i][0] for i in good],
        frames=frames,
        content=content_digest(content),
        pixels=pixels.hexdigest(),
        bad=sorted(bad),
        notes=[f"Pictures {remark} ({count:,})." for remark, count in sorted(remarks.items())],
    )
    return meta, headers


def _decode_into(
    packed: Packed, source: Source, name: str, data: bytes | Unreadable | None, plan: Plan, first: int, count: int
) -> None:
    try:
        if isinstance(data, Unreadable):
            raise data
        if data is None:
            data = source.read(name)
        packed.content.append((name, hashlib.sha256(data).digest()))
        rows, header, remarks = decode_cut(data, plan, count)
    except Unreadable as error:
        packed.bad.append((name, str(error)))
        return
    packed.headers.append(header)
    packed.remarks.update(remarks)
    for number, row in enumerate(rows):
        if isinstance(row, str):
            packed.bad.append((frame_name(name, number), row))
            continue
        packed.first.append(first + number)
        packed.rows.append(row)
        packed.unshrunk += row.nbytes if row.shape[:2] != (plan.height, plan.width) else 0
    if packed.unshrunk > _UNSHRUNK_BYTES:
        packed.shrink(plan)


def frame_name(file: str, number: int) -> str:
    """The name of one frame of an animated file."""
    return f"{file}#{number:04d}"


def _chunks(
    source: Source, names: Sequence[str], size: int = _CHUNK
) -> Iterator[list[tuple[str, bytes | Unreadable | None]]]:
    """Portions of work: names alone where any file can be read at once, or with bytes where order matters."""
    if not source.sequential:
        for at in range(0, len(names), size):
            yield [(name, None) for name in names[at : at + size]]
        return
    chunk: list[tuple[str, bytes | Unreadable | None]] = []
    held = 0
    for name, data in source.stream(names):
        chunk.append((name, data))
        held += 0 if isinstance(data, Unreadable) else len(data)
        if len(chunk) >= size or held >= _CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _spread(
    pool: ThreadPoolExecutor,
    threads: int,
    work: Callable[[list[tuple[str, bytes | Unreadable | None]]], T],
    chunks: Iterable[list[tuple[str, bytes | Unreadable | None]]],
) -> Iterator[T]:
    """Results of `work` in order, with no more chunks under way than keep every thread busy."""
    pending: deque[Future[T]] = deque()
    try:
        for chunk in chunks:
            pending.append(pool.submit(work, chunk))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


_quiet_lock = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings about odd files off the screen; what matters is reported as a bad file."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL\..*")
        yield
