"""A failing disk and damaged files: what was saved before always loads, and no partial is taken for a checkpoint."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError, TrainingError
from mezzotint.engine import _checkpoint_folder as inside
from mezzotint.engine.checkpoint import Checkpoint, CheckpointStore

OPERATIONS = ("create", "write", "fsync", "replace", "mkdir", "remove")
FILES = (inside.TENSORS, inside.STATE, inside.COMMIT)


class FaultyDisk(atomic.Disk):
    """Counts operations and fails from the Nth of a kind (once or for good), as a real disk would.

    A failing write first writes half of what it was given, which is what a full disk does.
    """

    def __init__(self, kind: str, nth: int, code: int = errno.EIO, for_good: bool = False) -> None:
        self.kind, self.nth, self.code, self.for_good = kind, nth, code, for_good
        self.count = 0
        self.log: list[tuple[str, str]] = []

    @property
    def failed(self) -> bool:
        return self.count >= self.nth

    def _meet(self, kind: str, what: str) -> None:
        self.log.append((kind, what))
        if kind == self.kind:
            self.count += 1
            if self.count == self.nth or (self.for_good and self.failed):
                raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._meet("create", path.name)
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        try:
            self._meet("write", _name(descriptor))
        except OSError:
            super().write(descriptor, data[: len(data) // 2])
            raise
        # Short writes are allowed, so they must be coped with.
        return super().write(descriptor, data[: max(1, len(data) // 2)] if len(data) < 5000 else data)

    def fsync(self, descriptor: int) -> None:
        self._meet("fsync", _name(descriptor))
        super().fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._meet("replace", target.name)
        super().replace(source, target)

    def mkdir(self, folder: Path) -> None:
        self._meet("mkdir", folder.name)
        super().mkdir(folder)

    def remove(self, path: Path) -> None:
        self._meet("remove", path.name)
        super().remove(path)


def _name(descriptor: int) -> str:
    link = Path(f"/proc/self/fd/{descriptor}")
    return link.readlink().name if link.exists() else ""


def save(store: CheckpointStore, step: int, turn: int = 0, best: bool = False) -> Path:
    tensors = {"w": torch.full((40, 40), float(step)), "turn": torch.tensor(turn)}
    return store.save(step, tensors, {"step": step, "turn": turn}, best=best)


def check(found: Checkpoint | None, *allowed: tuple[int, int]) -> None:
    """`found` is whole and is one of the (step, turn) allowed."""
    assert found is not None
    assert (found.step, found.state["turn"]) in allowed
    assert found.state["step"] == found.step
    assert bool((found.tensors["w"] == found.step).all())
    assert int(found.tensors["turn"]) == found.state["turn"]
    assert found.warnings == ()


def one_sentence(error: BaseException, *paths: Path) -> None:
    text = str(error)
    for path in paths:
        text = text.replace(str(path), "PATH")
    for name in FILES:
        text = text.replace(name, "FILE")
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


def _first(store: CheckpointStore) -> None:
    save(store, 1)


def _next(store: CheckpointStore) -> None:
    save(store, 3)


def _best(store: CheckpointStore) -> None:
    save(store, 3, best=True)


def _again(store: CheckpointStore) -> None:
    save(store, 2, turn=1)


SCENES: dict[str, tuple[Callable[[CheckpointStore], None], bool, tuple[int, int]]] = {
    "first": (_first, False, (1, 0)),
    "next": (_next, True, (3, 0)),
    "best": (_best, True, (3, 0)),
    "same step": (_again, True, (2, 1)),
}


def until_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: str, **fault: Any) -> Iterator[FaultyDisk]:
    """For every N until nothing fails any more: build a store, save with the fault, and check what is left."""
    act, has_older, new = SCENES[scene]
    for nth in range(1, 200):
        folder = tmp_path / str(nth) / "run"
        folder.parent.mkdir()
        if has_older:
            older = CheckpointStore(folder, keep=1)
            save(older, 1, best=True)
            save(older, 2)
        disk = FaultyDisk(nth=nth, **fault)
        raised: TrainingError | None = None
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "disk", disk)
            try:
                act(CheckpointStore(folder, keep=1))
            except TrainingError as error:
                raised = error
        reader = CheckpointStore(folder, keep=1)
        if raised is not None:
            one_sentence(raised, folder, folder.parent)
            if has_older:
                check(reader.latest(), (2, 0), new)
                assert reader.load("best").step in ({1, 3} if scene == "best" else {1})
            else:
                assert reader.latest() is None or reader.latest().step == 1  # type: ignore[union-attr]
        else:
            check(reader.latest(), new)
        assert list(folder.glob(".partial-*")) == [], "a store that is opened clears away what is half-written"
        act(reader)
        check(reader.latest(), new)
        yield disk
        if not disk.failed:
            return
        shutil.rmtree(folder.parent)
    raise AssertionError("the fault never stopped")


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("kind", OPERATIONS)
def test_nth_operation_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: str, kind: str, for_good: bool
) -> None:
    disks = list(until_clean(tmp_path, monkeypatch, scene, kind=kind, for_good=for_good))
    assert len(disks) >= 2, "at least one operation of each kind is met, or the seam is not used"


@pytest.mark.parametrize("kind", ["create", "write", "fsync", "mkdir"])
def test_before_the_rename_a_fault_always_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    save(CheckpointStore(tmp_path), 1)
    for nth in range(1, 100):
        disk = FaultyDisk(kind, nth)
        error = None
        with monkeypatch.context() as patch:
            patch.setattr(atomic, "disk", disk)
            try:
                save(CheckpointStore(tmp_path), 2)
            except TrainingError as raised:
                error = raised
        if ("replace", "step-00000002") in disk.log:
            break
        assert error is not None
        assert CheckpointStore(tmp_path).steps() == [1]
    assert nth > 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "the disk is read-only; choose another place"),
        (errno.EACCES, "you may not write there; choose another place"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
@pytest.mark.parametrize("kind", ["create", "write", "mkdir", "replace"])
def test_the_sentence_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str, kind: str
) -> None:
    save(CheckpointStore(tmp_path), 1)
    monkeypatch.setattr(atomic, "disk", FaultyDisk(kind, 1, code, for_good=True))
    with pytest.raises(TrainingError) as caught:
        save(CheckpointStore(tmp_path), 2)
    one_sentence(caught.value, tmp_path)
    assert words in str(caught.value)
    assert "step-00000002" in str(caught.value)
    check(CheckpointStore(tmp_path).latest(), (1, 0))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
def test_order_of_flushes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut may lose is what was not flushed; so: data, their folder, COMMIT, the folder, the rename, its
    folder; and nothing old goes before all that."""
    store = CheckpointStore(tmp_path / "run", keep=1)
    save(store, 1)
    disk = FaultyDisk("none", 1)
    monkeypatch.setattr(atomic, "disk", disk)
    save(store, 2)
    steps = [
        (kind, "PARTIAL" if what.startswith(".partial-") else what)
        for kind, what in disk.log
        if kind in ("create", "fsync", "replace", "mkdir")
    ]
    assert steps == [
        ("mkdir", "PARTIAL"),
        ("create", "tensors.safetensors"),
        ("fsync", "tensors.safetensors"),
        ("create", "state.json"),
        ("fsync", "state.json"),
        ("fsync", "PARTIAL"),
        ("create", "COMMIT.json"),
        ("fsync", "COMMIT.json"),
        ("fsync", "PARTIAL"),
        ("replace", "step-00000002"),
        ("fsync", "run"),
        ("replace", "PARTIAL"),  # only now the old one is moved out of the way
    ]


