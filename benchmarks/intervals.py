"""Do the 95 % intervals of the scores hold what they promise?

For each score, sets of features are drawn again and again, and it is counted how often the interval holds the value it
is for: that of ever larger samples, known in closed form, from very many, or, for real pictures drawn with replacement,
from all of them; for precision, recall, density and coverage, which have no such value, the mean of other sets of the
same size. It should be 90 to 99 times in a hundred. Equal distributions are the edge of what is possible, since no
distance is below zero: there, and where a distance is smaller than half its interval, it may be more.

    python benchmarks/intervals.py                  # 200 repetitions, about a minute on one core
    python benchmarks/intervals.py --only frechet --repetitions 50
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from mezzotint.core.rng import stream
from mezzotint.data.open import open_pictures
from mezzotint.metrics.accuracy import classification_accuracy
from mezzotint.metrics.extractor import EXTRACTORS
from mezzotint.metrics.frechet import distance_of_moments, frechet_distance
from mezzotint.metrics.inception import inception_score
from mezzotint.metrics.kid import kernel, kernel_distance
from mezzotint.metrics.moments import Moments
from mezzotint.metrics.neighbours import memorising, nearest
from mezzotint.metrics.prdc import NAMES, prdc
from mezzotint.metrics.score import Estimate, mean_estimate
from mezzotint.metrics.sliced import draw_lines, sliced_wasserstein
from mezzotint.tasks._features import to_bytes

Random = np.random.Generator
MANY = 200_000


class Result(NamedTuple):
    """Repetitions of one case: the estimates, and the value that each interval is for."""

    case: str
    found: list[Estimate]
    truth: list[float]
    edge: bool = False


def repeated(case: str, count: int, one: Callable[[Random, int], Estimate], truth: float, edge: bool = False) -> Result:
    """`count` repetitions, each from a stream of its own."""
    return Result(case, [one(stream(i, case), i) for i in range(count)], [truth] * count, edge)


def frechet(count: int) -> Iterator[Result]:
    """Gaussian and long-tailed features."""
    for d, n, m, shift, spread, tail in (
        (8, 400, 400, 1.0, 0.5, False),
        (16, 300, 600, 0.3, 0.1, False),
        (16, 300, 600, 1.0, 0.5, True),
        (32, 500, 500, 0.5, 0.2, False),
        (8, 400, 400, 0.0, 0.0, False),
    ):
        rng = stream(0, "frechet", d, n)
        a = np.eye(d) + rng.normal(size=(d, d)) / math.sqrt(d)
        b = a + spread * rng.normal(size=(d, d)) / math.sqrt(d)
        mean = np.full(d, shift / math.sqrt(d))
        truth = distance_of_moments(_known(a, np.zeros(d)), _known(b, mean))

        def one(rng: Random, i: int, a=a, b=b, mean=mean, n=n, m=m, d=d, tail=tail) -> Estimate:
            x, y = ((rng.exponential(size=(k, d)) - 1) if tail else rng.normal(size=(k, d)) for k in (n, m))
            return frechet_distance(x @ a.T, y @ b.T + mean, seed=i)

        kind = "long-tailed" if tail else "Gaussian"
        yield repeated(f"{kind}, {n} and {m}, d={d}, shift {shift}", count, one, truth, edge=truth < 1e-6)


def _known(root: np.ndarray, mean: np.ndarray) -> Moments:
    made = Moments(len(mean))
    made.count, made.mean = 10**9, mean
    made.scatter = root @ root.T * (made.count - 1)
    return made


def kid(count: int) -> Iterator[Result]:
    """Gaussians of unit covariance, for which the kernel's mean is known."""
    for d, n, m, s in ((8, 400, 400, 0.5), (32, 500, 300, 0.5), (8, 400, 400, 0.0)):
        yy = 1 + 3 * s / d + 3 * (d + 2 * s + s**2) / d**2 + (s**3 + 6 * s**2 + 3 * s * d + 6 * s) / d**3
        truth = (1 + 3 / d) + yy - 2 * (1 + 3 * (d + s) / d**2)
        shift = math.sqrt(s / d)

        def one(rng: Random, i: int, d=d, n=n, m=m, shift=shift) -> Estimate:
            return kernel_distance(rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift, seed=i)

        yield repeated(f"Gaussian, {n} and {m}, d={d}, shift {math.sqrt(s):.2f}", count, one, truth, edge=s == 0)


def inception(count: int) -> Iterator[Result]:
    """Logits that are linear in Gaussians."""
    weights = stream(0, "inception").normal(size=(6, 10))

    def logits(rng: Random, n: int) -> np.ndarray:
        return 2 * rng.normal(size=(n, 6)) @ weights

    truth = inception_score(logits(stream(1, "inception"), MANY)).value
    for n in (100, 500):
        yield repeated(f"{n} pictures, 10 classes", count, lambda rng, i, n=n: inception_score(logits(rng, n)), truth)


def precision(count: int) -> Iterator[Result]:
    """Gaussians of different mean and spread."""
    for d, n, m, shift in ((6, 500, 500, 0.5), (16, 600, 400, 1.0)):

        def one(i: int, d=d, n=n, m=m, shift=shift) -> dict[str, Estimate]:
            rng = stream(i, "prdc", d)
            return prdc(rng.normal(size=(n, d)), 0.9 * rng.normal(size=(m, d)) + shift / math.sqrt(d), seed=i)

        runs, others = ([one(i) for i in range(start, start + count)] for start in (0, 10_000))
        for name in NAMES:
            truth = float(np.mean([each[name].value for each in others]))
            yield Result(f"{name}, {n} and {m}, d={d}", [each[name] for each in runs], [truth] * count)


