"""The downloader against a server on this machine that misbehaves in every way a server can."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mezzotint.core import atomic
from mezzotint.core.errors import DataError
from mezzotint.data.download import RemoteFile, download

CONTENT = bytes(range(256)) * 1200  # more than one chunk
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `behave` says what goes wrong at the first path segment, `log` what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log: list[tuple[str, str | None, str | None]] = []
        self.etag = '"one"'
        self.calls = 0
        self.release = threading.Event()

    def file(self, *kinds: str, sha: str = SHA, size: int = len(CONTENT)) -> RemoteFile:
        urls = tuple(f"http://127.0.0.1:{self.server_port}/{kind}" for kind in kinds)
        return RemoteFile("set.bin", urls, sha, size)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kind = self.path.strip("/")
        asked, condition = self.headers["Range"], self.headers["If-Range"]
        self.server.log.append((kind, asked, condition))
        self.server.calls += 1
        if kind == "missing":
            self.send_error(404)
            return
        if kind == "busy" and self.server.calls < 3:
            self.send_error(503)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = b"x" * len(CONTENT) if kind == "wrong" else CONTENT
        if kind == "norange" or (condition is not None and condition != self.server.etag):
            start = 0
        if kind == "shifted" and start:
            start += 5
        if kind == "longer":
            body += b"more"
        partial = start > 0
        self.send_response(206 if partial else 200)
        if kind != "unmarked":
            self.send_header("ETag", self.server.etag)
        if kind != "endless":
            self.send_header("Content-Length", str(len(body) - start))
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        body = body[start:]
        cut = len(body) // 2
        if kind in ("cut", "stalled", "dead") and not partial:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            if kind == "stalled":
                self.server.release.wait(10)
            return
        if kind == "dead":
            return
        self.wfile.write(body + b"surplus" * (kind == "endless"))


@pytest.fixture
def server() -> Iterator[Server]:
    instance = Server()
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield instance
    instance.release.set()
    instance.shutdown()
    instance.server_close()
    thread.join(5)


def bring(file: RemoteFile, folder: Path, **options: float) -> Path:
    return download(file, folder, **{"timeout": 5, "retries": 2, "pause": 0.01, **options})  # type: ignore[arg-type]


def only_the_file(folder: Path) -> None:
    assert [path.name for path in folder.iterdir()] == ["set.bin"]
    assert (folder / "set.bin").read_bytes() == CONTENT


def test_whole_and_then_from_the_cache(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download(server.file("good"), tmp_path / "new", progress=lambda *done: seen.append(done))
    assert path == tmp_path / "new" / "set.bin"
    only_the_file(tmp_path / "new")
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    download(server.file("good"), tmp_path / "new")
    assert len(server.log) == 1


def test_a_cut_connection_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    bring(server.file("cut"), tmp_path)
    only_the_file(tmp_path)
    half = len(CONTENT) // 2
    assert server.log == [("cut", None, None), ("cut", f"bytes={half}-", '"one"')]


def test_a_later_process_goes_on_too(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="broke off after"):
        bring(server.file("cut"), tmp_path, retries=0)
    assert (tmp_path / "set.bin.part").stat().st_size == len(CONTENT) // 2
    assert not (tmp_path / "set.bin").exists()
    bring(server.file("cut"), tmp_path)
    only_the_file(tmp_path)
    assert server.log[-1][1] == f"bytes={len(CONTENT) // 2}-"


def test_a_file_that_changed_on_the_server_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.bin.part").write_bytes(b"old" * 100)
    (tmp_path / "set.bin.part.json").write_text(json.dumps({"url": server.file("good").urls[0], "validator": '"zero"'}))
    bring(server.file("good"), tmp_path)
    only_the_file(tmp_path)
    assert server.log == [("good", "bytes=300-", '"zero"')]


@pytest.mark.parametrize("kind", ["good", "norange", "unmarked", "shifted"])
def test_a_wrong_part_never_spoils_the_file(server: Server, tmp_path: Path, kind: str) -> None:
    (tmp_path / "set.bin.part").write_bytes(b"old" * 100)
    bring(server.file(kind), tmp_path)
    only_the_file(tmp_path)


def test_a_part_that_is_too_long_or_complete(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.bin.part").write_bytes(CONTENT + b"more")
    bring(server.file("good"), tmp_path)
    only_the_file(tmp_path)
    (tmp_path / "set.bin").rename(tmp_path / "set.bin.part")
    bring(server.file("missing"), tmp_path)
    only_the_file(tmp_path)
    assert len(server.log) == 1


@pytest.mark.parametrize("left", [b"", CONTENT[:5000]])
def test_a_wrong_hash_leaves_nothing(server: Server, tmp_path: Path, left: bytes) -> None:
    if left:
        (tmp_path / "set.bin.part").write_bytes(left)
    with pytest.raises(DataError, match="SHA-256 differs"):
        bring(server.file("wrong"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_and_then_a_mirror(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="404") as error:
        bring(server.file("missing"), tmp_path)
    assert "\n" not in str(error.value)
    assert len(server.log) == 1  # no use in asking again
    bring(server.file("missing", "good"), tmp_path)
    only_the_file(tmp_path)


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    bring(server.file("busy"), tmp_path)
    only_the_file(tmp_path)
    assert len(server.log) == 3


def test_a_server_that_gains_nothing_is_given_up(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="broke off"):
        bring(server.file("dead"), tmp_path)
    assert len(server.log) == 3  # one gained half, the two retries after it gained nothing


def test_a_stalled_connection_ends(server: Server, tmp_path: Path) -> None:
    begun = time.monotonic()
    bring(server.file("stalled"), tmp_path, timeout=0.3)
    assert time.monotonic() - begun < 5
    only_the_file(tmp_path)
    (tmp_path / "set.bin").unlink()
    with pytest.raises(DataError, match=r"nothing for 0\.2 seconds"):
        bring(server.file("stalled"), tmp_path, timeout=0.2, retries=0)


@pytest.mark.parametrize(("kind", "words"), [("longer", "offers"), ("endless", "sent more")])
def test_another_length_is_another_file(server: Server, tmp_path: Path, kind: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        bring(server.file(kind), tmp_path)
    assert not (tmp_path / "set.bin").exists()


def test_nobody_there(tmp_path: Path) -> None:
    file = RemoteFile("set.bin", ("http://127.0.0.1:9/set.bin",), SHA, len(CONTENT))
    with pytest.raises(DataError, match="could not be reached"):
        bring(file, tmp_path)
    with pytest.raises(DataError, match="no public address"):
        bring(RemoteFile("set.bin", (), SHA, 1), tmp_path)


def test_two_at_once_do_not_mix(server: Server, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "set.bin.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process"):
            bring(server.file("good"), tmp_path)
    bring(server.file("good"), tmp_path)
    only_the_file(tmp_path)


def test_a_failing_disk_is_said(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(atomic.Disk):
        def replace(self, source: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "disk", Failing())
    with pytest.raises(DataError, match="No space left"):
        bring(server.file("good"), tmp_path)
    monkeypatch.undo()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Cannot write"):
        bring(server.file("good"), tmp_path / "file")