# --- disks that really are full ----------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    if sys.platform != "linux":
        pytest.skip("mounting a small disk is done on Linux only")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=1m"):
        pytest.skip(f"a small disk cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        libc.umount2(os.fsencode(folder), 2)


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    store = CheckpointStore(tiny_disk / "run", keep=5)
    tensors = {"w": torch.ones(75_000)}  # 0.3 MB, so the fourth does not fit
    for step in (1, 2, 3):
        store.save(step, tensors, {"step": step})
    with pytest.raises(TrainingError, match="the disk is full; free some space") as caught:
        store.save(4, tensors, {})
    one_sentence(caught.value, tiny_disk)
    assert CheckpointStore(tiny_disk / "run").steps() == [1, 2, 3]
    assert store.load("latest").step == 3
    shutil.rmtree(tiny_disk / "run" / "step-00000001")
    store.save(4, tensors, {})
    assert store.steps() == [2, 3, 4]


def test_a_disk_that_is_really_read_only(tiny_disk: Path) -> None:
    save(CheckpointStore(tiny_disk), 1)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(None, os.fsencode(tiny_disk), None, 0x21, None):  # MS_REMOUNT | MS_RDONLY
        pytest.skip(f"a disk cannot be made read-only here: {os.strerror(ctypes.get_errno())}")
    with pytest.raises(TrainingError, match="the disk is read-only; choose another place") as caught:
        save(CheckpointStore(tiny_disk), 2)
    one_sentence(caught.value, tiny_disk)
    check(CheckpointStore(tiny_disk).latest(), (1, 0))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """The kernel itself refuses a write in the middle: no seam of ours is involved."""
    program = """
import resource, sys, torch
from pathlib import Path
from mezzotint.core.errors import TrainingError
from mezzotint.engine.checkpoint import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
store.save(1, {"w": torch.ones(1000)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.save(2, {"w": torch.ones(100_000)}, {})
except TrainingError as error:
    print(error)
assert store.load("latest").step == 1 and store.steps() == [1]
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_really_is_read_only(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "run")
    save(store, 1)
    (tmp_path / "run").chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(TrainingError, match="you may not write there; choose another place"):
            save(store, 2)
        check(CheckpointStore(tmp_path / "run").latest(), (1, 0))
    finally:
        (tmp_path / "run").chmod(stat.S_IRWXU)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("I was here first")
    for folder in (tmp_path / "run", tmp_path / "run" / "checkpoints"):
        with pytest.raises((TrainingError, CheckpointError)) as caught:
            save(CheckpointStore(folder), 1)
        one_sentence(caught.value, tmp_path)
    assert (tmp_path / "run").read_text() == "I was here first"


# --- files that are damaged afterwards ---------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> CheckpointStore:
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2)
    return store


def places(size: int) -> list[int]:
    """The first 150, the last 150, and some in between."""
    return sorted({*range(min(150, size)), *range(max(0, size - 150), size), *range(0, size, 1 + size // 100)})


def falls_back(store: CheckpointStore, name: str) -> None:
    found = store.latest()
    assert found is not None
    assert found.step == 1
    (warning,) = found.warnings
    one_sentence(AssertionError(warning), store.folder)
    assert "step-00000002 is damaged" in warning
    assert name in warning


@pytest.mark.parametrize("name", FILES)
def test_flipped_bit_anywhere_is_noticed(two: CheckpointStore, name: str) -> None:
    path = two.folder / "step-00000002" / name
    whole = path.read_bytes()
    for place in places(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        falls_back(two, name)
    path.write_bytes(whole)
    check(two.latest(), (2, 0))


@pytest.mark.parametrize("name", FILES)
def test_truncation_at_any_length_is_noticed(two: CheckpointStore, name: str) -> None:
    path = two.folder / "step-00000002" / name
    whole = path.read_bytes()
    for length in places(len(whole)):
        path.write_bytes(whole[:length])
        falls_back(two, name)
        assert two.steps() == [1]
    path.write_bytes(whole + b"\0")
    falls_back(two, name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("instead", [None, "folder", "pipe", "zeros"])
def test_missing_or_strange_file_is_noticed(two: CheckpointStore, name: str, instead: str | None) -> None:
    path = two.folder / "step-00000002" / name
    size = path.stat().st_size
    path.unlink()
    if instead == "folder":
        path.mkdir()
    elif instead == "zeros":
        path.write_bytes(bytes(size))
    elif instead == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no pipes in folders")
        os.mkfifo(path)
    falls_back(two, name)


def test_without_verify_sums_of_tensors_are_not_compared(two: CheckpointStore) -> None:
    path = two.folder / "step-00000002" / inside.TENSORS
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    quick = two.latest(verify=False)
    assert quick is not None
    assert quick.step == 2
    falls_back(two, inside.TENSORS)


def test_two_damaged_in_a_row_are_both_named(two: CheckpointStore) -> None:
    save(two, 3)
    for step in (2, 3):
        (two.folder / f"step-{step:08d}" / inside.COMMIT).unlink()
    found = two.load("latest")
    assert found.step == 1
    assert [w.split(" is damaged")[0][-1] for w in found.warnings] == ["3", "2"]


def test_none_whole_is_an_error_and_not_a_fresh_start(two: CheckpointStore) -> None:
    for step in (1, 2):
        (two.folder / f"step-{step:08d}" / inside.STATE).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="there is no other to use instead") as caught:
        two.latest()
    one_sentence(caught.value, two.folder)


def test_saving_after_a_fallback_loses_nothing_whole(tmp_path: Path) -> None:
    """The newest is damaged, the run resumes from the one before: that one must stay until its successor is whole."""
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 3)
    CheckpointStore(tmp_path, keep=9).save(1, {}, {})
    (tmp_path / "step-00000003" / inside.COMMIT).unlink()
    save(store, 2)
    assert store.steps() == [2]
    assert store.load("latest").step == 2
    save(store, 3, turn=1)
    check(store.latest(), (3, 1))


def test_a_checkpoint_that_is_not_whole_takes_no_place(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    save(store, 1)
    save(store, 2)
    (tmp_path / "step-00000002" / inside.TENSORS).write_bytes(b"cut")
    save(store, 3)
    assert store.steps() == [1, 3]
    save(store, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]
