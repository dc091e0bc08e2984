"""Colour of 16 bits a channel: files made by hand from the specifications, by ffmpeg, and to do harm."""

from __future__ import annotations

import functools
import struct
import tracemalloc
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from mezzotint.core.errors import DataError
from mezzotint.data._sixteen import fit16
from mezzotint.data.decode import Plan, probe, render
from mezzotint.data.open import open_pictures
from mezzotint.data.singles import Single, data_to_single
from mezzotint.data.types import BadFile, DataConfig

KINDS = {2: 4, 3: 2, 4: 6}  # channels: colour type of PNG
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    proof = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", proof)


def filtered(picture: np.ndarray, rng: np.random.Generator) -> bytes:
    """The lines of a picture [H, W, C], each by a filter at random, as section 9 of the PNG specification says."""
    lines, step = b"", 2 * picture.shape[2]
    above = [0] * (step * picture.shape[1])
    for row in picture.astype(">u2"):
        line, kind = list(row.tobytes()), int(rng.integers(5))
        left = [0] * step + line[:-step]
        corner = [0] * step + above[:-step]
        guess = []
        for a, b, c in zip(left, above, corner, strict=True):
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            guess.append((0, a, b, (a + b) // 2, near)[kind])
        lines += bytes([kind, *((x - y) % 256 for x, y in zip(line, guess, strict=True))])
        above = line
    return lines


def png(
    picture: np.ndarray, seed: int = 0, interlaced: bool = False, before: bytes = b"", packed: bytes | None = None
) -> bytes:
    """A PNG of 16 bits a channel, its pixels in two chunks."""
    rng, (height, width, channels) = np.random.default_rng(seed), picture.shape
    head = struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, int(interlaced))
    parts = [picture[y::down, x::across] for x, y, across, down in ADAM7] if interlaced else [picture]
    pixels = zlib.compress(b"".join(filtered(part, rng) for part in parts if part.size)) if packed is None else packed
    half = len(pixels) // 2
    body = chunk(b"IDAT", pixels[:half]) + chunk(b"IDAT", pixels[half:]) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + body


def tiff(
    picture: np.ndarray,
    order: str = "<",
    planar: bool = False,
    packed: bool = False,
    photometric: int = 2,
    extra: int | None = None,
    turn: int = 1,
) -> bytes:
    """A TIFF of 16 bits a channel [H, W, C], in one strip, or one for each plane."""
    height, width, channels = picture.shape
    planes = [picture[..., k] for k in range(channels)] if planar else [picture]
    strips = [np.ascontiguousarray(plane, f"{order}u2").tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    starts = list(np.cumsum([8] + [len(strip) for strip in strips]))
    tags = {256: [width], 257: [height], 258: [16] * channels, 259: [8 if packed else 1], 262: [photometric]}
    tags |= {273: starts[:-1], 274: [turn], 277: [channels], 278: [height], 279: [len(strip) for strip in strips]}
    tags |= {284: [2 if planar else 1]} | ({} if extra is None else {338: [extra]})
    at = starts[-1] + starts[-1] % 2
    behind, table = at + 2 + 12 * len(tags) + 4, b""
    spilled = b""
    for tag, values in sorted(tags.items()):
        kind, code = (4, "I") if tag in (273, 279) else (3, "H")
        raw = struct.pack(f"{order}{len(values)}{code}", *(int(value) for value in values))
        if len(raw) > 4:
            raw, spilled = struct.pack(f"{order}I", behind + len(spilled)), spilled + raw
        table += struct.pack(f"{order}HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, at)
    body = b"".join(strips).ljust(at - 8, b"\0")
    return head + body + struct.pack(f"{order}H", len(tags)) + table + bytes(4) + spilled


def read(data: bytes) -> np.ndarray:
    """[H, W, C] with alpha."""
    found = data_to_single("a", data)
    assert isinstance(found, Single), found
    return found.pixels if found.alpha is None else np.concatenate((found.pixels, found.alpha), axis=2)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 19), st.integers(1, 19), st.sampled_from([2, 3, 4]), st.booleans(), st.integers(0, 2**32 - 1))
@example(1, 1, 3, True, 0)
@example(5, 8, 2, True, 0)
def test_every_png_by_the_specification_is_read(
    height: int, width: int, channels: int, interlaced: bool, seed: int
) -> None:
    picture = noise(height, width, channels, seed=seed)
    picture //= 1 + seed % 7 * 5000  # of small numbers too, for which filters guess otherwise
    np.testing.assert_array_equal(read(png(picture, seed, interlaced)), picture)


def test_a_header_says_what_will_be_read() -> None:
    for channels, mode in ((2, "LA"), (3, "RGB"), (4, "RGBA")):
        head = probe(png(noise(4, 6, channels)))
        assert (head.height, head.width, head.mode, head.deep, head.narrowed) == (4, 6, mode, True, False)
        assert (head.colour, head.alpha) == (channels > 2, channels != 3)


def test_gamma_is_left_alone_and_a_transparent_colour_is_seen() -> None:
    picture = noise(6, 5, 3)
    picture[2, 3] = picture[0, 0] + np.array([0, 0, 1], np.uint16)  # the upper bytes of both are the same
    plain = read(png(picture, before=chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"sBIT", bytes([12, 12, 12]))))
    np.testing.assert_array_equal(plain, picture)
    key = chunk(b"tRNS", struct.pack(">3H", *picture[0, 0]))
    found = read(png(picture, before=key))
    np.testing.assert_array_equal(found[..., :3], picture)
    assert np.argwhere(found[..., 3] != 65535).tolist() == [[0, 0]]
    assert found[0, 0, 3] == 0


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turns_are_made(channels: int, turn: int) -> None:
    picture = noise(4, 6, channels)
    exif = Image.Exif()
    exif[0x0112] = turn
    low = Image.fromarray((picture & 255).astype(np.uint8)[..., 0])
    low.getexif()[0x0112] = turn
    truth = np.asarray(ImageOps.exif_transpose(low))
    found = read(png(picture, before=chunk(b"eXIf", exif.tobytes()[6:])))
    np.testing.assert_array_equal(found[..., 0] & 255, truth)
    assert set(map(tuple, found.reshape(-1, channels))) == set(map(tuple, picture.reshape(-1, channels)))
    if channels > 2:
        np.testing.assert_array_equal(read(tiff(picture, turn=turn)), found)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("channels", "extra"), [(3, None), (4, None), (4, 2)])
