"""Films frame by frame, in and out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mezzotint.core.errors import ConfigError, DataError
from mezzotint.data.film import Film, write_film

av = pytest.importorskip("av")


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_frames_come_back(tmp_path: Path, suffix: str) -> None:
    """Flat frames survive the codec but for rounding; odd sides are filled up by one."""
    frames = [np.full((31, 44, 3), 30 * k + 20, np.uint8) for k in range(7)]
    assert write_film(tmp_path / f"a.{suffix}", iter(frames), 25) == (7, ())
    film = Film(tmp_path / f"a.{suffix}")
    found = list(film)
    assert (film.fps, film.sound, len(found), found[0].shape) == (25, False, 7, (32, 44, 3))
    for frame, expected in zip(found, frames, strict=True):
        assert np.abs(frame[:31].astype(int) - expected).max() <= 3


def test_a_film_that_is_interrupted_is_not_there(tmp_path: Path) -> None:
    def frames():  # type: ignore[no-untyped-def]
        yield np.zeros((16, 16, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_film(tmp_path / "a.mp4", frames(), 24)
    assert list(tmp_path.iterdir()) == []


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.mp4 or \.webm"):
        write_film(tmp_path / "a.avi", [], 24)
    with pytest.raises(DataError, match="a frame at least"):
        write_film(tmp_path / "a.mp4", [], 24)
    with pytest.raises(DataError, match="no file"):
        Film(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(DataError, match="not a film"):
        Film(tmp_path / "text.mp4")


def test_half_a_film_is_none(tmp_path: Path) -> None:
    """An MP4's table of contents comes last."""
    random = np.random.default_rng(0)
    write_film(tmp_path / "a.mp4", [random.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(20)], 24)
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not a film"):
        Film(tmp_path / "b.mp4")


RATE = 44_100


def _with_tone(path: Path, codec: str, seconds: float = 2.0, late: int = 0, fps: int = 12) -> None:
    """A film of grey frames with a tone of 440 Hz; its pictures begin `late` frames after its sound."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(RATE * seconds)) / RATE)
    with av.open(str(path), "w") as film:
        video, audio = film.add_stream("libx264", rate=fps), film.add_stream(codec, rate=RATE, layout="mono")
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        for k in range(round(fps * seconds) - late):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * k % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k + late, Fraction(1, fps)
            film.mux(video.encode(frame))
        film.mux(video.encode())
        size = 1152
        for start in range(0, len(tone) - size + 1, size):
            values = tone[None, start : start + size].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(values, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            film.mux(audio.encode(frame))
        film.mux(audio.encode())


def _heard(path: Path) -> tuple[str, int, np.ndarray, float]:
    """The codec, the rate, the samples of a film's sound, and the second at which it begins."""
    with av.open(str(path)) as film:
        audio = film.streams.audio[0]
        frames = list(film.decode(audio))
        values = np.concatenate([frame.to_ndarray()[0] for frame in frames])
        first = frames[0].pts * frames[0].time_base
        return audio.codec_context.name, frames[0].sample_rate, values.astype(np.float64), float(first)


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(film.streams.audio[0]) if packet.size]


def _pitch(values: np.ndarray, rate: int) -> float:
    middle = values[len(values) // 4 : -len(values) // 4]
    return float(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * rate / len(middle))


@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
def test_sound_is_copied_as_it_is(tmp_path: Path, codec: str) -> None:
    _with_tone(tmp_path / "a.mp4", codec)
    film = Film(tmp_path / "a.mp4")
    assert write_film(tmp_path / "b.mp4", film, film.fps, sound=film) == (24, ())
    assert _packets(tmp_path / "b.mp4") == _packets(tmp_path / "a.mp4")
    (_, _, before, began), (_, _, after, begins) = _heard(tmp_path / "a.mp4"), _heard(tmp_path / "b.mp4")
    np.testing.assert_array_equal(after, before)
    assert begins == pytest.approx(began, abs=0.03)


def test_sound_that_the_container_does_not_take_is_coded_anew(tmp_path: Path) -> None:
    _with_tone(tmp_path / "a.mp4", "aac")
    film = Film(tmp_path / "a.mp4")
    write_film(tmp_path / "b.webm", film, film.fps, sound=film)
    codec, rate, values, begins = _heard(tmp_path / "b.webm")
    assert (codec, rate, abs(begins) < 0.05) == ("opus", 48_000, True)
    assert len(values) / rate == pytest.approx(2, abs=0.1)
    assert _pitch(values, rate) == pytest.approx(440, abs=2)


def test_sound_begins_with_the_pictures(tmp_path: Path) -> None:
    """Of a film whose first picture comes half a second after its sound: that half second is gone."""
    _with_tone(tmp_path / "a.mkv", "aac", late=6)
    film = Film(tmp_path / "a.mkv")
    assert write_film(tmp_path / "b.mp4", film, film.fps, sound=film) == (18, ())
    assert Film(tmp_path / "b.mp4").sound
    _, rate, values, begins = _heard(tmp_path / "b.mp4")
    assert begins + len(values) / rate == pytest.approx(1.5, abs=0.1)


def test_several_channels_become_two_where_they_are_coded_anew(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as film:
        video, audio = film.add_stream("libx264", rate=12), film.add_stream("ac3", rate=RATE, layout="5.1")
        video.width = video.height = 32
        for _ in range(6):
            film.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.full((6, RATE // 2), 0.1, np.float32), format="fltp", layout="5.1")
        frame.sample_rate = RATE
        film.mux(video.encode())
        film.mux(audio.encode(frame))
        film.mux(audio.encode())
    film = Film(tmp_path / "a.mkv")
    for name, codec in (("b.mp4", "aac"), ("b.webm", "opus")):
        write_film(tmp_path / name, film, film.fps, sound=film)
        with av.open(str(tmp_path / name)) as made:
            assert (made.streams.audio[0].codec_context.name, made.streams.audio[0].channels) == (codec, 2)


@pytest.mark.parametrize("name", ["b.mp4", "b.webm"])
def test_pictures_outlive_damaged_sound(tmp_path: Path, name: str) -> None:
    """Of whose sound every second packet is noise."""
    _with_tone(tmp_path / "a.mp4", "aac")
    noise = np.random.default_rng(0)
    with av.open(str(tmp_path / "a.mp4")) as old, av.open(str(tmp_path / "broken.mkv"), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for number, packet in enumerate(old.demux()):
            if packet.dts is None:
                continue
            copy = av.Packet(
                noise.bytes(packet.size) if packet.stream.type == "audio" and number % 2 else bytes(packet)
            )
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.stream = streams[packet.stream.index]
            new.mux(copy)
    film = Film(tmp_path / "broken.mkv")
    written = write_film(tmp_path / name, film, film.fps, sound=film)
    assert (written.frames, len(list(Film(tmp_path / name)))) == (24, 24)
    assert Film(tmp_path / name).sound
    assert [("damaged" in note) for note in written.notes] == ([True] if name == "b.webm" else [])  # a copy is a copy
