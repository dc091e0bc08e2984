"""A run of a benchmark: made by `mezzotint train` itself, or gone on with where it is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mezzotint as mz


def trained(
    model: str,
    source: Any,
    folder: Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> Any:
    """The run in `folder`, at its new length: so many minutes, or else steps.

    Args:
        model, source: as for `mz.train`; a run that is there must be of the same.
        options: further ones of `mz.train`, for a run that is not there yet.
    """
    length: dict[str, Any] = {"minutes": minutes} if minutes else {"steps": steps}
    if (folder / "config.json").exists():
        return mz.resume(folder, source=source, quiet=quiet, **length)
    return mz.train(model, source, out=folder, quiet=quiet, **length, **options)