@pytest.mark.parametrize(("planar", "packed"), [(False, False), (False, True), (True, False)])
def test_tiff_is_read(order: str, channels: int, extra: int | None, planar: bool, packed: bool) -> None:
    picture = noise(7, 5, channels)
    np.testing.assert_array_equal(read(tiff(picture, order, planar, packed, extra=extra)), picture)


@pytest.mark.parametrize("planar", [False, True])
def test_tiff_of_colours_multiplied_by_alpha_and_of_a_band_without_meaning(planar: bool) -> None:
    straight = noise(9, 9, 4)
    straight[0, :3, 3] = (0, 1, 65535)
    share = straight[..., 3:] / 65535
    multiplied = np.rint(np.concatenate((straight[..., :3] * share, straight[..., 3:]), axis=2)).astype(np.uint16)
    found = read(tiff(multiplied, planar=planar, extra=1))
    np.testing.assert_array_equal(found[..., 3], straight[..., 3])
    seen = straight[..., 3] > 0
    error = np.abs(found[..., :3].astype(int) - straight[..., :3])
    assert (error[seen] <= 0.5 / share[seen] + 1).all()
    assert (found[~seen] == 0).all()
    np.testing.assert_array_equal(read(tiff(straight, planar=planar, extra=0)), straight[..., :3])


