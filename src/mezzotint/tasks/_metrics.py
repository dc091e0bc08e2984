"""The scores that `evaluate` knows: what each needs, and how it is made of what was gathered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.rng import stream
from mezzotint.data.meaning import Modes
from mezzotint.metrics.accuracy import classification_accuracy
from mezzotint.metrics.disentangle import Factors, dci, factor_vae_score, mig, sap
from mezzotint.metrics.extractor import Extractor
from mezzotint.metrics.frechet import frechet_distance
from mezzotint.metrics.inception import inception_score
from mezzotint.metrics.kid import kernel_distance
from mezzotint.metrics.latent import active_units, gaussian_kl_of, latent_information
from mezzotint.metrics.modes import point_modes
from mezzotint.metrics.neighbours import memorising
from mezzotint.metrics.prdc import prdc
from mezzotint.metrics.score import Better, Estimate, mean_estimate
from mezzotint.metrics.sliced import sliced_wasserstein
from mezzotint.metrics.ssim import scale_note, scales
from mezzotint.tasks._features import Features
from mezzotint.tasks._translated import Translated, distances

PAIRED = 2000
"""Pictures that scores of pairs (PSNR, SSIM, diversity) and the likelihood are measured on, at most."""
SAMPLES = 5000
"""Importance samples of each picture (as in Burda et al. 2016)."""
CODED = 10_000
"""Pictures whose codes are scored against their factors, at most."""
_NEIGHBOURS = 10_000
_K = 5


@dataclass(frozen=True)
class Gathered:
    """All that scores are computed from.

    Attributes:
        extractor: what made the features.
        real, fake, train: features; None where there are none, or no score needs them.
        measured: name -> [k] values of single pictures or pairs.
        size: (H, W, C).
        seed: of every choice.
        n_real, n_fake: how many pictures there were.
        modes: the true ones, where the real pictures are points of the plane.
        inferred: mean and log variance [N, units] of q(z|x) of real pictures, where a score needs them.
        codes, factors: of the same real pictures, where a score needs them.
        translated: of each domain, where a score needs them.
    """

    extractor: Extractor
    real: Features | None
    fake: Features | None
    train: Features | None
    measured: Mapping[str, NDArray[np.float64]]
    size: tuple[int, int, int]
    seed: int
    n_real: int
    n_fake: int
    modes: Modes | None = None
    codes: NDArray[np.float32] | None = None
    factors: Factors | None = None
    inferred: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    translated: tuple[Translated, ...] = ()


@dataclass(frozen=True)
class Found:
    """One number, on its way to a `Score`."""

    title: str
    metric: str
    better: Better
    estimate: Estimate
    n_real: int
    n_fake: int
    unit: str = ""
    of_features: bool = True


@dataclass(frozen=True)
class Metric:
    """A word of --metrics.

    Attributes:
        needs: names of `NEEDS` (see `evaluate`); what is not there is said in words.
        compute: the scores it stands for.
        dear: takes so long that it is measured only where it is named.
    """

    needs: tuple[str, ...]
    compute: Callable[[Gathered], list[Found]]
    says: str = field(default="")
    dear: bool = False


def _some(features: Features | None, limit: int, seed: int, name: str) -> NDArray[np.float32]:
    assert features is not None
    rows = features.features
    if len(rows) <= limit:
        return rows
    return rows[np.sort(stream(seed, "evaluate", name).permutation(len(rows))[:limit])]


def _named(word: str, extractor: Extractor) -> str:
    """A score's name; only with the extractor of the papers it is the bare word."""
    return word if extractor.title == "FID" else f"{word} ({extractor.name})"


def _frechet(g: Gathered) -> list[Found]:
    assert g.real is not None
    assert g.fake is not None
    found = frechet_distance(g.real.features, g.fake.features, seed=g.seed)
    return [Found(g.extractor.title, "frechet", "lower", found, len(g.real), len(g.fake))]


def _kid(g: Gathered) -> list[Found]:
    assert g.real is not None
    assert g.fake is not None
    found = kernel_distance(g.real.features, g.fake.features, seed=g.seed)
    return [Found(_named("KID", g.extractor), "kid, cubic kernel", "lower", found, len(g.real), len(g.fake))]


def _inception(g: Gathered) -> list[Found]:
    assert g.fake is not None
    assert g.fake.logits is not None
    found = inception_score(g.fake.logits)
    return [Found(_named("inception score", g.extractor), "inception score", "higher", found, 0, len(g.fake))]


