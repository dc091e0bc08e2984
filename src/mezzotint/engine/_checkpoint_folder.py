"""What is inside the folder of one checkpoint: writing it, and reading it back with every doubt.

| file | holds |
| --- | --- |
| `tensors.safetensors` | every tensor |
| `state.json` | schema version, step, and the rest of the state as JSON |
| `COMMIT.json` | schema version, step, size and SHA-256 of the two others |

`COMMIT.json` is written last, so that a folder without it was never finished. It is sealed: canonical JSON
(sorted keys, no spaces) that carries the SHA-256 of itself without that entry, so that a flipped bit in it
is told from a newer schema version. Every future schema version keeps this rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError
from mezzotint.engine._safetensors import load_json, read_safetensors, safetensors_chunks

SCHEMA = 1
TENSORS, STATE, COMMIT = "tensors.safetensors", "state.json", "COMMIT.json"
_LARGEST_SEALED = 2**16
_LARGEST_STATE = 2**28


class Damaged(Exception):
    """A checkpoint is not whole; the message is a clause. Never leaves the engine: another one may do."""


def encode_state(step: int, state: Mapping[str, Any]) -> bytes:
    """The content of `state.json`.

    Raises:
        TypeError: a value is not plain JSON (None, bool, int, float, str, list, dict), or a key is not text.
        ValueError: a number is not finite, or the whole is so large that it belongs in tensors.
    """
    _check_keys(state)
    document = {"schema": SCHEMA, "step": step, "state": dict(state)}
    data = json.dumps(document, indent=1, allow_nan=False).encode()
    if len(data) > _LARGEST_STATE:
        raise ValueError(f"The state is {len(data)} bytes of JSON; put large things in the tensors.")
    return data


def write_folder(folder: Path, step: int, tensors: Mapping[str, Tensor], state: bytes) -> None:
    """Make `folder` and write a whole checkpoint in it, on the disk when this returns.

    Raises:
        OSError: the disk is full, read-only or failing.
        ValueError: a tensor cannot be saved.
    """
    chunks = safetensors_chunks(tensors)
    atomic.disk.mkdir(folder)
    sums = {
        TENSORS: atomic.write_new(folder / TENSORS, chunks),
        STATE: atomic.write_new(folder / STATE, (state,)),
    }
    atomic.sync_folder(folder)
    files = {name: {"sha256": sha256, "size": (folder / name).stat().st_size} for name, sha256 in sums.items()}
    commit = {"schema": SCHEMA, "step": step, "files": files}
    atomic.write_new(folder / COMMIT, (seal(commit),))
    atomic.sync_folder(folder)


def read_folder(folder: Path, step: int, verify: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the state in `folder`.

    Args:
        step: the step that the folder's name says.
        verify: compare the SHA-256 of the tensors too; without, only their size and form are checked.

    Raises:
        Damaged: it is not whole.
        CheckpointError: it was made by a newer Mezzotint.
    """
    files = read_commit(folder, step)
    data = _read(folder / STATE, _LARGEST_STATE)
    if hashlib.sha256(data).hexdigest() != files[STATE]["sha256"]:
        raise Damaged(f"{STATE} is not what was saved")
    document = _parse_object(data, STATE)
    _check_schema(document, folder / STATE)
    state = document.get("state")
    if document.get("step") != step or not isinstance(state, dict):
        raise Damaged(f"{STATE} does not hold the state of step {step}")
    try:
        if verify and atomic.file_sha256(folder / TENSORS) != files[TENSORS]["sha256"]:
            raise Damaged(f"{TENSORS} is not what was saved")
        return read_safetensors(folder / TENSORS), state
    except CheckpointError as error:
        raise Damaged(str(error).rstrip(".")) from error
    except OSError as error:
        raise Damaged(f"{TENSORS} cannot be read ({error.strerror or error})") from error


def read_commit(folder: Path, step: int) -> dict[str, Any]:
    """The `files` of COMMIT.json, after comparing their sizes with what is there.

    Raises:
        Damaged: there is no such file, or it is not whole, or a file is missing or of another size.
        CheckpointError: it was made by a newer Mezzotint.
    """
    commit = unseal(folder / COMMIT)
    if commit.get("step") != step:
        raise Damaged(f"{COMMIT} is of another step than the folder's name says")
    files = commit.get("files")
    if not isinstance(files, dict) or set(files) != {TENSORS, STATE}:
        raise Damaged(f"{COMMIT} does not name the files")
    for name, file in files.items():
        if not isinstance(file, dict) or set(file) != {"sha256", "size"}:
            raise Damaged(f"{COMMIT} does not describe {name}")
        if _size(folder / name) != file["size"]:
            raise Damaged(f"{name} has {_size(folder / name)} bytes and was saved with {file['size']}")
    return files


def seal(document: Mapping[str, Any]) -> bytes:
    """`document` as canonical JSON with a checksum of itself."""
    check = hashlib.sha256(_canonical(document)).hexdigest()
    return _canonical({**document, "check": check})


def unseal(path: Path) -> dict[str, Any]:
    """What was sealed in the file `path`, without its checksum.

    Raises:
        Damaged: a single bit of it is not as it was written.
        CheckpointError: it was made by a newer Mezzotint.
    """
    data = _read(path, _LARGEST_SEALED)
    document = _parse_object(data, path.name)
    document.pop("check", None)
    if data != seal(document):
        raise Damaged(f"{path.name} is not what was saved")
    _check_schema(document, path)
    return document


def _check_schema(document: Mapping[str, Any], path: Path) -> None:
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise Damaged(f"{path.name} has no schema version")
    if schema > SCHEMA:
        raise CheckpointError(
            f"{path} has schema version {schema} and this Mezzotint knows up to {SCHEMA}: it was made by a newer "
            "Mezzotint; upgrade with pip install --upgrade mezzotint."
        )


def _parse_object(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = load_json(data)
    except ValueError as error:
        raise Damaged(f"{name} is damaged ({error})") from error
    if not isinstance(value, dict):
        raise Damaged(f"{name} is not a JSON object")
    return value


def _read(path: Path, limit: int) -> bytes:
    if _size(path) > limit:
        raise Damaged(f"{path.name} is larger than any that we write")
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read ({error.strerror or error})") from error


def _size(path: Path) -> int:
    try:
        if not path.is_file():  # a pipe or a device could be read for ever
            raise Damaged(f"{path.name} is missing" if not path.exists() else f"{path.name} is not a plain file")
        return path.stat().st_size
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read ({error.strerror or error})") from error


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _check_keys(value: Any) -> None:
    """JSON would turn the key 1 into "1" without a word, and the state would not come back as it was."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"The state has the key {key!r}; keys must be text to survive as JSON.")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)
