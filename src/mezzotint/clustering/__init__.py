"""Clustering that scikit-learn lacks, as scikit-learn estimators."""

from __future__ import annotations

from mezzotint.clustering.subspace import SSCOMP, ElasticNetSubspaceClustering, SparseSubspaceClustering

__all__ = ["SSCOMP", "ElasticNetSubspaceClustering", "SparseSubspaceClustering"]
