"""What is wrong with a training, said in words: pure functions from measures to findings.

The measures are those of `engine.probe`. A rule looks at them as they went over the training, since most of what
looks sick in the beginning is a training that has hardly begun: a discriminator that wins or loses is a fault only
while the generator no longer improves, and low diversity only where it has fallen or stays low.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from mezzotint.core.errors import DataError

_WINS, _LOSES = 0.98, 0.55
_UNLIKE = 0.15
"""`difference` from which generated pictures are plainly other than real ones; trained ones come below 0.1."""
_FALLEN, _LOW, _VERY_LOW = 0.5, 0.3, 0.15
_BETTER = 0.05
"""An improvement is one by this share."""
_ENOUGH = 6
"""Measurements before a rule asks whether something has come to a stop."""
_LATELY = 1 / 3
"""The share of a training in which something that improves must have done so."""
_FEW = 100
_LONG_AGO = 0.25
_COPIES, _CHANCE = 0.6, 0.001


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        name: one of `NAMES`.
        step: the round in which it was seen.
        sentence: what is wrong, with the numbers that show it.
        advice: the option that usually helps, as a person would type it.

    Example:
        >>> Finding.from_json(Finding("collapse", 900, "All samples are alike.", "Try it.").to_json()).step
        900
    """

    name: str
    step: int
    sentence: str
    advice: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Finding:
        """The inverse of `to_json`.

        Raises:
            DataError: a key is missing, unknown, or its value of another type.
        """
        kinds = {"name": str, "step": int, "sentence": str, "advice": str}
        if not isinstance(value, Mapping) or value.keys() != kinds.keys():
            raise DataError(f"A finding has the keys {', '.join(kinds)}; got {value!r}.")
        for key, kind in kinds.items():
            if type(value[key]) is not kind:
                raise DataError(f'"{key}" of a finding is {value[key]!r}, which is no {kind.__name__}.')
        return cls(**value)


@dataclass(frozen=True)
class Moment:
    """One measurement: the rounds done, and the measures by name (see `engine.probe.Probe.measure`)."""

    step: int
    measures: Mapping[str, float]


History = Sequence[Moment]
"""Measurements in order, the newest last."""
Options = Mapping[str, Mapping[str, Any]]
"""The run's settings by section: "model", "train", "data"."""
Rule = Callable[[History, Options], Finding | None]
RULES: list[Rule] = []
NAMES = (
    "discriminator-wins",
    "discriminator-loses",
    "collapse",
    "posterior-collapse",
    "memorising",
    "overfitting",
    "few-pictures",
    "hardly-begun",
    "stopped-nan",
)

R = TypeVar("R", bound=Rule)


def rule(function: R) -> R:
    """Add a rule to `RULES`."""
    RULES.append(function)
    return function


def judge(history: History, options: Options) -> list[Finding]:
    """All that is wrong at the newest moment.

    Args:
        history: at least one moment.
        options: the settings, for the advice.

    Example:
        >>> [found.name for found in judge([Moment(100, {"pictures/held_out": 12})], {"data": {"validation": 0.1}})]
        ['few-pictures']
    """
    return [finding for each in RULES if (finding := each(history, options)) is not None]


@rule
def discriminator_wins(history: History, options: Options) -> Finding | None:
    """It tells nearly all pictures apart, and generated pictures, plainly other than real ones, no longer improve."""
    now = history[-1].measures
    accuracy, difference = now.get("discriminator/accuracy", 0.0), now.get("difference", 0.0)
    if accuracy < _WINS or difference < _UNLIKE or not _stopped(history, "difference"):
        return None
    return Finding(
        "discriminator-wins",
        history[-1].step,
        f"The discriminator wins: it tells {accuracy:.0%} of held-out and generated pictures apart, "
        f"{now.get('discriminator/probability', accuracy):.0%} sure, and the generator no longer improves "
        f"(its pictures differ from real ones by {difference:.2f} of 1).",
        _anew(options, ("discriminator_width", 0.5), ("lr", 0.5)),
    )


