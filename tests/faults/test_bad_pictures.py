"""Pictures that are broken, hostile or something else: named, with a reason, and the run goes on."""

from __future__ import annotations

import io
import os
import random
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from mezzotint.core.errors import DataError
from mezzotint.data._convert import Unreadable
from mezzotint.data._headers import probe
from mezzotint.data.decode import Plan, decode
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes, rows: int = 10) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = zlib.compress(b"\0" * (width + 1) * rows)
    return SIGNATURE + head + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def encoded(format: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


def bomb_gif() -> bytes:
    return (
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + b"," + bytes(9) + b"\2\0;"
    )


def bomb_tiff() -> bytes:
    tags = [(256, 4, 60000), (257, 4, 60000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 1)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def bomb_bmp() -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 40000, 40000, 1, 24, *[0] * 6)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png": lambda: png(50000, 50000),
    "png just over": lambda: png(10000, 10001),
    "png profile": lambda: png(8, 8, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200 * 2**20), 9))),
    "png text": lambda: png(8, 8, *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**20 - 9), 9))] * 300),
    "gif": bomb_gif,
    "tiff": bomb_tiff,
    "bmp": bomb_bmp,
    "ppm": lambda: b"P6 60000 60000 255\n" + bytes(100),
    "jpeg": lambda: encoded("JPEG").replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 65500, 65500)),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_quickly_and_in_little_memory(kind: str) -> None:
    data = BOMBS[kind]()
    process = psutil.Process()
    before, started = process.memory_info().rss, time.process_time()
    tracemalloc.start()
    for look in (lambda: probe(data), lambda: decode(data, Plan(8, 8, 3))):
        with pytest.raises(Unreadable):
            look()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - started < 1
    assert process.memory_info().rss - before < 100 * 2**20
    assert peak < 100 * 2**20


def test_a_zip_bomb_is_bounded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", png(8, 8))
        with archive.open("bomb.png", "w") as handle:
            for _ in range(100):
                handle.write(bytes(2**20))
        with archive.open("tail.png", "w") as handle:
            handle.write(png(8, 8))
            for _ in range(100):
                handle.write(bytes(2**20))
    before, started = psutil.Process().memory_info().rss, time.process_time()
    found = open_pictures(tmp_path / "b.zip", cache_dir=tmp_path / "c")
    assert time.process_time() - started < 1
    assert psutil.Process().memory_info().rss - before < 100 * 2**20
    assert found.names == ("good.png",)
    assert {b.path for b in found.bad} == {"bomb.png", "tail.png"}


FOREIGN = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n",
    "pdf": b"%PDF-1.7\n1 0 obj\n",
    "psd": b"8BPS\0\1" + bytes(6) + b"\0\3" + struct.pack(">IIHH", 10, 10, 8, 3) + bytes(12),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "ico": b"\0\0\1\0\1\0" + bytes(40),
    "html": b"<!doctype html><title>404</title>",
    "text": b"hello",
    "zero": bytes(1000),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_other_formats_in_disguise(tmp_path: Path, kind: str, suffix: str) -> None:
    (tmp_path / "a.png").write_bytes(png(8, 8))
    (tmp_path / f"b.{suffix}").write_bytes(FOREIGN[kind])
    found = open_pictures(tmp_path, cache_dir=tmp_path / ".c")
    assert len(found) == 1
    assert found.bad[0].path == f"b.{suffix}"
    assert "not a picture of a kind that is read" in found.bad[0].reason


