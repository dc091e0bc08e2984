"""Points of the plane as pictures, and `ring` and `grid`: mixtures of Gaussians whose modes are known.

Whether a model drops modes is seen at once on these. A point is a grey "picture" of 1 x 2 pixels of 16 bits, x and y,
so that every model that takes so small ones, and every command, takes it. Its `Points` say what the levels mean.

- `ring`: 8 Gaussians of sigma 0.02 around a circle of radius 2, as in Unrolled GAN (Metz et al. 2017,
  arXiv:1611.02163, appendix A). PacGAN (Lin et al. 2018, arXiv:1712.04086) has radius 1 and sigma 0.01: the same at
  half the scale.
- `grid`: 25 Gaussians of sigma 0.05 at spacing 2, from -4 to 4, as in PacGAN, section 4.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.data.meaning import Meaning, Modes
from mezzotint.data.raw import RawArrays
from mezzotint.data.scatter import scatter

VERSION = 1  # raise it when any point changes
SHOWN = 1000
"""Points in a preview: so many that a mode with a fair share of them is seen."""

_TOP = 65535


@dataclass(frozen=True)
class Points(Meaning):
    """What the two values of a picture mean that stands for a point of the plane, and where the true modes are.

    Such a picture is stored as 1 x 2 grey pixels of 16 bits, and a sheet of them is a scatter plot.

    Attributes:
        low, high: both coordinates lie between these; the lowest and highest level of a pixel.
        modes: (x, y) of the true modes.
        sigma: standard deviation of every mode along both axes.

    Example:
        >>> points = Points(-1.0, 1.0, ((0.0, 0.0),), 0.1)
        >>> points.sheet(points.levels(np.zeros((1, 2)))).shape
        (512, 512, 3)
    """

    kind: ClassVar[str] = "points"
    holds: ClassVar[str] = "points of the plane"
    word: ClassVar[str] = "points"
    numeric: ClassVar[bool] = True
    planar: ClassVar[bool] = True
    reads: ClassVar[Mapping[str, Any]] = {"labels": None, "depth": "16"}  # of files that points were saved to

    low: float
    high: float
    modes: tuple[tuple[float, float], ...]
    sigma: float

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Points:
        """See `Meaning`; a range or a sigma that is impossible is a ValueError."""
        low, high, sigma = (float(fields[name]) for name in ("low", "high", "sigma"))
        if not (low < high and sigma > 0):
            raise ValueError("the range or the sigma of its points is impossible")
        return cls(low, high, tuple((float(x), float(y)) for x, y in fields["modes"]), sigma)

    def levels(self, places: NDArray[Any]) -> NDArray[np.uint16]:
        """Coordinates [N, 2] as stored pictures [N, 1, 2, 1]; what lies beyond the range is stored at its edge.

        Raises:
            DataError: a coordinate is not a finite number.

        Example:
            >>> MIXTURES["ring"].points.levels(np.array([[-3.0, 3.0]])).ravel().tolist()
            [0, 65535]
        """
        return _levels(places, self.low, self.high)

    def numbers(self, pictures: NDArray[Any]) -> NDArray[np.float64]:
        """The inverse: coordinates [N, 2] of stored pictures [N, 1, 2, 1].

        Example:
            >>> MIXTURES["ring"].points.numbers(np.array([0, 65535], np.uint16).reshape(1, 1, 2, 1)).tolist()
            [[-3.0, 3.0]]
        """
        share = pictures.reshape(-1, 2).astype(np.float64) / _TOP
        return self.low + share * (self.high - self.low)

    def stored(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Model values [N, 1, 1, 2] in [-1, 1] as stored pictures [N, 1, 2, 1]; see `Meaning`."""
        return _levels(values.reshape(-1, 2), -1.0, 1.0)

    def sheet(
        self, pictures: NDArray[Any], columns: int | None = None, real: NDArray[Any] | None = None
    ) -> NDArray[np.uint8]:
        """One scatter plot of all, with the true modes; see `Meaning`."""
        below = None if real is None else self.numbers(real)
        return scatter(self.numbers(pictures), below, low=self.low, high=self.high, modes=self.modes, sigma=self.sigma)

    def pairs(self, before: NDArray[Any], after: NDArray[Any], columns: int | None = None) -> NDArray[np.uint8]:
        """What became of the points over the points themselves; see `Meaning`."""
        return self.sheet(after, real=before)

    def frames(self, pictures: NDArray[Any]) -> NDArray[np.uint8]:
        """A plot of each point; see `Meaning`."""
        return np.stack([self.sheet(pictures[i : i + 1]) for i in range(len(pictures))])

    def enough(self, count: int) -> int:
        """As many as a plot needs; see `Meaning`."""
        return max(count, SHOWN)

    def known_modes(self) -> Modes | None:
        """The mixture they come from, if it is known; see `Meaning`."""
        return Modes(self.modes, self.sigma) if self.modes else None


