"""How well clusters and known classes agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from mezzotint.core.errors import DataError


def cluster_accuracy(classes: Any, clusters: Any) -> float:
    """The share of things whose cluster stands for their class, under the best one-to-one match (Hungarian method).

    Args:
        classes, clusters: whole numbers from 0, [N] each.

    Raises:
        DataError: they are not two arrays of one length, or empty.

    Example:
        >>> cluster_accuracy([0, 0, 1, 1], [1, 1, 0, 2])
        0.75
    """
    from scipy.optimize import linear_sum_assignment

    truth, found = np.asarray(classes), np.asarray(clusters)
    if truth.ndim != 1 or truth.shape != found.shape or not len(truth):
        raise DataError(f"Classes and clusters are [N] both; got {list(truth.shape)} and {list(found.shape)}.")
    table = np.zeros((truth.max() + 1, found.max() + 1), np.int64)
    np.add.at(table, (truth, found), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / len(truth))


def agreement(classes: Any, clusters: Any) -> dict[str, float]:
    """Accuracy, normalised mutual information and adjusted Rand index of clusters against classes.

    1 is the same division in all three. By chance alone the adjusted Rand index is 0, and the other two are not.

    Example:
        >>> {name: round(value, 3) for name, value in agreement([0, 0, 1, 1], [1, 1, 0, 0]).items()}
        {'accuracy': 1.0, 'normalised mutual information': 1.0, 'adjusted Rand index': 1.0}
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return {
        "accuracy": cluster_accuracy(classes, clusters),
        "normalised mutual information": float(normalized_mutual_info_score(classes, clusters)),
        "adjusted Rand index": float(adjusted_rand_score(classes, clusters)),
    }
