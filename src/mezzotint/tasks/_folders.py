"""Where results go: a name that a person gave for a folder, checked before anything is made."""

from __future__ import annotations

from pathlib import Path

from mezzotint.core.errors import ConfigError
from mezzotint.data.output import FILM_SUFFIXES, PICTURE_SUFFIXES
from mezzotint.data.sources import FOREIGN, NOT_PICTURES, SUFFIXES

_FILE_SUFFIXES = SUFFIXES | FOREIGN | NOT_PICTURES | {*PICTURE_SUFFIXES, *FILM_SUFFIXES, ".onnx", ".ckpt", ".bin"}


def refuse_file(folder: Path, what: str) -> None:
    """Refuse what is a file, or would be a folder with the name of a file.

    Args:
        folder: the name that was given for a folder.
        what: the sentence's beginning: who needs the folder, in the plural.

    Raises:
        ConfigError: it is one of the two.

    Example:
        >>> refuse_file(Path("out.png"), "Single pictures")
        Traceback (most recent call last):
        ...
        mezzotint.core.errors.ConfigError: Single pictures need a folder to go to; out.png is the name of a file.
    """
    if folder.is_dir():
        return
    if folder.exists():
        raise ConfigError(f"{what} need a folder to go to; {folder} is a file.")
    if folder.suffix.lower() in _FILE_SUFFIXES:
        raise ConfigError(f"{what} need a folder to go to; {folder} is the name of a file.")
