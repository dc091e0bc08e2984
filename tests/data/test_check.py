"""The data report finds what was planted, and nothing that was not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from mezzotint.core.errors import DataError
from mezzotint.data import duplicates
from mezzotint.data.check import DataReport, check_pictures
from mezzotint.data.duplicates import close_hashes, exact_groups, groups_of, look, near_pairs
from mezzotint.data.raw import RawArrays
from mezzotint.data.shapes import shapes
from mezzotint.data.types import DataConfig, PictureSet


def photo(seed: int, size: int = 64, channels: int = 3) -> Image.Image:
    """Something with the smoothness of a photograph."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, channels), dtype=np.uint8).squeeze())
    return coarse.resize((size, size), Image.Resampling.BICUBIC)


def write(folder: Path, count: int, size: int = 64) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        photo(k, size).save(folder / f"{k:03}.png")
    return folder


def check(source: object, **options: object) -> DataReport:
    return check_pictures(source, DataConfig(**options))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_a_clean_folder_is_clean(tmp_path: Path) -> None:
    report = check(write(tmp_path / "p", 40))
    assert (report.count, report.shape, report.depth) == (40, (3, 64, 64), 8)
    assert (report.bad, report.exact, report.near, report.leaks, report.contradictions, report.blank) == ((),) * 6
    assert report.modes == {"RGB": 40}
    assert report.sizes is not None
    assert report.sizes.different == 1
    assert sum(report.parts.values()) == 40
    assert "No picture is there twice." in report.sentences()
    assert [s for s in report.suggestions if "few" not in s] == []


def test_planted_twins_are_found_and_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", 40)
    photo(3).save(folder / "copy.png", optimize=True)
    photo(5).save(folder / "saved-again.jpg", quality=70)
    photo(7, 64).resize((40, 40)).resize((64, 64)).save(folder / "shrunk.png")
    ImageEnhance.Brightness(photo(9)).enhance(0.95).save(folder / "darker.png")
    report = check(folder, validation=0.5)
    assert report.exact == (("003.png", "copy.png"),)
    assert set(report.near) == {("005.png", "saved-again.jpg"), ("007.png", "shrunk.png"), ("009.png", "darker.png")}
    for leak in report.leaks:
        assert leak.part == "validation"
        assert leak.twin_part == "train"
        assert {leak.name, leak.twin} & {"copy.png", "saved-again.jpg", "shrunk.png", "darker.png"}
    assert bool(report.leaks) == any("another part" in s for s in report.suggestions)
    assert any("more than once" in s for s in report.suggestions)


def test_leaks_are_exactly_the_twins_that_are_divided() -> None:
    pictures = np.stack([np.asarray(photo(k % 10)) for k in range(20)])
    splits = {"train": np.arange(0, 12), "validation": np.arange(12, 16), "test": np.arange(16, 20)}
    made = PictureSet(pictures, None, (), tuple(f"n{k:02}" for k in range(20)), splits, "made", "x")
    report = check(made)
    assert {(leak.name, leak.part, leak.twin) for leak in report.leaks} == {
        *((f"n{k}", "validation", f"n0{k - 10}") for k in range(12, 16)),
        *((f"n{k}", "test", f"n0{k - 10}") for k in range(16, 20)),
    }


def test_one_picture_in_two_classes(tmp_path: Path) -> None:
    for name, seeds in (("cats", range(30)), ("dogs", range(29, 34))):
        (tmp_path / "p" / name).mkdir(parents=True)
        for k in seeds:
            photo(k).save(tmp_path / "p" / name / f"{k:03}.png")
    report = check(tmp_path / "p")
    assert report.classes == {"cats": 30, "dogs": 5}
    assert report.contradictions == (("cats/029.png", "dogs/029.png"),)
    assert any("two classes" in s for s in report.suggestions)
    assert any("rare classes" in s for s in report.suggestions)


