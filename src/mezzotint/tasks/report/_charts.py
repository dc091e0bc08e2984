"""Curves as SVG, drawn by us: a few hundred points, readable ticks, colours from the page's own scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.tasks.report._html import Html, join, tag

Array = NDArray[np.float64]

_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 8, 24
_POINTS = 240
_FEW = 12
"""Curves of fewer points are drawn as they are, without an average."""
_LOG_FROM = 30.0
"""Curves whose values span more than this factor are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: as the log calls it.
        steps: [N], rising.
        values: [N]; NaN where the number was not finite.
    """

    name: str
    steps: Array
    values: Array

    @property
    def last(self) -> float:
        """The last value that is a number; NaN if none is."""
        known = self.values[np.isfinite(self.values)]
        return float(known[-1]) if len(known) else math.nan


def number(value: float) -> str:
    """A number for people: four digits, thousands apart.

    Example:
        >>> number(1234567.0), number(0.01236), number(-3.0)
        ('1,234,567', '0.01236', '-3')
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-4 <= abs(value) < 1e9:
        digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3g}"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from `low` to `high`: multiples of 1, 2 or 5 times a power of ten.

    Example:
        >>> ticks(0, 600), ticks(-0.13, 0.42)
        ([0.0, 200.0, 400.0, 600.0], [0.0, 0.2, 0.4])
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def smooth(values: Array) -> Array:
    """A moving average over a twentieth of the curve, centred, NaN left out; a few values stay as they are."""
    if len(values) < _FEW:
        return values
    half = max(1, len(values) // 40)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    at = np.arange(len(values))
    start, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums[end] - sums[start]) / (counts[end] - counts[start]), np.float64)