def _prdc(g: Gathered) -> list[Found]:
    real, fake = _some(g.real, _NEIGHBOURS, g.seed, "real"), _some(g.fake, _NEIGHBOURS, g.seed, "fake")
    found = prdc(real, fake, _K, seed=g.seed)
    return [
        Found(_named(name, g.extractor), f"{name}, k={_K}", "higher", each, len(real), len(fake))
        for name, each in found.items()
    ]


def _sliced(g: Gathered) -> list[Found]:
    real, fake = _some(g.real, _NEIGHBOURS, g.seed, "real"), _some(g.fake, _NEIGHBOURS, g.seed, "fake")
    found = sliced_wasserstein(real, fake, seed=g.seed)
    title = f"sliced Wasserstein distance ({g.extractor.name})"
    return [Found(title, "sliced, 2-Wasserstein, 128 lines", "lower", found, len(real), len(fake))]


def _memorising(g: Gathered) -> list[Found]:
    samples, held = _some(g.fake, _NEIGHBOURS, g.seed, "fake"), _some(g.real, _NEIGHBOURS, g.seed, "real")
    assert g.train is not None
    found = memorising(samples, held, g.train.features)
    found = replace(found, details={**found.details, "n_train": float(len(g.train))})
    title = f"nearer to training pictures than held-out ones ({g.extractor.name})"
    metric = f"memorising, against {len(g.train)} training pictures"
    return [Found(title, metric, "none", found, len(held), len(samples))]


def _accuracy(g: Gathered) -> list[Found]:
    parts: list[Any] = []
    for side in (g.fake, g.real):
        assert side is not None
        assert side.labels is not None
        known = side.labels >= 0
        parts += [side.features[known], side.labels[known]]
    found = classification_accuracy(*parts)
    title = f"classification accuracy ({g.extractor.name})"
    return [Found(title, "accuracy, logistic regression", "higher", found, len(parts[2]), len(parts[0]))]


def _diversity(g: Gathered) -> list[Found]:
    values = g.measured["diversity"]
    found = mean_estimate(values, "pairs of pictures")
    height, width, _ = g.size
    note = scale_note(height, width)
    details = {"real": float(g.measured["real diversity"].mean())} if len(g.measured["real diversity"]) else {}
    found = replace(found, warnings=(*found.warnings, note) if note else found.warnings, details=details)
    metric = f"diversity, MS-SSIM on {scales(height, width)} scales"
    # Lower is more diverse, but noise is the most diverse of all: the value of the real pictures is what to aim at.
    return [Found("MS-SSIM within the set", metric, "none", found, 0, 2 * len(values), of_features=False)]


def _paired(name: str, title: str, better: Better, unit: str = "", of_features: bool = False) -> Metric:
    def compute(g: Gathered) -> list[Found]:
        values = g.measured[name]
        endless = int(np.isinf(values).sum())
        finite = values[np.isfinite(values)]
        found = mean_estimate(finite, "pictures") if len(finite) else Estimate(float("inf"))
        if endless:
            said = f"{endless:,} pictures are given back exactly, without end in decibels, and are not in the mean."
            found = replace(found, warnings=(*found.warnings, said))
        note = scale_note(*g.size[:2]) if name == "ms-ssim" else ""
        found = replace(found, warnings=(*found.warnings, note) if note else found.warnings)
        said_title = f"{title} ({g.extractor.name})" if of_features else title
        n = len(values)
        return [Found(said_title, f"{name} of reconstructions", better, found, n, n, unit, of_features)]

    needs = ("reconstructs", "window") if "ssim" in name else ("reconstructs",)
    return Metric((*needs, "maps") if name == "perceptual" else needs, compute, title)


def _likelihood(g: Gathered) -> list[Found]:
    values = g.measured["likelihood"]
    found = replace(mean_estimate(values, "pictures"), details=_bits(g, "likelihood"))
    title = "log-likelihood, or its lower bound"
    return [Found(title, "likelihood", "higher", found, len(values), 0, "nats", of_features=False)]


def _nll(g: Gathered) -> list[Found]:
    values = -g.measured["nll"]
    found = replace(mean_estimate(values, "pictures"), details=_bits(g, "nll") | {"samples": float(SAMPLES)})
    title = f"negative log-likelihood ({SAMPLES:,} importance samples)"
    metric = f"nll, importance sampling, {SAMPLES:,} samples"
    return [Found(title, metric, "lower", found, len(values), 0, "nats", of_features=False)]