def test_damage_and_odd_modes_and_sizes(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", 10, 80)
    (folder / "broken.png").write_bytes((folder / "000.png").read_bytes()[:900])
    (folder / "empty.jpg").write_bytes(b"")
    photo(50, 100).convert("CMYK").save(folder / "print.jpg")
    photo(51, 90).convert("P").save(folder / "palette.png")
    photo(52, 40).convert("L").save(folder / "grey.png")
    Image.new("RGB", (80, 80), (9, 99, 199)).save(folder / "plain.png")
    report = check(folder)
    assert {file.path for file in report.bad} == {"broken.png", "empty.jpg"}
    assert {"CMYK", "P", "L"} <= set(report.modes)
    assert report.shape == (3, 64, 64)
    assert report.sizes is not None
    assert (report.sizes.smallest, report.sizes.median, report.sizes.largest) == ((40, 40), (80, 80), (100, 100))
    assert report.blank == ("plain.png",)
    text = " ".join(report.sentences())
    for words in ("--size 64", "CMYK", "cannot be used", "--set data.mode=grey", "one colour", "empty.jpg"):
        assert words in text


def test_archives_give_the_same_report(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", 12)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    one, other = check(folder).to_dict(), check(tmp_path / "p.zip").to_dict()
    assert one.pop("source") != other.pop("source")
    assert one == other


def test_grey_in_colour_and_predictions() -> None:
    grey = np.stack([np.asarray(photo(k, 32, 1)) for k in range(8)])
    report = check_pictures(np.repeat(grey[..., None], 3, axis=3), memory_bytes=3 * 2**20, seconds=7000)
    assert any("third of the memory" in s for s in report.suggestions)
    assert any("3 MiB" in s for s in report.sentences())
    assert any("117 minutes" in s for s in report.sentences())


def test_the_report_is_json(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", 6)
    photo(3).save(folder / "copy.png")
    (folder / "empty.jpg").write_bytes(b"")
    report = check(folder, validation=0.4)
    plain = report.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["bad"] == [{"path": "empty.jpg", "reason": report.bad[0].reason}]
    assert plain["exact"] == [["003.png", "copy.png"]]
    assert plain["sizes"]["median"] == [64, 64]


def test_nothing_there(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError):
            check(source)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_hash_search_against_counting_bits(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    base = rng.integers(0, 2**63, (20, 2), dtype=np.uint64)
    hashes = base[rng.integers(0, 20, 60)].copy()
    for row in range(60):
        for bit in rng.integers(0, 128, data.draw(st.integers(0, 8))):
            hashes[row, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    numbers = [int(a) << 64 | int(b) for a, b in hashes]
    truth = [[i, j] for i in range(60) for j in range(i + 1, 60) if (numbers[i] ^ numbers[j]).bit_count() <= 7]
    assert close_hashes(hashes).tolist() == truth
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BRUTE_FORCE", 0)
        for small in (64, 3, 1):  # buckets of rows that share a band are searched in two ways
            patch.setattr(duplicates, "_SMALL", small)
            assert close_hashes(hashes).tolist() == truth


@pytest.mark.parametrize("shape", [(28, 28, 1), (64, 48, 3), (5, 7, 3), (40, 40, 4)])
def test_agreement_against_its_formula(shape: tuple[int, int, int]) -> None:
    """Pairs on both sides of the limit, some of them very near to it."""
    rng = np.random.default_rng(3)
    base = rng.integers(60, 196, shape)
    noise = [rng.normal(0, spread, shape) for spread in np.linspace(0, 12, 60)]
    pictures = np.stack([base, *(np.clip(base + each, 0, 255) for each in noise)]).astype(np.uint8)
    pairs = np.array([[0, k] for k in range(1, 61)] + [[k, k + 1] for k in range(1, 60)])
    thumbs = duplicates._thumbs(pictures).reshape(61, -1).astype(np.float64)
    thumbs -= thumbs.mean(axis=1, keepdims=True)
    a, b = thumbs[pairs[:, 0]], thumbs[pairs[:, 1]]
    agreement = 2 * (a * b).sum(1) / ((a * a).sum(1) + (b * b).sum(1))
    wanted = agreement >= duplicates.MIN_AGREEMENT
    assert 10 < wanted.sum() < len(pairs) - 10
    assert duplicates._agreeing(pictures, pairs).tolist() == pairs[wanted].tolist()


@given(st.lists(st.binary(max_size=1), max_size=30))
def test_exact_groups_partition(digests: list[bytes]) -> None:
    groups = exact_groups(digests)
    assert all(len(g) > 1 and len({digests[i] for i in g}) == 1 for g in groups)
    assert sum(map(len, groups)) == sum(digests.count(d) > 1 for d in digests)


def test_groups_are_connected() -> None:
    assert groups_of(np.array([[5, 9], [1, 3], [3, 5]])) == [[1, 3, 5, 9]]
    assert groups_of(np.empty((0, 2), np.int64)) == []


def test_different_pictures_are_not_called_near() -> None:
    """Drawn shapes share grounds and positions, which is what misleads a hash."""
    made: RawArrays = shapes(1500, seed=11)
    pairs = near_pairs(made.pictures, look(made.pictures))
    differing = np.abs(made.pictures[pairs[:, 0]].astype(int) - made.pictures[pairs[:, 1]]).mean(axis=(1, 2, 3))
    assert len(pairs) <= 2
    assert (differing < 4).all()