@rule
def discriminator_loses(history: History, options: Options) -> Finding | None:
    """It tells nothing apart, and generated pictures, plainly other than real ones, do not improve.

    By its running statistics alone a healthy discriminator is often at chance while the generator learns much from it.
    """
    now = history[-1].measures
    accuracy, difference = now.get("discriminator/accuracy", 1.0), now.get("difference", 0.0)
    if accuracy > _LOSES or difference < _UNLIKE or not _stopped(history, "difference"):
        return None
    return Finding(
        "discriminator-loses",
        history[-1].step,
        f"The discriminator loses: it tells {accuracy:.0%} of held-out and generated pictures apart, where 50% is "
        f"chance, though they plainly differ ({difference:.2f} of 1), and the generator no longer improves.",
        _anew(options, ("discriminator_width", 2), ("lr", 0.5)),
    )


@rule
def collapse(history: History, options: Options) -> Finding | None:
    """Generated pictures are too alike: their diversity has fallen, or stays very low."""
    course = _course(history, "diversity")
    if not course or "diversity" not in history[-1].measures:
        return None
    now, before = course[-1], max(course[:-1], default=0.0)
    falls = now < _LOW and now < _FALLEN * before
    lies = now < _VERY_LOW and _stopped(history, "diversity", rising=True)
    if not falls and not lies:
        return None
    was = f", and it was {before:.0%}" if falls else ", and it does not grow"
    return Finding(
        "collapse",
        history[-1].step,
        f"Diversity is low (collapse): two generated pictures are {now:.0%} as far apart as two real ones{was}.",
        _anew(options, ("lr", 0.5), ("batch_size", 2)),
    )


@rule
def posterior_collapse(history: History, options: Options) -> Finding | None:
    """Hardly a latent unit depends on the picture (Burda et al. 2016), and that does not change."""
    now = history[-1].measures
    if "active_units" not in now or not _stopped(history, "active_units", rising=True):
        return None
    active, units = int(now["active_units"]), int(now["units"])
    if active > 0.05 * units:
        return None
    kl = f", and the KL divergence is {now['kl']:.2g} nats" if "kl" in now else ""
    return Finding(
        "posterior-collapse",
        history[-1].step,
        f"The latent is not used (posterior collapse): {active} of its {units} units depend on the picture{kl}.",
        _likelihood(options),
    )


@rule
def memorising(history: History, options: Options) -> Finding | None:
    """Generated pictures are nearer to training pictures than held-out pictures are (Meehan et al. 2020), by copying.

    Blurred ones are nearer too, but then to held-out pictures as well.
    """
    now = history[-1].measures
    share = now.get("memorising", 0.0)
    if share < _COPIES or now.get("memorising/low", 0.0) <= 0.5 or now.get("memorising/chance", 0.0) > _CHANCE:
        return None
    return Finding(
        "memorising",
        history[-1].step,
        f"The model memorises: in {share:.0%} of pairs a generated picture is nearer to a training picture than a "
        "held-out picture is, where 50% is right.",
        _more_pictures(options),
    )


@rule
def overfitting(history: History, options: Options) -> Finding | None:
    """The loss on held-out pictures was best long ago, and that on training pictures has fallen since."""
    both = [each for each in history if {"loss/held_out", "loss/training"} <= each.measures.keys()]
    if len(both) < 4 or both[-1] is not history[-1]:
        return None
    best = min(both, key=lambda each: each.measures["loss/held_out"])
    now, then, step = history[-1].measures, best.measures, history[-1].step
    since = [each for each in both if each.step > best.step]
    gap = now["loss/held_out"] - now["loss/training"] - (then["loss/held_out"] - then["loss/training"])
    falls = now["loss/training"] < then["loss/training"]
    if len(since) < 3 or step - best.step < _LONG_AGO * step or not falls or gap <= 0:
        return None
    return Finding(
        "overfitting",
        step,
        f"The model overfits: its loss on held-out pictures was best at step {best.step:,} "
        f"({then['loss/held_out']:.4g}, now {now['loss/held_out']:.4g}) while that on training pictures fell from "
        f"{then['loss/training']:.4g} to {now['loss/training']:.4g}.",
        f"Take the best one with --checkpoint best, stop in time with --set train.patience=3; {_flip(options)}",
    )


