"""The command line: a thin layer over `mezzotint.tasks`, in which nothing is done that Python cannot ask for.

The commands live in `train`, `use`, `data` and `info`; `_app` puts them together. Whatever is heavy (torch above all)
is imported inside the commands, so that `--help` and shell completion answer at once.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line on `sys.argv` and return the exit code."""
    try:
        # Imported here, so that Ctrl-C in the first tenth of a second is answered like any other.
        from mezzotint.app.cli import _app

        return _app.run()
    except KeyboardInterrupt:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"Interrupted.\n")
        return 130
