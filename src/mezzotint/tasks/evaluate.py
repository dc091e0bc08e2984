"""Scores of a trained model, or of a set of generated pictures, against real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import ConfigError, suggest
from mezzotint.core.rng import stream
from mezzotint.data.named import is_named
from mezzotint.data.types import PictureSet
from mezzotint.metrics.extractor import Extractor
from mezzotint.metrics.score import Contract, Score, versions
from mezzotint.tasks import _features, _measure, _sides
from mezzotint.tasks._case import Case, allowed
from mezzotint.tasks._factors import known_factors
from mezzotint.tasks._metrics import METRICS, Found, Gathered
from mezzotint.tasks._translated import Translated, ahead, translated
from mezzotint.tasks.evaluation import Evaluation, compare_scores, load_scores
from mezzotint.tasks.extractors import open_extractor

__all__ = ["METRICS", "Evaluation", "compare_scores", "default_extractor", "evaluate", "load_scores"]

MOST = 50_000
"""Pictures of each kind that are used when no number is given, at most."""

Progress = Callable[[int, int], None]


def evaluate(
    what: Any,
    data: Any = None,
    metrics: str | Sequence[str] | None = None,
    *,
    split: str | None = None,
    n: int | None = None,
    extractor: str | Extractor | None = None,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    weights: Path | None = None,
    allow_download: bool = False,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
) -> Evaluation:
    """Score a model, or generated pictures, against real ones.

    One pass over the pictures serves all scores: features go into one float32 array, pictures are not kept. Features of
    real pictures are cached by content, so that the second evaluation against the same pictures reads none of them.

    Args:
        what: an opened run (or what `from_pretrained` gives); or generated pictures: whatever `open_pictures` takes.
        data: real pictures; for a run its own when left out. Pictures against pictures need it.
        metrics: names of `METRICS`, also as one text with commas; when left out, all that model, data and extractor
            allow, but for those that take long (nll).
        split: part of the real pictures: train, validation, test or all. When left out, test, or else validation; a set
            that is not the run's own and brings no parts is used whole.
        n: pictures of each kind; when left out all real ones, at most 50,000, and as many generated ones.
        extractor: its name, or an open one; our own small one when left out.
        seed: of latents, classes and every choice.
        size: for pictures against pictures, height and width that both are brought to; that of the generated ones when
            left out.
        weights: folder with the extractor's file, where it has one.
        allow_download: whether that file may be fetched.
        notify: told of downloads and licences.
        progress: called with (done, all), in pictures and scores.
        cache_dir: where features are kept.

    Returns:
        The scores; `.save(path)` keeps them.

    Raises:
        ConfigError: a name is unknown, n is below 2, or only training pictures are left.
        CapabilityError: the model cannot do what a named score needs.
        DataError: pictures or classes that a named score needs are missing, or there are too few.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> run = mz.train("vae", "digits", steps=2, out=tempfile.mkdtemp() + "/a", quiet=True)
        >>> found = evaluate(run, metrics="kid,psnr", n=100, extractor="pixels")
        >>> [score.name for score in found]
        ['KID (pixels)', 'PSNR of reconstructions']
    """
    asked = _asked(metrics)
    if n is not None and n < 2:
        raise ConfigError(f"-n is at least 2 pictures of each kind; got {n}.")
    if extractor is None or isinstance(extractor, str):
        extractor = open_extractor(
            extractor or default_extractor(),
            folder=weights,
            allow_download=allow_download,
            notify=notify,
            cache_dir=cache_dir,
        )
    case = _case(what, data, split, n, seed, size, extractor)
    chosen, skipped = allowed(case, asked)
    done = _Counter(progress, case, chosen)
    gathered = _gather(case, chosen, done, cache_dir)
    scores: list[Score] = []
    for name in chosen:
        scores += [_score(case, found) for found in METRICS[name].compute(gathered)]
        done(1)
    of = str(getattr(what, "path", what)) if case.model is not None else _source(case.made)
    return Evaluation(of, getattr(what, "step", None), tuple(scores), skipped, case.real.notes)


def default_extractor() -> str:
    """The extractor that is taken when none is named: our own, which comes with the package."""
    return "mezzotint-1"


def _asked(metrics: str | Sequence[str] | None) -> list[str] | None:
    if metrics is None:
        return None
    names = [word.strip() for word in (metrics.split(",") if isinstance(metrics, str) else metrics)]
    for name in names:
        if name not in METRICS:
            raise ConfigError(f'There is no score "{name}"; {suggest(name, METRICS)}')
    return list(dict.fromkeys(names))


def _case(
    what: Any,
    data: Any,
    split: str | None,
    n: int | None,
    seed: int,
    size: int | tuple[int, int] | None,
    extractor: Extractor,
) -> Case:
    most = MOST if n is None else n
    if hasattr(what, "recipe") and hasattr(what, "model"):
        if size is not None:
            raise ConfigError("A model is scored at its own size; leave --size out.")
        real = _sides.real_for_run(what, data, split, most, seed)
        return Case(what.model, None, None, real, extractor, len(real.rows) if n is None else n, seed)
    if data is None:
        if isinstance(what, str | Path) and not (is_named(str(what)) or Path(what).exists()):
            raise ConfigError(f"There is no {what}; give the --out of a training, or pictures.")
        raise ConfigError("Generated pictures need real ones to be scored against; name them with --data.")
    made, real = _sides.both_sets(what, data, split, most, seed, size)
    rows = _sides.fake_rows(made, most, seed)
    return Case(None, made, rows, real, extractor, len(rows), seed)


class _Counter:
    """Counts pictures and scores together, for one bar."""

    def __init__(self, progress: Progress | None, case: Case, chosen: Iterable[str]) -> None:
        needs = {need for name in chosen for need in METRICS[name].needs}
        paired = len(_measure.paired_rows(case.real, case.seed))
        self.total = len(list(chosen)) + (len(case.real.rows) + case.n_fake) * ("fakes" in needs)
        if "translates" in needs:
            self.total += len(case.real.rows) + sum(len(each.sources) for each in ahead(case.model, case.real))
        self.total += case.n_fake * ("points" in needs)
        self.total += paired * (("reconstructs" in needs) + len(needs & set(_measure.LIKELIHOODS)))
        self.total += len(_measure.coded_rows(case.real, case.seed)) * len(needs & {"factors", "infers"})
        if "training pictures" in needs:
            self.total += len(_training(case))
        self.done, self._progress = 0, progress

    def __call__(self, more: int) -> None:
        self.done += more
        if self._progress is not None:
            self._progress(self.done, self.total)


def _gather(case: Case, chosen: list[str], done: _Counter, cache_dir: Path | None) -> Gathered:
    """Everything the chosen scores are computed from, in one pass over each kind of pictures."""
    needs = {need for name in chosen for need in METRICS[name].needs}
    real = fake = train = None
    measured: dict[str, NDArray[np.float64]] = {}
    if "fakes" in needs:
        real = _real_features(case, case.real.rows, done, cache_dir)
        diversity = _measure.Diversity() if "diversity" in chosen else None
        fake = _fake_features(case, done, diversity)
        if diversity is not None:
            measured["diversity"] = diversity.values
            measured["real diversity"] = _measure.real_diversity(case.real, case.spec, case.seed)
    moved: tuple[Translated, ...] = ()
    if "translates" in needs:
        known = _real_features(case, case.real.rows, done, cache_dir).features
        moved = translated(case.model, case.real, known, case.extractor, case.seed, done)
    if "points" in needs:
        measured["points"] = _sides.points_of(case.model, case.made, case.made_rows, case.real, case.n_fake, case.seed)
        done(case.n_fake)
    if "training pictures" in needs:
        train = _real_features(case, _training(case), done, cache_dir)
    rows = _measure.paired_rows(case.real, case.seed)
    wanted = {name for name in chosen if "reconstructs" in METRICS[name].needs}
    if wanted:
        measured |= _measure.reconstructed(case.model, case.real, rows, wanted, case.extractor, done)
    for need in needs & set(_measure.LIKELIHOODS):
        measured |= _measure.log_likelihoods(case.model, case.real, rows, need, case.seed, done)
    codes = factors = None
    if "factors" in needs:
        coded = _measure.coded_rows(case.real, case.seed)
        codes, factors = _measure.encoded(case.model, case.real, coded, done), known_factors(case.real.pictures, coded)
    inferred = None
    if "infers" in needs:
        inferred = _measure.inferred(case.model, case.real, _measure.coded_rows(case.real, case.seed), done)
    n_real = len(case.real.rows)
    modes = case.real.pictures.meaning.known_modes()
    return Gathered(
        *(case.extractor, real, fake, train, measured, case.size, case.seed, n_real, case.n_fake, modes),
        codes=codes,
        factors=factors,
        inferred=inferred,
        translated=moved,
    )


def _real_features(case: Case, rows: NDArray[np.int64], done: _Counter, cache: Path | None) -> _features.Features:
    found = _features.of_set(
        case.real.pictures, rows, lambda some: case.real.chunks(some, case.spec), case.extractor, done, cache
    )
    if case.model is None or found.labels is None or not case.has_classes:
        return found
    # In the model's numbering.
    numbers = np.array([case.model.spec.classes.index(name) for name in case.real.pictures.classes] + [-1], np.int64)
    return replace(found, labels=numbers[found.labels])


def _fake_features(case: Case, done: _Counter, watch: Callable[[Any], None] | None) -> _features.Features:
    if case.model is not None:
        labels = _sides.fake_labels(case.model, case.real, case.n_fake, case.seed)
        chunks = _sides.drawn(case.model, case.n_fake, case.seed, labels)
        found = _features.extract(chunks, case.n_fake, case.extractor, done, watch)
        return found if labels is None else replace(found, labels=labels.numpy())
    assert case.made is not None
    assert case.made_rows is not None
    pictures = _sides.RealSide(case.made, "all", case.made_rows, None)
    found = _features.extract(pictures.chunks(case.made_rows), case.n_fake, case.extractor, done, watch)
    return replace(found, labels=None if case.made.labels is None else case.made.labels[case.made_rows])


def _training(case: Case) -> NDArray[np.int64]:
    """The training pictures that samples are compared with: all, or 50,000 drawn by the seed."""
    assert case.real.train is not None
    rows = case.real.train
    if len(rows) <= MOST:
        return rows
    return np.sort(stream(case.seed, "evaluate", "train").permutation(rows)[:MOST])


def _score(case: Case, found: Found) -> Score:
    extractor = case.extractor
    by = (extractor.name, extractor.digest, extractor.resizer) if found.of_features else ("none", "", "none")
    contract = Contract(
        metric=found.metric,
        extractor=by[0],
        extractor_digest=by[1],
        resizer=by[2],
        n_real=found.n_real,
        n_fake=found.n_fake,
        split=case.real.split,
        seed=case.seed,
        size=case.size,
        real=case.real.pictures.fingerprint,
        versions=versions(),
    )
    made = Score.of(found.title, found.estimate, contract, found.better, found.unit)
    return replace(made, warnings=(*made.warnings, *case.real.notes))


def _source(made: PictureSet | None) -> str:
    return "" if made is None else made.source
