"""Sources: folders of every shape, archives, arrays, pickles, metadata, and odd file names."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.core.errors import DataError
from mezzotint.data.open import open_pictures
from mezzotint.data.singles import Singles
from mezzotint.data.types import DataConfig, PictureSet


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    return folder


def draw(path: Path, value: int = 0, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path, "PNG")
    return path


def zipped(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def test_flat_folder(root: Path) -> None:
    for i in range(12):
        draw(root / f"{i:02d}.png", i)
    (root / "readme.txt").write_text("hello")
    (root / ".DS_Store").write_bytes(b"x")
    found = open_pictures(root)
    assert found.pictures[:, 0, 0, 0].tolist() == list(range(12))
    assert found.names[0] == "00.png"
    assert found.labels is None
    assert found.bad == ()
    assert any("passed over: 1." in note for note in found.notes)


def test_class_folders_in_every_wrapping(root: Path, tmp_path: Path) -> None:
    for k, name in enumerate(["cat", "dog"]):
        for i in range(10):
            draw(root / name / f"{i}.png", 10 * k + i)
    plain = open_pictures(root)
    assert plain.classes == ("cat", "dog")
    assert plain.labels is not None
    wraps = [zipped(root, tmp_path / "a.zip"), zipped(root, tmp_path / "b.zip", "wrapped/deep/")]
    for kind in ("", "gz", "xz", "bz2"):
        path = tmp_path / f"c.tar{'.' if kind else ''}{kind}"
        with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
            archive.add(root, ".")
        wraps.append(path)
    for path in wraps:
        other = open_pictures(path)
        assert (other.pictures == plain.pictures).all()
        assert (other.labels == plain.labels).all()
        again = open_pictures(path)  # now from the cache, without opening the archive
        assert again.names == other.names
        assert again.classes == plain.classes


def test_split_folders_and_deeper_trees(root: Path) -> None:
    for part, count in (("train", 8), ("val", 3), ("test", 2)):
        for name in ("a", "b"):
            for i in range(count):
                draw(root / part / name / "x" / f"{i}.png")
    found = open_pictures(root)
    assert found.classes == ("a", "b")
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 16, "validation": 6, "test": 4}
    assert any("first folder level" in note for note in found.notes)


def test_mixed_levels_are_no_classes(root: Path) -> None:
    draw(root / "a.png")
    draw(root / "sub" / "b.png")
    found = open_pictures(root)
    assert found.labels is None
    assert any("sub-folders" in note for note in found.notes)


def test_links_in_a_loop_and_dead_links_and_pipes(root: Path) -> None:
    draw(root / "real" / "a.png")
    try:
        os.symlink(root, root / "real" / "loop", target_is_directory=True)
        os.symlink(root / "real", root / "alias", target_is_directory=True)
        os.symlink(root / "nowhere.png", root / "dead.png")
        os.symlink(root / "self.png", root / "self.png")
        os.mkfifo(root / "pipe.png")
    except (OSError, AttributeError, NotImplementedError):
        pytest.skip("this system makes no links or pipes")
    found = open_pictures(root)
    assert found.names == ("real/a.png",)
    assert {bad.path for bad in found.bad} == {"dead.png", "self.png"}


@pytest.mark.parametrize(
    "name", ["🎨 art.png", "-rf.png", "two\nlines.png", "é.png", "e\u0301.png", "a'b\"c.png", "%s{}.png"]
)
def test_odd_names(root: Path, tmp_path: Path, name: str) -> None:
    try:
        draw(root / name, 5)
    except OSError:
        pytest.skip("this file system does not take the name")
    (root / "metadata.jsonl").write_text(
        json.dumps({"file_name": unicodedata.normalize("NFC", name), "age": 3}), encoding="utf-8"
    )
    for source in (root, zipped(root, tmp_path / "z.zip")):
        for _ in range(2):
            found = open_pictures(source)
            assert unicodedata.normalize("NFC", found.names[0]) == unicodedata.normalize("NFC", name)
            assert found.attributes["age"].tolist() == [3.0]


def test_a_name_that_is_no_text(root: Path) -> None:
    try:
        draw(Path(os.fsdecode(os.fsencode(root) + b"/bad\xff.png")), 5)
    except OSError:
        pytest.skip("this file system does not take the name")
    assert len(open_pictures(root)) == len(open_pictures(root)) == 1


def test_metadata_csv(root: Path) -> None:
    for i in range(6):
        draw(root / "images" / f"{i}.png")
    lines = ["file_name,label,age,who,caption"]
    lines += [f'images/{i}.png,{"no" if i % 2 else "yes"},{i},p{i // 2},"A square, number {i}"' for i in range(5)]
    (root / "metadata.csv").write_text("\n".join(lines))
    found = open_pictures(root, DataConfig(group="who", validation=0.3))
    assert found.classes == ("no", "yes")
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0, 1, 0, 1, -1]
    assert found.captions is not None
    assert found.captions[1] == "A square, number 1"
    assert found.attributes["age"][:5].tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(found.attributes["age"][5])
    assert found.attributes["who"].tolist() == ["p0", "p0", "p1", "p1", "p2", ""]
    assert any("says nothing about 1" in note for note in found.notes)
    by_age = open_pictures(root, DataConfig(labels="age"))
    assert by_age.classes == ("0", "1", "2", "3", "4")
    with pytest.raises(DataError, match=r'no column "wh".*did you mean "who"'):
        open_pictures(root, DataConfig(group="wh"))


def test_metadata_jsonl_in_every_wrapping(root: Path, tmp_path: Path) -> None:
    """Labels, attributes, captions and groups are the same from a folder, a zip and a tar."""
    lines = []
    for i in range(60):
        draw(root / f"{i:02}.png", i)
        row = {"file_name": f"{i:02}.png", "label": "ab"[i % 2], "age": i, "caption": f"number {i}"}
        lines.append(json.dumps({**row, "who": f"p{i // 5}"} if i < 40 else row))
    (root / "metadata.jsonl").write_text("\n".join(lines))
    zipped(root, tmp_path / "set.zip", "set/")
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(root, "set")
    config = DataConfig(group="who", validation=0.2, test=0.2)
    for source in (root, tmp_path / "set.zip", tmp_path / "set.tar.gz"):
        found = open_pictures(source, config)
        assert found.labels is not None
        assert found.classes == ("a", "b")
        assert found.labels.tolist() == [0, 1] * 30
        assert found.attributes["age"].tolist() == list(range(60))
        assert found.captions == tuple(f"number {i}" for i in range(60))
        assert not any("no classes" in note for note in found.notes)
        sizes = {name: len(rows) for name, rows in found.splits.items()}
        assert all(8 <= sizes[name] <= 16 for name in ("validation", "test"))
        who = found.attributes["who"]
        parts = [set(who[rows]) - {""} for rows in found.splits.values()]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 8
        # Pictures of which no group is said are no group.
        assert all((who[rows] == "").any() for rows in found.splits.values())


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("metadata.csv", "a,b\n1,2\n", "no column with file names"),
        ("metadata.csv", "file,b\nzzz.png,2\n", "No file named in"),
        ("metadata.csv", "file,b\n0.png,2,3\n", "Line 2"),
        ("metadata.jsonl", '{"file": "0.png"}\n[1]\n', "Line 2"),
        ("metadata.csv", b"file,b\n0.png,\xff\xfe\xff\n", "not UTF-8"),
    ],
)
def test_metadata_that_cannot_be_understood(root: Path, name: str, text: str | bytes, said: str) -> None:
    draw(root / "0.png")
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=said):
        open_pictures(root)


def test_different_sizes_ask_for_one(root: Path) -> None:
    for i in range(5):
        draw(root / f"{i}.png", size=(10 + i, 20))
    with pytest.raises(DataError, match=r"5 different sizes \(median height 20, width 12\).*--size 12"):
        open_pictures(root)
    assert open_pictures(root, DataConfig(size=(4, 6))).shape == (1, 4, 6)


def test_members_that_lead_out_of_the_archive(tmp_path: Path) -> None:
    data = draw(tmp_path / "p.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("../../evil.png", "/abs.png", "good.png", "__MACOSX/._good.png"):
            archive.writestr(name, data)
    found = open_pictures(tmp_path / "z.zip")
    assert found.names == ("good.png",)
    assert len(found.bad) == 2
    assert not list(tmp_path.rglob("evil.png"))


def test_npz_and_npy_and_arrays(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (30, 9, 7, 3), dtype=np.uint8)
    labels = np.arange(30) % 3
    np.savez(tmp_path / "a.npz", images=pictures, labels=labels[:, None], age=labels * 2.0)
    found = open_pictures(tmp_path / "a.npz")
    assert (found.pictures == pictures).all()
    assert found.labels is not None
    assert found.labels.tolist() == labels.tolist()
    assert found.attributes["age"].tolist() == (labels * 2.0).tolist()
    np.save(tmp_path / "b.npy", pictures)
    mapped = open_pictures(tmp_path / "b.npy")
    assert isinstance(mapped.pictures, np.memmap)
    assert (open_pictures(pictures).pictures == pictures).all()
    assert (open_pictures(np.moveaxis(pictures, -1, 1)).pictures == pictures).all()
    assert (open_pictures(pictures / 255.0).pictures == pictures).all()
    assert (open_pictures(pictures.astype(np.int64)).pictures == pictures).all()
    assert (open_pictures(pictures / np.float32(127.5) - 1).pictures == pictures).all()
    small = open_pictures(pictures, DataConfig(size=4, mode="grey"))
    assert small.pictures.shape == (30, 4, 4, 1)


def test_medmnist_keys_are_fixed_parts(tmp_path: Path) -> None:
    blocks = {f"{p}_images": np.full((n, 4, 4), n, np.uint8) for p, n in (("train", 9), ("val", 3), ("test", 2))}
    labels = {f"{p}_labels": np.zeros((n, 1), np.uint8) for p, n in (("train", 9), ("val", 3), ("test", 2))}
    np.savez(tmp_path / "m.npz", **blocks, **labels)
    found = open_pictures(tmp_path / "m.npz")
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 9, "validation": 3, "test": 2}
    assert (found.pictures[found.splits["test"]] == 2).all()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 4), np.uint8), "shape"),
        (np.zeros((3, 4), complex), "rows are of numbers"),
        (np.zeros((2, 9, 9, 7)), "7 channels"),
        (np.full((2, 4, 4), -5), "-5"),
        (np.full((2, 4, 4), np.nan), "finite"),
        (np.zeros((2, 4, 4), complex), "not numbers"),
        (np.zeros((0, 4, 4)), "shape"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_pictures(array)


def test_an_npz_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "o.npz", images=np.array([{}, []], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        open_pictures(tmp_path / "o.npz")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    truth = {p: rng.integers(0, 256, (n, 5, 6), dtype=np.uint8) for p, n in (("train", 20), ("t10k", 4))}
    for part, block in truth.items():
        head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in block.shape)
        labels = b"\0\0\x08\x01" + len(block).to_bytes(4, "big") + bytes(i % 3 for i in range(len(block)))
        for name, data in (("images-idx3", head + block.tobytes()), ("labels-idx1", labels)):
            packed = gzip.compress(data) if suffix else data
            (tmp_path / f"{part}-{name}-ubyte{suffix}").write_bytes(packed)
    found = open_pictures(tmp_path)
    assert (found.pictures[..., 0] == np.concatenate(list(truth.values()))).all()
    assert found.splits["test"].tolist() == [20, 21, 22, 23]
    assert found.classes == ("0", "1", "2")
    one = open_pictures(tmp_path / f"train-images-idx3-ubyte{suffix}")
    assert len(one) == 20
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(b"\0\0\x08\x03" + b"\x7f\xff\xff\xff" * 3 + b"short")
    with pytest.raises(DataError, match="cut short"):
        open_pictures(path)


def cifar_batch(count: int, seed: int) -> tuple[dict[bytes, object], np.ndarray]:
    data = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return {b"data": data, b"labels": [i % 2 for i in range(count)], b"batch_label": b"x"}, data


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_cifar(tmp_path: Path, protocol: int) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    blocks = []
    for i, name in enumerate(["data_batch_1", "data_batch_2", "test_batch"]):
        batch, data = cifar_batch(6, i)
        blocks.append(data)
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"cat", b"dog"]}, protocol=protocol))
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    truth = np.concatenate(blocks).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    for source in (folder, tmp_path / "cifar-10-python.tar.gz"):
        found = open_pictures(source)
        assert (found.pictures == truth).all()
        assert found.classes == ("cat", "dog")
        assert len(found.splits["test"]) == 6


class _Bomb:
    def __init__(self, action: object, *args: object) -> None:
        self._call = (action, args)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


def test_a_pickle_with_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    for bomb in (
        _Bomb(os.mkdir, str(victim)),
        _Bomb(eval, f"open({str(victim)!r}, 'w')"),
        _Bomb(getattr, "x", "upper"),
    ):
        path = tmp_path / "data_batch_1"
        path.write_bytes(pickle.dumps({b"data": bomb, b"labels": []}))
        with pytest.raises(DataError, match="could run code"):
            open_pictures(path)
        assert not victim.exists()
    objects = {b"data": np.array([{}, []], dtype=object), b"labels": []}
    path.write_bytes(pickle.dumps(objects))
    with pytest.raises(DataError, match="could run code"):
        open_pictures(path)
    path.write_bytes(b"\x80\x04garbage")
    with pytest.raises(DataError):
        open_pictures(path)


def test_sets_pass_through_and_can_be_fitted_anew() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    first = open_pictures(pictures)
    assert open_pictures(first) is first
    other = open_pictures(first, DataConfig(size=4))
    assert isinstance(other, PictureSet)
    assert other.shape == (1, 4, 4)
    assert other.splits["validation"].tolist() == first.splits["validation"].tolist()


def test_one_picture_alone(root: Path) -> None:
    found = open_pictures(draw(root / "only.png", 9))
    assert found.names == ("only.png",)
    assert found.pictures.max() == 9


@pytest.mark.parametrize("source", ["", "no-such-set", "no/such/folder", "x" * 5000, "a\0b"])
def test_what_is_not_there(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        open_pictures(source)


def test_files_that_hold_no_pictures(root: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        open_pictures(root)
    (root / "a.txt").write_text("x")
    with pytest.raises(DataError, match="nothing that holds pictures"):
        open_pictures(root / "a.txt")
    for name in ("a.zip", "a.npz", "a.npy", "a.tar.gz"):
        (root / name).write_bytes(b"PK\x03\x04 not really")
        with pytest.raises(DataError):
            open_pictures(root / name)


def test_a_tar_that_is_cut_short(tmp_path: Path, root: Path) -> None:
    for i in range(50):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32), dtype=np.uint8)).save(root / f"{i}.png")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(root, ".")
    (tmp_path / "cut.tar.gz").write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
    with pytest.raises(DataError, match=r"cut short|damaged"):
        open_pictures(tmp_path / "cut.tar.gz")


@pytest.mark.parametrize(
    ("path", "count", "shape", "classes"),
    [
        ("orl-faces/orl_faces.zip", 400, (1, 112, 92), 40),
        ("busi-128/busi_128.zip", 780, (1, 128, 128), 3),
        ("pneumoniamnist/pneumoniamnist.npz", 5856, (1, 28, 28), 2),
        ("tiny-imagenet-6/tiny_imagenet_6x300.tar.xz", 2100, (3, 64, 64), 6),
        ("mnist", 70000, (1, 28, 28), 10),
    ],
)
def test_real_sets(real_data: Path, path: str, count: int, shape: tuple[int, int, int], classes: int) -> None:
    found = open_pictures(real_data / path)
    assert (len(found), found.shape, len(found.classes)) == (count, shape, classes)
    assert found.bad == ()


def test_an_empty_name_is_not_the_folder_one_is_in() -> None:
    with pytest.raises(DataError, match="name of the pictures is empty"):
        open_pictures("")
    with pytest.raises(DataError, match="name of the pictures is empty"):
        Singles("")