@rule
def few_pictures(history: History, options: Options) -> Finding | None:
    """So few pictures are held out that no score on them means much."""
    held = int(history[-1].measures.get("pictures/held_out", _FEW))
    if held >= _FEW:
        return None
    share = min(0.5, 2 * float(options.get("data", {}).get("validation", 0.1)) or 0.2)
    said = f"{held:,} pictures are held out" if held else "No pictures are held out"
    return Finding(
        "few-pictures",
        history[-1].step,
        f"{said}: too few for scores and for these diagnoses, which want {_FEW} at least.",
        f"Give more pictures, or hold out more in a new run with --set data.validation={share:g}.",
    )


def said_at_the_end(history: History) -> list[Finding]:
    """What is said of a training that has ended, and not of one that goes on: that it was too short."""
    course = _course(history, "difference")
    if not course or course[-1] < _UNLIKE or _stopped(history, "difference"):
        return []
    step, stuck = history[-1].step, len(course) > 2 and min(course[1:]) > (1 - _BETTER) * course[0]
    begun = f"After {step:,} rounds" if stuck else f"Training has hardly begun: after {step:,} rounds"
    far = f"{course[-1]:.2f} of 1, where trained models come below 0.1"
    since = f", no less than after {history[0].step:,}" if stuck else ""
    advice = "Let it go on with mezzotint train --resume and more --minutes; nothing is lost"
    if stuck:
        advice += ". If that changes nothing, its settings are wrong, the learning rate first of all"
    sentence = f"{begun} generated pictures plainly differ from real ones ({far}){since}."
    return [Finding("hardly-begun", step, sentence, f"{advice}.")]


def stopped(step: int, message: str) -> Finding:
    """The finding of a training that stopped at a number that is not finite; `message` is the error's."""
    sentence, _, advice = message.partition("; nothing was updated. ")
    if not advice:
        sentence, _, advice = message.rpartition(". ")
    return Finding("stopped-nan", step, f"{sentence}.", advice)


def _course(history: History, name: str) -> list[float]:
    return [each.measures[name] for each in history if name in each.measures]


def _stopped(history: History, name: str, rising: bool = False) -> bool:
    """Whether a measure has not become better in the last third of the training; better is less, or more if `rising`.

    False while there are too few measurements to tell.
    """
    there = [each for each in history if name in each.measures]
    border = (1 - _LATELY) * history[-1].step
    sign = -1 if rising else 1
    before = [sign * each.measures[name] for each in there if each.step <= border]
    lately = [sign * each.measures[name] for each in there if each.step > border]
    if len(there) < _ENOUGH or len(lately) < 2 or len(before) < 2:
        return False
    best = min(before)
    return min(lately) > best - _BETTER * abs(best) if best else min(lately) >= 0


def _anew(options: Options, *ways: tuple[str, float]) -> str:
    """Advice to begin a new run with some settings multiplied: those of `ways` that the run has, at most two."""
    said = []
    for name, factor in ways:
        section = next((section for section in ("model", "train") if name in options.get(section, {})), None)
        if section is not None:
            now = options[section][name]
            value = max(4, int(now * factor)) if isinstance(now, int) else now * factor
            said += [f"--set {section}.{name}={value:g}"] if value != now else []
    if not said:
        return "A new run with --set train.clip_norm=1 may help."
    return f"Train anew with {' or '.join(said[:2])}."


def _likelihood(options: Options) -> str:
    likelihood = options.get("model", {}).get("likelihood")
    if likelihood is not None and likelihood != "gaussian":
        return "Train anew with --set model.likelihood=gaussian, whose learned scale weighs the two parts of the loss."
    return _anew(options, ("lr", 0.5)).rstrip(".") + " and --set train.warmup=500."


def _more_pictures(options: Options) -> str:
    return f"Give more pictures, or train for fewer steps; {_flip(options)}"


def _flip(options: Options) -> str:
    if options.get("data", {}).get("flip"):
        return "a smaller model may help too."
    return "where mirrored pictures make sense, --set data.flip=true doubles them in a new run."
