"""Subspace clustering of whole sets: the 400 faces of ORL, and the 1,440 views of COIL-20's objects, by each method.

    MEZZOTINT_DATA=... python benchmarks/subspace_sets.py

Pictures of 32 x 32, as points of 1,024 values in [0, 1]; 40 and 20 clusters. COIL-20 comes at that size, and ORL's
faces of 112 x 92 are cut to the square in the middle and averaged down. Neither set is made of linear subspaces: people
look in several directions, objects turn. Settings were looked for nowhere: they are those of the estimators.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from mezzotint.clustering import SSCOMP, ElasticNetSubspaceClustering, SparseSubspaceClustering
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.metrics.clusters import cluster_accuracy

METHODS: dict[str, Callable[..., Any]] = {
    "k-means": partial(KMeans, n_init=20),
    "ssc": SparseSubspaceClustering,
    "ssc, affine": partial(SparseSubspaceClustering, affine=True),
    "ssc, outliers": partial(SparseSubspaceClustering, outliers=True),
    "ssc, affine, outliers": partial(SparseSubspaceClustering, affine=True, outliers=True),
    "ssc-omp, 5 non-zeros": partial(SSCOMP, n_nonzero=5),
    "elastic net": ElasticNetSubspaceClustering,
}


def faces() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """ORL: points [400, 1024] in [0, 1], and who it is."""
    found = open_pictures(
        Path(os.environ["MEZZOTINT_DATA"]) / "orl-faces/orl_faces.zip", DataConfig(size=32, validation=0)
    )
    assert found.labels is not None
    return found.pictures[:].reshape(len(found.pictures), -1).astype(np.float32) / 255, np.asarray(found.labels[:])


def objects() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """COIL-20: points [1440, 1024] in [0, 1], and what it is."""
    known = loadmat(Path(os.environ["MEZZOTINT_DATA"]) / "coil-20/COIL20.mat")
    return known["fea"].astype(np.float32), known["gnd"].ravel().astype(np.int64) - 1


SETS = {"ORL": faces, "COIL-20": objects}


def main() -> None:
    """Cluster, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    options = parser.parse_args()
    print("| set | method | error, % | NMI, % | seconds |\n| --- | --- | --- | --- | --- |")
    for name in options.sets:
        x, truth = SETS[name]()
        for method in options.methods:
            started = time.perf_counter()
            labels = METHODS[method](truth.max() + 1, random_state=0).fit_predict(x)
            seconds = time.perf_counter() - started
            error = 100 * (1 - cluster_accuracy(truth, labels))
            shared = 100 * normalized_mutual_info_score(truth, labels)
            print(f"| {name} | {method} | {error:.1f} | {shared:.1f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