def test_every_page_of_a_tiff_is_found(tmp_path: Path) -> None:
    """Two files as one: what the first says of a next page is pointed at the second's table."""
    first, second = noise(3, 4, 3), noise(3, 4, 3, seed=1)
    one, other = tiff(first), tiff(second)
    shift = len(one)
    table = struct.unpack("<I", one[4:8])[0]
    end = table + 2 + 12 * struct.unpack("<H", one[table : table + 2])[0]
    start = struct.unpack("<I", other[4:8])[0]
    moved = bytearray(other)
    for at in range(start + 2, start + 2 + 12 * struct.unpack("<H", other[start : start + 2])[0], 12):
        if struct.unpack("<H", moved[at : at + 2])[0] in (258, 273):  # those that point somewhere
            moved[at + 8 : at + 12] = struct.pack("<I", struct.unpack("<I", moved[at + 8 : at + 12])[0] + shift)
    whole = one[:end] + struct.pack("<I", shift + start) + one[end + 4 :] + bytes(moved)
    (tmp_path / "a.tif").write_bytes(whole)
    found = open_pictures(tmp_path, DataConfig(depth="auto", frames="all", validation=0), cache_dir=tmp_path / ".c")
    np.testing.assert_array_equal(found.pictures, np.stack((first, second)))


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("format", ["rgb48be", "rgba64be", "ya16be"])
def test_what_ffmpeg_writes_is_read(kind: str, format: str) -> None:
    av = pytest.importorskip("av")
    if kind == "tiff":
        format = {"rgb48be": "rgb48le", "rgba64be": "rgba64le", "ya16be": "rgb48le"}[format]
    channels = {"r": 3, "y": 2}[format[0]] + ("rgba" in format)
    picture = noise(11, 13, channels)
    picture[3:8] = np.arange(13 * channels, dtype=np.uint16).reshape(13, channels) * 700  # where filters pay
    frame = av.VideoFrame(13, 11, format)
    plane = frame.planes[0]
    rows = np.zeros((11, plane.line_size), np.uint8)
    raw = picture.astype(f"{'>' if format.endswith('be') else '<'}u2").view(np.uint8).reshape(11, -1)
    rows[:, : raw.shape[1]] = raw
    plane.update(rows.tobytes())
    writer = av.CodecContext.create(kind, "w")
    writer.width, writer.height, writer.pix_fmt, writer.time_base = 13, 11, format, Fraction(1)
    data = b"".join(bytes(packet) for part in (frame, None) for packet in writer.encode(part))
    np.testing.assert_array_equal(read(data), picture)


@functools.cache
def bad_pngs() -> dict[str, tuple[bytes, str]]:
    picture = noise(8, 8, 3)
    good = png(picture)
    lines = filtered(picture, np.random.default_rng(0))
    packed = zlib.compress(lines)
    at = good.index(b"IDAT")
    flipped = bytearray(good)
    flipped[at + 60] ^= 4
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    return {
        "cut in the pixels": (good[: at + 100], "is cut short"),
        "cut in a head": (good[:20], "is cut short"),
        "a flipped bit": (bytes(flipped), "checksum"),
        "a wrong checksum of the head": (good[:30] + b"\0" + good[31:], "head is damaged"),
        "a stream that is none": (png(picture, packed=b"nothing of use" * 9), "is damaged"),
        "a stream that ends early": (png(picture, packed=zlib.compress(lines[:200])), "is cut short"),
        "a stream without its end": (png(picture, packed=packed[:-4]), "is cut short"),
        "a wrong sum in the stream": (png(picture, packed=packed[:-1] + bytes([packed[-1] ^ 1])), "is damaged"),
        "a filter that is none": (png(picture, packed=zlib.compress(b"\x09" + lines[1:])), "is damaged"),
        "too much": (png(picture, packed=zlib.compress(lines + bytes(1))), "more is packed"),
        "no pixels": (good[: at - 4] + chunk(b"IEND", b""), "is damaged|is cut short"),
        "two heads": (png(picture, before=chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 6, 0, 0, 0))), "two headers"),
        "another head first": (
            good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 10**5, 10**5, 16, 6, 0, 0, 1)) + good[8:],
            "two headers",
        ),
        "a palette of 16 bits": (good[:8] + chunk(b"IHDR", head[:9] + b"\3\0\0\0") + good[33:], "head is damaged"),
        "too many pixels": (
            good[:8] + chunk(b"IHDR", struct.pack(">II", 10**5, 10**5) + head[8:]) + good[33:],
            "pixels",
        ),
        "no size": (good[:8] + chunk(b"IHDR", bytes(8) + head[8:]) + good[33:], "damaged"),
        "an unknown interlacing": (good[:8] + chunk(b"IHDR", head[:12] + b"\2") + good[33:], "is damaged|cut short"),
        "a bomb in a text": (png(picture, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**7)))), "damaged"),
        "a short colour key": (png(picture, before=chunk(b"tRNS", b"\0\1")), "damaged"),
    }


