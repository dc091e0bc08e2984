"""What to tell a person when a training has ended."""

from __future__ import annotations

from mezzotint.tasks.run import Run

_FEW = 3
_LONG_AGO = 0.25  # of the whole training: a best validation that is further back than this is remarked upon


def on_validation(run: Run) -> str | None:
    """A sentence on a run whose best validation was long ago; None where there is nothing to say."""
    every, patience = run.recipe.train.validate_every, run.recipe.train.patience
    if not every or not run.waited:
        return None
    best = (run.step // every - run.waited) * every
    stopped = bool(patience) and run.waited >= patience
    if not stopped and (run.waited < _FEW or run.step - best < _LONG_AGO * run.step):
        return None
    times = "validation" if run.waited == 1 else f"{run.waited:,} validations"
    ended = ", so training stopped" if stopped else ""
    return (
        f"The last {times} brought nothing better than step {best:,}{ended}; take that one with --checkpoint best "
        '(in Python mz.load(path, "best")).'
    )
