"""The scores of a report: dots with whiskers, what to mind, and the contract in a fold-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mezzotint.metrics.score import Contract, Score
from mezzotint.tasks.evaluation import Evaluation
from mezzotint.tasks.report._charts import number, whiskers
from mezzotint.tasks.report._html import Html, join, rows, tag

_BETTER = {"lower": "lower is better", "higher": "higher is better", "none": ""}


def scores(found: Evaluation | None, problem: str, step: int, again: str, own: Mapping[str, str]) -> Html:
    """The body of the section.

    Args:
        found: from `scores.json`, or None.
        problem: why there is none, where the file is there but cannot be used.
        step: of the model shown.
        again: the command that evaluates.
        own: what the model's own capabilities say of it.
    """
    parts: list[Any] = []
    if found is not None:
        if found.step is not None and found.step != step:
            parts.append(
                tag(
                    "p",
                    f"Measured after step {found.step:,}; the model shown here is of step {step:,}. Measure it with ",
                    tag("code", again),
                    ".",
                    class_="warn",
                )
            )
        body = [_row(score) for score in found]
        head = tag("tr", *(tag("th", name, scope="col") for name in ("score", "value", "95 % interval")))
        parts.append(tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_="scores"), class_="wide"))
        parts += [tag("p", text, class_="warn") for text in _warnings(found)]
        parts.append(_contracts(found))
    else:
        parts.append(tag("p", problem or "No score has been measured yet.", " ", tag("code", again), " measures them."))
    if own:
        parts.append(tag("h3", "By the model itself"))
        parts.append(rows(own.items(), class_="facts"))
        parts.append(tag("p", "On held-out pictures; these compare runs on the same pictures only.", class_="quiet"))
    return join(*parts)


def _row(score: Score) -> Html:
    better = _BETTER[score.better]
    real = score.details.get("real")
    name = tag("th", score.name, tag("small", better) if better else None, scope="row")
    value = tag("td", tag("b", number(score.value)), f" {score.unit}".rstrip(), class_="value")
    span = "no interval"
    if score.low is not None and score.high is not None:
        span = f"{number(score.low)} to {number(score.high)}"
    aim = tag("small", f"real pictures: {number(real)}") if real is not None else None
    interval = tag(
        "td",
        whiskers(score.value, score.low, score.high, real, share=score.better != "lower"),
        tag("span", span),
        aim,
        class_="span",
    )
    return tag("tr", name, value, interval)


def _warnings(found: Evaluation) -> list[str]:
    """What is to be minded: each sentence once, with the scores it belongs to."""
    said: dict[str, list[str]] = {note: [] for note in found.notes}
    for score in found:
        for text in score.warnings:
            said.setdefault(text, []).append(score.name)
    return [text if text in found.notes else f"{', '.join(names)}: {text}" for text, names in said.items()]


def _contracts(found: Evaluation) -> Html:
    """What decides the scores; what is the same for all is said once."""
    plain = [_plain(score) for score in found]
    names = list(plain[0]) if plain else []
    shared = {name: plain[0][name] for name in names if len({each[name] for each in plain}) == 1}
    own = [name for name in names if name not in shared]
    parts: list[Any] = [tag("summary", "How they were measured")]
    parts.append(tag("p", "Two scores may be compared only if all of this is equal.", class_="quiet"))
    parts.append(rows(shared.items(), class_="facts"))
    for score, values in zip(found, plain, strict=True):
        extra = {name.replace("_", " "): number(value) for name, value in score.details.items()}
        parts.append(tag("h4", score.name))
        parts.append(rows([*((name, values[name]) for name in own), *extra.items()], class_="facts"))
    if found.skipped:
        parts.append(tag("h4", "Left out"))
        parts.append(rows(((name, why) for name, why in found.skipped.items()), class_="facts"))
    return tag("details", *parts)


def _plain(score: Score) -> dict[str, str]:
    contract = score.contract
    values = {each.name: getattr(contract, each.name) for each in fields(Contract) if each.name != "versions"}
    values["size"] = " x ".join(map(str, contract.size[:2])) + f", {contract.size[2]} channels"
    values["versions"] = ", ".join(f"{name} {version}" for name, version in contract.versions.items())
    words = {"n_real": "real pictures", "n_fake": "generated pictures", "real": "fingerprint of the real pictures"}
    made = {words.get(name, name.replace("_", " ")): str(value) or "none" for name, value in values.items()}
    return {"interval": score.interval, **made}
