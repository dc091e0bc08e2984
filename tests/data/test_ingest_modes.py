"""Every Pillow mode, every EXIF orientation, every fit: against Pillow's and NumPy's own arithmetic."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mezzotint.core.errors import DataError
from mezzotint.data._fit import stack_box
from mezzotint.data._headers import probe, quick_header
from mezzotint.data.decode import Plan, decode, render, shrink_stacked
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig


def smooth(height: int = 24, width: int = 32) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 8 % 256, y * 10 % 256, (x + y) * 4 % 256], -1).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def row(data: bytes, plan: Plan) -> np.ndarray:
    rows, _, _ = decode(data, plan)
    assert not isinstance(rows[0], str), rows[0]
    return rows[0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"])
def test_opaque_modes_match_pillow(mode: str) -> None:
    image = smooth().convert("RGB").convert(mode)
    truth = np.asarray(image.convert("RGB"), int)
    got = render(image, Plan(24, 32, 3), set())
    assert np.abs(got - truth).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
@pytest.mark.parametrize("alpha", ["white", "black", "drop"])
def test_transparent_modes_match_arithmetic(mode: str, alpha: str) -> None:
    image = smooth().convert("RGBA")
    image.putalpha(Image.fromarray((np.arange(24 * 32).reshape(24, 32) % 128 + 128).astype(np.uint8)))
    first = image.convert("LA") if mode in ("LA", "La") else image
    image = first.convert("P").convert("PA") if mode == "PA" else first.convert(mode)
    straight = image.convert("LA") if mode == "La" else image
    rgba = np.asarray(straight.convert("RGBA"), float)
    share = rgba[..., 3:] / 255
    ground = 255 if alpha == "white" else 0
    truth = rgba[..., :3] if alpha == "drop" else rgba[..., :3] * share + ground * (1 - share)
    got = render(image, Plan(24, 32, 3, alpha=alpha), set())
    assert np.abs(got - truth).max() <= 1


def test_palette_with_transparency_and_key_colours() -> None:
    image = smooth().convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    clear = np.asarray(image) == 3
    data = encoded(image, transparency=3)
    assert probe(data).alpha
    got = row(data, Plan(24, 32, 3, alpha="white"))
    assert (got[clear] == 255).all()
    kept = row(data, Plan(24, 32, 4, alpha="keep"))
    assert ((kept[..., 3] == 0) == clear).all()
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert row(encoded(grey, transparency=5), Plan(8, 8, 1))[0, 5, 0] == 255


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_sixteen_bits_are_scaled_and_never_clipped(mode: str) -> None:
    values = np.linspace(0, 65535, 20 * 30).reshape(20, 30).astype(np.uint16)
    image = Image.fromarray(values.astype(np.int32)) if mode == "I" else Image.fromarray(values)
    if mode == "I;16B":
        image = Image.frombytes("I;16B", (30, 20), values.astype(">u2").tobytes())
    deep = render(image, Plan(20, 30, 1, deep=True), set())
    assert (deep[..., 0] == values).all()
    shallow = render(image, Plan(20, 30, 3), set())
    assert np.abs(shallow[..., 2] - values / 257.0).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(("low", "high", "own"), [(0.0, 1.0, False), (0.0, 255.0, False), (-3.0, 9.0, True)])
def test_floats_are_scaled_by_their_range(low: float, high: float, own: bool) -> None:
    values = np.linspace(low, high, 100, dtype=np.float32).reshape(10, 10)
    remarks: set[str] = set()
    got = render(Image.fromarray(values), Plan(10, 10, 1), remarks)
    truth = (values - low) / (high - low) * 255
    assert np.abs(got[..., 0] - truth).max() <= 0.51
    assert bool(remarks) == own


def test_a_sixteen_bit_png_file_keeps_its_values(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (12, 12)).astype(np.uint16)
    for i in range(3):
        Image.fromarray(values).save(tmp_path / f"{i}.png")
    kept = open_pictures(tmp_path, DataConfig(depth="auto"), cache_dir=tmp_path / ".c")
    assert kept.pictures.dtype == np.uint16
    assert (kept.pictures[1, ..., 0] == values).all()
    eight = open_pictures(tmp_path, DataConfig(), cache_dir=tmp_path / ".c")
    assert eight.pictures.dtype == np.uint8
    assert any("scaled to 8" in note for note in eight.notes)


def test_adobe_cmyk_jpeg_matches_pillow() -> None:
    data = encoded(smooth().convert("CMYK"), "JPEG", quality=95)
    truth = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)
    assert np.abs(row(data, Plan(24, 32, 3)) - truth).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(format: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"quality": 95} if format == "JPEG" else {"lossless": True} if format == "WEBP" else {}
    data = encoded(smooth(), format, exif=exif, **options)
    truth = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"), int)
    header = probe(data)
    assert (header.height, header.width) == truth.shape[:2]
    got = row(data, Plan(*truth.shape[:2], 3))
    assert np.abs(got - truth).max() <= 1


def test_a_turned_jpeg_is_shrunk_like_the_turned_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(smooth(256, 384), "JPEG", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    truth = np.asarray(ImageOps.fit(upright, (48, 64), Image.Resampling.BILINEAR), int)
    assert np.abs(row(data, Plan(64, 48, 3)) - truth).mean() < 2


@pytest.mark.parametrize("size", [(16, 16), (12, 30), (40, 40)])
def test_crop_is_what_pillow_calls_fit(size: tuple[int, int]) -> None:
    image = smooth()
    kernel = Image.Resampling.BICUBIC if size[0] > 24 else Image.Resampling.BILINEAR
    truth = np.asarray(ImageOps.fit(image, size[::-1], kernel), int)
    assert np.abs(row(encoded(image), Plan(*size, 3)) - truth).max() <= 1


def test_pad_and_stretch() -> None:
    image = smooth()
    padded = row(encoded(image), Plan(16, 16, 3, fit="pad", pad_value=7))
    assert (padded[:2] == 7).all()
    assert (padded[-2:] == 7).all()
    inner = np.asarray(image.resize((16, 12), Image.Resampling.BILINEAR), int)
    assert np.abs(padded[2:14] - inner).max() <= 1
    stretched = row(encoded(image), Plan(12, 12, 3, fit="stretch"))
    assert np.abs(stretched - np.asarray(image.resize((12, 12), Image.Resampling.BILINEAR), int)).max() <= 1


def test_a_drafted_jpeg_is_close_to_one_decoded_in_full() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise).resize((256, 256)), "JPEG", quality=95)
    truth = np.asarray(Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR), float)
    error = np.mean((row(data, Plan(32, 32, 3)) - truth) ** 2)
    assert 10 * np.log10(255**2 / error) > 40


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(256, 256), (255, 301), (97, 64), (40, 700)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_simplejpeg_gives_the_same_bytes_as_pillow(
    monkeypatch: pytest.MonkeyPatch, subsampling: int, size: tuple[int, int], mode: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size).convert(mode)
    data = encoded(image, "JPEG", quality=90, subsampling=subsampling)
    plans = [Plan(h, w, c) for h, w in ((32, 32), (20, 50), (8, 8), size[::-1]) for c in (1, 3)]
    quick = [row(data, plan) for plan in plans]
    monkeypatch.setattr("mezzotint.data._jpeg._simplejpeg", lambda: None)
    for plan, got in zip(plans, quick, strict=True):
        assert (row(data, plan) == got).all()


def test_a_stack_is_shrunk_as_pillow_shrinks_each_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    images = [Image.fromarray(noise[k]).resize(size) for k, size in enumerate([(64, 64), (64, 64), (40, 60)])]
    plan = Plan(16, 16, 3)
    boxes = [stack_box(image.width, image.height, plan) for image in images]
    assert boxes[2] == (slice(10, 50), slice(0, 40))
    cuts = [np.asarray(image)[box] for image, box in zip(images, boxes, strict=True) if box is not None]
    assert len(cuts) == 3
    for cut, got in zip(cuts, shrink_stacked(cuts, plan), strict=True):
        truth = np.asarray(Image.fromarray(cut).resize((16, 16), Image.Resampling.BILINEAR), int)
        assert np.abs(got - truth).max() <= 1
    assert stack_box(128, 128, plan) is None, "Pillow first shrinks this much by a whole number"


def test_the_quick_header_agrees_with_pillow() -> None:
    for mode, progressive in [("L", False), ("RGB", False), ("RGB", True)]:
        data = encoded(smooth(33, 57).convert(mode), "JPEG", progressive=progressive)
        header = quick_header(data)
        assert header is not None
        assert (header.width, header.height, header.mode) == (57, 33, mode)
    assert quick_header(encoded(smooth())) is None


def test_auto_takes_the_least_mode_that_holds_all(tmp_path: Path) -> None:
    for i in range(40):
        smooth().convert("L").save(tmp_path / f"{i:02d}.png")
    grey = open_pictures(tmp_path, DataConfig(size=16), cache_dir=tmp_path / ".c")
    assert grey.shape == (1, 16, 16)
    smooth().save(tmp_path / "zz.png")  # colour comes last, after grey rows have been written
    mixed = open_pictures(tmp_path, DataConfig(size=16), cache_dir=tmp_path / ".c")
    assert mixed.shape == (3, 16, 16)
    assert (mixed.pictures[:40] == np.repeat(grey.pictures, 3, axis=-1)).all()
    assert any("several modes" in note for note in mixed.notes)
    two_stage = open_pictures(tmp_path, DataConfig(), cache_dir=tmp_path / ".c")
    assert two_stage.shape == (3, 24, 32)


def test_alpha_keep_gives_a_channel_more(tmp_path: Path) -> None:
    smooth().convert("LA").save(tmp_path / "a.png")
    smooth().convert("L").save(tmp_path / "b.png")
    kept = open_pictures(tmp_path, DataConfig(alpha="keep"), cache_dir=tmp_path / ".c")
    assert kept.shape == (2, 24, 32)
    with pytest.raises(DataError, match="no room for transparency"):
        open_pictures(tmp_path, DataConfig(alpha="keep", mode="rgb"), cache_dir=tmp_path / ".c")


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_files(tmp_path: Path, format: str) -> None:
    frames = [Image.new("RGB", (8, 8), (i * 60, 10, 200 - i * 40)) for i in range(4)]
    options = {"lossless": True} if format == "WEBP" else {}
    path = tmp_path / f"film.{format.lower()}"
    frames[0].save(path, format, save_all=True, append_images=frames[1:], **options)
    smooth(8, 8).save(tmp_path / "still.png")
    first = open_pictures(tmp_path, DataConfig(), cache_dir=tmp_path / ".c")
    assert len(first) == 2
    every = open_pictures(tmp_path, DataConfig(frames="all"), cache_dir=tmp_path / ".c")
    assert len(every) == 5
    assert every.names[-1] == "still.png"
    assert [tuple(p[4, 4]) for p in every.pictures[:4]] == [f.getpixel((0, 0)) for f in frames]


def test_frames_of_one_film_stay_in_one_part(tmp_path: Path) -> None:
    for k in range(6):
        frames = [Image.new("L", (8, 8), i * 20 + k) for i in range(10)]
        frames[0].save(tmp_path / f"{k}.gif", save_all=True, append_images=frames[1:])
    config = DataConfig(frames="all", validation=0.3)
    found = open_pictures(tmp_path, config, cache_dir=tmp_path / ".c")
    parts = [{found.names[i][:5] for i in rows} for rows in found.splits.values()]
    assert parts[0]
    assert parts[1]
    assert not parts[0] & parts[1]
