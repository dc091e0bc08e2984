"""Films frame by frame, in and out, however long they are; with the extra `film`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, DataError, MissingExtra
from mezzotint.data._headers import pixel_limit
from mezzotint.data._track import Track, tracks

FILM_SOURCES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
"""Suffixes of what is taken for a film."""
CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "mp4": ("libx264", {"crf": "17", "preset": "medium"}),
    "webm": ("libvpx-vp9", {"crf": "22", "b": "0", "cpu-used": "4"}),
}


class Film:
    """A film's frames, uint8 [H, W, 3] each, read one after the other.

    Attributes:
        fps: frames a second.
        count: how many frames it says it has; 0 where it does not say.
        sound: whether it has any.

    Args:
        path: the file.

    Raises:
        MissingExtra: the extra `film` is not installed.
        DataError: it is no film, or one of too large pictures.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise DataError(f'There is no file "{path}"; give the path to your film.')
        with self.opened() as film:
            if not film.streams.video:
                raise DataError(f"{self.path} holds no pictures; give a film.")
            video = film.streams.video[0]
            if video.width * video.height > pixel_limit():
                raise DataError(f"{self.path} has frames of {video.width} x {video.height}, which are too large.")
            self.fps = float(video.average_rate or video.guessed_rate or 24)
            self.count = int(video.frames or 0)
            self.sound = bool(tracks(film))

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        with self.opened() as film:
            try:
                for frame in film.decode(video=0):
                    yield frame.to_ndarray(format="rgb24")
            except OSError as error:  # what `av` raises of damaged films
                raise DataError(f"{self.path} cannot be read to its end ({error.strerror}); it is damaged.") from error

    def opened(self) -> Any:
        """The film, opened anew, for a `with` statement."""
        av = _av("Reading films")
        try:
            return av.open(str(self.path))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} is not a film that can be read; give MP4, WebM, MOV, MKV or AVI.") from error


class Written(NamedTuple):
    """A film that has been written.

    Attributes:
        frames: how many there were.
        notes: sentences a person should read.
    """

    frames: int
    notes: tuple[str, ...] = ()


def write_film(path: str | Path, frames: Iterable[NDArray[np.uint8]], fps: float, sound: Film | None = None) -> Written:
    """Write frames [H, W, 1 or 3] of one size as they come, as MP4 (H.264) or WebM (VP9).

    Args:
        path: ends in .mp4 or .webm; it appears whole or not at all.
        frames: uint8.
        fps: frames a second.
        sound: a film whose sound it has too, if that has any: copied where the container takes it (AAC and MP3 in MP4,
            Opus and Vorbis in WebM), else coded as AAC or Opus.

    Raises:
        ConfigError: another suffix.
        DataError: there is no frame.
        MissingExtra: the extra `film` is not installed.
    """
    path = Path(path)
    container = path.suffix.lower().removeprefix(".")
    if container not in CODECS:
        raise ConfigError(f'A film is written as .mp4 or .webm; "{path.name}" ends in neither.')
    with atomic.explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.partial(path.parent) as part:
            with part.open("wb") as file:
                written = encode(file, frames, fps, container, sound)
            atomic.disk.replace(part, path)
    return written


def movie(frames: NDArray[np.uint8], fps: float, container: str) -> bytes:
    """Frames [T, H, W, 1 or 3] as a film's bytes."""
    buffer = io.BytesIO()
    encode(buffer, frames, fps, container)
    return buffer.getvalue()


def encode(
    file: IO[bytes], frames: Iterable[NDArray[np.uint8]], fps: float, container: str, sound: Film | None = None
) -> Written:
    """Write frames to an open file. Sides are made even, as codecs want them, by repeating the last."""
    av = _av(f"Writing {'MP4' if container == 'mp4' else 'WebM'} films")
    codec, options = CODECS[container]
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise DataError("A film needs a frame at least.")
    height, width, channels = first.shape
    padding, count = ((0, height % 2), (0, width % 2), (0, 0)), 0
    with ExitStack() as opened:
        film = opened.enter_context(av.open(file, "w", format=container, options={"fflags": "+bitexact"}))
        video = film.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        video.width, video.height, video.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        track = None
        if sound is not None and sound.sound:
            track = Track(av, opened.enter_context(sound.opened()), film, container)
        for frame in chain((first,), coming):
            padded = np.ascontiguousarray(np.pad(frame, padding, mode="edge"))
            array, layout = (padded[..., 0], "gray") if channels == 1 else (padded, "rgb24")
            film.mux(video.encode(av.VideoFrame.from_ndarray(array, format=layout)))
            count += 1
            if track is not None:
                track.until(count / fps)
        film.mux(video.encode())
        if track is not None:
            track.until()
    damaged = track is not None and track.damaged
    return Written(count, ("Some of the film's sound is damaged, and is left out.",) if damaged else ())


def _av(what: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtra(what, "film") from error
    return av
