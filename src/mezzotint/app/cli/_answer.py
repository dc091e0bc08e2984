"""How the command line answers when something goes wrong: one sentence, and an exit code that says what kind."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
import threading
import traceback
import unicodedata
import warnings
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from mezzotint.core.errors import Interrupted, MezzotintError, MezzotintWarning, TrainingError

EXIT_CODES = """\
Exit codes: 0 done, 1 other, 2 a setting or the usage is wrong, 3 the pictures, 4 the run folder or a checkpoint,
5 the model cannot do that, 6 training failed or a file could not be written, 7 an optional part is missing, 70 a bug
of ours, 130 interrupted."""

_BUG = 70
_REPORT = "https://github.com/mezzotint/mezzotint/issues"
_heard = threading.Event()


class Group(TyperGroup):
    """A group of commands whose mistakes are answered in our way instead of typer's."""

    def invoke(self, ctx: Any) -> Any:
        # Typer answers these three itself, in other words and with other exit codes; so they go by other names.
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted("Interrupted.") from error
        except EOFError as error:
            raise RuntimeError(f"unexpected end of a file: {error}") from error
        except OSError as error:
            raise (_BrokenPipe() if error.errno == errno.EPIPE else error) from error

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        def work() -> Any:
            return super(Group, self).main(args, prog_name, complete_var, False, windows_expand_args, **extra)

        sys.exit(answered(work))


class _BrokenPipe(Exception):
    """Whoever read our output has gone (`mezzotint models | head`)."""


def answered(work: Callable[[], Any]) -> int:
    """Do `work`; say what went wrong, if anything did, and return the exit code."""
    speak_utf8()
    if not (debugging() or sys.warnoptions):
        warnings.simplefilter("ignore")  # other people's deprecations are not for the person at the terminal
        warnings.simplefilter("always", MezzotintWarning)
        warnings.showwarning = _warn
    try:
        code = work()
        if code == Interrupted.exit_code:  # typer heard Ctrl-C while it read the arguments, and kept it to itself
            raise KeyboardInterrupt
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (_BrokenPipe, BrokenPipeError):
        # The interpreter flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if debugging():
            traceback.print_exc()
        if _heard.is_set() or isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient third Ctrl-C must not disturb the ending
            error = error if isinstance(error, Interrupted) else Interrupted("Interrupted.")
        code, sentence = explain(error)
        print(sentence, file=sys.stderr)
        return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(safe(str(message)), file=sys.stderr)


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code of an error and the sentence for it."""
    if isinstance(error, MezzotintError):
        return error.exit_code, safe(str(error))
    if isinstance(error, typer.Abort):
        return 1, "Stopped."
    if hasattr(error, "format_message"):  # an error of typer's, whose class has moved between its versions
        return getattr(error, "exit_code", 2), _usage(error)
    if _is_memory(error):
        return TrainingError.exit_code, "There is not enough memory; lower --batch-size, -n or --size."
    if isinstance(error, OSError) and error.strerror:
        where = f" {safe(os.fsdecode(error.filename))}" if error.filename else " a file"
        return 1, f"Cannot use{where}: the system says {error.strerror.lower()}."
    where = _keep_traceback(error)
    what = safe(" ".join(f"{type(error).__name__}: {error}".split())[:200])
    return _BUG, f"This is a bug of Mezzotint ({what}); please report it at {_REPORT} with the file {where}."


def safe(text: str) -> str:
    """`text` on one line: what would move the cursor, hide or reorder characters is written as an escape.

    Example:
        >>> safe("a\\nb.png")
        'a\\\\nb.png'
    """
    return "".join(repr(ch)[1:-1] if _is_unsafe(ch) else ch for ch in text)


def _is_unsafe(ch: str) -> bool:
    hidden = unicodedata.category(ch) in ("Cc", "Cs", "Zl", "Zp")
    return hidden or unicodedata.bidirectional(ch) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("MEZZOTINT_DEBUG", "") not in ("", "0")


def speak_utf8() -> None:
    """Write UTF-8 whatever the locale says; file names that are not text come out as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def listen() -> None:
    """Remember Ctrl-C, since a library that is being imported may turn it into an error of its own."""

    def heard(number: int, frame: Any) -> None:
        _heard.set()
        if _torch_begins():
            sys.stderr.write("Interrupted.\n")
            sys.stderr.flush()
            os._exit(130)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, heard)


def _torch_begins() -> bool:
    """Whether torch is being imported: nothing has begun, and an error that meets its C++ there ends in an abort."""
    spec = getattr(sys.modules.get("torch"), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _usage(error: Any) -> str:
    possible = getattr(error, "possibilities", None)
    if possible:
        sentence = f'There is no option "{safe(error.option_name)}"; did you mean "{possible[0]}"?'
    else:
        sentence = safe(" ".join(str(error.format_message()).split()))
        sentence += "" if sentence.endswith((".", "?")) else "."
    context = getattr(error, "ctx", None)
    return f"{sentence} See {context.command_path} --help." if context is not None else sentence


def _is_memory(error: BaseException) -> bool:
    # By name, since naming torch's class would import torch.
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error))
    )


def _keep_traceback(error: BaseException) -> str:
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="mezzotint-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(f"{' '.join(sys.argv)}\nPython {sys.version}\n\n")
            file.writelines(traceback.format_exception(error))
        return file.name
    except OSError:
        return "(none could be written; run it again with MEZZOTINT_DEBUG=1)"
