"""Does each unit of a code tell one factor of the pictures? Four scores, each with its own idea of it.

All take codes [N, D] and the true factors of the same pictures. They disagree about the same codes (Locatello et al.
2019, arXiv:1811.12359), so none of them alone is "the" disentanglement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.core.rng import stream
from mezzotint.metrics.score import Z95, Estimate

BINS = 20
"""Into so many bins of equal width a unit is cut for its mutual information (as Locatello et al.)."""
_FOLDS = 10
_VOTES, _GROUP = 800, 64
_DEAD = 0.05
"""Units whose standard deviation is below this share of the largest tell nothing, and win no vote."""

Rows = NDArray[np.int64]
Statistic = Callable[[NDArray[np.float64], NDArray[np.int64]], float]


@dataclass(frozen=True)
class Factors:
    """What is known of N pictures.

    Attributes:
        names: of the K factors.
        values: [N, K], each 0, 1 ... up to the number of its values.
        ordered: for each, whether its values are numbers, one larger than the other, rather than names.
    """

    names: tuple[str, ...]
    values: NDArray[np.int64]
    ordered: tuple[bool, ...]


def mig(codes: Any, factors: Factors, seed: int = 0) -> Estimate:
    """Mutual information gap (Chen et al. 2018, arXiv:1802.04942, eq. 6).

        1/K sum_k (I(z_first; v_k) - I(z_second; v_k)) / H(v_k)

    with the two units that tell most of a factor: 1 where one unit tells it all, and no other anything; 0 where two
    tell as much. Mutual information is that of the histogram with 20 bins of equal width.

    Args:
        codes: [N, D], D at least 2.
        factors: of the same N pictures.
        seed: of the division that the interval is made of.

    Returns:
        value in [0, 1]; `details` has each factor's gap.

    Raises:
        DataError: codes and factors do not fit each other, or a factor has one value only.

    Example:
        >>> values = np.stack(np.meshgrid(range(4), range(5)), -1).reshape(-1, 2)
        >>> round(mig(values.astype(float), Factors(("a", "b"), values, (True, True))).value, 6)
        1.0
    """
    z = _checked(codes, factors)
    gaps = _gaps(z, factors.values)
    return _jackknifed(
        lambda x, v: float(_gaps(x, v).mean()), z, factors, seed, dict(zip(factors.names, gaps.tolist(), strict=True))
    )


def mutual_information(codes: NDArray[np.float64], values: NDArray[np.int64]) -> NDArray[np.float64]:
    """I(z_d; v_k) in nats [D, K] of the histograms of codes [N, D], 20 bins each, and factor values [N, K]."""
    n = len(codes)
    low, span = codes.min(0), np.ptp(codes, 0)
    bins = ((codes - low) / np.where(span > 0, span, 1) * BINS).astype(np.int64).clip(0, BINS - 1)
    found = np.empty((codes.shape[1], values.shape[1]))
    for k, value in enumerate(values.T):
        count = int(value.max()) + 1
        for d, column in enumerate(bins.T):
            joint = np.bincount(column * count + value, minlength=BINS * count).reshape(BINS, count) / n
            found[d, k] = _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint)
    return found.clip(min=0)


def sap(codes: Any, factors: Factors, seed: int = 0) -> Estimate:
    """Separated attribute predictability (Kumar et al. 2018, arXiv:1711.00848, section 3).

    How well each unit alone predicts a factor: the squared correlation for ordered ones, and for others the balanced
    accuracy of thresholds on the unit, as many as the factor has values. The score is the mean gap between the best two
    units.

    Args, Raises: as `mig`.

    Returns:
        value in [0, 1]; `details` has each factor's gap.
    """
    z = _checked(codes, factors)
    gaps = _separated(z, factors.values, factors.ordered)
    return _jackknifed(
        lambda x, v: float(_separated(x, v, factors.ordered).mean()),
        z,
        factors,
        seed,
        dict(zip(factors.names, gaps.tolist(), strict=True)),
    )


def dci(codes: Any, factors: Factors, seed: int = 0) -> dict[str, Estimate]:
    """Disentanglement, completeness and informativeness (Eastwood and Williams 2018, section 2).

    Random forests predict each factor from the whole code. Of their importances [D, K], disentanglement asks that each
    unit is important for one factor only (units weighted by their importance), completeness that each factor has one
    important unit only: 1 less the entropy, as a share of the largest. Informativeness is the forests' accuracy on
    pictures they have not seen, as a share of what guessing the commonest value leaves.

    Args, Raises: as `mig`; there are at least 20 pictures.

    Returns:
        "disentanglement", "completeness", "informativeness", each about [0, 1].
    """
    z = _checked(codes, factors)
    if len(z) < 20:
        raise DataError(f"DCI needs at least 20 pictures; got {len(z)}.")
    order = stream(seed, "dci").permutation(len(z))
    z, values = z[order], factors.values[order]
    found = np.array([_dci(z, values, fold, seed) for fold in range(_FOLDS)])
    mean = found.mean(0)
    # Forests of tenths left out share most of their pictures; their spread is that of the jackknife.
    half = Z95 * np.sqrt((_FOLDS - 1) / _FOLDS * ((found - mean) ** 2).sum(0))
    words = f"jackknife over {_FOLDS} parts of the {len(z):,} pictures"
    names = ("disentanglement", "completeness", "informativeness")
    return {
        name: Estimate(float(value), float(value - h), float(value + h), words)
        for name, value, h in zip(names, mean, half, strict=True)
    }


def factor_vae_score(codes: Any, factors: Factors, seed: int = 0) -> Estimate:
    """FactorVAE's score (Kim and Mnih 2018, arXiv:1802.05983, section 4).

    Of pictures that have one factor in common, the unit that varies least, each as a share of its variance over all,
    votes for that factor. The score is the accuracy of the majority's choice on 800 further groups; groups of 64
    pictures are drawn from those at hand with replacement, which at the paper are made for the purpose.

    Args, Raises: as `mig`.

    Returns:
        value in [0, 1]; `details` has "chance", 1 / K.
    """
    from mezzotint.metrics.accuracy import wilson

    z = _checked(codes, factors)
    spread = z.std(0)
    alive = spread > _DEAD * spread.max()
    chance = {"chance": 1 / len(factors.names)}
    if not alive.any():
        return Estimate(0.0, details=chance, warnings=("All units are dead.",))
    z = z[:, alive] / spread[alive]
    random = stream(seed, "factor vae score")
    votes = np.zeros((z.shape[1], len(factors.names)), np.int64)
    right = 0
    for vote in range(2 * _VOTES):
        k = int(random.integers(len(factors.names)))
        column = factors.values[:, k]
        same = np.flatnonzero(column == column[random.integers(len(column))])
        unit = int(z[same[random.integers(0, len(same), _GROUP)]].var(0, ddof=1).argmin())
        if vote < _VOTES:
            votes[unit, k] += 1
        else:
            right += int(votes[unit].argmax() == k)
    low, high = wilson(right, _VOTES)
    words = f"analytic: Wilson, for {_VOTES} groups; the pictures and the majority's choice are taken as they are"
    return Estimate(right / _VOTES, low, high, words, details=chance)


# --- what they are made of --------------------------------------------------------------------------------------


def _checked(codes: Any, factors: Factors) -> NDArray[np.float64]:
    z = np.asarray(codes, np.float64)
    if z.ndim != 2 or z.shape[1] < 2:
        raise DataError(f"Disentanglement is a matter of two units at least; got codes of the shape {list(z.shape)}.")
    if factors.values.shape != (len(z), len(factors.names)):
        raise DataError(f"{len(z):,} codes and factors of {len(factors.values):,} pictures do not fit each other.")
    if not np.isfinite(z).all():
        raise DataError("Some codes are not finite numbers; the model has diverged: take an earlier checkpoint.")
    for name, column in zip(factors.names, factors.values.T, strict=True):
        if len(np.unique(column)) < 2:
            raise DataError(f'The factor "{name}" has one value only in these pictures; leave it out.')
    return z


def _entropy(share: NDArray[np.float64], axis: int | None = None) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(share > 0, share * np.log(share), 0.0).sum(axis=axis)


def _gaps(z: NDArray[np.float64], values: NDArray[np.int64]) -> NDArray[np.float64]:
    told = np.sort(mutual_information(z, values), 0)
    entropies = [_entropy(np.bincount(column) / len(column)) for column in values.T]
    found: NDArray[np.float64] = (told[-1] - told[-2]) / np.array(entropies)
    return found


def _separated(z: NDArray[np.float64], values: NDArray[np.int64], ordered: tuple[bool, ...]) -> NDArray[np.float64]:
    gaps = []
    for column, is_ordered in zip(values.T, ordered, strict=True):
        told = np.sort(_correlations(z, column) if is_ordered else _thresholds(z, column))
        gaps.append(told[-1] - told[-2])
    return np.array(gaps)


def _correlations(z: NDArray[np.float64], column: NDArray[np.int64]) -> NDArray[np.float64]:
    x, y = z - z.mean(0), column - column.mean()
    power = (x**2).sum(0) * (y**2).sum()
    found: NDArray[np.float64] = np.where(power > 0, (x.T @ y) ** 2 / np.where(power > 0, power, 1), 0.0)
    return found


def _thresholds(z: NDArray[np.float64], column: NDArray[np.int64]) -> NDArray[np.float64]:
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.tree import DecisionTreeClassifier

    leaves = len(np.unique(column))
    found = []
    for unit in z.T:
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
        found.append(balanced_accuracy_score(column, tree.fit(unit[:, None], column).predict(unit[:, None])))
    return np.array(found)


def _dci(z: NDArray[np.float64], values: NDArray[np.int64], fold: int, seed: int) -> tuple[float, float, float]:
    from sklearn.ensemble import RandomForestClassifier

    held = np.arange(len(z)) % _FOLDS == fold
    importance, informed = np.empty((z.shape[1], values.shape[1])), []
    for k, column in enumerate(values.T):
        forest = RandomForestClassifier(20, min_samples_leaf=3, max_features=None, random_state=seed)
        forest.fit(z[~held], column[~held])
        importance[:, k] = forest.feature_importances_
        common = np.bincount(column[~held]).argmax()
        guess = (column[held] == common).mean()
        right = (forest.predict(z[held]) == column[held]).mean()
        informed.append((right - guess) / (1 - guess) if guess < 1 else 1.0)
    by_unit, by_factor = (importance.sum(axis, keepdims=True) for axis in (1, 0))
    weights = by_unit[:, 0] / importance.sum()
    units = 1 - _entropy(importance / np.where(by_unit > 0, by_unit, 1), 1) / math.log(max(2, values.shape[1]))
    wholes = 1 - _entropy(importance / np.where(by_factor > 0, by_factor, 1), 0) / math.log(z.shape[1])
    return float((weights * units).sum()), float(wholes.mean()), float(np.mean(informed))


def _jackknifed(
    statistic: Statistic, z: NDArray[np.float64], factors: Factors, seed: int, details: dict[str, float]
) -> Estimate:
    """The statistic with an interval by leaving out a tenth of the pictures at a time (Shao and Wu 1989)."""
    value = statistic(z, factors.values)
    if len(z) < 2 * _FOLDS:
        return Estimate(value, warnings=(f"{len(z)} pictures give no interval.",), details=details)
    order = stream(seed, "disentangle").permutation(len(z))
    left_out = []
    for part in np.array_split(order, _FOLDS):
        kept = np.setdiff1d(order, part)
        left_out.append(statistic(z[kept], factors.values[kept]))
    spread = np.array(left_out) - np.mean(left_out)
    half = Z95 * math.sqrt((_FOLDS - 1) / _FOLDS * float((spread**2).sum()))
    words = f"jackknife over {_FOLDS} parts of the {len(z):,} pictures"
    return Estimate(value, value - half, value + half, words, details=details)