def test_formats_are_known_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded("JPEG"))
    (tmp_path / "no_suffix").write_bytes(encoded("WEBP"))
    (tmp_path / "c.data").write_bytes(encoded("GIF"))
    (tmp_path / "d.psd").write_bytes(FOREIGN["psd"])
    found = open_pictures(tmp_path, cache_dir=tmp_path / ".c")
    assert found.names == ("a.png", "c.data", "no_suffix")
    assert "PSD" in found.bad[0].reason


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_truncated_files_are_reported_at_any_length(format: str) -> None:
    data = encoded(format)
    for keep in (0, 1, 10, 30, len(data) // 3, len(data) // 2, len(data) - len(data) // 8):
        with pytest.raises(Unreadable):
            decode(data[:keep], Plan(8, 8, 3))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_flipped_bytes_never_raise_anything_else(format: str) -> None:
    data = encoded(format)
    draw = random.Random(0)
    for _ in range(120):
        harmed = bytearray(data)
        for _ in range(draw.randint(1, 12)):
            harmed[draw.randrange(min(len(harmed), 600))] = draw.randrange(256)
        for look in (lambda d: probe(d, True), lambda d: decode(d, Plan(8, 8, 3))):
            reason = "fine"
            try:
                look(bytes(harmed))
            except Unreadable as error:
                reason = str(error)
            assert reason
            assert "\n" not in reason


def test_a_jpeg_of_endless_scans() -> None:
    data = encoded("JPEG", progressive=True)
    with pytest.raises(Unreadable, match="scans"):
        decode(data + b"\xff\xda" * 1000, Plan(8, 8, 3))


def test_too_many_frames_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("L", (4, 4), i) for i in range(12)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    monkeypatch.setattr("mezzotint.data._headers.MAX_FRAMES", 10)
    with pytest.raises(Unreadable, match="12 frames"):
        probe(out.getvalue(), every_frame=True)


def test_floats_that_are_not_finite(tmp_path: Path) -> None:
    values = np.ones((8, 8), np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    values[3, 3] = np.nan
    Image.fromarray(values).save(tmp_path / "b.tif")
    found = open_pictures(tmp_path, cache_dir=tmp_path / ".c")
    assert found.names == ("a.tif",)
    assert "not finite" in found.bad[0].reason


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(8, 8))
    (tmp_path / "b.png").write_bytes(png(8, 8))
    os.chmod(tmp_path / "b.png", 0)
    if os.access(tmp_path / "b.png", os.R_OK):
        pytest.skip("this user may read everything")
    found = open_pictures(tmp_path, cache_dir=tmp_path / ".c")
    assert "may not be read" in found.bad[0].reason


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"broken")
    for config in (DataConfig(), DataConfig(size=8)):
        with pytest.raises(DataError, match=r"None of the 3 pictures .* can be used; the first, 0\.png"):
            open_pictures(tmp_path, config, cache_dir=tmp_path / ".c")


def test_broken_members_of_archives(tmp_path: Path) -> None:
    good = encoded("PNG", (8, 8))
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        for name, data in (("a.png", good), ("b.png", good[:40]), ("c.png", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("d.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as zip_archive:
        for name in ("a.png", "b.png", "c.png"):
            zip_archive.writestr(name, good)
    raw = bytearray((tmp_path / "z.zip").read_bytes())
    at = raw.index(good, raw.index(b"b.png"))
    raw[at + 60] ^= 0xFF
    (tmp_path / "z.zip").write_bytes(raw)
    from_tar = open_pictures(tmp_path / "t.tar", cache_dir=tmp_path / ".c")
    assert from_tar.names == ("a.png",)
    assert [b.path for b in from_tar.bad] == ["b.png", "c.png"]
    from_zip = open_pictures(tmp_path / "z.zip", cache_dir=tmp_path / ".c")
    assert from_zip.names == ("a.png", "c.png")
    assert "damaged" in from_zip.bad[0].reason


@pytest.mark.parametrize("config", [DataConfig(size=16), DataConfig()])
def test_a_thousand_broken_ones_among_ten_thousand(tmp_path: Path, config: DataConfig) -> None:
    good = encoded("JPEG", (24, 24))
    broken = [good[: len(good) // 2], b"", b"no picture", good[:300]]
    root = tmp_path / "set"
    root.mkdir()
    for i in range(10_000):
        (root / f"{i:05d}.jpg").write_bytes(broken[i // 10 % 4] if i % 10 == 3 else good)
    found = open_pictures(root, config, cache_dir=tmp_path / "c")
    assert len(found) == 9000
    assert [b.path for b in found.bad] == [f"{i:05d}.jpg" for i in range(3, 10_000, 10)]
    assert all(b.reason for b in found.bad)
    assert "00003.jpg" not in found.names
    # Rows have closed ranks: all good pictures are the same one here.
    assert (np.asarray(found.pictures) == found.pictures[0]).all()
