"""One evaluation before anything is computed: its sides, and which scores they allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import CapabilityError, DataError
from mezzotint.data.types import PictureSet
from mezzotint.engine.capabilities import capabilities
from mezzotint.metrics.extractor import Extractor
from mezzotint.metrics.ssim import SMALLEST
from mezzotint.tasks._factors import known_factors
from mezzotint.tasks._labels import is_conditional
from mezzotint.tasks._metrics import METRICS
from mezzotint.tasks._sides import RealSide
from mezzotint.tasks._translated import ahead
from mezzotint.tasks.sample import models_that


@dataclass(frozen=True)
class Case:
    """What is scored.

    Attributes:
        model: the model; None where pictures are scored.
        made, made_rows: the generated pictures and those that are used; None where a model makes them.
        real: the real pictures.
        extractor: what makes the features.
        n_fake: how many generated pictures.
        seed: of every choice.
    """

    model: Any | None
    made: PictureSet | None
    made_rows: NDArray[np.int64] | None
    real: RealSide
    extractor: Extractor
    n_fake: int
    seed: int

    @property
    def spec(self) -> Any:
        """The shape of the model's pictures; None where there is no model."""
        return None if self.model is None else self.model.spec

    @property
    def size(self) -> tuple[int, int, int]:
        """(H, W, C) as they are scored."""
        channels, height, width = self.real.pictures.shape if self.spec is None else self.spec.shape
        return height, width, channels

    @property
    def can(self) -> list[str]:
        """Capabilities of the model."""
        return [] if self.model is None else capabilities(self.model)

    @property
    def has_classes(self) -> bool:
        """Whether generated pictures have classes that the real ones have too."""
        known = self.real.pictures
        if self.model is not None:
            alike = set(known.classes) <= set(self.model.spec.classes)
            return is_conditional(self.model) and known.labels is not None and alike
        return self.made is not None and self.made.labels is not None and self.made.classes == known.classes


# What a score may need -> a sentence that says why it is not there, or None.
NEEDS: dict[str, Callable[[Case], str | None]] = {
    "fakes": lambda c: None if c.made is not None or "samples" in c.can else _lacks(c, "samples"),
    "reconstructs": lambda c: None if "reconstructs" in c.can else _lacks(c, "reconstructs"),
    "encodes": lambda c: None if "encodes" in c.can else _lacks(c, "encodes"),
    "infers": lambda c: None if "infers" in c.can else _lacks(c, "infers"),
    "factors": lambda c: _no_factors(c),
    "scores": lambda c: None if "scores" in c.can else _lacks(c, "scores"),
    "marginalises": lambda c: None if "marginalises" in c.can else _lacks(c, "marginalises"),
    "logits": lambda c: None if _probe(c).logits is not None else f"the extractor {c.extractor.name} names no classes",
    "maps": lambda c: None if _probe(c).maps else f"the extractor {c.extractor.name} has no feature maps",
    "classes": lambda c: None if c.has_classes else "it needs classes, of generated and real pictures, of equal names",
    "window": lambda c: None if min(c.size[:2]) >= SMALLEST else f"pictures are smaller than {SMALLEST} pixels",
    "translates": lambda c: _no_translations(c),
    "points": lambda c: _no_points(c),
    "training pictures": lambda c: (
        None if c.real.train is not None else "it needs the run's own training pictures beside held-out ones"
    ),
}


_OF_MODELS = {"fakes", "reconstructs", "translates", "encodes", "infers", "scores", "marginalises"}
"""Those that a model has or has not."""


def allowed(case: Case, asked: list[str] | None) -> tuple[list[str], dict[str, str]]:
    """The scores that can be had, and why the others cannot; unasked, no dear ones, and those of its kind.

    Raises:
        CapabilityError, DataError: one that was asked for cannot be had.
    """
    skipped = {}
    meaning = case.real.pictures.meaning
    usual = [name for name, metric in METRICS.items() if not metric.dear and _of_its_kind(case, metric.needs)]
    for name in usual if asked is None else asked:
        needs = METRICS[name].needs
        why = next(filter(None, (NEEDS[need](case) for need in needs)), None)
        row = meaning.planar or min(case.size[:2]) == 1
        if row and not {"points", "scores", "marginalises", "infers"} & set(needs):
            what = meaning.holds if meaning.planar else "single rows of numbers"
            why = f"these are {what}, and it is a score of pictures"
        if why is not None:
            skipped[name] = why
    if asked is None:
        return [name for name in usual if name not in skipped], skipped
    for name, why in skipped.items():
        lacking = _OF_MODELS & set(METRICS[name].needs)
        error = CapabilityError if lacking and "does not" in why else DataError
        raise error(f'"{name}" cannot be had: {why}.')
    return asked, {}


def _of_its_kind(case: Case, needs: tuple[str, ...]) -> bool:
    """Whether a score is for such pictures and such a model at all, so that a word is due if it cannot be had."""
    if "points" in needs:
        return case.real.pictures.meaning.planar
    if "translates" in needs:
        return "translates" in case.can
    return "fakes" not in needs or "samples" in case.can or "translates" not in case.can


def _no_factors(case: Case) -> str | None:
    found = known_factors(case.real.pictures, case.real.rows)
    if found is None or len(found.names) < 2:
        return "it needs pictures of which two factors are known: shapes, or columns of few values in a metadata file"
    return None


def _no_translations(case: Case) -> str | None:
    if "translates" not in case.can:
        return _lacks(case, "translates")
    assert case.model is not None
    if ahead(case.model, case.real):
        return None
    names = ", ".join(case.model.domains())
    return f"it needs two pictures of a domain ({names}) and two that are not of it, known as in the training"


def _no_points(case: Case) -> str | None:
    known = case.real.pictures
    if known.meaning.known_modes() is None:
        return f"it needs a set whose modes are known, such as ring or grid, and {known.source} is none"
    if case.model is None:
        return None
    return _lacks(case, "samples") if "samples" not in case.can else _makes_no_points(case)


def _makes_no_points(case: Case) -> str | None:
    assert case.model is not None
    return None if case.model.spec.meaning.planar else "it needs a model that was trained on points of the plane"


def _lacks(case: Case, capability: str) -> str:
    if case.model is None:
        return f"it needs a model that {capability}, and these are only pictures"
    others = ", ".join(models_that(capability)) or "none yet"
    return f"it needs a model that {capability}, and {case.model.name} does not (these do: {others})"


def _probe(case: Case) -> Any:
    return case.extractor(next(case.real.chunks(case.real.rows[:1], case.spec)))
