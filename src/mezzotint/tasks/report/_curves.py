"""Which curves share a chart, and all the charts of a section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mezzotint.tasks.report._charts import Series, chart
from mezzotint.tasks.report._html import Html, tag

_MOST = 24


def charts(curves: Mapping[str, Series], key: str, marks: Sequence[int] = ()) -> Html | None:
    """Small charts, one beside the other; None if there is nothing to draw.

    Args:
        curves: by name; those called "rate" are left to the end, since they tell of the machine.
        key: unique in the page.
        marks: steps at which something was found.
    """
    groups = _grouped(sorted(curves.values(), key=lambda each: each.name == "rate"))
    drawn = [
        chart(title, group, f"{key}{i}", marks, "pictures/s" if title == "rate" else "")
        for i, (title, group) in enumerate(groups[:_MOST])
    ]
    return tag("div", *drawn, class_="charts") if drawn else None


def _grouped(curves: Iterable[Series]) -> list[tuple[str, list[Series]]]:
    """The terms of a phase that are of one kind (real and fake of a discriminator) stand in one chart.

    Numbers of one phase are comparable only where they have one scale: whole ranges that differ by more than a factor
    of five would hide the smaller curve.
    """
    groups: list[tuple[str, list[Series]]] = []
    for curve in curves:
        phase = curve.name.rpartition("/")[0]
        home = next(
            (group for title, group in groups if phase and title == phase and _alike(group, curve) and len(group) < 4),
            None,
        )
        if home is None:
            groups.append((phase or curve.name, [curve]))
        else:
            home.append(curve)
    return [
        (group[0].name, group) if len(group) == 1 else (title, [_short(each, title) for each in group])
        for title, group in groups
    ]


def _alike(group: Sequence[Series], curve: Series) -> bool:
    if curve.name.endswith("accuracy") != group[0].name.endswith("accuracy"):
        return False
    sizes = [abs(each.last) for each in (*group, curve)]
    return min(sizes) > 0 and max(sizes) / min(sizes) < 5


def _short(curve: Series, title: str) -> Series:
    return Series(curve.name.removeprefix(f"{title}/"), curve.steps, curve.values)