def sliced(count: int) -> Iterator[Result]:
    """Gaussians, whose distance along each line is known."""
    for d, n, m, shift, scale in ((8, 500, 500, 1.0, 1.0), (8, 500, 300, 0.3, 0.8), (4, 300, 300, 0.0, 1.0)):
        mean = np.full(d, shift / math.sqrt(d))
        truth = math.sqrt(float(np.mean((mean @ draw_lines(d, 32, 0)) ** 2 + (1 - scale) ** 2)))

        def one(rng: Random, i: int, d=d, n=n, m=m, mean=mean, scale=scale) -> Estimate:
            return sliced_wasserstein(rng.normal(size=(n, d)), scale * rng.normal(size=(m, d)) + mean, directions=32)

        yield repeated(f"{n} and {m}, d={d}, shift {shift}, scale {scale}", count, one, truth, edge=truth == 0)


def copying(count: int) -> Iterator[Result]:
    """Samples of which some lie near training pictures."""
    rng = stream(0, "copying")
    training = rng.normal(size=(300, 6))

    def samples(rng: Random, n: int, share: float) -> np.ndarray:
        near = training[rng.integers(0, len(training), n)] + 0.3 * rng.normal(size=(n, 6))
        return np.where(rng.random((n, 1)) < share, near, rng.normal(size=(n, 6)))

    for share in (0.0, 0.3, 0.9):
        rng = stream(1, "copying")
        many = (
            nearest(rows, training)[1][:, 0] for rows in (samples(rng, 20_000, share), rng.normal(size=(20_000, 6)))
        )
        mine, theirs = many
        truth = float(1 - np.searchsorted(np.sort(theirs), mine).mean() / len(theirs))

        def one(rng: Random, i: int, share=share) -> Estimate:
            return memorising(samples(rng, 200, share), rng.normal(size=(150, 6)), training)

        yield repeated(f"200 samples, {share:.0%} near copies", count, one, truth)


def accuracy(count: int) -> Iterator[Result]:
    """Three Gaussian classes; the truth is each classifier's own, from many real pictures."""

    def classes(rng: Random, n: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 3, n)
        return rng.normal(size=(n, 4)) + np.eye(3, 4)[labels] * 2 + shift, labels

    found, truth = [], []
    many = classes(stream(0, "accuracy"), 20_000, 0.0)
    for i in range(count):
        rng = stream(i, "accuracy", "sets")
        made = classes(rng, 200, 0.3)
        found.append(classification_accuracy(*made, *classes(rng, 200, 0.0)))
        truth.append(classification_accuracy(*made, *many).value)
    yield Result("200 generated, 200 real, 3 classes", found, truth)


def mean(count: int) -> Iterator[Result]:
    """PSNR, SSIM, diversity and likelihood are means of independent values, here long-tailed ones."""
    for n in (50, 500):
        yield repeated(
            f"{n} exponential values", count, lambda rng, i, n=n: mean_estimate(rng.exponential(size=n)), 1.0
        )


def real(count: int) -> Iterator[Result]:
    """Features of real digits and of damaged ones, drawn with replacement, so that all of them are the truth."""
    digits = open_pictures("digits")
    clean = to_bytes(digits.pictures)
    noise = torch.randint(0, 60, clean.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for name in ("pixels", "random", "mezzotint-1"):
        extractor = EXTRACTORS.get(name).open()
        a, b = (extractor(x).features.double().numpy() for x in (clean, clean.clamp(max=195) + noise))
        n, big = 800, len(a)

        def both(rng: Random, a=a, b=b, n=n, big=big) -> tuple[np.ndarray, np.ndarray]:
            return a[rng.integers(0, big, n)], b[rng.integers(0, big, n)]

        exact = [Moments.of(rows) for rows in (a, b)]
        for each in exact:
            each.scatter *= (each.count - 1) / each.count
        truth = distance_of_moments(*exact)
        yield repeated(
            f"Fréchet, {name}, {n}", count, lambda rng, i, both=both: frechet_distance(*both(rng), seed=i), truth
        )
        truth = float(kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean())
        yield repeated(f"KID, {name}, {n}", count, lambda rng, i, both=both: kernel_distance(*both(rng)), truth)
        truth = sliced_wasserstein(a, b, directions=32).value
        yield repeated(
            f"sliced, {name}, {n}",
            count,
            lambda rng, i, both=both: sliced_wasserstein(*both(rng), directions=32),
            truth,
        )


CASES = {
    "frechet": frechet, "kid": kid, "inception-score": inception, "prdc": precision, "sliced": sliced,
    "memorising": copying, "accuracy": accuracy, "mean": mean, "real": real,
}  # fmt: skip


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--only", choices=CASES, action="append")
    options = parser.parse_args()
    print("| score | case | true | mean value | half width | held of 100 |\n| --- | --- | --- | --- | --- | --- |")
    outside = 0
    for name in options.only or CASES:
        for result in CASES[name](options.repetitions):
            pairs = list(zip(result.found, result.truth, strict=True))
            assert all(each.low is not None and each.high is not None for each in result.found)
            held = 100 * float(np.mean([each.low - 1e-9 <= truth <= each.high + 1e-9 for each, truth in pairs]))
            value = np.mean([each.value for each in result.found])
            half = np.mean([(each.high - each.low) / 2 for each in result.found])
            truth = float(np.mean(result.truth))
            edge = result.edge or (name == "frechet" and truth < half)
            good = 90 <= held <= (100 if edge else 99)
            outside += not good
            mark = ("" if good else " (!)") + (" (edge)" if edge else "")
            print(f"| {name} | {result.case} | {truth:.4g} | {value:.4g} | {half:.2g} | {held:.1f}{mark} |", flush=True)
    print(f"\n{outside} outside of 90 to 99." if outside else "\nAll hold 90 to 99 times in a hundred.")


if __name__ == "__main__":
    main()
