"""Splits: properties that hold for any names, labels and groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.core.errors import DataError
from mezzotint.data.splits import make_splits

counts = st.integers(0, 120)
shares = st.floats(0, 0.45)


def names_of(count: int) -> list[str]:
    return [f"n{i}" for i in range(count)]


@settings(deadline=None, max_examples=60)
@given(count=counts, validation=shares, test=shares, seed=st.integers(0, 9), classes=st.integers(1, 6))
def test_disjoint_complete_and_near_the_share(
    count: int, validation: float, test: float, seed: int, classes: int
) -> None:
    labels = np.arange(count, dtype=np.int64) % classes
    splits, _ = make_splits(names_of(count), validation=validation, test=test, seed=seed, labels=labels)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(count))
    assert all((np.diff(rows) > 0).all() for rows in splits.values())
    if count:
        assert len(splits["train"]) > 0
        assert len(splits["test"]) <= count * test + 1
    if count >= 30:  # one picture of each class stays to train on, whatever the shares
        most = count - len(splits["test"]) - classes
        assert abs(len(splits["validation"]) - min(count * validation, most)) <= 2


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(40)), seed=st.integers(0, 5))
def test_depends_on_names_and_not_on_order(order: list[int], seed: int) -> None:
    names = names_of(40)
    labels = np.array([i % 3 for i in range(40)])
    plain, _ = make_splits(names, validation=0.2, test=0.1, seed=seed, labels=labels)
    mixed = [names[i] for i in order]
    other, _ = make_splits(mixed, validation=0.2, test=0.1, seed=seed, labels=labels[list(order)])
    for part in plain:
        assert {names[i] for i in plain[part]} == {mixed[i] for i in other[part]}


@settings(deadline=None, max_examples=40)
@given(groups=st.lists(st.integers(0, 12), min_size=1, max_size=80), seed=st.integers(0, 5))
def test_groups_are_never_divided(groups: list[int], seed: int) -> None:
    texts = [str(g) for g in groups]
    splits, _ = make_splits(names_of(len(groups)), validation=0.3, test=0.2, seed=seed, groups=texts)
    homes = [{texts[i] for i in rows} for rows in splits.values()]
    assert sum(len(home) for home in homes) == len(set(texts))
    assert homes[0]


def test_classes_keep_their_shares() -> None:
    labels = np.array([0] * 800 + [1] * 200)
    splits, _ = make_splits(names_of(1000), validation=0.1, test=0.2, labels=labels)
    assert [np.bincount(labels[splits[p]]).tolist() for p in ("validation", "test")] == [[80, 20], [160, 40]]


def test_seed_matters() -> None:
    one, _ = make_splits(names_of(50), validation=0.2, test=0.0, seed=0)
    two, _ = make_splits(names_of(50), validation=0.2, test=0.0, seed=1)
    assert one["validation"].tolist() != two["validation"].tolist()


def test_few_pictures_all_train_and_it_is_said() -> None:
    splits, notes = make_splits(names_of(5), validation=0.1, test=0.0)
    assert len(splits["train"]) == 5
    assert "too few" in notes[0]
    splits, _ = make_splits(names_of(5), validation=0.2, test=0.0)
    assert len(splits["validation"]) == 1


def test_fixed_parts_are_kept() -> None:
    fixed = {"test": np.arange(90, 100)}
    splits, notes = make_splits(names_of(100), validation=0.1, test=0.5 - 0.01, fixed=fixed)
    assert splits["test"].tolist() == list(range(90, 100))
    assert len(splits["validation"]) == 9
    assert "brings" in notes[0]


def test_shares_that_leave_nothing() -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        make_splits(names_of(10), validation=0.5, test=0.5)
