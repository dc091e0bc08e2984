"""Tensors in safetensors files: written in pieces without a second copy in memory, read with suspicion.

A safetensors file is eight bytes (the length of the header, little-endian), a JSON header that gives each
tensor's dtype, shape and place, and then the raw numbers. It has no room for code, so a file that
passes the checks here cannot do anything but be numbers. The safetensors library does the reading; our own
checks come first, because a damaged file should be answered by a sentence and never by a crash.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import safe_open
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "U16": torch.uint16,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "F32": torch.float32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F64": torch.float64,
    "C64": torch.complex64,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors library
_PICKLE_MARKS = (b"PK\x03\x04", b"\x80")


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write `tensors` to `path` as safetensors, atomically; returns the file's SHA-256 as hex.

    Args:
        tensors: dense tensors of any shape, memory layout and device.

    Raises:
        TrainingError: the disk is full, read-only or failing; `path` is as it was before.
        ValueError: a tensor has a dtype or layout, or a name, that safetensors cannot hold.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_safetensors(Path(folder) / "w.safetensors", {"w": torch.ones(2, 3)})
        ...     read_safetensors(Path(folder) / "w.safetensors")["w"].shape
        torch.Size([2, 3])
    """
    return atomic.write_chunks(path, safetensors_chunks(tensors))


def safetensors_chunks(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file: the header first, then one piece per tensor.

    Only one tensor at a time is copied, and only if it is on a GPU or not contiguous. The header is checked
    and built before this returns.

    Raises:
        ValueError: a tensor has a dtype or layout, or a name, that safetensors cannot hold.
    """
    # Wider dtypes first keeps every tensor aligned to its item size, as the library itself writes them.
    order = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in order:
        _check_writable(name, tensor)
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LARGEST_HEADER:
        raise ValueError(f"{len(order)} tensors make a header of {len(text)} bytes; safetensors allows 100 MB.")
    return _pieces(len(text).to_bytes(8, "little") + text, [tensor for _, tensor in order])


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, wherever it comes from. The tensors are on the CPU and do not refer to the file.

    Raises:
        CheckpointError: the file is missing, damaged, or no safetensors file (such as a pickle).

    Example:
        >>> try:
        ...     read_safetensors(Path("nowhere.safetensors"))
        ... except CheckpointError as error:
        ...     print(error)
        Cannot read nowhere.safetensors: there is no such file.
    """
    header = _read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: _checked(name, file.get_tensor(name), entry) for name, entry in header.items()}
    except MemoryError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {_one_line(error)}.") from error


def load_json(data: bytes) -> Any:
    """Strict JSON: UTF-8, no duplicate keys, no NaN or Infinity.

    Raises:
        ValueError: `data` is anything else; the message is a clause for a sentence.
    """

    def refuse_constant(text: str) -> NoReturn:
        raise ValueError(f"it holds {text}, which is not a JSON number")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("it holds the same key twice")
        return result

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse_constant, object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it does not parse as JSON ({error.msg} at character {error.pos})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _pieces(header: bytes, tensors: list[Tensor]) -> Iterator[bytes | memoryview]:
    yield header
    for tensor in tensors:
        if tensor.numel():
            plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
            yield plain.view(torch.uint8).numpy().data


def _check_writable(name: str, tensor: Tensor) -> None:
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"{name!r} cannot be the name of a tensor.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!r} cannot be the name of a tensor; it is not Unicode.") from error
    if tensor.dtype not in _NAMES:
        raise ValueError(f'The tensor "{name}" is {tensor.dtype}, which safetensors cannot hold.')
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        raise ValueError(f'The tensor "{name}" is not a dense tensor with numbers in it.')


def _checked(name: str, tensor: Tensor, entry: dict[str, Any]) -> Tensor:
    """A copy, because what the library gives is mapped from the file: were the file cut short later, the next
    use of the tensor would end the process with a bus error."""
    if (tensor.dtype, list(tensor.shape)) != (_DTYPES[entry["dtype"]], entry["shape"]):
        raise ValueError(f"the tensor {name!r:.80} is not what the header says")
    if tensor.dtype == torch.bool and tensor.numel() and int(tensor.view(torch.uint8).max()) > 1:
        raise ValueError(f"the tensor {name!r:.80} holds truth values other than 0 and 1")
    return tensor.clone()


def _refuse(path: Path, why: str) -> NoReturn:
    raise CheckpointError(f"{path} is damaged or not a safetensors file: {why}.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _read_header(path: Path) -> dict[str, dict[str, Any]]:
    """The header without its metadata, checked against the size of the file."""
    try:
        if not path.is_file():
            what = "it is not a plain file" if path.exists() else "there is no such file"
            raise CheckpointError(f"Cannot read {path}: {what}.")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, _LARGEST_HEADER):
                if start.startswith(_PICKLE_MARKS):
                    raise CheckpointError(
                        f"{path} is a pickle or a zip archive, which could run code when loaded; "
                        "give a safetensors file instead."
                    )
                _refuse(path, "its header is longer than the file" if len(start) == 8 else "it is too short")
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        header = load_json(text)
        if not isinstance(header, dict):
            raise ValueError("its header is not a JSON object")
        _check_metadata(header.pop("__metadata__", {}))
        _check_places(header, size - 8 - length)
    except ValueError as error:
        _refuse(path, str(error))
    return header


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata is not text")


def _check_places(header: dict[str, Any], size: int) -> None:
    """Each tensor has the bytes its dtype and shape need, and together they fill the `size` bytes exactly."""
    places = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"the tensor {name!r:.80} is not described by dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ValueError(f"the tensor {name!r:.80} has the unknown dtype {dtype!r:.40}")
        if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
            raise ValueError(f"the tensor {name!r:.80} has a shape or offsets that are not counts")
        if offsets[1] - offsets[0] != math.prod(shape) * _DTYPES[dtype].itemsize:
            raise ValueError(f"the tensor {name!r:.80} has more or fewer bytes than its shape needs")
        places.append((offsets[0], offsets[1]))
    end = 0
    for begin, stop in sorted(places):
        if begin != end:
            raise ValueError("its tensors overlap or leave gaps")
        end = stop
    if end != size:
        raise ValueError(f"its tensors need {end} bytes and the file has {size}")


def _naturals(values: Any) -> bool:
    """A short list of counts; the limits keep a hostile shape from becoming a day of multiplication."""
    return (
        isinstance(values, list)
        and len(values) <= 64
        and all(type(value) is int and 0 <= value < 2**63 for value in values)
    )
