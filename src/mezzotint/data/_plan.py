"""What all rows of a packed set look like: settled from the options and, where they leave it open, the headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from mezzotint.core.errors import DataError
from mezzotint.data._headers import Header
from mezzotint.data.decode import Plan
from mezzotint.data.types import NARROWED, DataConfig


def needs_headers(config: DataConfig) -> bool:
    """Whether the options leave something open that only the headers of all pictures can settle."""
    open_mode = config.mode == "auto" and config.alpha == "keep"
    return config.size is None or open_mode or config.depth == "auto" or config.frames == "all"


def make_plan(headers: Sequence[Header] | None, config: DataConfig, where: str, notes: list[str]) -> Plan:
    """Settle size, channels and depth; what was settled for the person is added to `notes`.

    Without headers the channels may stay open (0), until all pictures have been seen.

    Raises:
        DataError: the pictures differ in size and none was asked for, or mode and alpha contradict each other.
    """
    if config.alpha == "keep" and config.mode in ("grey", "rgb"):
        raise DataError(
            f"mode={config.mode} has no room for transparency; use --set data.mode=rgba or auto, or another alpha."
        )
    known = headers or ()
    height, width = _size(known, config, where)
    channels = {"grey": 1, "rgb": 3, "rgba": 4}.get(config.mode, 0)
    if not channels:
        colour = any(h.colour for h in known)
        channels = (
            0 if headers is None else (3 if colour else 1) + (config.alpha == "keep" and any(h.alpha for h in known))
        )
        modes = Counter(h.mode for h in known)
        if len(modes) > 1:
            mixed = ", ".join(f"{count:,} {mode}" for mode, count in modes.most_common())
            bands = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGBA"}[channels]
            notes.append(f"Pictures of several modes ({mixed}) were all brought to {bands}.")
    elif config.mode == "rgba" and config.alpha != "keep":
        notes.append("With mode=rgba transparency is kept as the fourth channel.")
    clear = sum(h.alpha for h in known)
    if clear and channels in (1, 3):
        done = "dropped" if config.alpha == "drop" else f"laid on {config.alpha}"
        notes.append(f"Transparency was {done} (pictures that have it: {clear:,}).")
    deep = config.depth == "16" or (config.depth == "auto" and any(h.deep for h in known))
    if not deep and (count := sum(h.deep for h in known)):
        notes.append(f"Pictures of 16 bits or more were scaled to 8 ({count:,}); --set data.depth=auto keeps 16.")
    if config.depth != "8" and (count := sum(h.narrowed for h in known)):
        notes.append(f"Of 16 bits a channel 8 were read where pictures are {NARROWED} ({count:,}).")
    return Plan(height, width, channels, deep, config.fit, config.alpha, config.pad_value)


def _size(headers: Sequence[Header], config: DataConfig, where: str) -> tuple[int, int]:
    if config.size is not None:
        height, width = (config.size, config.size) if isinstance(config.size, int) else config.size
        if not (0 < height <= 16384 and 0 < width <= 16384):
            raise DataError(f"A size of {height} x {width} pixels is not possible; give 1 to 16384.")
        return height, width
    sizes = Counter((h.height, h.width) for h in headers)
    if len(sizes) > 1:
        middle = (int(median(h.height for h in headers)), int(median(h.width for h in headers)))
        raise DataError(
            f"The {len(headers):,} pictures of {where} have {len(sizes):,} different sizes (median height "
            f"{middle[0]}, width {middle[1]}); pass one for all, such as --size {min(middle)}."
        )
    return next(iter(sizes))
