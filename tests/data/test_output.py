"""Pictures and films out: values, shapes, and files read back by independent means."""

from __future__ import annotations

import builtins
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mezzotint.core.errors import ConfigError, DataError, MissingExtra, TrainingError
from mezzotint.data.output import grid, save_film, save_picture, to_pil, to_uint8
from mezzotint.data.singles import Single, data_to_single


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@given(st.floats(-3, 3, width=32))
def test_to_uint8_rounds_half_up(value: float) -> None:
    exact = (min(max(value, -1.0), 1.0) + 1) * 127.5
    got = int(to_uint8(np.full((1, 1, 1, 1), value, np.float64))[0, 0, 0, 0])
    assert exact - 0.5 <= got <= exact + 0.5
    single = int(to_uint8(np.full((1, 1, 1, 1), value, np.float32))[0, 0, 0, 0])
    assert abs(single - exact) <= 0.5 + 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_to_uint8_inverts_the_usual_scaling(dtype: type) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    values = (levels.astype(dtype) / dtype(127.5) - 1).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(to_uint8(values), levels)
    assert to_uint8(np.zeros((1, 1, 1, 1), dtype)).item() == 128  # 127.5 rounds up


def test_to_uint8_leaves_its_input_and_moves_channels_last() -> None:
    values = np.linspace(-2, 2, 24, dtype=np.float32).reshape(2, 3, 2, 2)
    before = values.copy()
    got = to_uint8(values)
    assert got.shape == (2, 2, 2, 3)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_to_uint8_refuses_what_is_not_a_number(bad: float) -> None:
    values = np.zeros((3, 1, 2, 2), np.float32)
    values[1, 0, 0, 0] = bad
    with pytest.raises(DataError, match="1 of 3 pictures"):
        to_uint8(values)


def test_to_uint8_refuses_other_arrays() -> None:
    for array in (np.zeros((1, 1, 2, 2), np.uint8), np.zeros((2, 2), np.float32)):
        with pytest.raises(DataError):
            to_uint8(array)


def test_grid_places_pictures_row_by_row() -> None:
    pictures = noise(5, 3, 4, 3)
    sheet = grid(pictures, columns=3, gap=1, background=7, scale=2)
    assert sheet.shape == (2 * 7 + 1, 3 * 9 + 1, 3)
    np.testing.assert_array_equal(sheet[1:7:2, 10:18:2], pictures[1])
    np.testing.assert_array_equal(sheet[9:15:2, 11:19:2], pictures[4])
    assert (sheet[8:, 19:] == 7).all()
    assert (sheet[0] == 7).all()


@pytest.mark.parametrize(("count", "side"), [(64, 8), (100, 28), (16, 32), (36, 64), (9, 128)])
def test_automatic_grids_are_comfortable(count: int, side: int) -> None:
    height, width, _ = grid(np.zeros((count, side, side, 1), np.uint8)).shape
    assert 500 <= width <= 1000
    assert height == width


def test_grid_of_few_or_big_or_transparent_pictures() -> None:
    assert grid(np.zeros((1, 8, 8, 1), np.uint8)).shape == (260, 260, 1)
    assert grid(np.zeros((2, 700, 700, 1), np.uint8), gap=0).shape == (700, 1400, 1)
    assert grid(np.zeros((30, 8, 8, 1), np.uint8), columns=1).shape[0] <= 1000
    sheet = grid(np.zeros((3, 8, 8, 4), np.uint8), gap=2, background=0)
    assert (sheet[0, 0] == (0, 0, 0, 255)).all()
    assert sheet[5, 5, 3] == 0


