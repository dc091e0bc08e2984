"""Pictures out: from model values to bytes, grids to look at, picture files and short films.

Files carry no metadata (no EXIF, no text, no software name) and appear whole or not at all.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data._png16 import png16
from mezzotint.data.film import movie

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FILM_SUFFIXES = (".gif", ".mp4", ".webm")

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_GRID_PIXELS = 1000
_MAX_MAGNIFY = 32
_WRITERS = 8


def to_uint8(pictures: NDArray[Any]) -> NDArray[np.uint8]:
    """Model values as bytes: -1 becomes 0, 1 becomes 255, halves round up, values beyond are clipped.

    Args:
        pictures: [N, C, H, W] floats in [-1, 1].

    Returns:
        [N, H, W, C] uint8, C-contiguous.

    Raises:
        DataError: a value is not a finite number, or the array is not [N, C, H, W] of floats.

    Example:
        >>> to_uint8(np.array([-1.0, 0.0, 1.0, 2.0]).reshape(1, 1, 2, 2)).ravel().tolist()
        [0, 128, 255, 255]
    """
    if pictures.ndim != 4 or not np.issubdtype(pictures.dtype, np.floating):
        raise DataError(f"to_uint8 takes floats [N, C, H, W]; got {pictures.dtype} {list(pictures.shape)}.")
    values: NDArray[np.float64] = pictures.astype(np.float64 if pictures.dtype == np.float64 else np.float32)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(axis=(1, 2, 3)).sum())
        raise DataError(
            f"{bad} of {len(values)} pictures hold values that are not finite numbers (NaN or infinity), "
            "so they cannot be saved; the model has diverged: go back to an earlier checkpoint."
        )
    np.clip(values, -1, 1, out=values)
    values *= 127.5
    values += 128.0  # 127.5 moves [-1, 1] to [0, 255]; the other half, with floor, rounds halves up
    return np.ascontiguousarray(np.floor(values).astype(np.uint8).transpose(0, 2, 3, 1))


def to_pil(picture: NDArray[Any]) -> Image.Image:
    """One picture as a Pillow image.

    Args:
        picture: [H, W] or [H, W, C] uint8 with C = 1 grey, 2 grey and alpha, 3 RGB or 4 RGBA; or uint16 grey.

    Raises:
        DataError: the array is none of these.

    Example:
        >>> to_pil(np.zeros((2, 3, 4), np.uint8)).mode
        'RGBA'
    """
    array = _with_channels(picture)
    channels = array.shape[2]
    if array.dtype == np.uint16:
        if channels != 1:
            raise DataError(f"Pillow holds 16 bits of grey only; this picture has {channels} channels, use uint8.")
        return Image.fromarray(np.ascontiguousarray(array[..., 0]))
    if array.dtype != np.uint8:
        raise DataError(f"A picture is uint8 or uint16, not {array.dtype}; see to_uint8.")
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if channels == 1 else array), _MODES[channels])


def grid(
    pictures: NDArray[np.uint8],
    columns: int | None = None,
    gap: int = 2,
    background: int = 255,
    scale: int | Literal["auto"] = "auto",
) -> NDArray[np.uint8]:
    """Pictures side by side, row by row, for looking at.

    Args:
        pictures: [N, H, W, C] uint8.
        columns: pictures a row; a near-square sheet when not given.
        gap: pixels between pictures and around the sheet.
        background: grey value of the gaps, 0 to 255.
        scale: whole number by which each pixel is magnified; auto brings sheets of small pictures to at most 1000
            pixels and leaves bigger ones alone.

    Returns:
        [H', W', C] uint8. Unused places have the background; alpha there is opaque.

    Raises:
        DataError: there is no picture, or an argument is out of range.

    Example:
        >>> grid(np.zeros((10, 8, 8, 1), np.uint8)).shape
        (728, 970, 1)
    """
    if pictures.ndim != 4 or pictures.dtype != np.uint8 or 0 in pictures.shape or pictures.shape[3] not in _MODES:
        raise DataError(f"A grid takes uint8 pictures [N, H, W, C]; got {pictures.dtype} {list(pictures.shape)}.")
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or gap < 0 or not 0 <= background <= 255:
        raise DataError("A grid needs columns >= 1, gap >= 0 and a background from 0 to 255.")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    if scale == "auto":
        across = (_GRID_PIXELS - gap * (columns + 1)) // (columns * width)
        down = (_GRID_PIXELS - gap * (rows + 1)) // (rows * height)
        factor = max(1, min(across, down, _MAX_MAGNIFY))
    else:
        factor = scale
    if factor < 1:
        raise DataError(f"A grid's scale is a whole number from 1, or auto; got {scale}.")
    height, width = height * factor, width * factor
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), background, np.uint8)
    if channels in (2, 4):
        sheet[..., -1] = 255
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    return sheet


def save_picture(path: str | Path, picture: NDArray[Any]) -> None:
    """Write one picture as PNG, JPEG or WebP, by the suffix of `path`, atomically and without metadata.

    PNG and WebP keep every value (WebP turns grey into RGB), PNG also of 16 bits a channel; JPEG is written at
    quality 95 with full colour.

    Args:
        path: ends in .png, .jpg, .jpeg or .webp.
        picture: [H, W] or [H, W, C], C = 1 grey, 2 grey and alpha, 3 RGB or 4 RGBA; uint8, or uint16 as PNG.

    Raises:
        DataError: the suffix is another one, or the format cannot hold this picture.
        TrainingError: the disk is full or may not be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.png"
        >>> save_picture(path, np.full((2, 2, 4), 40000, np.uint16))
        >>> path.read_bytes()[24]  # bits a channel
        16
    """
    path = Path(path)
    suffix = _suffix(path, PICTURE_SUFFIXES, "Pictures")
    if picture.dtype == np.uint16:
        if suffix != ".png":
            raise DataError(f"{path.name} cannot hold 16 bits a channel; save as .png, or convert to uint8.")
        atomic.write_chunks(path, png16(_with_channels(picture)))
        return
    image = to_pil(picture)
    options: dict[str, Any] = {"format": "PNG"}
    if suffix == ".webp":
        if max(image.size) > 16383:
            raise DataError(f"{path.name}: WebP pictures have at most 16383 pixels a side; save as .png.")
        options = {"format": "WEBP", "lossless": True, "exact": True}
    elif suffix != ".png":
        if image.mode in ("LA", "RGBA"):
            raise DataError(f"{path.name} cannot hold transparency; save as .png or .webp.")
        options = {"format": "JPEG", "quality": 95, "subsampling": 0}
    buffer = io.BytesIO()
    image.save(buffer, **options)
    atomic.write_bytes(path, buffer.getbuffer())


def save_pictures(files: Sequence[Path], pictures: NDArray[Any]) -> None:
    """Save each of [N, H, W, C] under its name, as `save_picture`; several at once, because each waits for the disk."""
    with ThreadPoolExecutor(_WRITERS) as pool:
        for _ in pool.map(save_picture, files, pictures):
            pass


def save_film(path: str | Path, frames: NDArray[np.uint8], fps: float = 24, background: int = 255) -> None:
    """Write frames as a film: GIF, or MP4 (H.264) and WebM (VP9) with the extra `film`.

    GIF counts time in hundredths of a second and holds 256 colours: up to that many are kept exactly, more are
    reduced to one palette for the whole film. MP4 and WebM need even sides; odd ones repeat their last row or
    column.

    Args:
        path: ends in .gif, .mp4 or .webm.
        frames: [T, H, W, C] uint8, T at least 1; C is 1 grey, 2 grey and alpha, 3 RGB or 4 RGBA.
        fps: frames a second, above 0 and at most 100.
        background: the grey on which transparency is laid, because films have none.

    Raises:
        DataError: another suffix, no frames, or fps out of range.
        MissingExtra: MP4 or WebM without the extra.
        TrainingError: the disk is full or may not be written.
    """
    path = Path(path)
    suffix = _suffix(path, FILM_SUFFIXES, "Films")
    if frames.ndim != 4 or frames.dtype != np.uint8 or 0 in frames.shape or frames.shape[3] not in _MODES:
        raise DataError(f"A film takes uint8 frames [T, H, W, C]; got {frames.dtype} {list(frames.shape)}.")
    if not 0 < fps <= 100:
        raise DataError(f"A film has more than 0 and at most 100 frames a second; got {fps:g}.")
    opaque = _lay_on(frames, background)
    writers: dict[str, Callable[[], bytes]] = {
        ".gif": lambda: _gif(opaque, fps),
        ".mp4": lambda: movie(opaque, fps, "mp4"),
        ".webm": lambda: movie(opaque, fps, "webm"),
    }
    atomic.write_bytes(path, writers[suffix]())


def _with_channels(picture: NDArray[Any]) -> NDArray[Any]:
    array = picture[..., None] if picture.ndim == 2 else picture
    if array.ndim != 3 or array.shape[2] not in _MODES or 0 in array.shape:
        raise DataError(f"A picture is [H, W, C] with 1 to 4 channels; got {list(picture.shape)}.")
    return array


def _suffix(path: Path, allowed: tuple[str, ...], what: str) -> str:
    suffix = path.suffix.lower()
    if suffix not in allowed:
        raise ConfigError(f'{what} are saved as {", ".join(allowed)}; "{path.name}" ends in none of them.')
    return suffix


def _lay_on(frames: NDArray[np.uint8], background: int) -> NDArray[np.uint8]:
    """[T, H, W, 1 or 3] without alpha."""
    channels = frames.shape[3]
    if channels in (1, 3):
        return frames
    alpha = frames[..., -1:].astype(np.uint32)
    mixed = frames[..., :-1] * alpha + background * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def _gif(frames: NDArray[np.uint8], fps: float) -> bytes:
    images = [to_pil(frame) for frame in frames]
    if frames.shape[3] == 3:
        palette = _palette(frames)
        # No dithering where the palette is exact; elsewhere it hides the bands of smooth gradients.
        dither = Image.Dither.NONE if palette.info.pop("exact") else Image.Dither.FLOYDSTEINBERG
        images = [image.quantize(palette=palette, dither=dither) for image in images]
    # Rounding the times of the frames, not their lengths, keeps the length of the film right.
    times = [round(100 * k / fps) for k in range(len(images) + 1)]
    lengths = [10 * max(1, after - before) for before, after in pairwise(times)]
    buffer = io.BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=lengths, loop=0, optimize=False)
    return buffer.getvalue()


def _palette(frames: NDArray[np.uint8]) -> Image.Image:
    """One palette for the whole film, so that still areas do not flicker; `info["exact"]` if it loses nothing."""
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, 16).astype(int))]
    exact = False
    if len(frames) * frames.shape[1] * frames.shape[2] <= 2**24:
        packed = frames.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        colours = np.unique(packed)
        if len(colours) <= 256:
            exact = True
            flat = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
            palette = Image.new("P", (1, 1))
            palette.putpalette(flat.tobytes())
    if not exact:
        sheet = to_pil(chosen.reshape(-1, frames.shape[2], 3))
        palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2)
    palette.info["exact"] = exact
    return palette
