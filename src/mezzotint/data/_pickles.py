"""CIFAR's batches are pickles, which can run code when they are loaded; this reads them without that.

Of all that a pickle may ask for, only NumPy arrays of numbers and texts are built, by functions of ours; any
other request is refused before anything is called.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mezzotint.core.errors import DataError

_PLAIN_TYPE = re.compile(r"^[|<>=]?(b1|[biufSU]\d{1,6})$")


def _empty_array(*_: Any) -> np.ndarray[Any, Any]:
    # The shape that the pickle names here is a placeholder; `__setstate__` brings the real one with the data.
    return np.ndarray.__new__(np.ndarray, (0,), np.uint8)


def _plain_dtype(text: Any, *_: Any) -> np.dtype[Any]:
    name = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    if not _PLAIN_TYPE.match(name):
        raise pickle.UnpicklingError(f"arrays of type {name[:20]}")
    return np.dtype(name)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {str(encoding)[:20]}")
    return text.encode("latin1")


class _ArrayMark:
    """Stands for `numpy.ndarray` where a pickle passes it as an argument; it cannot be called for anything."""

    def __new__(cls, *_: Any) -> _ArrayMark:
        raise pickle.UnpicklingError("an array made directly")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): _ArrayMark,
    ("numpy", "dtype"): _plain_dtype,
    ("_codecs", "encode"): _encode,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}") from None


def load_plain_pickle(data: bytes, where: str) -> dict[str, Any]:
    """A pickled dictionary of arrays, texts, numbers and lists; keys that are bytes become text.

    Raises:
        DataError: the pickle asks for anything else, or is damaged. Nothing of it has been executed.
    """
    try:
        value = _Restricted(io.BytesIO(data), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{where} asks for more than arrays and texts ({error}), which could run code, so it is not loaded; "
            "use the file from the official page."
        ) from error
    except Exception as error:
        raise DataError(f"{where} is a damaged pickle ({type(error).__name__}); fetch it again.") from error
    if not isinstance(value, dict):
        raise DataError(f"{where} holds no dictionary as a CIFAR batch does; use the file from the official page.")
    return {k.decode("latin1") if isinstance(k, bytes) else str(k): v for k, v in value.items()}
