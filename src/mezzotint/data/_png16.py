"""PNG of 16 bits a channel, which Pillow writes of grey only (docs/decisions/0005-sixteen-bits.md)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK = 2**22
_SUB = 1


def png16(picture: NDArray[np.uint16]) -> Iterator[bytes]:
    """A PNG file, piece by piece and without metadata.

    Each byte is stored as its difference from that of the pixel to the left, and only runs are searched: of what a
    camera or a network makes, zlib's search for repetitions finds next to none in the lower bytes, and takes most
    of the time.

    Args:
        picture: [H, W, C], C = 1 grey, 2 grey and alpha, 3 RGB or 4 RGBA; no side is 0.

    Example:
        >>> file = b"".join(png16(np.full((2, 2, 3), 40000, np.uint16)))
        >>> file[1:4], file[16:26]
        (b'PNG', b'\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x02\\x10\\x02')
    """
    height, width, channels = picture.shape
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _KINDS[channels], 0, 0, 0))
    step, length = 2 * channels, 2 * channels * width
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    rows = max(1, _BLOCK // length)
    for top in range(0, height, rows):
        values = np.ascontiguousarray(picture[top : top + rows], ">u2").view(np.uint8).reshape(-1, length)
        lines = np.empty((len(values), 1 + length), np.uint8)
        lines[:, 0] = _SUB
        lines[:, 1 : 1 + step] = values[:, :step]
        np.subtract(values[:, step:], values[:, :-step], out=lines[:, 1 + step :])
        packed = packer.compress(lines.data)
        if packed:
            yield _chunk(b"IDAT", packed)
    yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
