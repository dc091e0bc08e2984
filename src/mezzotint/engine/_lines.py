"""Files of one JSON object a line that name the round they were written in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mezzotint.core import atomic


def cut_after(path: Path, step: int) -> None:
    """Drop the lines of later rounds, left from before a run was taken back to a checkpoint, and broken ones."""
    if path.exists():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [line for line in lines if _step(line) <= step]
        atomic.write_text(path, "".join(f"{line}\n" for line in kept))


def append(path: Path, value: Mapping[str, Any]) -> None:
    """Add a line; it must hold JSON values, and no number that is not finite.

    Raises:
        TrainingError: the disk is full, read-only or failing.
    """
    with atomic.explained(path), path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(value, allow_nan=False) + "\n")


def _step(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