@dataclass(frozen=True)
class _Mixture:
    points: Points
    names: tuple[str, ...]


def _ring() -> _Mixture:
    angles = 2 * np.pi * np.arange(8) / 8
    places = np.round(2 * np.stack([np.cos(angles), np.sin(angles)], 1), 12)
    return _Mixture(Points(-3.0, 3.0, _pairs(places), 0.02), tuple(f"{45 * k} degrees" for k in range(8)))


def _grid() -> _Mixture:
    places = [(x, y) for y in (-4.0, -2.0, 0.0, 2.0, 4.0) for x in (-4.0, -2.0, 0.0, 2.0, 4.0)]
    return _Mixture(Points(-6.0, 6.0, tuple(places), 0.05), tuple(f"({x:g}, {y:g})" for x, y in places))


def _pairs(places: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in places)


MIXTURES = {"ring": _ring(), "grid": _grid()}


def mixture(name: str, n: int = 50_000, seed: int = 0) -> RawArrays:
    """A labelled set of `n` points of equally heavy modes; the first points do not depend on `n`.

    Args:
        name: ring or grid.

    Returns:
        Pictures [n, 1, 2, 1] uint16; the class is the mode. The attributes "x" and "y" are the coordinates before they
        were rounded to a level (a step is less than a two-hundredth of sigma).

    Raises:
        DataError: `n` is below 1, or there is no such mixture.

    Example:
        >>> mixture("ring", 3).pictures.shape
        (3, 1, 2, 1)
    """
    if name not in MIXTURES:
        raise DataError(f'There is no mixture "{name}"; it is {" or ".join(MIXTURES)}.')
    if n < 1:
        raise DataError(f"The set {name} needs at least 1 point; got {n}.")
    chosen = MIXTURES[name]
    points = chosen.points
    labels = stream(seed, "points", name, "modes").integers(0, len(points.modes), n)
    noise = stream(seed, "points", name, "places").standard_normal((n, 2))
    places = np.array(points.modes)[labels] + points.sigma * noise
    key = f"points {VERSION} {name} {n} {seed}"
    return RawArrays(
        pictures=points.levels(places),
        labels=labels.astype(np.int64),
        classes=chosen.names,
        attributes={"x": places[:, 0].copy(), "y": places[:, 1].copy()},
        fingerprint=hashlib.sha256(key.encode()).hexdigest(),
        meaning=points,
    )


def _levels(places: NDArray[Any], low: float, high: float) -> NDArray[np.uint16]:
    if not np.isfinite(places).all():
        raise DataError(
            "Some points are not finite numbers (NaN or infinity), so they cannot be saved; the model has diverged: "
            "go back to an earlier checkpoint."
        )
    share = (np.asarray(places, np.float64) - low) / (high - low)
    return np.floor(np.clip(share, 0, 1) * _TOP + 0.5).astype(np.uint16).reshape(-1, 1, 2, 1)
