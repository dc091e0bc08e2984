"""Can a classifier learn from generated pictures what it needs for real ones?

Ravuri and Vinyals (2019), "Classification accuracy score for conditional generative models", arXiv:1905.10887.
"""

from __future__ import annotations

import math
import warnings as python_warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.core.errors import DataError
from mezzotint.metrics.moments import as_features
from mezzotint.metrics.score import Z95, Estimate

Labels = NDArray[np.int64]


def classification_accuracy(fake: Any, fake_labels: Any, real: Any, real_labels: Any) -> Estimate:
    """Accuracy on real pictures of a classifier trained on generated ones.

    The classifier is logistic regression (scikit-learn, L2 with C = 1) on standardised features, instead of the
    paper's ResNet-50 on pixels: it trains in seconds, has one optimum, so that nothing is random, and what it can see
    is what the extractor sees.

    **The interval** (Wilson (1927)) is for the accuracy of this trained classifier on real pictures without end; how
    much another set of generated pictures would change the classifier is not in it.

    Args:
        fake, real: features [N, D] of generated and [M, D] of real pictures.
        fake_labels, real_labels: classes [N] that the generated ones were made of, and [M] true ones, integers.

    Returns:
        value in [0, 1]; `details` has "chance", the share of the commonest real class.

    Raises:
        DataError: labels do not fit the features, fewer than two classes were generated, or there is no real picture.

    Example:
        >>> x = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> classification_accuracy(x, [0, 0, 1, 1], x + 0.02, [0, 0, 1, 1]).value
        1.0
    """
    # Slow to import, and needed by nothing else here.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, marks = _checked(fake, fake_labels, "generated")
    y, truth = _checked(real, real_labels, "real")
    if len(np.unique(marks)) < 2:
        raise DataError("A classifier needs generated pictures of at least 2 classes; generate more of them.")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    notes = []
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        right = int((classifier.fit(x, marks).predict(y) == truth).sum())
    if any(issubclass(each.category, ConvergenceWarning) for each in caught):
        notes.append("The classifier had not settled after 500 rounds; the accuracy may be a little low.")
    missing = sorted(set(truth.tolist()) - set(marks.tolist()))
    if missing:
        notes.append(f"{len(missing)} classes of the real pictures were not generated, so none of them is told.")
    if len(x) < 50 * len(np.unique(marks)):
        notes.append(f"{len(x):,} generated pictures are few to train on; give at least 50 a class.")
    low, high = wilson(right, len(y))
    words = "analytic: Wilson, for the real pictures; the classifier is taken as it is"
    chance = float(np.unique(truth, return_counts=True)[1].max() / len(truth))
    return Estimate(right / len(y), low, high, words, tuple(notes), {"chance": chance})


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Example:
        >>> [round(end, 4) for end in wilson(8, 10)]
        [0.4902, 0.9433]
    """
    share, square = right / count, Z95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z95 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _checked(features: Any, labels: Any, kind: str) -> tuple[NDArray[np.float64], Labels]:
    rows, marks = as_features(features), np.asarray(labels)
    if marks.shape != (len(rows),) or not np.issubdtype(marks.dtype, np.integer):
        raise DataError(
            f"{len(rows)} {kind} pictures need as many whole numbers as labels; got {marks.dtype} {list(marks.shape)}."
        )
    if not len(rows):
        raise DataError(f"There is no {kind} picture; a classification accuracy needs some of both kinds.")
    return rows, marks.astype(np.int64)
