"""Films frame by frame, in and out."""

from __future__ import annotations

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
    assert write_film(tmp_path / f"a.{suffix}", iter(frames), 25) == 7
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