def chart(title: str, series: Sequence[Series], key: str, marks: Sequence[int] = (), unit: str = "") -> Html:
    """A figure of curves over steps: what was measured, pale, and its moving average.

    Args:
        title: what is drawn.
        series: up to four curves on one axis.
        key: unique in the page; letters and digits.
        marks: steps at which something was found.
        unit: of the values.
    """
    axis = _Axis.of(series)
    low, high = min(s.steps[0] for s in series), max(s.steps[-1] for s in series)
    across = _Scale(float(low), float(high), _LEFT, _WIDTH - _RIGHT)
    drawn = [_curve(each, i, axis, across) for i, each in enumerate(series)]
    lines = [_mark(across(step)) for step in marks if low <= step <= high]
    frame = tag("rect", x=_LEFT, y=_TOP, width=_WIDTH - _LEFT - _RIGHT, height=_HEIGHT - _TOP - _BOTTOM)
    picture = tag(
        "svg",
        tag("clipPath", frame, id=f"clip-{key}"),
        _grid(axis, across),
        tag("g", *lines, *drawn, clip_path=f"url(#clip-{key})"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=_words(title, series, unit),
    )
    said = [_legend(each, i, len(series) > 1, unit) for i, each in enumerate(series)]
    note = tag("span", "logarithmic axis", class_="quiet") if axis.log else None
    return tag("figure", tag("figcaption", tag("b", title), *said, note), picture, class_="chart")


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class _Axis:
    """The axis of values; logarithmic where they span orders of magnitude."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, series: Sequence[Series]) -> _Axis:
        known = np.concatenate([s.values[np.isfinite(s.values)] for s in series])
        if not len(known):
            return cls(0.0, 1.0, False)
        low, high = (float(q) for q in np.quantile(known, [0.005, 0.995]))
        for each in series:  # single spikes may leave the frame, the average not
            calm = smooth(each.values)
            calm = calm[np.isfinite(calm)]
            low, high = min(low, float(calm.min(initial=low))), max(high, float(calm.max(initial=high)))
        if known.min() > 0 and high / low > _LOG_FROM:
            return cls(low / 1.1, high * 1.1, True)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        # Values that cannot be negative get no axis that is, and those near zero start there.
        floor = 0.0 if 0 <= low < 0.35 * high else low - room
        return cls(floor, high + room, False)

    def __call__(self, value: float) -> float:
        low, high = self._seen(self.low), self._seen(self.high)
        share = (self._seen(value) - low) / (high - low)
        return round(_HEIGHT - _BOTTOM - min(max(share, -0.5), 1.5) * (_HEIGHT - _TOP - _BOTTOM), 1)

    def _seen(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        if not self.log:
            return ticks(self.low, self.high)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        factors = (1, 2, 5) if len(decades) <= 3 else (1,)
        every = [factor * 10.0**decade for decade in decades for factor in factors]
        return [value for value in every if self.low <= value <= self.high]


def _grid(axis: _Axis, across: _Scale) -> Html:
    parts = []
    for value in axis.ticks():
        y = axis(value)
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="rule"))
        parts.append(tag("text", number(value), x=_LEFT - 6, y=y + 3.5, class_="end"))
    for value in ticks(across.low, across.high):
        x = across(value)
        anchor = "end" if x > _WIDTH - _RIGHT - 14 else "middle"
        parts.append(tag("line", x1=x, x2=x, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM + 4, class_="rule"))
        parts.append(tag("text", number(value), x=x, y=_HEIGHT - 6, class_=anchor))
    return tag("g", *parts, aria_hidden="true")


def _curve(series: Series, place: int, axis: _Axis, across: _Scale) -> Html:
    calm = smooth(series.values)
    usable = np.isfinite(series.values) if not axis.log else series.values > 0
    if int(usable.sum()) == 1:  # a line of one point is not seen
        at = int(np.flatnonzero(usable)[0])
        dot = tag("circle", cx=across(series.steps[at]), cy=axis(series.values[at]), r=3, class_=f"dot c{place % 4}")
        return join(dot)
    raw = tag("path", d=_path(*_envelope(series.steps, series.values), axis, across), class_=f"raw c{place % 4}")
    every = max(1, len(calm) // _POINTS)
    keep = np.unique(np.append(np.arange(0, len(calm), every), len(calm) - 1))
    line = tag("path", d=_path(series.steps[keep], calm[keep], axis, across), class_=f"line c{place % 4}")
    return join(raw, line)


def _envelope(steps: Array, values: Array) -> tuple[Array, Array]:
    """Of many points the least and the greatest of each part, so that no spike is lost."""
    if len(values) <= 2 * _POINTS:
        return steps, values
    keep: list[int] = []
    for part in np.array_split(np.arange(len(values)), _POINTS):
        seen = values[part]
        if np.isfinite(seen).any():
            keep += sorted({int(part[np.nanargmin(seen)]), int(part[np.nanargmax(seen)])})
        else:
            keep.append(int(part[0]))
    return steps[keep], values[keep]


def _path(steps: Array, values: Array, axis: _Axis, across: _Scale) -> str:
    words, broken = [], True
    for step, value in zip(steps, values, strict=True):
        if not math.isfinite(value) or (axis.log and value <= 0):
            broken = True
            continue
        words.append(f"{'M' if broken else 'L'}{across(step):g} {axis(value):g}")
        broken = False
    return "".join(words)


def _mark(x: float) -> Html:
    return tag("line", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="mark")


def _legend(series: Series, place: int, named: bool, unit: str) -> Html:
    value = f"{number(series.last)} {unit}".strip()
    text = f"{series.name} {value}" if named else value
    return tag("span", tag("i", class_=f"key c{place % 4}", aria_hidden="true") if named else None, text)


def _words(title: str, series: Sequence[Series], unit: str) -> Any:
    said = []
    for each in series:
        known = each.values[np.isfinite(each.values)]
        if not len(known):
            said.append(f"{each.name}: no finite number")
            continue
        lost = len(each.values) - len(known)
        said.append(
            f"{each.name} from {number(float(known[0]))} to {number(float(known[-1]))} {unit}".rstrip()
            + f", least {number(float(known.min()))}, greatest {number(float(known.max()))}"
            + (f", {lost} values not finite" if lost else "")
        )
    first, last = series[0].steps[0], series[0].steps[-1]
    return f"Curve of {title} over steps {number(float(first))} to {number(float(last))}: {'; '.join(said)}."


def whiskers(
    value: float, low: float | None, high: float | None, real: float | None = None, *, share: bool = False
) -> Html:
    """A score as a dot with its 95 % interval, on an axis that holds zero.

    Args:
        value, low, high: of the score.
        real: what real pictures have, marked on the axis.
        share: the score may be one of those that end at 1.
    """
    known = [x for x in (value, low, high, real, 0.0) if x is not None and math.isfinite(x)]
    least, most = min(known), max(known)
    if share and least >= 0 and most <= 1:
        least, most = 0.0, 1.0
    else:
        span = most - least
        marks = ticks(least, most, 3)
        step = marks[1] - marks[0] if len(marks) > 1 else span or 1.0
        least, most = math.floor(least / step) * step, math.ceil(most / step) * step
    across = _Scale(least, most, 4.0, 236.0)
    parts = [tag("line", x1=4, x2=236, y1=14, y2=14, class_="rule")]
    for end, anchor in ((least, "start"), (most, "end")):
        parts.append(tag("line", x1=across(end), x2=across(end), y1=11, y2=17, class_="rule"))
        parts.append(tag("text", number(end), x=across(end), y=29, class_=anchor))
    if real is not None and math.isfinite(real):
        parts.append(tag("path", d=f"M{across(real):g} 5v18", class_="mark"))
    if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
        a, b = across(low), across(high)
        parts.append(tag("path", d=f"M{a:g} 14H{b:g}M{a:g} 9v10M{b:g} 9v10", class_="line c0"))
    if math.isfinite(value):
        parts.append(tag("circle", cx=across(value), cy=14, r=4, class_="dot c0"))
    return tag("svg", *parts, viewBox="0 0 240 32", class_="whiskers", aria_hidden="true", focusable="false")
