"""What a run folder tells of its training: the log, the diagnosis, the previews. A damaged line costs only itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.engine.diagnosing import CONSTANT
from mezzotint.tasks.report._charts import Series

_PREVIEW = re.compile(r"step-(\d+)\.png")


@dataclass(frozen=True)
class Finding:
    """Something that was wrong, over all the times it was seen.

    Attributes:
        name: of the illness.
        sentence, advice: as they were said last.
        first, last: steps.
        times: how often it was seen.
        now: whether the last measurement still saw it.
    """

    name: str
    sentence: str
    advice: str
    first: int
    last: int
    times: int
    now: bool


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnosis.jsonl` holds.

    Attributes:
        measures: name -> curve.
        findings: those still seen first.
        times: measurements in all; 0 where there is no such file.
    """

    measures: Mapping[str, Series]
    findings: tuple[Finding, ...]
    times: int


def read_log(path: Path) -> dict[str, Series]:
    """The curves of `log.jsonl` by name, without the clock and without what `diagnosis.jsonl` holds too.

    The log repeats the last validation in every line; the curve has each once.
    """
    others = ("step", "seconds")
    found = _curves(
        _lines(path), lambda line: {k: v for k, v in line.items() if k not in others and not k.startswith("diagnosis/")}
    )
    return {name: _once(curve) if name.startswith("validation/") else curve for name, curve in found.items()}


def read_diagnosis(path: Path) -> Diagnosis:
    """The measures that change and the findings of `diagnosis.jsonl`; empty if there is none."""
    lines = list(_lines(path))
    seen: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for line in lines:
        found = line.get("findings")
        for each in found if isinstance(found, list) else ():
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                seen.setdefault(each["name"], []).append((line["step"], each))
    last = lines[-1]["step"] if lines else -1
    findings = [
        Finding(
            name,
            str(times[-1][1].get("sentence", "")),
            str(times[-1][1].get("advice", "")),
            times[0][0],
            times[-1][0],
            len(times),
            times[-1][0] == last,
        )
        for name, times in seen.items()
    ]
    curves = _curves(lines, lambda line: line.get("measures"))
    measures = {name: curve for name, curve in curves.items() if name not in CONSTANT}
    return Diagnosis(measures, tuple(sorted(findings, key=lambda each: (not each.now, -each.last))), len(lines))


def previews(folder: Path) -> list[tuple[int, Path]]:
    """The preview pictures by step."""
    found = [(int(match[1]), path) for path in folder.glob("step-*.png") if (match := _PREVIEW.fullmatch(path.name))]
    return sorted(found)


def _once(curve: Series) -> Series:
    new = np.append(True, curve.values[1:] != curve.values[:-1])
    return Series(curve.name, curve.steps[new], curve.values[new])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects with a step that rises."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    before = -1
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and type(value.get("step")) is int and value["step"] >= max(before, 0):
            before = value["step"]
            yield value


def _curves(lines: Any, of: Any) -> dict[str, Series]:
    points: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        values = of(line)
        for key, value in values.items() if isinstance(values, dict) else ():
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                points.setdefault(str(key), []).append((line["step"], math.nan if value is None else float(value)))
    return {key: Series(key, *np.array(found, np.float64).T) for key, found in points.items()}
