"""Ten clusters of all 70,000 digits of MNIST by scattering features: k-means, and subspaces by pursuit and by a net.

    MEZZOTINT_DATA=... python benchmarks/digit_clusters.py --out digits
    MEZZOTINT_DATA=... python benchmarks/digit_clusters.py --out digits --count 10000 --peer subspace-clustering

The protocol of You, Robinson and Vidal (2016, arXiv:1507.01238, section 4.2) and You, Li, Robinson and Vidal (2016,
arXiv:1605.02633): pictures of 32 x 32, a scattering transform of three scales and eight angles, each of its 217 maps
divided by its largest value, 500 principal coordinates; 5 non-zeros, or gamma = 200 and tau = 0.9. Published: k-means
53.5 %; pursuit 92.79 % (NMI 84.25) in 1,676 s; elastic net 97.62 % (NMI 93.69) in 3,620 s.

`--peer` is a folder with the authors' program (github.com/ChongYou/subspace-clustering), which then clusters the same
points in turn; it needs the packages spams and progressbar2. What has been computed is kept in `--out`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from mezzotint.clustering import SSCOMP, ElasticNetSubspaceClustering
from mezzotint.clustering.reduction import principal_coordinates
from mezzotint.data.named import load_named
from mezzotint.metrics.clusters import agreement
from mezzotint.metrics.extractor import EXTRACTORS

OURS: dict[str, Callable[[], Any]] = {
    "k-means": lambda: KMeans(10, n_init=10, random_state=0),
    "pursuit": lambda: SSCOMP(10, n_nonzero=5, scale=False, random_state=0),
    "pursuit, length 1": lambda: SSCOMP(10, n_nonzero=5, random_state=0),
    "elastic net": lambda: ElasticNetSubspaceClustering(10, gamma=200, tau=0.9, scale=False, random_state=0),
    "elastic net, length 1": lambda: ElasticNetSubspaceClustering(10, gamma=200, tau=0.9, random_state=0),
    "elastic net, symmetric": lambda: ElasticNetSubspaceClustering(
        10, gamma=200, tau=0.9, scale=False, affinity="symmetric", random_state=0
    ),
}
"""Points are as long as they are, as in the authors' program, or of length 1, as in their papers."""


def peers(folder: Path) -> dict[str, Callable[[], Any]]:
    """The authors' program, with the settings of its own example."""
    sys.path.insert(0, str(folder))
    from cluster.selfrepresentation import ElasticNetSubspaceClustering as Net
    from cluster.selfrepresentation import SparseSubspaceClusteringOMP as Omp

    net = {"algorithm": "spams", "active_support": True, "gamma": 200, "tau": 0.9}
    return {
        "pursuit": lambda: Omp(10, affinity="symmetrize", n_nonzero=5, thr=1e-5, random_state=0),
        "elastic net": lambda: Net(10, affinity="nearest_neighbors", random_state=0, **net),
    }


def points(out: Path, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """500 numbers [N, 500] of the first `count` digits, training pictures first, and the digits."""
    mnist = load_named("mnist")
    assert mnist.labels is not None
    assert mnist.fixed_splits is not None
    order = np.concatenate([mnist.fixed_splits[part] for part in ("train", "test")])[:count]
    file = out / f"scattering-{count}.npy"
    if not file.exists():
        started = time.perf_counter()
        extractor = EXTRACTORS.get("scattering").open()
        chunks = [mnist.pictures[order[i : i + 512]] for i in range(0, count, 512)]
        every = [extractor(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).features for x in chunks]
        said = time.perf_counter() - started
        reduced = principal_coordinates(torch.cat(every).numpy(), 500)
        print(f"scattering {said:.0f} s, 500 coordinates {time.perf_counter() - started - said:.0f} s", flush=True)
        out.mkdir(parents=True, exist_ok=True)
        np.save(file, reduced)
    return np.load(file), np.asarray(mnist.labels[order], np.int64)


def clustered(name: str, make: Callable[[], Any], x: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, Any]:
    """Seconds and scores of one method."""
    estimator = make()
    started = time.perf_counter()
    estimator.fit(x)
    seconds = time.perf_counter() - started
    labels = estimator.labels_
    scores = agreement(truth, labels)
    scores["NMI"] = float(normalized_mutual_info_score(truth, labels, average_method="geometric"))  # as is published
    return {"name": name, "count": len(x), "seconds": seconds, **scores}


def main() -> None:
    """Cluster, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=70_000)
    parser.add_argument("--methods", nargs="+", choices=tuple(OURS), default=["k-means", "pursuit", "elastic net"])
    parser.add_argument("--peer", type=Path, help="folder of the authors' program")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("digits"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x, truth = points(options.out, options.count)
    theirs = peers(options.peer) if options.peer else {}
    print("| method | by | points | accuracy, % | NMI, % | adjusted Rand index | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.methods:
        for by, makers in (("theirs", theirs), ("mezzotint", OURS)):
            if name not in makers:
                continue
            found = clustered(name, makers[name], x, truth)
            (options.out / f"{by}-{name}-{options.count}.json").write_text(json.dumps(found))
            rand = found["adjusted Rand index"]
            print(
                f"| {name} | {by} | {found['count']:,} | {100 * found['accuracy']:.2f} | {100 * found['NMI']:.2f} "
                f"| {rand:.3f} | {found['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
