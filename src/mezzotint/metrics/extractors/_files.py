"""Reading other people's files of weights: the hash first, then tensors alone, then every name and shape."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import DataError
from mezzotint.metrics.extractor import Extractor, Weights


def read(path: Path | None, known: Weights, name: str) -> dict[str, Tensor]:
    """The tensors of `path`, which has to be the file that `known` describes.

    Raises:
        DataError: there is no file, it is another one, or it holds something other than named tensors.
    """
    if path is None:
        raise DataError(
            f"{name} needs its file of weights, {known.file} ({known.bytes / 1e6:.1f} MB) from {known.url}."
        )
    if not path.is_file():
        raise DataError(f"There is no file {path}; {name} needs {known.file} from {known.url}.")
    # Before anything of it is interpreted: only the one known file is ever unpacked.
    if atomic.file_sha256(path) != known.sha256:
        raise DataError(f"{path} is not the {known.file} of {name} (its SHA-256 differs); download it again.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read as tensors; name another file.") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} holds something other than named tensors; name another file.")
    return content


def check(weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
    """Whether `weights` are exactly those of `shapes`.

    Raises:
        DataError: one is missing, of another shape, or not known; the first of them is named.
    """
    found = {key: tuple(value.shape) for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    wrong = sorted(key for key in shapes.keys() | found.keys() if shapes.get(key) != found.get(key))
    if wrong:
        key = wrong[0]
        raise DataError(
            f"The weights do not fit {name}: {key} should be {shapes.get(key, 'absent')} and is "
            f"{found.get(key, 'absent')} ({len(wrong)} differ); name another file."
        )


class FromFile(Extractor):
    """An extractor whose weights are a file of others.

    Args:
        weights: name -> tensor, as the file holds them.
        digest: SHA-256 of the file.
    """

    def __init__(self, weights: Mapping[str, Tensor], digest: str) -> None:
        self.digest = digest

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """Ready to use.

        Args:
            path: the file of `weights`.

        Raises:
            DataError: there is no file, or it is another one.
        """
        assert cls.weights is not None
        return cls(read(path, cls.weights, cls.name), cls.weights.sha256)
