"""The cache: hits, misses, damage, other writers, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.core.errors import DataError
from mezzotint.data import _rows
from mezzotint.data import cache as cache_module
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for i in range(20):
        Image.new("L", (8, 8), i).save(folder / f"{i:02d}.png")
    return folder


class Opener:
    """Opens the folder and counts how many files were decoded."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache, self.decoded = root, cache, 0

    def __call__(self, config: DataConfig = DataConfig()) -> PictureSet:
        self.decoded = 0

        def progress(done: int, total: int) -> None:
            assert 0 < done <= total
            self.decoded = done

        return open_pictures(self.root, config, cache_dir=self.cache, progress=progress)


@pytest.fixture
def opener(root: Path, tmp_path: Path) -> Opener:
    return Opener(root, tmp_path / "cache")


def entries(opener: Opener) -> list[Path]:
    return sorted((opener.cache / "pictures").iterdir())


def test_the_second_time_nothing_is_decoded(opener: Opener) -> None:
    first = opener()
    assert opener.decoded == 20
    second = opener()
    assert opener.decoded == 0
    assert isinstance(second.pictures, np.memmap)
    assert not second.pictures.flags.writeable
    assert (first.pictures == second.pictures).all()
    assert first.fingerprint == second.fingerprint
    opener(DataConfig(flip=True, validation=0.3, split_seed=4))
    assert opener.decoded == 0
    opener(DataConfig(size=4))
    assert opener.decoded == 20


def test_a_fingerprint_is_the_same_in_later_versions() -> None:
    # A run goes on only with the pictures that it was trained on, also after options have been added.
    found = open_pictures(np.zeros((20, 8, 8), np.uint8), DataConfig(flip=True)).fingerprint
    assert found == "950e7a6bdbc75aee90b068c4a1ce0f965172af208574a4ef155a21679676f498"
    other = open_pictures(np.zeros((20, 8, 8), np.uint8), DataConfig(validation=0.2)).fingerprint
    assert other == "c7fb985d84bed3345e7ba7e85644c017292df2910fda643f5d5cea5263477278"


def test_a_changed_file_is_seen_and_a_touched_one_is_recognised(opener: Opener) -> None:
    first = opener()
    os.utime(opener.root / "03.png", (1, 1))
    assert opener().fingerprint == first.fingerprint
    assert opener.decoded == 0
    Image.new("L", (8, 8), 99).save(opener.root / "03.png")
    changed = opener()
    assert opener.decoded == 20
    assert changed.pictures[3].max() == 99
    assert changed.fingerprint != first.fingerprint


def test_a_copy_of_the_folder_is_recognised(opener: Opener, tmp_path: Path) -> None:
    first = opener()
    shutil.copytree(opener.root, tmp_path / "copy")
    for path in (tmp_path / "copy").iterdir():
        os.utime(path, (2, 2))
    opener.root = tmp_path / "copy"
    assert opener().fingerprint == first.fingerprint
    assert opener.decoded == 0


@pytest.mark.parametrize("harm", ["cut", "no meta", "bad meta", "no pictures", "other meta"])
def test_damage_is_noticed_and_mended(opener: Opener, harm: str) -> None:
    truth = np.array(opener().pictures)
    (entry,) = entries(opener)
    pictures, meta = entry / cache_module.PICTURES_FILE, entry / cache_module.META
    if harm == "cut":
        os.truncate(pictures, pictures.stat().st_size - 1)
    elif harm == "no meta":
        meta.unlink()
    elif harm == "bad meta":
        meta.write_text('{"files": ')
    elif harm == "other meta":
        meta.write_text(json.dumps(json.loads(meta.read_text()) | {"files": ["a"]}))
    else:
        pictures.unlink()
    again = opener()
    assert opener.decoded == 20
    assert (again.pictures == truth).all()
    opener()
    assert opener.decoded == 0


def test_an_interruption_leaves_nothing(opener: Opener) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_pictures(opener.root, cache_dir=opener.cache, progress=stop)
    assert entries(opener) == []
    assert len(opener()) == 20


def test_a_full_disk_is_one_sentence(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, data: memoryview) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_rows.RowFile, "_write", full)
    with pytest.raises(DataError, match="is full; free some space"):
        opener()
    assert entries(opener) == []


def test_several_at_once(opener: Opener) -> None:
    def once(_: int) -> PictureSet:
        return open_pictures(opener.root, cache_dir=opener.cache)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(once, range(4)))
    assert len({one.fingerprint for one in found}) == 1
    assert len(entries(opener)) == 1


def test_a_folder_that_cannot_be_written(opener: Opener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = open_pictures(opener.root, cache_dir=tmp_path / "file")
    assert len(found) == 20
    assert any("cannot be written" in note for note in found.notes)


def test_old_leftovers_are_swept(opener: Opener) -> None:
    for name, age in ((".partial-old", 10**6), (".partial-new", 0)):
        left = opener.cache / "pictures" / name
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    opener()
    assert {p.name for p in entries(opener) if p.name.startswith(".")} == {".partial-new"}


def test_the_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path))
    assert cache_module.default_folder() == tmp_path
    monkeypatch.delenv("MEZZOTINT_CACHE")
    monkeypatch.setattr(cache_module.sys, "platform", "darwin")
    assert cache_module.default_folder().parts[-3:] == ("Library", "Caches", "mezzotint")


def test_many_pictures_open_quickly_from_the_cache(tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    Image.new("L", (4, 4), 7).save(root / "0.png")
    data = (root / "0.png").read_bytes()
    for i in range(1, 3000):
        (root / f"{i}.png").write_bytes(data)
    cache = tmp_path / "cache"
    open_pictures(root, cache_dir=cache)
    started = time.process_time()
    assert len(open_pictures(root, cache_dir=cache)) == 3000
    assert time.process_time() - started < 0.6
