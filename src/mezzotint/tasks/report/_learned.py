"""What a model is made of, where it can be looked at: eigen-pictures, means of clusters, words and topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mezzotint.data.output import to_uint8
from mezzotint.engine.capabilities import capabilities
from mezzotint.tasks.report._charts import Series, chart
from mezzotint.tasks.report._html import Html, join, tag
from mezzotint.tasks.report._images import Figure, figure

_MOST, _COLUMNS = 40, 10


@dataclass(frozen=True)
class Learned:
    """Sheets with a heading and a sentence each, and charts as they are drawn."""

    sheets: tuple[tuple[str, Figure, str], ...]
    charts: tuple[tuple[Html, str], ...]


def learned(run: Any) -> Learned | None:
    """What the run's model shows of itself; None where it cannot, or where its pictures are none to look at."""
    spec = run.model.spec
    if "explains" not in capabilities(run.model) or spec.meaning.numeric:
        return None
    found = run.model.explain()
    sheets = []
    for each in found.parts:
        pictures = to_uint8(each.pictures[:_MOST].float().cpu().numpy())
        more = f" The first {len(pictures)} of {len(each.pictures):,}." if len(each.pictures) > len(pictures) else ""
        drawn = figure(pictures, f"{each.name}: {each.says}", min(_COLUMNS, len(pictures)))
        sheets.append((each.name, drawn, each.says + more))
    charts = []
    for i, curve in enumerate(found.curves):
        series = Series(curve.name, np.asarray(curve.at, float), np.asarray(curve.values, float))
        charts.append((chart(curve.name, [series], f"l{i}"), curve.says))
    return Learned(tuple(sheets), tuple(charts))


def section(found: Learned | None) -> Html | None:
    """The section; None where there is nothing to show."""
    if found is None:
        return None
    parts = [
        join(tag("h3", name), tag("figure", picture.img(), tag("figcaption", says)))
        for name, picture, says in found.sheets
    ]
    if found.charts:
        parts.append(tag("div", *(drawn for drawn, _ in found.charts), class_="charts"))
        parts += [tag("p", says, class_="quiet") for _, says in found.charts]
    return join(*parts)
