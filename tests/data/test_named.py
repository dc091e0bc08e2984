"""Named sets: what they hold, where they are looked for, and that nothing is ever swapped for another."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from mezzotint.core.errors import DataError
from mezzotint.data import named
from mezzotint.data.check import check_pictures
from mezzotint.data.download import RemoteFile
from mezzotint.data.named import describe, is_named, load_named, names
from mezzotint.data.open import open_pictures


def official(name: str) -> bool:
    """Whether the files of `name` are at hand, in $MEZZOTINT_DATA, as the person who runs the tests set it."""
    root = os.environ.get("MEZZOTINT_DATA")
    return bool(root) and all((Path(root) / named._SETS[name].folder / f.name).is_file() for f in describe(name).files)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("MEZZOTINT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_names_and_declarations() -> None:
    assert {"digits", "shapes", "shapes64", "mnist", "fashion-mnist", "cifar10", "cifar10-4000"} <= set(names())
    assert is_named("mnist")
    assert not is_named("photos")
    for name in names():
        entry = describe(name)
        assert entry.name == name
        assert entry.licence
        assert entry.reference
        assert all(len(file.sha256) == 64 and file.size > 0 for file in entry.files)
    with pytest.raises(DataError, match='did you mean "mnist"'):
        load_named("mnits")


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    digits, truth = load_named("digits"), load_digits()
    assert digits.pictures.dtype == np.uint8
    assert (digits.pictures.min(), digits.pictures.max()) == (0, 255)
    np.testing.assert_array_equal(np.round(digits.pictures[..., 0] / 255 * 16), truth.images)
    np.testing.assert_array_equal(digits.labels, truth.target)
    assert "licence" in digits.notes[0]


def test_shapes_by_name() -> None:
    outline, flat = load_named("shapes-outline"), load_named("shapes")
    assert flat.pictures.shape == (20000, 32, 32, 3)
    assert outline.fingerprint != flat.fingerprint
    np.testing.assert_array_equal(outline.labels, flat.labels)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_official_idx_files(name: str) -> None:
    if not official(name):
        pytest.skip(f"{name} is not in MEZZOTINT_DATA")
    said: list[str] = []
    arrays = load_named(name, notify=said.append)
    assert arrays.pictures.shape == (70000, 28, 28, 1)
    assert arrays.labels is not None
    assert arrays.fixed_splits is not None
    np.testing.assert_array_equal(arrays.fixed_splits["test"], np.arange(60000, 70000))
    assert "licence" in arrays.notes[0]
    assert not said, "nothing is downloaded, so there is nothing to announce"
    if name == "mnist":
        assert arrays.labels[:5].tolist() == [5, 0, 4, 1, 9]
        assert np.bincount(arrays.labels[:60000])[1] == 6742
    else:
        assert np.bincount(arrays.labels[60000:]).tolist() == [1000] * 10
        assert arrays.classes[arrays.labels[0]] == "Ankle boot"


def test_the_cifar_subset_says_what_it_is() -> None:
    if not official("cifar10-4000"):
        pytest.skip("cifar10-4000 is not in MEZZOTINT_DATA")
    arrays = load_named("cifar10-4000")
    assert arrays.pictures.shape == (4000, 32, 32, 3)
    assert arrays.labels is not None
    assert [arrays.classes[k] for k in arrays.labels[:3]] == ["frog", "truck", "truck"]
    assert "not scores on CIFAR-10" in arrays.notes[1]


def declare(monkeypatch: pytest.MonkeyPatch, name: str, contents: dict[str, bytes]) -> None:
    """Let the files of `name` be `contents`, which cannot be had from anywhere."""
    files = tuple(RemoteFile(k, (), hashlib.sha256(v).hexdigest(), len(v)) for k, v in contents.items())
    monkeypatch.setitem(named._SETS, name, replace(describe(name), files=files))


def put(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes())


def small_mnist(train: int = 6, test: int = 4) -> dict[str, bytes]:
    made = {}
    for part, count in (("train", train), ("t10k", test)):
        made[f"{part}-images-idx3-ubyte.gz"] = idx(np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3))
        made[f"{part}-labels-idx1-ubyte.gz"] = idx(np.arange(count, dtype=np.uint8))
    return made


@pytest.mark.parametrize("place", ["data/mnist", "data", "cache/downloads/mnist"])
def test_files_are_found(alone: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    contents = small_mnist()
    declare(monkeypatch, "mnist", contents)
    with pytest.raises(DataError, match="put train-images"):
        load_named("mnist")
    put(alone / place, contents)
    arrays = load_named("mnist")
    assert arrays.pictures.shape == (10, 2, 3, 1)
    np.testing.assert_array_equal(arrays.pictures[:6].ravel(), np.arange(36))
    assert arrays.labels is not None
    assert arrays.labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]


def test_a_changed_file_is_refused(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = small_mnist()
    declare(monkeypatch, "mnist", contents)
    put(alone / "data" / "mnist", {**contents, "t10k-labels-idx1-ubyte.gz": b"other"})
    with pytest.raises(DataError, match="SHA-256 differs"):
        load_named("mnist")


def test_an_idx_file_of_another_kind_is_refused(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {**small_mnist(), "train-images-idx3-ubyte.gz": idx(np.zeros(5, np.uint8)) + b""}
    declare(monkeypatch, "mnist", contents)
    put(alone / "data" / "mnist", contents)
    with pytest.raises(DataError, match="again"):
        load_named("mnist")


def cifar_archive(extra: object = None) -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for k, part in enumerate((*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")):
            data = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
            data[:, :1024] = k
            content = pickle.dumps({"data": data, "labels": [k, 1, 2, 3], "extra": extra}, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{part}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_cifar_is_read_in_order_and_channels_last(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {"cifar-10-python.tar.gz": cifar_archive()}
    declare(monkeypatch, "cifar10", contents)
    put(alone / "data" / "cifar10", contents)
    arrays = load_named("cifar10")
    assert arrays.pictures.shape == (24, 32, 32, 3)
    np.testing.assert_array_equal(arrays.pictures[::4, 0, 0, 0], range(6))
    assert arrays.labels is not None
    np.testing.assert_array_equal(arrays.labels[::4], range(6))
    assert arrays.fixed_splits is not None
    assert arrays.fixed_splits["test"].tolist() == [20, 21, 22, 23]


def test_a_pickle_cannot_run_code(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(alone / "harm"),)

    contents = {"cifar-10-python.tar.gz": cifar_archive(Harm())}
    declare(monkeypatch, "cifar10", contents)
    put(alone / "data" / "cifar10", contents)
    with pytest.raises(DataError, match="cifar-10"):
        load_named("cifar10")
    assert not (alone / "harm").exists()


def test_a_set_by_its_name_comes_from_the_net_once(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server on this machine; a part that is there already is not asked for again."""
    contents = small_mnist()
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            name, part = self.path.strip("/"), self.headers["Range"]
            asked.append((name, part))
            start = int(part.removeprefix("bytes=").rstrip("-")) if part else 0
            body = contents[name]
            self.send_response(206 if part else 200)
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(body) - start))
            if part:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            self.wfile.write(body[start:])

    first = "train-images-idx3-ubyte.gz"
    waiting = alone / "cache" / "downloads" / "mnist"
    put(waiting, {f"{first}.part": contents[first][:20]})
    said: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        files = tuple(RemoteFile(k, (address + k,), hashlib.sha256(v).hexdigest(), len(v)) for k, v in contents.items())
        monkeypatch.setitem(named._SETS, "mnist", replace(describe("mnist"), files=files))
        found = open_pictures("mnist", notify=said.append)
        again = open_pictures("mnist")
        server.shutdown()
    assert sorted(name for name, _ in asked) == sorted(contents)
    assert dict(asked)[first] == "bytes=20-"
    assert found.fingerprint == again.fingerprint
    np.testing.assert_array_equal(found.pictures, again.pictures)
    assert len(said) == 4
    assert all("licence of the set: CC BY-SA" in sentence for sentence in said)


@pytest.mark.parametrize("look", [open_pictures, check_pictures], ids=lambda each: each.__name__)
def test_the_licence_is_said_before_anything_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[..., object]
) -> None:
    said: list[str] = []

    def refuse(*_: object, **__: object) -> Path:
        assert "licence" in said[-1]
        raise DataError("no network")

    monkeypatch.delenv("MEZZOTINT_DATA", raising=False)
    monkeypatch.setattr(named, "download", refuse)
    with pytest.raises(DataError, match="no network"):
        look("mnist", notify=said.append, cache_dir=tmp_path)


def test_a_folder_that_hides_a_named_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("digits.npy", np.zeros((20, 8, 8), np.uint8))
    Path("digits.npy").rename("digits")
    said: list[str] = []
    assert len(open_pictures("digits", notify=said.append).pictures) == 20
    assert said == ["digits is the file of that name here, not the set that Mezzotint knows; rename it to have that."]
