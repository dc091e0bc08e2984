"""How long `mezzotint --help` and `import mezzotint` take, and that neither imports torch.

    python benchmarks/startup.py [--runs 21] [--json]

Wall time of whole processes, medians and spread; run it on a quiet machine. The first run of each, which reads the
files from the disk, does not count. Exit code 1 if the help takes longer than it may or torch is imported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

HELP_LIMIT = 0.3  # seconds

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import mezzotint": [sys.executable, "-c", "import mezzotint"],
    "mezzotint --help": [sys.executable, "-m", "mezzotint", "--help"],
    "mezzotint train --help": [sys.executable, "-m", "mezzotint", "train", "--help"],
    "mezzotint --version": [sys.executable, "-m", "mezzotint", "--version"],
}

_HELP = "import sys; sys.argv = ['mezzotint', '--help']; from mezzotint.app.cli import main; main(); "
_HEAVY = "print([name for name in ('torch', 'numpy', 'pydantic', 'rich') if name in sys.modules], file=sys.stderr)"


def measure(command: list[str], runs: int) -> list[float]:
    """Seconds of each of `runs` runs, after one that does not count."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return times[1:]


def heavy_modules(code: str) -> list[str]:
    """Which heavy modules the code leaves imported."""
    ended = subprocess.run([sys.executable, "-c", f"{code}{_HEAVY}"], check=True, capture_output=True, text=True)
    found: list[str] = json.loads(ended.stderr.replace("'", '"'))
    return found


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    for name, command in COMMANDS.items():
        times = measure(command, max(options.runs, 11))
        results[name] = {"median": statistics.median(times), "min": min(times), "max": max(times), "runs": len(times)}
    heavy = {"import mezzotint": heavy_modules("import sys, mezzotint; "), "mezzotint --help": heavy_modules(_HELP)}
    ok = results["mezzotint --help"]["median"] < HELP_LIMIT and not any("torch" in names for names in heavy.values())
    if options.json:
        print(json.dumps({"seconds": results, "heavy_modules": heavy, "ok": ok}, indent=2))
    else:
        for name, seconds in results.items():
            print(f"{name:24} median {seconds['median']:.3f} s  ({seconds['min']:.3f} to {seconds['max']:.3f})")
        for name, names in heavy.items():
            print(f"{name:24} imports of torch, numpy, pydantic, rich: {', '.join(names) or 'none'}")
        print(f"help under {HELP_LIMIT} s and no torch: {'yes' if ok else 'NO'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
