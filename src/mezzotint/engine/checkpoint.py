"""Checkpoints that survive a kill, a full disk and a flipped bit.

A checkpoint is a folder `step-00002000` that is prepared under another name and renamed when it is whole and
on the disk (`_checkpoint_folder` says what is in it). Nothing older is removed before that, and what is loaded
is compared with the sums that were taken when it was saved: a checkpoint is whole or it is passed over.
One process saves at a time; any number may read meanwhile.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError
from mezzotint.engine._checkpoint_folder import (
    SCHEMA,
    Damaged,
    encode_state,
    read_commit,
    read_folder,
    seal,
    unseal,
    write_folder,
)
from mezzotint.engine._safetensors import read_safetensors, write_safetensors

__all__ = ["Checkpoint", "CheckpointStore", "read_safetensors", "write_safetensors"]

_BEST = "best.json"
_NAME = re.compile(r"step-([0-9]{8,18})(?:-([0-9]{1,9}))?")
_TRIES = 20


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found whole.

    Attributes:
        step: the step it was saved at.
        tensors: by name, on the CPU, equal in dtype, shape and value to what was saved.
        state: the rest, plain JSON values.
        path: its folder.
        warnings: a sentence for each newer checkpoint that was passed over.
    """

    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]
    path: Path
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class _Candidate:
    """A folder whose name is that of a checkpoint. Saving a step again makes a further turn of it."""

    step: int
    turn: int
    path: Path

    def looks_whole(self) -> bool:
        try:
            read_commit(self.path, self.step)
        except (Damaged, CheckpointError):
            return False
        return True


