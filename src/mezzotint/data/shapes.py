"""The set `shapes`: drawn, not photographed, so every picture's factors are known exactly.

One shape on a ground, from seven independent factors, in three visual domains: `flat` (filled), `outline`
(a coloured line on pale paper) and `textured` (woven paint on grainy ground). Equal factors in two domains are a true
pair, which is what translation between domains is scored against.

Turning does not always change a shape: a square and a cross look the same after 90 degrees, an ellipse
after 180, and a triangle after 120 and a star after 72 (neither of which is a multiple of the 22.5 degree step, so
all their 16 rotations differ); a heart only after 360. `SYMMETRY` holds these angles.

Everything is looked up: coverage of each shape, size and rotation is drawn once by analytic distance
functions, a position is a window into it, and a picture is one blend of paint over ground.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError, suggest
from mezzotint.core.rng import stream
from mezzotint.data.raw import RawArrays

Domain = Literal["flat", "outline", "textured"]
DOMAINS: tuple[str, ...] = get_args(Domain)
SIZES = (32, 64)
VERSION = 1  # raise it when any picture changes, so that caches are not mixed up

_STEPS = 16
_COLOURS = {
    "red": (222, 45, 38),
    "orange": (245, 130, 25),
    "yellow": (250, 205, 20),
    "green": (40, 160, 60),
    "cyan": (0, 175, 190),
    "blue": (35, 85, 215),
    "purple": (150, 70, 205),
    "pink": (240, 105, 180),
}
_GROUNDS = {
    "white": ((250, 250, 248), (250, 250, 248)),
    "grey": ((170, 172, 176), (170, 172, 176)),
    "black": ((22, 22, 26), (22, 22, 26)),
    "sand": ((224, 208, 172), (224, 208, 172)),
    "striped": ((236, 240, 245), (196, 206, 218)),
    "chequered": ((48, 52, 62), (72, 78, 90)),
}

FACTORS: dict[str, tuple[Any, ...]] = {
    "shape": ("square", "ellipse", "triangle", "star", "heart", "cross"),
    "colour": tuple(_COLOURS),
    # Radius of the circle around the shape, and its centre from the top left corner, as shares of the width.
    "size": tuple(radius / 320 for radius in (40, 49, 58, 67, 76, 85)),
    "x": tuple((8.5 + k) / 32 for k in range(_STEPS)),
    "y": tuple((8.5 + k) / 32 for k in range(_STEPS)),
    "rotation": tuple(22.5 * k for k in range(_STEPS)),  # degrees, clockwise
    "background": tuple(_GROUNDS),
}
"""Factor name -> its values; a column of a factor array holds indices into them, in this order."""

SYMMETRY: dict[str, float] = {
    "square": 90,
    "ellipse": 180,
    "triangle": 120,
    "star": 72,
    "heart": 360,
    "cross": 90,
}
"""Shape -> the smallest turn in degrees that leaves it looking the same."""

_COUNTS = np.array([len(values) for values in FACTORS.values()])
_CHUNK = 64  # pictures drawn at a time: their intermediate values then stay in the processor's cache


def sample_factors(n: int, seed: int) -> NDArray[np.int64]:
    """Factors [n, 7] drawn uniformly and independently; the first rows do not depend on `n`.

    Example:
        >>> sample_factors(2, 0).shape
        (2, 7)
    """
    return stream(seed, "shapes").integers(0, _COUNTS, size=(n, len(_COUNTS)))


def render(factors: NDArray[np.int64], size: int = 32, domain: str = "flat") -> NDArray[np.uint8]:
    """Draw pictures.

    Args:
        factors: [N, 7] indices into the values of `FACTORS`.
        size: 32 or 64 pixels; the same factors give the same scene at both.
        domain: flat, outline or textured.

    Returns:
        [N, size, size, 3] uint8. Equal arguments give equal bytes.

    Raises:
        DataError: a size, domain or factor that there is not.

    Example:
        >>> render(np.zeros((1, 7), np.int64)).shape
        (1, 32, 32, 3)
    """
    _check(size, domain)
    factors = np.asarray(factors)
    if factors.ndim != 2 or factors.shape[1] != len(_COUNTS) or not np.issubdtype(factors.dtype, np.integer):
        raise DataError(f"Factors are whole numbers [N, {len(_COUNTS)}]; got {factors.dtype} {list(factors.shape)}.")
    if ((factors < 0) | (factors >= _COUNTS)).any():
        raise DataError(f"A factor is out of range; the columns {', '.join(FACTORS)} end before {_COUNTS.tolist()}.")
    windows = _windows(size, domain)
    paints, grounds = _paints(size, domain), _grounds(size, domain)
    result = np.empty((len(factors), size, size * 3), np.uint8)
    last, step = _STEPS - 1, size // 32
    for start in range(0, len(factors), _CHUNK):
        shape, colour, radius, x, y, turn, ground = factors[start : start + _CHUNK].T
        kind = (shape * len(FACTORS["size"]) + radius) * _STEPS + turn
        # Moving the shape right is moving the window left.
        cover = windows[kind, (last - y) * step, (last - x) * step].astype(np.uint16)
        mixed = paints[colour]
        mixed *= cover
        np.subtract(255, cover, out=cover)
        cover *= grounds[ground]
        mixed += cover
        mixed += 128
        mixed += mixed >> 8  # with the shift below: an exact, rounded division by 255
        np.right_shift(mixed, 8, out=result[start : start + _CHUNK], casting="unsafe")
    return result.reshape(-1, size, size, 3)


def shapes(n: int = 20000, size: int = 32, domain: str = "flat", seed: int = 0) -> RawArrays:
    """A labelled, captioned set of `n` pictures.

    Returns:
        The class is the shape. Attributes hold every factor's value, and 1.0 or 0.0 for `is_<colour>`, `large`,
        `rotated`, `left`, `top` and `dark`. Captions say it in words.

    Raises:
        DataError: `n` is below 1, or a size or domain that there is not.

    Example:
        >>> shapes(1).captions
        ('a small green ellipse on the right on a sand ground',)
    """
    _check(size, domain)
    if n < 1:
        raise DataError(f"The set shapes needs at least 1 picture; got {n}.")
    factors = sample_factors(n, seed)
    key = f"shapes {VERSION} {n} {size} {domain} {seed}"
    return RawArrays(
        pictures=render(factors, size, domain),
        labels=factors[:, 0].copy(),
        classes=FACTORS["shape"],
        attributes=_attributes(factors),
        captions=tuple(map(_caption, factors.tolist())),
        fingerprint=hashlib.sha256(key.encode()).hexdigest(),
    )


def factors_of(attributes: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """The factors [N, 7] that pictures with these attributes were drawn from, exactly.

    Raises:
        DataError: a column is missing, or holds a value that is no factor's.

    Example:
        >>> bool((factors_of(shapes(5).attributes) == sample_factors(5, 0)).all())
        True
    """
    columns = []
    for name, values in FACTORS.items():
        if name not in attributes:
            raise DataError(f'There is no column "{name}" among the attributes; is this the set shapes?')
        equal = attributes[name][:, None] == np.array(values)
        if not equal.any(axis=1).all():
            raise DataError(f'The column "{name}" holds a value that the set shapes never has.')
        columns.append(equal.argmax(axis=1))
    return np.stack(columns, axis=1)


def _check(size: int, domain: str) -> None:
    if size not in SIZES:
        raise DataError(f"The set shapes is drawn at 32 or 64 pixels; got {size}.")
    if domain not in DOMAINS:
        raise DataError(f'The set shapes has no domain "{domain}"; {suggest(domain, DOMAINS)}')


def _attributes(factors: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    values = {name: np.array(FACTORS[name])[column] for name, column in zip(FACTORS, factors.T, strict=True)}
    signs = {
        **{f"is_{colour}": values["colour"] == colour for colour in _COLOURS},
        "large": factors[:, 2] >= 3,
        "rotated": factors[:, 5] > 0,
        "left": values["x"] < 0.5,
        "top": values["y"] < 0.5,
        "dark": np.isin(values["background"], ("black", "chequered")),
    }
    return {**values, **{name: column.astype(np.float64) for name, column in signs.items()}}


def _caption(factors: list[int]) -> str:
    shape, colour, size, x, y, _, background = factors
    words = ["small", "middle-sized", "large"][size // 2]
    across = "left" if x < 5 else "right" if x > 10 else ""
    down = "upper" if y < 5 else "lower" if y > 10 else ""
    if down and across:
        place = f"in the {down} {across}"
    elif across:
        place = f"on the {across}"
    elif down:
        place = "at the top" if down == "upper" else "at the bottom"
    else:
        place = "in the centre"
    names = FACTORS["colour"][colour], FACTORS["shape"][shape], FACTORS["background"][background]
    return f"a {words} {names[0]} {names[1]} {place} on a {names[2]} ground"


@lru_cache(maxsize=6)
def _windows(size: int, domain: str) -> NDArray[np.uint8]:
    """Coverage [shapes * sizes * rotations, offsets, offsets, size, size * 3], a view into canvases of all shapes."""
    margin = (_STEPS - 1) * (size // 32)
    side = size + margin
    kinds = [(s, r, t) for s in FACTORS["shape"] for r in FACTORS["size"] for t in FACTORS["rotation"]]
    canvas = np.zeros((len(kinds), side, side), np.uint8)
    # The window that starts at the canvas corner shows the shape at the last position, x = y = 23.5 / 32.
    centre = FACTORS["x"][-1] * size
    first, last = int(centre - 0.3 * size), int(centre + 0.3 * size) + 1
    pixels = np.arange(first, last) + 0.5 - centre
    for place, (shape, radius, turn) in enumerate(kinds):
        canvas[place, first:last, first:last] = _coverage(shape, radius * size, turn, pixels, size, domain)
    wide = np.repeat(canvas, 3, axis=2)  # one value for each colour channel, so that blending runs along memory
    view = np.lib.stride_tricks.sliding_window_view(wide, (size, size * 3), axis=(1, 2))
    return view[:, :, ::3]


def _coverage(
    shape: str, radius: float, turn: float, pixels: NDArray[np.float64], size: int, domain: str
) -> NDArray[np.uint8]:
    """Coverage 0 to 255 [P, P] at `pixels` (centres, from the shape's centre), averaged over 2 x 2 points each."""
    points = (pixels[:, None] + np.array([-0.25, 0.25])).ravel()
    angle = np.deg2rad(turn)
    x = np.cos(angle) * points[None] + np.sin(angle) * points[:, None]
    y = np.cos(angle) * points[:, None] - np.sin(angle) * points[None]
    distance = _distance(shape, x / radius, y / radius) * radius
    if domain == "outline":
        line = 0.034 * size  # half the width stays inside, so that an outline fills the same circle
        distance = np.abs(distance + line / 2) - line / 2
    inside = np.clip(0.5 - 2 * distance, 0, 1)
    side = len(pixels)
    mean = inside.reshape(side, 2, side, 2).mean(axis=(1, 3))
    # The small surplus makes exact halves, which straight edges have, round the same way on every processor.
    return np.floor(mean * 255 + 0.5 + 1e-6).astype(np.uint8)


def _distance(shape: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed distance to the edge of a shape within the unit circle, y down; negative inside."""
    if shape == "ellipse":
        first = np.hypot(x, y / 0.55)
        second = np.hypot(x, y / 0.3025)
        return first * (first - 1) / np.maximum(second, 1e-9)
    return _polygon_distance(_outline(shape), x, y)


def _outline(shape: str) -> NDArray[np.float64]:
    """Corners [K, 2] of a shape within the unit circle, y down."""
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        heart = np.stack(
            [16 * np.sin(t) ** 3, -13 * np.cos(t) + 5 * np.cos(2 * t) + 2 * np.cos(3 * t) + np.cos(4 * t)], axis=1
        )
        return (heart - (0, 1.5)) / 17.2
    if shape == "cross":
        a, b = 0.92, 0.32
        corner = np.array([(b, -a), (b, -b), (a, -b)])
        turns = [(1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)]
        return np.concatenate([corner @ np.array(t).reshape(2, 2).T for t in turns])
    count, inner = {"square": (4, 0.0), "triangle": (3, 0.0), "star": (5, 0.42)}[shape]
    angle = 2 * np.pi * np.arange(count) / count - np.pi / 2 + (np.pi / 4 if shape == "square" else 0)
    corners = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if not inner:
        return corners
    between = inner * np.stack([np.cos(angle + np.pi / count), np.sin(angle + np.pi / count)], axis=1)
    return np.stack([corners, between], axis=1).reshape(-1, 2)


def _polygon_distance(
    corners: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Exact signed distance to a polygon: nearest edge, with the sign by counting crossings."""
    nearest = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        np.minimum(nearest, (px - ex * along) ** 2 + (py - ey * along) ** 2, out=nearest)
        if ay != by:
            inside ^= ((y >= ay) != (y >= by)) & (px < ex * py / ey)
    return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)


@lru_cache(maxsize=6)
def _paints(size: int, domain: str) -> NDArray[np.uint16]:
    """[colours, size, size * 3] 0 to 255."""
    paint = np.array(list(_COLOURS.values()), float)[:, None, None]
    paint = np.broadcast_to(paint, (len(_COLOURS), size, size, 3))
    if domain == "outline":
        paint = paint * 0.82  # a line is thin; deeper colour keeps it as visible as a filled shape
    if domain == "textured":
        y, x = (np.mgrid[:size, :size] + 0.5) * 32 / size
        over = (x // 2 + y // 2) % 2 == 0  # the thread on top runs across here, and down elsewhere
        light = np.where(over, 1.0 + 0.08 * (y % 2), 0.62 + 0.08 * (x % 2))
        paint = paint * light[..., None]
    return _whole(paint)


@lru_cache(maxsize=6)
def _grounds(size: int, domain: str) -> NDArray[np.uint16]:
    """[backgrounds, size, size * 3] 0 to 255."""
    y, x = np.mgrid[:size, :size] * 32 // size
    patterns = {"striped": (x + y) // 4 % 2, "chequered": (x // 4 + y // 4) % 2}
    plain = np.zeros_like(x)
    result = np.stack([np.array(pair, float)[patterns.get(name, plain)] for name, pair in _GROUNDS.items()])
    if domain == "outline":
        result = 255 - (255 - result) * 0.4
    if domain == "textured":
        grain = stream(0, "shapes", "grain", size).integers(-18, 19, (size, size, 1))
        result = np.clip(result + grain, 0, 255)
    return _whole(result)


def _whole(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    rounded = np.floor(np.clip(values, 0, 255) + 0.5 + 1e-6).astype(np.uint16)
    return rounded.reshape(len(rounded), rounded.shape[1], -1)
