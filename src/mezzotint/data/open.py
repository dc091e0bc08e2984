"""The one way in: whatever holds pictures becomes a `PictureSet`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, suggest
from mezzotint.data import _arrays, pack
from mezzotint.data._headers import Header
from mezzotint.data._metadata import annotate
from mezzotint.data._plan import make_plan
from mezzotint.data._recognise import arrays_at, path_of, source_at
from mezzotint.data._refit import refit
from mezzotint.data._seal import sealed
from mezzotint.data._sounds import find_sounds, load_sounds
from mezzotint.data.cache import VERSION, Cache, Entry, Meta, hash_parts
from mezzotint.data.meaning import PICTURES
from mezzotint.data.named import is_named, load_named, names
from mezzotint.data.patches import halves_of, patches_of
from mezzotint.data.raw import RawArrays
from mezzotint.data.sources import Listing, Source
from mezzotint.data.types import BadFile, DataConfig, PictureSet

Progress = Callable[[int, int], None]
_PIXEL_OPTIONS = ("size", "fit", "mode", "alpha", "depth", "frames", "pad_value")


def open_pictures(
    source: str | Path | NDArray[Any] | PictureSet,
    config: DataConfig = DataConfig(),
    *,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
    cache_dir: Path | None = None,
    workers: int | None = None,
) -> PictureSet:
    """Open any source of pictures as one packed set.

    Args:
        source: a folder, a picture, a zip or tar archive, .npz, .npy, MNIST idx files, CIFAR batches, WAV files, a .csv
            table, the name of a known set ("digits", "mnist"), an array [N, H, W], [N, H, W, C] or [N, C, H, W], rows
            of numbers [N, D], or a set.
        config: how pictures are read and divided.
        progress: called with (files done, files in all) while pictures are decoded, or with bytes while a named set
            is downloaded.
        notify: told of a named set's licence, and of what is about to be downloaded.
        cache_dir: where packed arrays are kept; by default $MEZZOTINT_CACHE or the user's cache folder.
        workers: number of threads; by default one for each core.

    Returns:
        The set: pictures [N, H, W, C] uint8 or uint16, read-only and usually memory-mapped.

    Raises:
        DataError: nothing usable is there, or the options do not fit the pictures; the sentence says what to do.

    Example:
        >>> squares = np.zeros((20, 8, 8), np.uint8)
        >>> open_pictures(squares).shape
        (1, 8, 8)
    """
    uncut = {"patch": None, "halves": False, "size": _whole_size(config), "pairs": config.pairs and not config.halves}
    first = config.model_copy(update=uncut)
    pictures = _open_whole(source, first, progress, notify, cache_dir, workers)
    if config.halves:
        pictures = halves_of(pictures, Cache(cache_dir))
    return pictures if config.patch is None else patches_of(pictures, config.patch, Cache(cache_dir))


def _whole_size(config: DataConfig) -> int | tuple[int, int] | None:
    """The size of pictures before they are cut into halves, which shall be of the size that is set."""
    if not config.halves or config.size is None:
        return config.size
    height, width = (config.size, config.size) if isinstance(config.size, int) else config.size
    return height, 2 * width


def _open_whole(
    source: str | Path | NDArray[Any] | PictureSet,
    config: DataConfig,
    progress: Progress | None,
    notify: Callable[[str], None] | None,
    cache_dir: Path | None,
    workers: int | None,
) -> PictureSet:
    if isinstance(source, PictureSet):
        return _from_set(source, config, cache_dir, workers)
    if isinstance(source, np.ndarray):
        return _from_raw(_arrays.from_array(source, config), "an array", config, cache_dir, workers)
    path = path_of(source)
    try:
        there = path.exists()
    except (OSError, ValueError):  # far too long, or with a zero byte
        there = False
    if not there:
        return _from_name(str(source), config, cache_dir, workers, progress, notify)
    if notify is not None and is_named(str(source)):
        kind = "folder" if path.is_dir() else "file"
        notify(f"{source} is the {kind} of that name here, not the set that Mezzotint knows; rename it to have that.")
    raw = arrays_at(path, config)
    if raw is not None:
        return _from_raw(raw, str(source), config, cache_dir, workers)
    sounds = find_sounds(path)
    if sounds is not None:
        heard, bad, files = load_sounds(path, sounds, config, progress)
        return sealed(heard, _arrays.array_fingerprint(heard), str(source), config, bad, files)
    return _from_files(source_at(path), str(source), config, cache_dir, workers, progress)


def _from_name(
    name: str,
    config: DataConfig,
    cache_dir: Path | None,
    workers: int | None,
    progress: Progress | None,
    notify: Callable[[str], None] | None,
) -> PictureSet:
    if not is_named(name):
        raise DataError(
            f'There is no file or folder "{name}", and no set of that name ({suggest(name, names()).rstrip(".")}); '
            "give the path to your pictures, or the name of a set."
        )
    raw = load_named(name, notify=notify, progress=progress, cache_dir=cache_dir)
    return _from_raw(raw, name, config, cache_dir, workers)


def _from_files(
    source: Source,
    where: str,
    config: DataConfig,
    cache_dir: Path | None,
    workers: int | None,
    progress: Progress | None,
) -> PictureSet:
    cache = Cache(cache_dir)
    options = _option_texts(config)
    try:
        identity = source.identity()
        listing = None
        if identity is None:
            listing = source.listing()
            key = hash_parts([*options, *(f"{m.name}\0{m.size}\0{m.stamp}" for m in listing.members)])
        else:
            key = hash_parts([*options, identity])
        entry = cache.find(key)
        if entry is None:
            entry = _make_entry(source, listing or source.listing(), config, cache, key, workers, progress)
    finally:
        source.close()
    meta = entry.meta
    tables = meta.tables if listing is None else listing.tables
    notes = [*(meta.listing_notes if listing is None else listing.notes), *meta.notes]
    ignored = (meta.ignored if listing is None else listing.ignored) - len(tables)
    if ignored > 0:
        notes.append(f"Files that are not pictures were passed over: {ignored:,}.")
    if cache.note:
        notes.append(cache.note)
    return _assemble(entry, tables, notes, where, config)


def _make_entry(
    source: Source,
    listing: Listing,
    config: DataConfig,
    cache: Cache,
    key: str,
    workers: int | None,
    progress: Progress | None,
) -> Entry:
    """Find the same content under another key, or else decode it."""
    likeness = hash_parts([*_option_texts(config), *(f"{m.name}\0{m.size}" for m in listing.members)])
    content: str | None = None
    for like in cache.find_like(likeness):
        content = content or pack.hash_content(source, listing.members)
        if like.meta.content == content:
            return cache.link(like, _with_listing(like.meta, listing), likeness, key)
    with cache.new() as partial:
        meta = pack.pack(source, listing, config, partial, progress=progress, workers=workers)
        return cache.keep(partial, _with_listing(meta, listing), likeness, key)


def _with_listing(meta: Meta, listing: Listing) -> Meta:
    return replace(meta, tables=dict(listing.tables), listing_notes=list(listing.notes), ignored=listing.ignored)


def _assemble(entry: Entry, tables: Mapping[str, str], notes: list[str], where: str, config: DataConfig) -> PictureSet:
    """Join the packed rows with what folders and tables say of their files."""
    meta = entry.meta
    files = list(dict.fromkeys(meta.files))
    said = annotate(files, tables, config, where)
    index = {name: i for i, name in enumerate(files)}
    rows = np.array([index[name] for name in meta.files], np.int64)
    names = meta.files
    if meta.frames is not None:
        several = {name for name, frame in zip(meta.files, meta.frames, strict=True) if frame}
        names = [
            pack.frame_name(name, frame) if name in several else name
            for name, frame in zip(meta.files, meta.frames, strict=True)
        ]
    fixed = said.fixed and {part: np.flatnonzero(np.isin(rows, found)) for part, found in said.fixed.items()}
    raw = RawArrays(
        entry.pictures,
        None if said.labels is None else said.labels[rows],
        said.classes,
        tuple(names),
        {name: column[rows] for name, column in said.attributes.items()},
        None if said.captions is None else tuple(said.captions[i] for i in rows),
        fixed,
        tuple(said.notes + notes),
    )
    bad = tuple(BadFile(path, reason) for path, reason in meta.bad)
    # Frames of one film look alike, so they stay in one part.
    groups = meta.files if meta.frames is not None and config.group is None else None
    return sealed(raw, meta.pixels, where, config, bad, groups)


def _from_set(pictures: PictureSet, config: DataConfig, cache_dir: Path | None, workers: int | None) -> PictureSet:
    """A set again: as it is with default options, or else fitted anew; its parts stay as they are."""
    if config == DataConfig():
        return pictures
    raw = RawArrays(
        pictures.pictures,
        pictures.labels,
        pictures.classes,
        pictures.names,
        pictures.attributes,
        pictures.captions,
        pictures.splits,
        pictures.notes,
        pictures.fingerprint,
        pictures.meaning,
    )
    made = _from_raw(raw, pictures.source, config, cache_dir, workers)
    return replace(made, bad=pictures.bad, splits=dict(pictures.splits))


def _from_raw(
    raw: RawArrays, where: str, config: DataConfig, cache_dir: Path | None, workers: int | None
) -> PictureSet:
    if len(raw.pictures) == 0:
        raise DataError(f"{where} holds no picture; give an array with at least one.")
    print_ = _arrays.array_fingerprint(raw)
    if raw.meaning.numeric:
        _check_numeric(raw, where, config)
    if raw.meaning != PICTURES and config.size in (None, raw.pictures.shape[1:3]):
        return sealed(raw, print_, where, config)
    _, height, width, channels = raw.pictures.shape
    deep = raw.pictures.dtype == np.uint16
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    header = Header(width, height, mode, channels > 2, channels in (2, 4), deep)
    notes: list[str] = []
    plan = make_plan([header] * len(raw.pictures), config, where, notes)
    if plan.shape == raw.pictures.shape[1:] and plan.deep == deep:
        return sealed(replace(raw, notes=(*raw.notes, *notes)), print_, where, config)
    cache = Cache(cache_dir)
    key = hash_parts([*_option_texts(config), "array", print_])
    entry = cache.find(key)
    if entry is None:
        with cache.new() as partial:
            meta = refit(raw.pictures, plan, partial, workers)
            entry = cache.keep(partial, meta, key, key)
    if cache.note:
        notes.append(cache.note)
    fitted = replace(raw, pictures=entry.pictures, notes=(*raw.notes, *notes))
    return sealed(fitted, entry.meta.pixels, where, config)


def _check_numeric(raw: RawArrays, where: str, config: DataConfig) -> None:
    """Measured numbers are taken as they are: what would change pictures has no meaning for them."""
    given = {
        "size": config.size not in (None, raw.pictures.shape[1:3]),
        "mode": config.mode not in ("auto", "grey"),
        "flip": config.flip,
    }
    for name in (name for name, is_given in given.items() if is_given):
        raise DataError(f"{where} holds {raw.meaning.holds}, to which {name} does not apply; leave it out.")


def _option_texts(config: DataConfig) -> list[str]:
    values = config.to_json()
    return [f"version {VERSION}", *(f"{name}={json.dumps(values[name])}" for name in _PIXEL_OPTIONS), "\0"]
