"""A film's sound on its way into another film, beside pictures that are made one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mezzotint.core.errors import DataError

COPIED: dict[str, frozenset[str]] = {
    "mp4": frozenset({"aac", "mp3", "mp3float"}),
    "webm": frozenset({"opus", "libopus", "vorbis", "libvorbis"}),
}
"""What a container takes as it is, by the names of its decoders; other sound is coded anew."""
CODED: dict[str, str] = {"mp4": "aac", "webm": "libopus"}


def tracks(film: Any) -> list[Any]:
    """The sounds of an open film whose codec is known."""
    return [stream for stream in film.streams.audio if stream.codec_context is not None]


class Track:
    """The first sound of an open film, copied packet by packet where the container takes its codec, else coded anew.

    Its time is that of the film's pictures, the first of which becomes the new film's beginning.

    Args:
        av: the module.
        source: the film with the sound, opened, which nobody else reads from.
        film: the film that is written, before its first packet.
        container: of that, "mp4" or "webm".
    """

    def __init__(self, av: Any, source: Any, film: Any, container: str) -> None:
        self.film, self.stream = film, tracks(source)[0]
        video = source.streams.video[0] if source.streams.video else None
        self.begin = float(video.start_time * video.time_base) if video is not None and video.start_time else 0.0
        context = self.stream.codec_context
        # AAC as broadcasts have it lacks the header that a container wants
        self.copied = context.name in COPIED[container] and (context.name != "aac" or bool(context.extradata))
        if self.copied:
            self.out = film.add_stream_from_template(self.stream)
        else:
            rate = 48_000 if container == "webm" else self.stream.rate
            layout = "mono" if context.channels == 1 else "stereo"
            self.out = film.add_stream(CODED[container], rate=rate, layout=layout)
            self.resampler = av.AudioResampler(self.out.format, layout, rate)
        self._coming = self._packets(source)
        self._next: Any = None
        self._broken = (av.error.FFmpegError,)

    def until(self, seconds: float = math.inf) -> None:
        """Write what sounds before so many seconds of the new film, and has not been written.

        Raises:
            DataError: the sound cannot be read to its end.
        """
        try:
            while True:
                self._next = self._next if self._next is not None else next(self._coming, None)
                if self._next is None or float((self._next.pts or 0) * self._next.time_base) >= seconds:
                    return
                self.film.mux(self._next)
                self._next = None
        except self._broken as error:
            raise DataError(f"The film's sound cannot be read to its end ({error.strerror}).") from error

    def _packets(self, source: Any) -> Iterator[Any]:
        """Packets for the new film, their times counted from its beginning."""
        if self.copied:
            for packet in source.demux(self.stream):
                if packet.dts is not None:  # what ends a film has no time
                    shift = round(self.begin / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, self.out
                    yield packet
            return
        for frame in source.decode(self.stream):
            if frame.pts is not None:
                frame.pts -= round(self.begin / frame.time_base)
            for ready in self.resampler.resample(frame):
                yield from self.out.encode(ready)
        for ready in self.resampler.resample(None):
            yield from self.out.encode(ready)
        yield from self.out.encode(None)