class _Gone(Exception):
    """A folder was pruned while we were reading it; look again."""


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: where they are; made when the first is saved.
        keep: how many of the last to keep, besides the best one; at least 1.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = CheckpointStore(Path(folder) / "checkpoints")
        ...     path = store.save(20, {"weight": torch.eye(2)}, {"epoch": 1})
        ...     found = store.load("latest")
        >>> path.name, found.step, found.state, found.tensors["weight"].tolist()
        ('step-00000020', 20, {'epoch': 1}, [[1.0, 0.0], [0.0, 1.0]])
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1; got {keep}.")
        self.folder = Path(folder)
        self.keep = keep
        atomic.remove_partials(self.folder)

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, best: bool = False) -> Path:
        """Save a checkpoint, and then remove the old ones that need not be kept.

        Checkpoints of later steps, left from before a run was taken back to an earlier one, stay until the run
        has passed them. The tensors must not change meanwhile. If this raises, every older checkpoint is as it was.

        Args:
            step: a count, at least 0. Saving a step again replaces it, once the new one is whole.
            tensors: dense tensors of any shape, memory layout and device.
            state: plain JSON values; loading gives tuples back as lists.
            best: name this the best one, which is kept until another is named.

        Returns:
            The checkpoint's folder.

        Raises:
            TrainingError: the disk is full, read-only or failing.
            CheckpointError: the store's folder is not a folder that can be read.
            TypeError, ValueError: the step, a tensor or the state cannot be saved; nothing was written.
        """
        if type(step) is not int or not 0 <= step < 10**18:
            raise ValueError(f"step must be a count; got {step!r}.")
        document = encode_state(step, state)
        wanted = self.folder / f"step-{step:08d}"
        with atomic.explained(wanted):
            self._make_folder()
            atomic.remove_partials(self.folder)
            target = self._free_name(step)
            with atomic.partial(self.folder) as temporary:
                write_folder(temporary, step, tensors, document)
                atomic.disk.replace(temporary, target)
            atomic.sync_folder(self.folder)
        if best:
            atomic.write_bytes(self.folder / _BEST, seal({"schema": SCHEMA, "step": step}))
        self._prune(step, target)
        return target

    def latest(self, verify: bool = True) -> Checkpoint | None:
        """The newest checkpoint that is whole, or None where nothing was ever saved.

        Args:
            verify: compare the SHA-256 of the tensors too; without, only their size and form are checked.

        Raises:
            CheckpointError: there are checkpoints and none is whole, or the newest was made by a newer Mezzotint.
        """
        return self._newest_whole(self._candidates, verify)

    def load(self, which: int | str = "latest") -> Checkpoint:
        """A checkpoint: "latest" (see `latest`), "best", or that of a step.

        Raises:
            CheckpointError: there is none, or what was asked for is not whole. Only "latest" falls back to an
                older one.
        """
        if which == "latest":
            found = self.latest()
        elif which == "best":
            found = self._newest_whole(self._best_candidates, verify=True)
        elif isinstance(which, int):
            found = self._newest_whole(lambda: [c for c in self._candidates() if c.step == which], verify=True)
        else:
            raise CheckpointError(f'There is no checkpoint "{which}"; ask for "latest", "best" or a step.')
        if found is None:
            name = f"of step {which}" if isinstance(which, int) else f"({which})"
            raise CheckpointError(f"There is no checkpoint {name} in {self.folder}; {self._known()}.")
        return found

    def steps(self) -> list[int]:
        """The steps of all finished checkpoints, ascending. Sizes are compared, sums are not."""
        return sorted({candidate.step for candidate in self._candidates() if candidate.looks_whole()})

    def remains(self) -> bool:
        """Whether there is anything that was once a checkpoint, whole or not."""
        return bool(self._candidates())

    def _known(self, but: Collection[_Candidate] = ()) -> str:
        """A clause that says which checkpoints could be had instead."""
        steps = sorted({c.step for c in self._candidates() if c not in but and c.looks_whole()})
        return f"there are those of steps {', '.join(map(str, steps))}" if steps else "no other is there"

    def _candidates(self) -> list[_Candidate]:
        """All folders that may be checkpoints, newest first."""
        try:
            paths = list(self.folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            reason = error.strerror or error
            raise CheckpointError(f"Cannot read the checkpoints in {self.folder}: {reason}.") from error
        matches = [(match, path) for path in paths if (match := _NAME.fullmatch(path.name))]
        return sorted((_Candidate(int(m[1]), int(m[2] or 1), path) for m, path in matches), reverse=True)

    def _best_step(self) -> int | None:
        path = self.folder / _BEST
        try:
            if not path.exists():
                return None
            step = unseal(path).get("step")
        except (Damaged, OSError) as error:
            raise CheckpointError(
                f'Cannot tell which checkpoint in {self.folder} is the best: {error}; ask for "latest" or a step.'
            ) from error
        return step if type(step) is int else None

    def _best_candidates(self) -> list[_Candidate]:
        best = self._best_step()
        found = [candidate for candidate in self._candidates() if candidate.step == best]
        if best is not None and not found:
            raise _Gone(f"{_BEST} names step {best}, which is gone")
        return found

    def _newest_whole(self, candidates: Callable[[], list[_Candidate]], verify: bool) -> Checkpoint | None:
        reason = "they change faster than they can be read"
        for _ in range(_TRIES):
            try:
                return self._first_whole(candidates(), verify)
            except _Gone as error:
                reason = str(error)
        raise CheckpointError(f"Cannot read the checkpoints in {self.folder}: {reason}; {self._known()}.")

    def _first_whole(self, candidates: list[_Candidate], verify: bool) -> Checkpoint | None:
        passed: dict[_Candidate, Damaged] = {}
        for candidate in candidates:
            try:
                tensors, state = read_folder(candidate.path, candidate.step, verify)
            except Damaged as error:
                if candidate not in self._candidates():
                    raise _Gone(f"{candidate.path.name} was removed while it was read") from error
                passed[candidate] = error
                continue
            warnings = tuple(
                f"The checkpoint {damaged.path} is damaged ({error}), so {candidate.path.name} is used instead."
                for damaged, error in passed.items()
            )
            return Checkpoint(candidate.step, tensors, state, candidate.path, warnings)
        if passed:
            newest, why = next(iter(passed.items()))
            raise CheckpointError(
                f"The checkpoint {newest.path} is damaged ({why}) and there is no other to use instead; restore "
                f"it from a copy, or start a new run in another folder ({self._known(passed)})."
            ) from why
        return None

    def _make_folder(self) -> None:
        missing = []
        folder = self.folder
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                atomic.disk.mkdir(folder)
            atomic.sync_folder(folder.parent)

    def _free_name(self, step: int) -> Path:
        """A folder cannot be renamed over another, so a step that is saved again gets a name of its own."""
        turn = max((c.turn for c in self._candidates() if c.step == step), default=0) + 1
        return self.folder / (f"step-{step:08d}" if turn == 1 else f"step-{step:08d}-{turn}")

    def _prune(self, step: int, saved: Path) -> None:
        """Remove what `saved` makes superfluous. A failure here is left to the next time: the save is done."""
        with contextlib.suppress(OSError, CheckpointError):  # where we cannot tell which is best, all stay
            best = self._best_step()
            seen = {step}
            for candidate in self._candidates():
                if candidate.path == saved or candidate.step > step:
                    continue
                wanted = candidate.step == best or len(seen) < self.keep
                if candidate.step in seen or not wanted:
                    self._remove(candidate.path)
                elif candidate.looks_whole():
                    seen.add(candidate.step)

    def _remove(self, path: Path) -> None:
        # Renamed first: a crash in the middle must not leave half a checkpoint under a checkpoint's name.
        with atomic.partial(self.folder) as trash:
            atomic.disk.replace(path, trash)
