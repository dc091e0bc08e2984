"""Files of extractors: found, fetched when that is allowed, and never another file; a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mezzotint.core.errors import ConfigError, DataError
from mezzotint.metrics.extractor import Weights
from mezzotint.metrics.extractors.inception import Inception
from mezzotint.tasks.extractors import open_extractor

CONTENT = bytes(range(256)) * 700
NAME = "inception-v3-fid"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        span = self.headers["Range"]
        self.server.asked.append(span)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if span:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start:])


@pytest.fixture
def server() -> Iterator[Server]:
    instance = Server(("127.0.0.1", 0), Handler)
    instance.asked = []
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield instance
    instance.shutdown()
    instance.server_close()
    thread.join(5)


@pytest.fixture
def opened(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Inception with an address on this machine and a small file; opening it only notes which file it was given."""
    paths: list[Path | None] = []
    url = f"http://127.0.0.1:{server.server_port}/fake.pth"
    known = Weights(url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "Apache-2.0 (somebody)", "fake.pth")
    monkeypatch.setattr(Inception, "weights", known)
    monkeypatch.setattr(Inception, "open", classmethod(lambda cls, path=None: paths.append(path)))
    return paths


def test_what_needs_no_file_is_opened() -> None:
    assert open_extractor("mezzotint-1").name == "mezzotint-1"
    with pytest.raises(ConfigError, match='did you mean "mezzotint-1"'):
        open_extractor("mezzotint-2")


def test_without_leave_nothing_is_asked(server: Server, opened: list[Any], tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_extractor(NAME, cache_dir=tmp_path)
    sentence = str(caught.value)
    for part in ("fake.pth", "0.2 MB", "Apache-2.0 (somebody)", "--allow-download", "http://127.0.0.1", str(tmp_path)):
        assert part in sentence
    assert not server.asked
    assert not opened
    assert not list(tmp_path.iterdir())


def test_with_leave_it_is_fetched_once_and_the_licence_shown(server: Server, opened: list[Any], tmp_path: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        open_extractor(NAME, allow_download=True, notify=told.append, cache_dir=tmp_path)
    path = tmp_path / "extractors" / "fake.pth"
    assert path.read_bytes() == CONTENT
    assert opened == [path, path]
    assert server.asked == [None]
    assert len(told) == 1
    assert "licence: Apache-2.0 (somebody)" in told[0]


def test_a_broken_download_goes_on(server: Server, opened: list[Any], tmp_path: Path) -> None:
    folder = tmp_path / "extractors"
    folder.mkdir()
    (folder / "fake.pth.part").write_bytes(CONTENT[:1000])
    open_extractor(NAME, allow_download=True, cache_dir=tmp_path)
    assert server.asked == ["bytes=1000-"]
    assert (folder / "fake.pth").read_bytes() == CONTENT


def test_a_folder_of_ones_own_comes_first(server: Server, opened: list[Any], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "fake.pth").write_bytes(CONTENT)
    open_extractor(NAME, folder=mine, cache_dir=tmp_path / "cache")
    assert opened == [mine / "fake.pth"]
    assert not server.asked


def test_another_file_is_refused_not_replaced(server: Server, opened: list[Any], tmp_path: Path) -> None:
    (tmp_path / "fake.pth").write_bytes(b"another")
    with pytest.raises(DataError, match=r"fake\.pth is not the file of inception-v3-fid"):
        open_extractor(NAME, folder=tmp_path, allow_download=True, cache_dir=tmp_path / "cache")
    with pytest.raises(DataError, match="There is no folder"):
        open_extractor(NAME, folder=tmp_path / "absent", cache_dir=tmp_path / "cache")
    assert not server.asked
    assert not opened


def test_offline_is_one_sentence(opened: list[Any], server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    assert Inception.weights is not None
    gone = Weights("http://127.0.0.1:9/fake.pth", "0" * 64, 10, "Apache-2.0", "gone.pth")
    monkeypatch.setattr(Inception, "weights", gone)
    monkeypatch.setattr("mezzotint.data.download.time.sleep", lambda seconds: None)
    with pytest.raises(DataError, match=r"Cannot download gone\.pth .*could not be reached"):
        open_extractor(NAME, allow_download=True, cache_dir=tmp_path)
