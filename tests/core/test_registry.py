"""Names for things that register themselves."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mezzotint.core import registry as module
from mezzotint.core.errors import ConfigError
from mezzotint.core.registry import Registry

HEADER = "from registry_under_test import PETS\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package `pets` and a module that holds its registry."""
    folder = tmp_path / "pets"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (tmp_path / "registry_under_test.py").write_text(
        "from mezzotint.core.registry import Registry\nPETS = Registry('pet', package='pets')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name == "registry_under_test" or name.split(".")[0] == "pets"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def pets() -> Registry[object]:
    found: Registry[object] = __import__("registry_under_test").PETS
    return found


def test_add_and_get() -> None:
    toys: Registry[object] = Registry("toy")
    ball = object()
    assert toys.add("ball", ball) is ball
    assert toys.get("ball") is ball
    assert "ball" in toys
    assert "doll" not in toys
    assert list(toys) == [ball]


def test_decorator_returns_the_thing() -> None:
    toys: Registry[type] = Registry("toy")

    @toys.register("kite")
    class Kite:
        pass

    assert toys.get("kite") is Kite
    assert Kite.__name__ == "Kite"


def test_names_are_sorted_whatever_the_order() -> None:
    toys: Registry[int] = Registry("toy")
    for number, name in enumerate(["zebra", "ant", "mole"]):
        toys.add(name, number)
    assert toys.names() == ["ant", "mole", "zebra"]
    assert list(toys) == [1, 2, 0]


def test_a_name_is_had_by_one_thing_only() -> None:
    toys: Registry[object] = Registry("toy")
    first = toys.add("ball", object())
    toys.add("ball", first)
    with pytest.raises(ConfigError, match=r'^Two toys are called "ball": .* rename one\.$'):
        toys.add("ball", object())
    assert toys.get("ball") is first


def test_unknown_names_are_answered_with_the_closest() -> None:
    toys: Registry[int] = Registry("toy")
    with pytest.raises(ConfigError, match="none is known"):
        toys.get("ball")
    toys.add("ball", 1)
    toys.add("kite", 2)
    with pytest.raises(ConfigError, match=r'^There is no toy called "bal"; did you mean "ball"\?$'):
        toys.get("bal")
    with pytest.raises(ConfigError, match=r"known: ball, kite\.$"):
        toys.get("xyz")


def test_discovery_is_by_listing(package: Path) -> None:
    (package / "cat.py").write_text(HEADER + "PETS.add('cat', 'a cat')\n")
    (package / "dog.py").write_text(HEADER + "PETS.add('dog', 'a dog')\n")
    (package / "_helper.py").write_text("raise AssertionError('private modules register nothing')\n")
    assert pets().names() == ["cat", "dog"]
    assert pets().get("dog") == "a dog"


def test_two_files_with_one_name_are_an_error(package: Path) -> None:
    (package / "cat.py").write_text(HEADER + "PETS.add('cat', 'one')\n")
    (package / "dog.py").write_text(HEADER + "PETS.add('cat', 'another')\n")
    with pytest.raises(ConfigError, match='Two pets are called "cat"'):
        pets().names()


def test_a_file_may_ask_while_it_is_discovered(package: Path) -> None:
    (package / "cat.py").write_text(
        HEADER + "PETS.add('cat', 1)\nPETS.add('kitten', PETS.get('cat') + 1)\nPETS.names()\n"
    )
    assert pets().names() == ["cat", "kitten"]


def test_a_broken_file_is_not_hidden_by_asking_again(package: Path) -> None:
    (package / "ant.py").write_text(HEADER + "PETS.add('ant', 1)\n")
    (package / "cat.py").write_text("import nothing_of_that_name\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
            pets().names()
    (package / "cat.py").write_text(HEADER + "PETS.add('cat', 2)\n")
    assert pets().names() == ["ant", "cat"]


def test_other_distributions_add_theirs(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys: Registry[object] = Registry("toy", group="mezzotint.toys")
    (package / "plugin.py").write_text("import registry_under_test\nregistry_under_test.TOYS.add('robot', 'a robot')\n")
    monkeypatch.setattr(__import__("registry_under_test"), "TOYS", toys, raising=False)
    point = EntryPoint("robot", "pets.plugin", "mezzotint.toys")
    monkeypatch.setattr(module, "entry_points", lambda group: [point] if group == "mezzotint.toys" else [])
    assert toys.get("robot") == "a robot"


def test_a_broken_plugin_is_said_and_the_rest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("robot", "no_such_package.plugin", "mezzotint.toys")
    monkeypatch.setattr(module, "entry_points", lambda group: [point])
    toys: Registry[int] = Registry("toy", group="mezzotint.toys")
    toys.add("ball", 1)
    with pytest.warns(UserWarning, match='The toy "robot" of another package cannot be loaded'):
        assert toys.names() == ["ball"]