def test_grid_mistakes() -> None:
    for arguments in ({"columns": 0}, {"gap": -1}, {"background": 300}, {"scale": 0}):
        with pytest.raises(DataError):
            grid(np.zeros((3, 8, 8, 1), np.uint8), **arguments)
    for array in (np.zeros((0, 8, 8, 1), np.uint8), np.zeros((1, 8, 8, 1)), np.zeros((8, 8, 1), np.uint8)):
        with pytest.raises(DataError):
            grid(array)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_files_come_back_exactly(tmp_path: Path, suffix: str, channels: int) -> None:
    picture, path = noise(9, 7, channels), tmp_path / f"a{suffix}"
    save_picture(path, picture)
    with Image.open(path) as image:
        got = np.asarray(image.convert(to_pil(picture).mode)).reshape(9, 7, channels)
        np.testing.assert_array_equal(got, picture)
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment", "Software"} & image.info.keys()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_jpeg_is_close_and_clean(tmp_path: Path) -> None:
    ramp = np.mgrid[0:32, 0:32].transpose(1, 2, 0) * 8
    picture = np.concatenate([ramp, 255 - ramp[..., :1]], axis=2).astype(np.uint8)
    save_picture(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.abs(np.asarray(image).astype(int) - picture).mean() < 2
        assert not image.getexif()
        assert "comment" not in image.info
    save_picture(tmp_path / "grey.jpeg", picture[..., 0])
    with Image.open(tmp_path / "grey.jpeg") as image:
        assert image.mode == "L"


def test_sixteen_bit_grey_png(tmp_path: Path) -> None:
    picture = (np.arange(12, dtype=np.uint16) * 5461).reshape(3, 4)
    save_picture(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), picture)
    with pytest.raises(DataError, match="16 bits"):
        save_picture(tmp_path / "a.webp", picture)
    with pytest.raises(DataError, match="16 bits of grey only"):
        to_pil(np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(DataError, match="1 to 4 channels"):
        save_picture(tmp_path / "b.png", np.zeros((2, 2, 5), np.uint16))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_golden_bytes_of_a_sixteen_bit_png(tmp_path: Path) -> None:
    """Two pixels below each other and two beside, worked out on paper; each line begins with its filter, 1."""
    picture = np.array([[[0x0102, 0xFFFF], [0x0301, 0x0000]], [[0, 0], [1, 0x8000]]], np.uint16)
    save_picture(tmp_path / "a.png", picture)
    data = (tmp_path / "a.png").read_bytes()
    assert data[:33].hex() == "89504e470d0a1a0a0000000d4948445200000002000000021004000000882f19ec"
    assert data[-12:].hex() == "0000000049454e44ae426082"
    lines = zlib.decompress(parts(data)["IDAT"])
    assert lines.hex() == "010102ffff02ff0101010000000000018000"


def parts(data: bytes) -> dict[str, bytes]:
    """The chunks of a PNG, those of one kind joined."""
    found: dict[str, bytes] = {}
    at = 8
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8].decode()
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(data[at + 4 : at + 8 + length]) == int.from_bytes(data[at + 8 + length : at + 12 + length])
        found[kind] = found.get(kind, b"") + body
        at += 12 + length
    return found


@pytest.mark.parametrize(("channels", "format"), [(1, "gray16be"), (2, "ya16be"), (3, "rgb48be"), (4, "rgba64be")])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (17, 5), (700, 1300)])
def test_ffmpeg_reads_sixteen_bits_as_they_were(
    tmp_path: Path, channels: int, format: str, shape: tuple[int, int]
) -> None:
    av = pytest.importorskip("av")
    picture = np.random.default_rng(0).integers(0, 65536, (*shape, channels), dtype=np.uint16)
    save_picture(tmp_path / "a.png", picture)
    data = (tmp_path / "a.png").read_bytes()
    assert set(parts(data)) == {"IHDR", "IDAT", "IEND"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    reader = av.CodecContext.create("png", "r")
    frame = (*reader.decode(av.Packet(data)), *reader.decode(None))[0]
    assert frame.format.name == format
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: shape[0], : shape[1] * 2 * channels]
    np.testing.assert_array_equal(np.ascontiguousarray(rows).view(">u2").reshape(picture.shape), picture)


def test_sixteen_bits_of_any_memory_layout(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 65536, (3, 20, 30), dtype=np.uint16)
    save_picture(tmp_path / "a.png", whole.transpose(1, 2, 0)[::-2])
    found = data_to_single("a.png", (tmp_path / "a.png").read_bytes())
    assert isinstance(found, Single)
    np.testing.assert_array_equal(found.pixels, whole.transpose(1, 2, 0)[::-2])


