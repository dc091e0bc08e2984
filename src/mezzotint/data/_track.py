"""A film's sound on its way into another film, beside pictures that are made one after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

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

    Its time is that of the film's pictures, the first of which becomes the new film's beginning. What is damaged is
    left out, since the pictures may be the work of hours.

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
        self.damaged = False
        """Whether something of it could not be read, and was left out."""
        self._wrong = (av.error.FFmpegError, ValueError)  # the second is said of frames unlike those before
        self._coming = self._copies(source) if self.copied else self._coded(source)
        self._next: Any = None

    def until(self, seconds: float = math.inf) -> None:
        """Write what sounds before so many seconds of the new film, and has not been written."""
        while True:
            self._next = self._next if self._next is not None else next(self._coming, None)
            if self._next is None or float((self._next.pts or 0) * self._next.time_base) >= seconds:
                return
            self.film.mux(self._next)
            self._next = None

    def _given(self, source: Any) -> Iterator[Any]:
        """The packets of the old film, as far as it can be read."""
        try:
            yield from source.demux(self.stream)
        except self._wrong:
            self.damaged = True

    def _copies(self, source: Any) -> Iterator[Any]:
        """The same packets for the new film, their times counted from its beginning."""
        last = -math.inf
        for packet in self._given(source):
            if packet.dts is None:  # what ends a film has no time
                continue
            if packet.dts <= last:  # which no container takes
                self.damaged = True
                continue
            last = packet.dts
            shift = round(self.begin / packet.time_base)
            shown = packet.dts if packet.pts is None else packet.pts
            packet.pts, packet.dts, packet.stream = shown - shift, packet.dts - shift, self.out
            yield packet

    def _coded(self, source: Any) -> Iterator[Any]:
        """New packets, their times counted from the beginning of the new film."""
        for packet in self._given(source):
            for ready in self._heard(packet):
                yield from self.out.encode(ready)
        for ready in self.resampler.resample(None):
            yield from self.out.encode(ready)
        yield from self.out.encode(None)

    def _heard(self, packet: Any) -> list[Any]:
        """The frames of a packet, as the encoder takes them; none if it is damaged."""
        ready: list[Any] = []
        try:
            for frame in packet.decode():
                if frame.pts is not None:
                    frame.pts -= round(self.begin / frame.time_base)
                ready += self.resampler.resample(frame)
        except self._wrong:
            self.damaged = True
        return ready
