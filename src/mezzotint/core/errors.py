"""Every mistake a person can make has one sentence: what is wrong, where, and what to do.

The command line prints the sentence and exits with the class's `exit_code`; Python callers catch
`MezzotintError` or one of its children. Anything that is *not* a `MezzotintError` is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MezzotintWarning(UserWarning):
    """Something a person should know of, though the work goes on; a sentence as those of errors."""


class MezzotintError(Exception):
    """The base of all errors that a person can cause or cure.

    Example:
        >>> from mezzotint.core.errors import DataError
        >>> str(DataError("photos/ holds no picture; give a folder with PNG or JPEG files."))
        'photos/ holds no picture; give a folder with PNG or JPEG files.'
    """

    exit_code = 1


class ConfigError(MezzotintError):
    """A setting is unknown, has the wrong type or is out of its range."""

    exit_code = 2


class DataError(MezzotintError):
    """The pictures cannot be read as asked."""

    exit_code = 3


class CheckpointError(MezzotintError):
    """A run folder or checkpoint is missing, damaged or not ours."""

    exit_code = 4


class CapabilityError(MezzotintError):
    """The model cannot do what the task needs; the sentence names models that can."""

    exit_code = 5


class TrainingError(MezzotintError):
    """Training cannot go on (not a finite number, out of memory, no disk)."""

    exit_code = 6


class NotFinite(TrainingError):
    """A number of training became infinite or not a number; nothing was updated or saved with it."""


class MissingExtra(MezzotintError):
    """An optional dependency is needed.

    Args:
        what: what the person wanted to do, as a noun ("Writing MP4 films").
        extra: the name of our extra that brings it.
    """

    exit_code = 7

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs an optional part: pip install "mezzotint[{extra}]".')
        self.what = what
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.what, self.extra)  # or it could not come back from a worker process


class Interrupted(MezzotintError):
    """Training was asked to stop (Ctrl-C, SIGTERM) and has left a resumable checkpoint."""

    exit_code = 130


def suggest(word: str, known: Iterable[str]) -> str:
    """A clause that helps after a misspelling: the closest known word, or all of them when few.

    Example:
        >>> suggest("dcgn", ["dcgan", "vae"])
        'did you mean "dcgan"?'
    """
    words = sorted(known)
    lower = {each.lower(): each for each in reversed(words)}
    close = difflib.get_close_matches(word.lower(), lower, n=1)
    if close:
        return f'did you mean "{lower[close[0]]}"?'
    return f"known: {', '.join(words)}." if words else "none is known."
