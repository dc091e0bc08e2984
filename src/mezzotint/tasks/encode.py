"""The codes of real pictures, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError
from mezzotint.data.types import BadFile
from mezzotint.engine.capabilities import require
from mezzotint.engine.feed import to_tensor
from mezzotint.tasks._codes import require_codes
from mezzotint.tasks.reconstruct import fit_channels, open_for
from mezzotint.tasks.sample import models_that

_CHUNK = 64
_SUFFIXES = (".csv", ".json")


@dataclass(frozen=True)
class Encoded:
    """The codes of pictures.

    Attributes:
        names: what each picture is called in its source.
        codes: code -> its value for each picture; whole numbers for categorical codes.
        left_out: what could not be read, and why.
        notes: sentences a person should read.
    """

    names: tuple[str, ...]
    codes: dict[str, list[float]]
    left_out: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """One for each picture: its name, then its codes."""
        return [
            {"picture": name.encode("utf-8", "backslashreplace").decode()}
            | {code: values[i] for code, values in self.codes.items()}
            for i, name in enumerate(self.names)
        ]


@torch.no_grad()
def encode(
    run: Any,
    source: Any,
    out: str | Path | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Encoded:
    """Read the codes of every picture, as the model sees them.

    Args:
        run: an opened run, whose model encodes and has named codes.
        source: one picture, a folder, archive, named set or array: whatever `open_pictures` takes.
        out: a .csv or .json file to write them to; it is replaced if it is there.
        progress: called with (done, all).
        tell: told of the licence of a named set that is about to be downloaded.

    Raises:
        CapabilityError: the model does not encode, or has no codes.
        ConfigError: `out` is neither .csv nor .json.
        DataError: there is nothing to read.

    Example:
        >>> import mezzotint as mz, tempfile, numpy as np
        >>> run = mz.train("infogan", "digits", steps=2, out=tempfile.mkdtemp() + "/a", quiet=True)
        >>> list(encode(run, np.zeros((3, 20, 20), np.uint8)).codes)
        ['c0', 'c1', 'c2']
    """
    require(run.model, "encodes", "encode", others=models_that("encodes"))
    require_codes(run.model, "encode")
    target = None if out is None else Path(out)
    if target is not None and target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f'Codes are saved as .csv or .json; "{target.name}" ends in neither.')
    pictures = open_for(run.recipe, source, tell)
    found: dict[str, list[float]] = {code.name: [] for code in run.model.codes()}
    for start in range(0, len(pictures), _CHUNK):
        some = to_tensor(fit_channels(pictures.pictures[start : start + _CHUNK], run.model.spec), run.model.device)
        for name, values in run.model.get_codes(run.model.encode(some)).items():
            found[name] += values.tolist()
        if progress is not None:
            progress(min(start + _CHUNK, len(pictures)), len(pictures))
    result = Encoded(pictures.names, found, pictures.bad, pictures.notes)
    if target is not None:
        with atomic.explained(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix.lower() == ".json":
            atomic.write_json(target, result.rows())
        else:
            atomic.write_text(target, _table(result))
    return result


def _table(result: Encoded) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["picture", *result.codes], lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.rows())
    return text.getvalue()