def test_picture_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.jpg, \.jpeg, \.webp"):
        save_picture(tmp_path / "a.bmp", noise(2, 2, 3))
    with pytest.raises(DataError, match="transparency"):
        save_picture(tmp_path / "a.jpg", noise(2, 2, 4))
    with pytest.raises(DataError, match="to_uint8"):
        save_picture(tmp_path / "a.png", np.zeros((2, 2, 3)))
    with pytest.raises(DataError):
        save_picture(tmp_path / "a.png", noise(2, 2, 5))
    with pytest.raises(TrainingError):
        save_picture(tmp_path / "no" / "a.png", noise(2, 2, 3))


def frames_of(path: Path) -> tuple[list[np.ndarray], list[int]]:
    arrays, lengths = [], []
    with Image.open(path) as image:
        for k in range(image.n_frames):
            image.seek(k)
            arrays.append(np.asarray(image.convert("RGB")))
            lengths.append(image.info["duration"])
    return arrays, lengths


def test_gif_keeps_few_colours_exactly(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).choice(np.array([0, 17, 90, 255], np.uint8), (6, 5, 7, 3))
    save_film(tmp_path / "a.gif", frames, fps=24)
    arrays, lengths = frames_of(tmp_path / "a.gif")
    np.testing.assert_array_equal(np.stack(arrays), frames)
    assert sum(lengths) == 250  # six frames at 24 a second


def test_gif_grey_is_exact_and_colour_is_near(tmp_path: Path) -> None:
    grey = noise(3, 6, 6, 1)
    save_film(tmp_path / "grey.gif", grey)
    np.testing.assert_array_equal(np.stack(frames_of(tmp_path / "grey.gif")[0])[..., :1], grey)
    y, x = np.mgrid[0:64, 0:64] * 4
    ramp = np.stack([np.stack([x, y, (x + y + 40 * t) // 3], axis=2) for t in range(4)]).astype(np.uint8)
    save_film(tmp_path / "ramp.gif", ramp)
    got = np.stack(frames_of(tmp_path / "ramp.gif")[0]).astype(float)
    assert np.abs(got - ramp).mean() < 12
    assert np.abs(got.mean((1, 2)) - ramp.mean((1, 2))).max() < 8


def test_films_lay_transparency_on_the_background(tmp_path: Path) -> None:
    frames = np.zeros((2, 4, 4, 4), np.uint8)
    frames[1, ..., 3] = 255
    save_film(tmp_path / "a.gif", frames, background=200)
    arrays, _ = frames_of(tmp_path / "a.gif")
    assert (arrays[0] == 200).all()
    assert (arrays[1] == 0).all()


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_movies_read_back(tmp_path: Path, suffix: str, channels: int) -> None:
    av = pytest.importorskip("av")
    y, x = np.mgrid[0:33, 0:47]
    frames = np.stack([np.stack([x * 5 + t, y * 7, x + y], axis=2)[..., :channels] for t in range(5)]).astype(np.uint8)
    save_film(tmp_path / f"a{suffix}", frames, fps=12.5)
    with av.open(str(tmp_path / f"a{suffix}")) as film:
        video = film.streams.video[0]
        assert float(video.average_rate) == 12.5
        got = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video)])
    assert got.shape == (5, 34, 48, 3)
    assert np.abs(got[:, :33, :47].astype(int) - frames).mean() < 5


def test_movies_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **named: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtra, match=r"Writing MP4 films needs .*mezzotint\[film\]"):
        save_film(tmp_path / "a.mp4", noise(2, 4, 4, 3))
    assert not list(tmp_path.iterdir())


def test_film_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.gif, \.mp4, \.webm"):
        save_film(tmp_path / "a.avi", noise(2, 4, 4, 3))
    with pytest.raises(DataError, match="frames a second"):
        save_film(tmp_path / "a.gif", noise(2, 4, 4, 3), fps=0)
    with pytest.raises(DataError):
        save_film(tmp_path / "a.gif", noise(4, 4, 3))
    assert isinstance(to_pil(noise(2, 2)), Image.Image)
