"""Settings: checked once, answered in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.core.config import Config, describe, merge, option, parse_assignments, read_file
from mezzotint.core.errors import ConfigError


class Toy(Config):
    latent: int = option(100, "Size of the latent vector.", ge=1, le=4096)
    rate: float = option(2e-4, "Learning rate.", gt=0, lt=1)
    anywhere: float = option(0.0, "A number without bounds.")
    loss: Literal["hinge", "logistic"] = option("hinge", "Which loss.")
    name: str | None = option(None, "A name.")
    sizes: tuple[int, ...] = option((64, 32), "Sizes of the layers.")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"latnet": 5}, 'There is no setting "model.latnet"; did you mean "latent"?'),
        ({"latent": 0}, "The setting model.latent=0 is wrong: should be greater than or equal to 1."),
        ({"latent": 5000}, "The setting model.latent=5000 is wrong: should be less than or equal to 4096."),
        ({"rate": 0.0}, "The setting model.rate=0.0 is wrong: should be greater than 0."),
        ({"latent": None}, "The setting model.latent=None is wrong: should be a valid integer."),
        ({"loss": "l2"}, "The setting model.loss='l2' is wrong: should be 'hinge' or 'logistic'."),
        ({"sizes": [1, "x"]}, "The setting model.sizes.1='x' is wrong"),
        ({"anywhere": float("nan")}, "The setting model.anywhere=nan is wrong: should be a finite number."),
        ({"anywhere": float("inf")}, "The setting model.anywhere=inf is wrong: should be a finite number."),
    ],
)
def test_wrong_values_are_answered_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Toy.build(values, "model")
    text = str(caught.value)
    assert text.startswith(sentence)
    assert text.endswith((".", "?"))
    assert ". " not in text
    assert "\n" not in text
    assert "pydantic" not in text


def test_missing_value() -> None:
    class Needs(Config):
        path: str

    with pytest.raises(ConfigError, match=r'^The setting "data\.path" is missing; give it a value\.$'):
        Needs.build({}, "data")


def test_a_default_out_of_range_is_noticed() -> None:
    class Wrong(Config):
        size: int = option(0, "A size.", ge=1)

    with pytest.raises(ConfigError):
        Wrong.build({}, "model")


def test_settings_do_not_change() -> None:
    toy = Toy()
    with pytest.raises(ValueError):
        toy.latent = 5
    changed = toy.changed(latent=5)
    assert (toy.latent, changed.latent, changed.rate) == (100, 5, toy.rate)
    with pytest.raises(ConfigError, match=r"toy\.latent"):
        toy.changed(latent=0)


@given(
    latent=st.integers(1, 4096),
    rate=st.floats(1e-300, 0.999),
    anywhere=st.floats(allow_nan=False, allow_infinity=False),
    loss=st.sampled_from(["hinge", "logistic"]),
    name=st.none() | st.text(),
    sizes=st.lists(st.integers(), max_size=4),
)
def test_json_and_back(**values: Any) -> None:
    toy = Toy.build(values, "model")
    text = json.dumps(toy.to_json(), allow_nan=False)
    assert Toy.build(json.loads(text), "model") == toy


def test_describe_says_all_that_was_declared() -> None:
    infos = {info.name: info for info in describe(Toy)}
    assert list(infos) == ["latent", "rate", "anywhere", "loss", "name", "sizes"]
    assert (infos["latent"].type, infos["latent"].default) == ("int", 100)
    assert infos["latent"].range == ">= 1, <= 4096"
    assert infos["latent"].help == "Size of the latent vector."
    assert infos["rate"].range == "> 0, < 1"
    assert infos["loss"].type == "hinge | logistic"
    assert infos["anywhere"].range == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("model.latent=64", 64), ("model.latent=1e-3", 1e-3), ("model.latent=true", True), ("model.latent=null", None),
        ("model.latent=hinge", "hinge"), ('model.latent="64"', "64"), ("model.latent=[1, 2]", [1, 2]),
        ("model.latent=a=b", "a=b"), ("model.latent=", ""), (" model.latent =5", 5),
    ],
)  # fmt: skip
def test_assignments(text: str, value: Any) -> None:
    assert parse_assignments([text]) == {"model": {"latent": value}}


@pytest.mark.parametrize("text", ["", "latent", "latent=5", "model.=5", ".latent=5", "=5", "model.latent"])
def test_assignments_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--set takes section\.name=value") as caught:
        parse_assignments([text])
    assert f'"{text}"' in str(caught.value)


def test_later_assignments_and_layers_win() -> None:
    assert parse_assignments(["a.x=1", "a.y=2", "a.x=3", "b.z=4"]) == {"a": {"x": 3, "y": 2}, "b": {"z": 4}}
    first, second = {"a": {"x": 1, "y": 2}}, {"a": {"x": 3}, "b": {"z": 4}}
    assert merge(first, second) == {"a": {"x": 3, "y": 2}, "b": {"z": 4}}
    assert first == {"a": {"x": 1, "y": 2}}, "merging changes no layer"
    assert merge() == {}


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"model": {"name": "絵"}}', encoding="utf-8")
    (tmp_path / "a.toml").write_text('[model]\nname = "絵"\n', encoding="utf-8")
    assert read_file(tmp_path / "a.json") == read_file(tmp_path / "a.toml") == {"model": {"name": "絵"}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"", "neither .json nor .toml"),
        ("a.json", b"{", "does not parse"),
        ("a.toml", b"a = ", "does not parse"),
        ("a.json", b"[1]", "must hold a JSON object"),
        ("a.json", b'{"model": 3}', '"model" must be a section'),
        ("a.toml", b"latent = 3", '"latent" must be a section'),
        ("a.json", b"\xff\xfe", "Cannot read the settings file"),
        ("missing.json", None, "Cannot read the settings file"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_file(tmp_path / name)
    assert words in str(caught.value)
    assert name in str(caught.value)
