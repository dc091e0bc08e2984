"""Files that are wholly there or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.core import atomic
from mezzotint.core.errors import TrainingError


class Failing(atomic.Disk):
    """Fails at one kind of operation; a write first writes half."""

    def __init__(self, kind: str, code: int = errno.ENOSPC) -> None:
        self.kind, self.code = kind, code

    def _meet(self, kind: str) -> None:
        if kind == self.kind:
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._meet("create")
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.kind == "write":
            super().write(descriptor, data[: len(data) // 2])
        self._meet("write")
        return super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._meet("fsync")
        super().fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._meet("replace")
        super().replace(source, target)


class Halves(atomic.Disk):
    """Writes less than it is given, as the system may."""

    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[: (len(data) + 1) // 2])


@settings(deadline=None, max_examples=40)
@given(chunks=st.lists(st.binary(max_size=100), max_size=6))
def test_chunks_are_joined_and_summed(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("chunks") / "file"
    sha256 = atomic.write_chunks(path, chunks)
    assert path.read_bytes() == b"".join(chunks)
    assert sha256 == hashlib.sha256(b"".join(chunks)).hexdigest() == atomic.file_sha256(path)
    assert list(path.parent.iterdir()) == [path]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "disk", Halves())
    atomic.write_bytes(tmp_path / "file", bytes(range(256)) * 9)
    assert (tmp_path / "file").read_bytes() == bytes(range(256)) * 9


def test_arrays_of_any_type_are_written_as_bytes(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    atomic.write_bytes(tmp_path / "file", array.data)
    assert (tmp_path / "file").read_bytes() == array.tobytes()


def test_text_and_json(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "text", "Grüße, 絵")
    assert (tmp_path / "text").read_bytes() == "Grüße, 絵".encode()
    atomic.write_json(tmp_path / "json", {"ä": [1, None, 0.1]})
    assert json.loads((tmp_path / "json").read_text(encoding="utf-8")) == {"ä": [1, None, 0.1]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_json_has_no_nan(tmp_path: Path, value: object) -> None:
    atomic.write_text(tmp_path / "json", "old")
    with pytest.raises(ValueError):
        atomic.write_json(tmp_path / "json", value)
    assert (tmp_path / "json").read_text() == "old"


@pytest.mark.parametrize("kind", ["create", "write", "fsync", "replace"])
def test_a_fault_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    atomic.write_text(tmp_path / "file", "old")
    monkeypatch.setattr(atomic, "disk", Failing(kind))
    with pytest.raises(TrainingError) as caught:
        atomic.write_text(tmp_path / "file", "something new")
    assert str(caught.value) == (
        f"Cannot write {tmp_path / 'file'}: the disk is full; free some space (nothing saved before is damaged)."
    )
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_chunk_that_cannot_be_made_leaves_the_old_file(tmp_path: Path) -> None:
    def chunks() -> object:
        yield b"begin"
        raise RuntimeError("out of memory on the GPU")

    atomic.write_text(tmp_path / "file", "old")
    with pytest.raises(RuntimeError):
        atomic.write_chunks(tmp_path / "file", chunks())  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="its folder is gone; choose another place"):
        atomic.write_text(tmp_path / "gone" / "file", "x")


@pytest.mark.skipif(os.name == "nt", reason="permissions of this kind are not on Windows")
def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_write_new_does_not_overwrite(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError):
        atomic.write_new(tmp_path / "file", [b"new"])
    assert (tmp_path / "file").read_text() == "old"


def test_partial_is_removed_whatever_it_is(tmp_path: Path) -> None:
    with atomic.partial(tmp_path) as file:
        file.write_text("x")
    with atomic.partial(tmp_path) as folder:
        folder.mkdir()
        (folder / "inside").write_text("x")
    with atomic.partial(tmp_path) as renamed:
        renamed.mkdir()
        renamed.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_partials_of_the_living_stay_and_of_the_dead_go(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from mezzotint.core import atomic
with atomic.partial(Path({str(tmp_path)!r})) as folder:
    folder.mkdir()
    (folder / "inside").write_text("x")
    print("ready", flush=True)
    time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        atomic.remove_partials(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1, "its process lives"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    atomic.remove_partials(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_own_partials_stay_while_in_use_and_go_when_left_over(tmp_path: Path) -> None:
    with atomic.partial(tmp_path) as mine:
        mine.write_text("x")
        left = tmp_path / f"{mine.name}0"
        left.write_text("x")
        atomic.remove_partials(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [mine.name]


@pytest.mark.parametrize("name", [".partial-0badcafe-1-x", ".partial-abc", ".partial-"])
def test_partials_of_unknown_processes_go_when_idle(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "inside").write_text("x")
    atomic.remove_partials(tmp_path)
    assert folder.exists(), "it may be of another machine that shares the disk"
    old = time.time() - 3600
    os.utime(folder, (old, old))
    atomic.remove_partials(tmp_path)
    assert folder.exists(), "a file in it was written a moment ago"
    os.utime(folder / "inside", (old, old))
    atomic.remove_partials(tmp_path)
    assert not folder.exists()


def test_removing_partials_never_follows_links(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    link = tmp_path / ".partial-link"
    link.symlink_to(tmp_path / "precious", target_is_directory=True)
    old = time.time() - 3600
    os.utime(link, (old, old), follow_symlinks=False)
    atomic.remove_partials(tmp_path)
    assert not link.is_symlink()
    assert (tmp_path / "precious" / "file").exists()


def test_removing_partials_where_there_is_nothing(tmp_path: Path) -> None:
    atomic.remove_partials(tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    atomic.remove_partials(tmp_path / "file")