@pytest.mark.parametrize("name", sorted(bad_pngs()))
def test_bad_pngs_have_one_plain_reason(name: str) -> None:
    data, reason = bad_pngs()[name]
    found = data_to_single("a.png", data)
    assert isinstance(found, BadFile)
    assert any(word in found.reason for word in reason.split("|")), found.reason
    assert "\n" not in found.reason


def test_a_bomb_is_left_before_it_is_unpacked() -> None:
    packed = zlib.compress(bytes(2**27))
    for channels in (2, 3, 4):
        data = png(noise(8, 8, channels), packed=packed)
        tracemalloc.start()
        found = data_to_single("a.png", data)
        assert tracemalloc.get_traced_memory()[1] < 2**25, "a quarter of what is packed"
        tracemalloc.stop()
        assert isinstance(found, BadFile)
        assert "more is packed" in found.reason


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(["png", "adam7", "tiff", "planes", "packed"]))
def test_whatever_happens_to_a_file_there_is_a_picture_or_a_reason(data: st.DataObject, kind: str) -> None:
    picture = noise(5, 6, data.draw(st.sampled_from([3, 4])))
    good = {
        "png": lambda: png(picture),
        "adam7": lambda: png(picture, interlaced=True, before=chunk(b"tRNS", bytes(6))),
        "tiff": lambda: tiff(picture, ">", extra=1 if picture.shape[2] == 4 else None),
        "planes": lambda: tiff(picture, planar=True),
        "packed": lambda: tiff(picture, packed=True),
    }[kind]()
    broken = bytearray(good)
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=4)):
        broken[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    found = data_to_single("a", bytes(broken[:cut] if data.draw(st.booleans()) else broken))
    assert isinstance(found, BadFile) or found.pixels.dtype in (np.uint8, np.uint16)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_bad_tiffs_have_a_plain_reason() -> None:
    good = tiff(noise(40, 40, 3))
    for data in (good[:3000], tiff(noise(40, 40, 3), packed=True)[:200], good[:8] + bytes(len(good) - 8)):
        found = data_to_single("a.tif", data)
        assert isinstance(found, BadFile)
        assert "\n" not in found.reason


def animated(frame: bytes) -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 6, 4, 0, 0, 1, 10, 0, 0)
    second = struct.pack(">I", 1) + control[4:]
    start, end = frame.index(b"IDAT") - 4, frame.index(b"IEND") - 4
    packed = zlib.compress(filtered(noise(4, 6, 3), np.random.default_rng(0)))
    more = chunk(b"fcTL", second) + chunk(b"fdAT", struct.pack(">I", 2) + packed)
    head = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", control)
    return frame[:start] + head + frame[start:end] + more + frame[end:]


def test_what_is_read_at_eight_bits_is_said(tmp_path: Path) -> None:
    picture = noise(4, 6, 3)
    files = {
        "animated.png": animated(png(picture)),
        "cmyk.tif": tiff(noise(4, 6, 4), photometric=5),
        "planes.tif": tiff(picture, planar=True, packed=True),
        "wide.ppm": b"P6 6 4 65535\n" + picture.astype(">u2").tobytes(),
        "plain.png": png(picture),
    }
    for name, data in files.items():
        found = data_to_single(name, data)
        assert isinstance(found, Single), found
        assert found.narrowed == (name != "plain.png")
        assert found.pixels.dtype == (np.uint8 if found.narrowed else np.uint16)
        if name != "cmyk.tif":
            assert np.abs(found.pixels / (1 if found.narrowed else 257) - picture / 257).max() <= 1
        (tmp_path / name).write_bytes(data)
    every = open_pictures(tmp_path, DataConfig(depth="auto"), cache_dir=tmp_path / ".c")
    assert every.pictures.dtype == np.uint16
    assert any("8 were read" in note and "(4)" in note for note in every.notes)


