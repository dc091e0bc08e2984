"""What a score is: a number with its interval, and everything that must be equal before two may be compared."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError

SCHEMA = 1
Better = Literal["lower", "higher", "none"]
Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


class ScoreError(DataError):
    """Two scores cannot be compared, or a file of scores is not ours."""


@dataclass(frozen=True)
class Estimate:
    """What the functions of `mezzotint.metrics` return.

    Attributes:
        value: the score by its usual formula.
        low, high: a 95 % interval, or None.
        interval: in words, how the interval was made and what it holds.
        warnings: sentences a person should read before trusting the number.
        details: further numbers, by name.
    """

    value: float
    low: float | None = None
    high: float | None = None
    interval: str = "none"
    warnings: tuple[str, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contract:
    """All that decides a score beside the model. Two scores are compared only if it is equal.

    Attributes:
        metric: the score with its settings, such as "precision, k=3".
        extractor, extractor_digest, resizer: what made the features; "none" and "" for a score of pixels.
        n_real, n_fake: how many pictures of each were used.
        split: which part of the real set.
        seed: of the choice of pictures, the latents and the directions.
        size: (height, width, channels) of the pictures as they were scored.
        real: fingerprint of the real set.
        versions: of what computed it. `schema` and `torch` (as major.minor) must be equal, because they change numbers:
            the first is our own formulas, the second the networks that make features and samples. The others only
            work in float64 on what these two made, and are recorded so that a difference can be traced.
    """

    metric: str
    extractor: str
    extractor_digest: str
    resizer: str
    n_real: int
    n_fake: int
    split: str
    seed: int
    size: tuple[int, int, int]
    real: str
    versions: Mapping[str, str]

    def differences(self, other: Contract) -> dict[str, tuple[Any, Any]]:
        """Name of each field that forbids a comparison -> its two values."""
        mine, theirs = self._binding(), other._binding()
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    def _binding(self) -> dict[str, Any]:
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "versions"}
        torch_version = ".".join(self.versions.get("torch", "").split(".")[:2])
        return values | {"versions.schema": self.versions.get("schema", ""), "versions.torch": torch_version}


@dataclass(frozen=True)
class Score:
    """A number that can be trusted as far as its interval, and compared as far as its contract.

    Attributes:
        name: what it is called, such as "Fréchet distance (pixels)".
        value, low, high, interval, warnings, details: as in `Estimate`.
        better: which direction is better.
        unit: "" where there is none.
        contract: see `Contract`.

    Example:
        >>> contract = Contract("kid", "pixels", "", "", 9, 9, "test", 0, (8, 8, 1), "", versions())
        >>> score = Score.of("KID", Estimate(0.5, 0.4, 0.6, "analytic"), contract, "lower")
        >>> Score.from_json(score.to_json()) == score
        True
        >>> print(score)
        KID 0.5 [0.4, 0.6]
    """

    name: str
    value: float
    low: float | None
    high: float | None
    interval: str
    better: Better
    unit: str
    contract: Contract
    warnings: tuple[str, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, found: Estimate, contract: Contract, better: Better, unit: str = "") -> Score:
        """A score from what a function of `mezzotint.metrics` returned."""
        return cls(
            name=name,
            value=found.value,
            low=found.low,
            high=found.high,
            interval=found.interval,
            better=better,
            unit=unit,
            contract=contract,
            warnings=found.warnings,
            details=dict(found.details),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite becomes "inf", "-inf" or "nan"."""
        made = asdict(self) | {"schema": SCHEMA}
        made |= {key: _plain(made[key]) for key in ("value", "low", "high")}
        made["details"] = {key: _plain(value) for key, value in self.details.items()}
        made["warnings"] = list(self.warnings)
        made["contract"] |= {"size": list(self.contract.size), "versions": dict(self.contract.versions)}
        return made

    @classmethod
    def from_json(cls, made: Mapping[str, Any], where: str = "the score") -> Score:
        """The inverse of `to_json`.

        Args:
            where: what it was read from, for messages.

        Raises:
            ScoreError: it was written by another version, or a key is unknown, missing or of another type.
        """
        _check_keys(made, {each.name for each in fields(cls)} | {"schema"}, where)
        if made["schema"] != SCHEMA:
            raise ScoreError(f"{where} has schema {made['schema']!r}, this Mezzotint reads {SCHEMA}; evaluate again.")
        _check_keys(made["contract"], {each.name for each in fields(Contract)}, f"the contract of {where}")
        if made["better"] not in get_args(Better):
            raise ScoreError(f"{where} says better={made['better']!r}; it is one of {', '.join(get_args(Better))}.")
        contract = dict(made["contract"])
        try:
            contract |= {"size": tuple(map(int, contract["size"])), "versions": dict(contract["versions"])}
            contract |= {key: int(contract[key]) for key in ("n_real", "n_fake", "seed")}
            numbers = {key: _number(made[key]) for key in ("low", "high")}
            return cls(
                name=str(made["name"]),
                value=float(made["value"]),
                **numbers,
                interval=str(made["interval"]),
                better=made["better"],
                unit=str(made["unit"]),
                contract=Contract(**contract),
                warnings=tuple(map(str, made["warnings"])),
                details={str(key): float(value) for key, value in made["details"].items()},
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise ScoreError(f"{where} holds a value of a wrong type ({error}); evaluate again.") from error

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        span = "" if self.low is None or self.high is None else f" [{self.low:.4g}, {self.high:.4g}]"
        return f"{self.name} {self.value:.4g}{unit}{span}"


@dataclass(frozen=True)
class Comparison:
    """What may be said of two scores.

    Attributes:
        better: "a" or "b" where the intervals are apart, None where they overlap or nothing can be said.
        difference: b.value - a.value.
        sentence: the same in words.
    """

    better: Literal["a", "b"] | None
    difference: float
    sentence: str


def compare(a: Score, b: Score, names: tuple[str, str] = ("a", "b")) -> Comparison:
    """Which of two scores is better, if that can be said.

    Two 95 % intervals that do not overlap differ beyond chance (at a level well below 5 %); two that overlap may
    still differ a little.

    Args:
        names: what the two are called in the sentence.

    Raises:
        ScoreError: their contracts differ; the sentence names each field and its two values.
    """
    differing = a.contract.differences(b.contract)
    if differing:
        said = "; ".join(f"{name} is {_short(one)} and {_short(other)}" for name, (one, other) in differing.items())
        raise ScoreError(
            f"{a.name} of {names[0]} and of {names[1]} cannot be compared: {said}. Evaluate both in the same way."
        )
    difference = b.value - a.value
    if a.better == "none":
        return Comparison(None, difference, f"{a.name}: {_both(a, b, names)}; neither direction is better.")
    if a.low is None or a.high is None or b.low is None or b.high is None:
        reason = "there is no interval, so that the difference may be chance"
        return Comparison(None, difference, f"{a.name}: {_both(a, b, names)}; {reason}.")
    if a.low <= b.high and b.low <= a.high:
        reason = "the intervals overlap, so that neither is shown better"
        return Comparison(None, difference, f"{a.name}: {_both(a, b, names)}; {reason}.")
    first = (a.high < b.low) == (a.better == "lower")
    return Comparison(
        "a" if first else "b",
        difference,
        f"{a.name}: {_both(a, b, names)}; {names[0 if first else 1]} is better, the intervals are apart.",
    )


def versions() -> dict[str, str]:
    """The versions that a contract records."""
    found = {"schema": str(SCHEMA), "python": platform.python_version()}
    for package in ("torch", "mezzotint", "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def mean_estimate(values: Sequence[float] | NDArray[Any], what: str = "pictures") -> Estimate:
    """The mean of independent values with its interval by the central limit theorem.

    Args:
        values: [N].
        what: what was measured, for messages.

    Raises:
        DataError: there is no value.

    Example:
        >>> found = mean_estimate([1.0, 2.0, 3.0])
        >>> round(found.value, 3), round(found.high - found.value, 3)
        (2.0, 2.484)
    """
    data = np.asarray(values, np.float64)
    if not len(data):
        raise DataError(f"There is no value to take the mean of: no {what} were scored.")
    value = float(data.mean())
    if len(data) < 2 or not np.isfinite(data).all():
        return Estimate(value, warnings=(f"{len(data)} {what} give no interval.",) if len(data) < 2 else ())
    # Student's t, since the spread is estimated from the same values.
    from scipy.stats import t

    half = float(t.ppf(0.975, len(data) - 1)) * float(data.std(ddof=1)) / math.sqrt(len(data))
    words = f"analytic: Student's t for the mean of {len(data):,} {what}"
    few = (f"{len(data)} {what} are few: the interval supposes about 30.",) if len(data) < 30 else ()
    return Estimate(value, value - half, value + half, words, few)


def _check_keys(made: Any, known: set[str], where: str) -> None:
    if not isinstance(made, Mapping):
        raise ScoreError(f"{where} is not a JSON object; evaluate again.")
    unknown, missing = sorted(set(made) - known), sorted(known - set(made))
    if unknown or missing:
        said = [f"does not know {', '.join(unknown)}"] * bool(unknown) + [f"lacks {', '.join(missing)}"] * bool(missing)
        raise ScoreError(f"{where} {' and '.join(said)}; evaluate again.")


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(float(value))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _short(value: Any) -> str:
    text = str(value) or "nothing"
    return f"{text[:12]}..." if len(text) == 64 else text


def _both(a: Score, b: Score, names: tuple[str, str]) -> str:
    return " and ".join(
        f"{name} {str(score).removeprefix(score.name).strip()}" for name, score in zip(names, (a, b), strict=True)
    )
