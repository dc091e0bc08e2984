"""The page of a clustering: a contact sheet for each cluster, and how clusters and classes agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.tasks.report._charts import number
from mezzotint.tasks.report._html import Html, join, rows, tag
from mezzotint.tasks.report._images import figure
from mezzotint.tasks.report._page import page

_SHOWN, _COLUMNS, _CLUSTERS = 40, 10, 60
"""Pictures of a cluster, pictures a row, and clusters on the page."""


def cluster_page(
    source: str,
    facts: Mapping[str, str],
    scores: Mapping[str, float],
    sheets: Sequence[NDArray[np.uint8]],
    sizes: Sequence[int],
    members: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The whole document.

    Args:
        source: what was clustered.
        facts: name -> value, of how it was done.
        scores: name -> how clusters and classes agree; empty where no class is known.
        sheets: the most typical pictures of each cluster, [n, H, W, C], the largest cluster first.
        sizes: pictures in each cluster.
        members: what is in each, in words; empty where no class is known.
        notes: sentences a person should read.
    """
    head = tag(
        "header",
        tag("p", "Mezzotint clusters", class_="over"),
        tag("h1", f"{len(sizes):,} clusters of {source}"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()), class_="key"),
        *(tag("p", note, class_="quiet") for note in notes),
    )
    sections: list[tuple[str, str, Html]] = []
    if scores:
        shown = rows([(name, number(value)) for name, value in scores.items()], class_="facts")
        words = "1 is the same division as that by classes. Accuracy is under the best one-to-one match."
        sections.append(("agreement", "Clusters and classes", join(shown, tag("p", words, class_="quiet"))))
    for k, sheet in enumerate(sheets[:_CLUSTERS]):
        sections.append((f"cluster-{k}", f"Cluster {k}: {sizes[k]:,}", _sheet(k, sheet, members)))
    if len(sheets) > _CLUSTERS:
        left = len(sheets) - _CLUSTERS
        words = f"{left:,} smaller clusters are not on this page; their sheets are beside it."
        sections.append(("more", "More", tag("p", words)))
    return page(f"Clusters of {source}", head, sections)


def _sheet(k: int, sheet: NDArray[np.uint8], members: Sequence[str]) -> Html:
    pictures = sheet[:_SHOWN]
    drawn = figure(pictures, f"Pictures of cluster {k}, the most typical first", min(_COLUMNS, len(pictures)))
    words: list[Any] = [tag("p", members[k], class_="quiet")] if members else []
    return join(*words, tag("figure", drawn.img()))


def in_words(labels: NDArray[np.int64], truth: NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    """Of each cluster, which classes it is of; `truth` is -1 where the class is not known.

    Example:
        >>> in_words(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0]), ("cat", "dog"))
        ['67 % dog, 33 % cat', '100 % cat']
    """
    found = []
    for k in range(int(labels.max()) + 1):
        known = truth[(labels == k) & (truth >= 0)]
        if not len(known):
            found.append("no class is known")
            continue
        counts = np.bincount(known, minlength=len(classes))
        order = np.argsort(-counts, kind="stable")[:5]
        found.append(", ".join(f"{100 * counts[i] / len(known):.0f} % {classes[i]}" for i in order if counts[i]))
    return found
