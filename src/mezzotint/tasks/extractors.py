"""Extractors whose weights are other people's: found on this machine, or fetched when that is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mezzotint.core import atomic
from mezzotint.core.errors import DataError
from mezzotint.data.cache import default_folder
from mezzotint.data.download import Progress, RemoteFile, download
from mezzotint.metrics.extractor import EXTRACTORS, Extractor, Weights


def open_extractor(
    name: str,
    *,
    folder: Path | None = None,
    allow_download: bool = False,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
) -> Extractor:
    """The extractor called `name`, ready to use.

    Its file of weights, where it has one, is looked for in `folder` and then in the cache.

    Args:
        name: one of `EXTRACTORS.names()`.
        folder: where the person keeps such files.
        allow_download: fetch a file that is on this machine nowhere, from its official address into the cache.
        notify: is told what is about to be downloaded, how much it is, and its licence.
        progress: called with (bytes so far, bytes in all).
        cache_dir: replaces the usual folder for caches.

    Raises:
        ConfigError: there is no such extractor.
        DataError: its file is not there and may not be fetched, cannot be fetched, or is another one.

    Example:
        >>> open_extractor("pixels").name
        'pixels'
    """
    chosen = EXTRACTORS.get(name)
    if chosen.weights is None:
        return chosen.open()
    cache = (cache_dir or default_folder()) / "extractors"
    path = _find(chosen.weights, name, folder, cache)
    if path is None:
        path = _fetch(chosen.weights, name, cache, allow_download, notify, progress)
    return chosen.open(path)


def _find(known: Weights, name: str, folder: Path | None, cache: Path) -> Path | None:
    if folder is not None and not folder.is_dir():
        raise DataError(f"There is no folder {folder}; name the one that holds {known.file}, or leave it out.")
    for place in (folder, cache):
        if place is None or not (place / known.file).is_file():
            continue
        if atomic.file_sha256(place / known.file) == known.sha256:
            return place / known.file
        raise DataError(
            f"{place / known.file} is not the file of {name} (its SHA-256 differs); replace it or remove it."
        )
    return None


def _fetch(
    known: Weights,
    name: str,
    cache: Path,
    allowed: bool,
    notify: Callable[[str], None] | None,
    progress: Progress | None,
) -> Path:
    size = f"{known.bytes / 1e6:.1f} MB"
    if not allowed:
        raise DataError(
            f"{name} needs {known.file} ({size}, licence: {known.licence}), which is not on this machine; allow its "
            f"download with --allow-download, or put the file from {known.url} into {cache}."
        )
    if notify is not None:
        notify(f"Downloading {known.file} ({size}) from {known.url} to {cache}; licence: {known.licence}.")
    return download(RemoteFile(known.file, (known.url,), known.sha256, known.bytes), cache, progress=progress)
