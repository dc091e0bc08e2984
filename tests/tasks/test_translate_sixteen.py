"""Pictures of 16 bits a channel go through `translate` with all their bits, whatever their channels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.data.singles import Single
from mezzotint.engine.model import PictureSpec, build
from mezzotint.tasks.translate import translate

KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: colour type of PNG


def negative(channels: int) -> Any:
    """A cyclegan that turns pictures into their negatives on the way to "night"."""
    spec = PictureSpec(channels, 32, 32, classes=("day", "night"))
    made: Any = build("cyclegan", {"width": 4, "critic_width": 4, "blocks": 1}, spec, seed=0).eval()
    made.to_b.forward = lambda x: -x
    return made


def png(picture: np.ndarray) -> bytes:
    height, width, channels = picture.shape
    head = struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, 0)
    lines = zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture.astype(">u2")))
    chunks = ((b"IHDR", head), (b"tEXt", b"Comment\0a secret"), (b"IDAT", lines), (b"IEND", b""))
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def unpacked(data: bytes) -> np.ndarray:
    """The picture in a PNG whose lines have the filter 1: sums along each line, of bytes that wrap."""
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    channels = {kind: channels for channels, kind in KINDS.items()}[kind]
    assert bits == 16
    at, packed = 8, b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        packed += data[at + 8 : at + 8 + length] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    assert (lines[:, 0] == 1).all()
    steps = lines[:, 1:].reshape(height, width, 2 * channels)
    return np.ascontiguousarray(np.cumsum(steps, axis=1, dtype=np.uint8)).view(">u2").astype(np.uint16)


@pytest.mark.parametrize(("channels", "model"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_all_bits_of_all_channels_are_kept(tmp_path: Path, channels: int, model: int) -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (15, 22, channels), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png(picture))
    found = translate(negative(model), tmp_path / "a.png", tmp_path / "out", to="night")
    assert not found.notes
    data = (tmp_path / "out" / "a.png").read_bytes()
    assert b"secret" not in data
    truth = picture.copy()
    truth[..., :model] = 65535 - picture[..., :model]
    np.testing.assert_array_equal(unpacked(data), truth)


def test_grey_becomes_colour_and_keeps_its_alpha(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (9, 8, 2), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png(picture))
    translate(negative(3), tmp_path / "a.png", tmp_path / "out", to="night")
    found = unpacked((tmp_path / "out" / "a.png").read_bytes())
    np.testing.assert_array_equal(found[..., 3], picture[..., 1])
    np.testing.assert_array_equal(found[..., :3], np.repeat(65535 - picture[..., :1], 3, axis=2))


def test_what_is_read_at_eight_bits_is_said_and_bad_files_are_left_out(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (9, 8, 3), dtype=np.uint16)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ppm").write_bytes(b"P6 8 9 65535\n" + picture.astype(">u2").tobytes())
    (tmp_path / "in" / "b.png").write_bytes(png(picture)[:300])
    found = translate(negative(3), tmp_path / "in", tmp_path / "out", to="night")
    assert found.files == ("a.png",)
    assert [(bad.path, bad.reason) for bad in found.left_out] == [("b.png", "is cut short")]
    assert len(found.notes) == 1
    assert "8 were read" in found.notes[0]
    assert (tmp_path / "out" / "a.png").read_bytes()[24] == 8


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=50))
def test_values_there_and_back_are_the_same(levels: list[int]) -> None:
    pixels = np.array(levels, np.uint16).reshape(1, -1, 1)
    single = Single("a", np.repeat(pixels, 3, axis=2), pixels)
    found = single.with_values(single.to_values(3))
    np.testing.assert_array_equal(found, np.repeat(pixels, 4, axis=2))