def test_training_sees_all_bits_or_rounds_them(tmp_path: Path) -> None:
    pictures = {"a.png": noise(12, 10, 3), "b.tif": noise(12, 10, 3, seed=1)}
    (tmp_path / "a.png").write_bytes(png(pictures["a.png"]))
    (tmp_path / "b.tif").write_bytes(tiff(pictures["b.tif"]))
    deep = open_pictures(tmp_path, DataConfig(depth="auto"), cache_dir=tmp_path / ".c")
    np.testing.assert_array_equal(deep.pictures, np.stack(list(pictures.values())))
    eight = open_pictures(tmp_path, DataConfig(), cache_dir=tmp_path / ".c")
    np.testing.assert_array_equal(eight.pictures, np.rint(deep.pictures / 257).astype(np.uint8))
    assert any("scaled to 8 (2)" in note for note in eight.notes)
    small = open_pictures(tmp_path, DataConfig(size=5, depth="16"), cache_dir=tmp_path / ".c")
    for k, picture in enumerate(pictures.values()):
        for channel in range(3):
            band = Image.fromarray(picture[1:11, :, channel].astype(np.float32))
            truth = np.asarray(band.resize((5, 5), Image.Resampling.BILINEAR))
            assert np.abs(small.pictures[k, ..., channel] - truth).max() <= 0.51


def test_grey_with_alpha_stays_grey(tmp_path: Path) -> None:
    picture = noise(6, 7, 2)
    (tmp_path / "a.png").write_bytes(png(picture))
    kept = open_pictures(tmp_path, DataConfig(depth="auto", alpha="keep"), cache_dir=tmp_path / ".c")
    np.testing.assert_array_equal(kept.pictures[0], picture)
    for config in (DataConfig(depth="16", size=(6, 7)), DataConfig(depth="auto")):
        found = open_pictures(tmp_path, config, cache_dir=tmp_path / ".c")
        share = picture[..., 1] / 65535
        assert found.pictures.shape[3] == 1
        assert np.abs(found.pictures[0, ..., 0] - (picture[..., 0] * share + 65535 * (1 - share))).max() <= 0.51


@pytest.mark.parametrize("given", [1, 2, 3, 4])
@pytest.mark.parametrize("wanted", [1, 2, 3, 4])
@pytest.mark.parametrize("alpha", ["white", "black", "drop"])
def test_channels_are_what_they_are_at_eight_bits(given: int, wanted: int, alpha: str) -> None:
    """Within rounding, Pillow's own way of bringing a picture of 8 bits to other channels and sizes."""
    eight = np.random.default_rng(0).integers(64, 192, (12, 9, given), dtype=np.uint8)  # enlarged, none is clipped
    sixteen = eight.astype(np.uint16) * np.uint16(257)
    image = Image.fromarray(eight[..., 0] if given == 1 else eight, {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[given])
    for size, fit in (((12, 9), "crop"), ((6, 5), "crop"), ((6, 5), "stretch"), ((8, 8), "pad"), ((20, 16), "stretch")):
        truth = render(image, Plan(*size, wanted, fit=fit, alpha=alpha, pad_value=30), set()).astype(float)
        found = fit16(sixteen, Plan(*size, wanted, deep=True, fit=fit, alpha=alpha, pad_value=30)) / 257
        error = np.abs(found - truth)
        assert error.mean() <= 1
        assert error.max() <= (5 if given in (2, 4) and wanted in (2, 4) else 2)  # Pillow divides bytes by bytes


def test_an_array_of_deep_transparent_pictures_is_fitted_with_all_its_bits() -> None:
    pictures = noise(3, 8, 8, 4)
    small = open_pictures(pictures, DataConfig(size=8, depth="16", mode="rgb", alpha="black", validation=0))
    share = pictures[..., 3:] / 65535
    assert np.abs(small.pictures - pictures[..., :3] * share).max() <= 0.51


def test_none_of_them_usable_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(bad_pngs()["too much"][0])
    with pytest.raises(DataError, match="more is packed"):
        open_pictures(tmp_path, DataConfig(), cache_dir=tmp_path / ".c")