def _bits(g: Gathered, name: str) -> dict[str, float]:
    return {"bits_per_value": float(g.measured[f"bits of {name}"].mean())}


def _modes(g: Gathered) -> list[Found]:
    assert g.modes is not None
    made = g.measured["points"]
    found = point_modes(made, g.modes.places, g.modes.sigma)
    rows: list[tuple[str, str, Better, Estimate, str]] = [
        ("modes found", "modes within 3 sigma", "higher", found.found, f"of {len(g.modes.places)}"),
        ("good samples", "share within 3 sigma", "higher", found.good, ""),
        ("KL divergence of modes", "kl of nearest modes", "lower", found.kl, "nats"),
    ]
    return [Found(title, metric, way, each, 0, len(made), unit, False) for title, metric, way, each, unit in rows]


def _disentanglement(g: Gathered) -> list[Found]:
    assert g.codes is not None
    assert g.factors is not None
    known = g.codes, g.factors, g.seed
    rows = {
        "mutual information gap": ("mig, histogram of 20 bins", mig(*known)),
        "separated attribute predictability": ("sap", sap(*known)),
        "FactorVAE score": ("factor vae, groups of 64", factor_vae_score(*known)),
    }
    rows |= {f"DCI {name}": (f"dci {name}, random forests", each) for name, each in dci(*known).items()}
    n, names = len(g.codes), ", ".join(g.factors.names)
    return [
        Found(title, f"{metric}, of {names}", "higher", each, n, 0, of_features=False)
        for title, (metric, each) in rows.items()
    ]


def _latent(g: Gathered) -> list[Found]:
    assert g.inferred is not None
    mean, log_variance = g.inferred
    n, seen = len(mean), latent_information(mean, log_variance, g.seed)
    kl = mean_estimate(gaussian_kl_of(mean, log_variance), "pictures")
    title = "information of the latent about the picture"
    return [
        Found(title, "mutual information", "higher", seen, n, 0, "nats", of_features=False),
        Found("KL divergence of latents from the prior", "kl of q(z|x)", "lower", kl, n, 0, "nats", of_features=False),
        Found(
            *("active units", "units whose mean varies by more than 0.01", "higher", active_units(mean), n, 0),
            *(f"of {mean.shape[1]}", False),
        ),
    ]


def _translation(g: Gathered) -> list[Found]:
    return [Found(*each) for each in distances(g.translated, g.extractor.title, g.seed)]


METRICS: dict[str, Metric] = {
    "frechet": Metric(("fakes",), _frechet, "Fréchet distance of features; FID with the standard Inception"),
    "kid": Metric(("fakes",), _kid, "kernel distance of features, unbiased"),
    "prdc": Metric(("fakes",), _prdc, "precision, recall, density and coverage"),
    "inception-score": Metric(("fakes", "logits"), _inception, "clear classes, and all of them"),
    "sliced": Metric(("fakes",), _sliced, "sliced Wasserstein distance of features"),
    "diversity": Metric(("fakes", "window"), _diversity, "MS-SSIM of pairs of generated pictures"),
    "memorising": Metric(("fakes", "training pictures"), _memorising, "are samples copies of training pictures?"),
    "accuracy": Metric(("fakes", "classes"), _accuracy, "real pictures told by a classifier trained on generated ones"),
    "psnr": _paired("psnr", "PSNR of reconstructions", "higher", "dB"),
    "ssim": _paired("ssim", "SSIM of reconstructions", "higher"),
    "ms-ssim": _paired("ms-ssim", "MS-SSIM of reconstructions", "higher"),
    "perceptual": _paired("perceptual", "perceptual distance of reconstructions", "lower", of_features=True),
    "translation": Metric(
        ("translates",), _translation, "Fréchet distance to each domain, after translation and before"
    ),
    "modes": Metric(("points",), _modes, "known modes found, and good samples, of points of the plane"),
    "disentanglement": Metric(
        ("encodes", "factors"), _disentanglement, "does each unit of the code tell one known factor?", dear=True
    ),
    "latent": Metric(("infers",), _latent, "how much the latent tells of a picture, and how many of its units do"),
    "likelihood": Metric(("scores",), _likelihood, "log-likelihood by the model, or its lower bound"),
    "nll": Metric(("marginalises",), _nll, "negative log-likelihood by importance sampling", dear=True),
}
