"""What pictures mean: every kind there and back as JSON, what is refused of a damaged file, and plain pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from mezzotint.core.errors import ConfigError
from mezzotint.data.meaning import KINDS, PICTURES, Meaning, meaning_of_json
from mezzotint.data.output import grid
from mezzotint.data.points import MIXTURES, Points
from mezzotint.data.sound import Sound
from mezzotint.data.tables import Columns
from mezzotint.engine.model import PictureSpec

# As written by versions in which each kind had a field of its own.
KNOWN: list[tuple[Meaning, dict[str, Any]]] = [
    (PICTURES, {}),
    (
        Points(-3.0, 3.0, ((2.0, 0.0), (-2.0, 0.0)), 0.02),
        {"points": {"low": -3.0, "high": 3.0, "modes": [[2.0, 0.0], [-2.0, 0.0]], "sigma": 0.02}},
    ),
    (Sound(16_000), {"sound": {"rate": 16_000}}),
    (
        Columns(("a", "b"), (0.0, -1.0), (10.0, 1.0)),
        {"columns": {"names": ["a", "b"], "low": [0.0, -1.0], "high": [10.0, 1.0]}},
    ),
]


@pytest.fixture
def spare() -> Iterator[str]:
    """The name of a kind that a test may make, and that is gone afterwards."""
    yield "spare"
    KINDS._entries.pop("spare", None)


@pytest.mark.parametrize(("meaning", "written"), KNOWN)
def test_every_kind_goes_to_json_and_back(meaning: Meaning, written: dict[str, Any]) -> None:
    assert json.loads(json.dumps(meaning.to_json())) == written
    again = meaning_of_json(written)
    assert again == meaning
    assert type(again) is type(meaning)
    assert hash(again) == hash(meaning)
    spec = PictureSpec(1, 1, 2, ("x",), meaning, ("smile",))
    told = json.loads(json.dumps(spec.to_json()))
    assert list(told) == ["channels", "height", "width", "classes", *written, "attributes"]
    assert told | written == told
    assert PictureSpec.from_json(told) == spec


def test_every_kind_is_tried_here() -> None:
    assert sorted(meaning.kind for meaning, _ in KNOWN[1:]) == KINDS.names()


def test_kinds_are_found_whatever_was_imported() -> None:
    """In a process that has imported nothing else, of which none would register itself otherwise."""
    work = """
import sys
from mezzotint.data.meaning import meaning_of_json
assert "mezzotint.data.tables" not in sys.modules
print(meaning_of_json({"columns": {"names": ["a"], "low": [0.0], "high": [1.0]}}))
"""
    done = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Columns(names=('a',), low=(0.0,), high=(1.0,))"


def test_they_are_equal_by_kind_and_value() -> None:
    assert Meaning() == PICTURES
    for i, (one, _) in enumerate(KNOWN):
        assert [one == other for other, _ in KNOWN] == [i == j for j in range(len(KNOWN))]
    assert Sound(8000) != Sound(16_000)
    assert MIXTURES["ring"].points != MIXTURES["grid"].points
    with pytest.raises(FrozenInstanceError):
        KNOWN[2][0].rate = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ({"points": 3}, TypeError),
        ({"points": {"low": 0, "high": 1, "sigma": 1}}, KeyError),
        ({"points": {"low": 1, "high": 0, "sigma": 1, "modes": []}}, ValueError),
        ({"points": {"low": "a", "high": 0, "sigma": 1, "modes": []}}, ValueError),
        ({"points": {"low": 0, "high": 1, "sigma": 1, "modes": [[1, 2, 3]]}}, ValueError),
        ({"sound": {}}, KeyError),
        ({"sound": {"rate": "fast"}}, ValueError),
        ({"columns": 7}, TypeError),
        ({"columns": {"names": ["a"]}}, KeyError),
        ({"sound": {"rate": 8000}, "columns": {"names": [], "low": [], "high": []}}, ValueError),
    ],
)
def test_what_is_damaged_is_refused(written: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        meaning_of_json(written)
    with pytest.raises(error):
        PictureSpec.from_json({"channels": 1, "height": 1, "width": 2, "classes": [], **written})


def test_what_is_no_kind_is_left_alone() -> None:
    assert meaning_of_json({"mezzotint.data.sound": {"rate": 8000}, "": {}, "sound": None, "later": 5}) == PICTURES
    shape = {"channels": 1, "height": 1, "width": 2, "classes": []}
    assert PictureSpec.from_json({**shape, "points": None, "later": 5}) == PictureSpec(1, 1, 2)
    for whole in ([], [shape], None):
        with pytest.raises(TypeError):
            PictureSpec.from_json(whole)  # type: ignore[arg-type]


def test_a_further_kind_is_one_class(spare: str) -> None:
    @dataclass(frozen=True)
    class Heights(Meaning):
        kind: ClassVar[str] = spare
        metres: float

    spec = PictureSpec(1, 8, 8, meaning=Heights(3.0))
    assert spec.to_json()[spare] == {"metres": 3.0}
    assert PictureSpec.from_json(spec.to_json()) == spec
    with pytest.raises(TypeError):
        meaning_of_json({spare: {"feet": 3.0}})
    with pytest.raises(ConfigError, match='Two meanings are called "spare"'):

        class Depths(Meaning):
            kind: ClassVar[str] = spare


def test_pictures_are_seen_and_saved_one_by_one(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 5 * 3 * 4 * 4, dtype=np.float32).reshape(5, 3, 4, 4)
    stored = PICTURES.stored(values)
    assert (stored.shape, stored.dtype) == ((5, 4, 4, 3), np.uint8)
    np.testing.assert_allclose(PICTURES.numbers(stored)[0, 0], values[0, 0, 0, 0], atol=1 / 127)
    np.testing.assert_array_equal(PICTURES.sheet(stored, 2, real=stored), grid(stored, 2))
    np.testing.assert_array_equal(
        PICTURES.pairs(stored[:2], stored[2:4], 4), grid(stored[[0, 2, 1, 3]], 4), "each beside what it became"
    )
    assert PICTURES.frames(stored) is stored
    assert PICTURES.enough(7) == 7
    assert PICTURES.known_modes() is None
    files = [tmp_path / f"{k}.png" for k in range(5)]
    PICTURES.save_values(files, iter((values[:2], values[2:])))
    for file, picture in zip(files, stored, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), picture)
