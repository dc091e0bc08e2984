"""Features of many pictures in one pass; those of real pictures are kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError, DataError, TrainingError
from mezzotint.data.cache import default_folder, hash_parts
from mezzotint.data.types import PictureSet
from mezzotint.engine._safetensors import read_safetensors, safetensors_chunks
from mezzotint.metrics.extractor import Extractor

_VERSION = 1
BATCH = 256


@dataclass(frozen=True)
class Features:
    """What an extractor says of N pictures.

    Attributes:
        features: [N, D] float32.
        logits: [N, K] float32, or None.
        labels: [N] int64, -1 where unknown, or None.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.features)


def extract(
    chunks: Iterable[Tensor],
    count: int,
    extractor: Extractor,
    moved: Callable[[int], None],
    watch: Callable[[Tensor], None] | None = None,
) -> Features:
    """Features of `count` pictures that go by in chunks and are not kept.

    Args:
        chunks: uint8 tensors [k, C, H, W].
        moved: told how many pictures were done.
        watch: shown each chunk, for scores of the pixels themselves.
    """
    features: NDArray[np.float32] | None = None
    logits: NDArray[np.float32] | None = None
    at = 0
    for chunk in chunks:
        output = extractor(chunk)
        if features is None:
            features = np.empty((count, output.features.shape[1]), np.float32)
            logits = None if output.logits is None else np.empty((count, output.logits.shape[1]), np.float32)
        features[at : at + len(chunk)] = output.features.cpu().numpy()
        if logits is not None and output.logits is not None:
            logits[at : at + len(chunk)] = output.logits.cpu().numpy()
        if watch is not None:
            watch(chunk)
        at += len(chunk)
        moved(len(chunk))
    if features is None or at != count:
        raise DataError(f"There were {at} pictures where {count} were asked for; give more pictures.")
    return Features(features, logits)


def of_set(
    pictures: PictureSet,
    rows: NDArray[np.int64],
    chunks: Callable[[NDArray[np.int64]], Iterator[Tensor]],
    extractor: Extractor,
    moved: Callable[[int], None],
    folder: Path | None = None,
) -> Features:
    """Features of some rows of a set, from the cache if the same were asked for before.

    The key is of the content: the set's fingerprint, the rows, the extractor's digest and resizer, and the version of
    torch (major.minor), which may change the last digits.

    Args:
        chunks: gives uint8 tensors [k, C, H, W] of rows.
        folder: of the cache; by default beside the packed pictures.
    """
    labels = None if pictures.labels is None else np.asarray(pictures.labels[rows], np.int64)
    file = (folder or default_folder()) / "features" / f"{_key(pictures, rows, extractor)}.safetensors"
    kept = _load(file, len(rows))
    if kept is not None:
        moved(len(rows))
        return Features(kept.features, kept.logits, labels)
    made = extract(chunks(rows), len(rows), extractor, moved)
    # A cache that cannot be written costs time the next time, and nothing else.
    with contextlib.suppress(OSError, TrainingError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.remove_partials(file.parent)
        tensors = {"features": torch.from_numpy(made.features)}
        if made.logits is not None:
            tensors["logits"] = torch.from_numpy(made.logits)
        atomic.write_chunks(file, safetensors_chunks(tensors))
    return Features(made.features, made.logits, labels)


def to_bytes(pictures: NDArray[Any]) -> Tensor:
    """Packed pictures [N, H, W, C] of 8 or 16 bits as uint8 [N, C, H, W]."""
    if pictures.dtype == np.uint16:
        pictures = ((pictures.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def _key(pictures: PictureSet, rows: NDArray[np.int64], extractor: Extractor) -> str:
    which = hashlib.sha256(np.ascontiguousarray(rows, np.int64).data).hexdigest()
    torch_version = ".".join(torch.__version__.split(".")[:2])
    parts = (f"features {_VERSION}", pictures.fingerprint, which, extractor.name, extractor.digest, extractor.resizer)
    return hash_parts([*parts, torch_version])


def _load(file: Path, count: int) -> Features | None:
    if not file.is_file():
        return None
    try:
        tensors = read_safetensors(file)
    except (CheckpointError, OSError):
        return None  # damaged: it is made again
    features, logits = tensors.get("features"), tensors.get("logits")
    if features is None or features.dim() != 2 or len(features) != count:
        return None
    return Features(features.numpy(), None if logits is None else logits.numpy())
