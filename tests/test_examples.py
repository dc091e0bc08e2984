"""Every example runs: those in docstrings and those in the folder."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mezzotint

MODULES = ["mezzotint"] + [
    module.name
    for module in pkgutil.walk_packages(mezzotint.__path__, "mezzotint.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not failed


@pytest.mark.parametrize(
    ("script", "options", "made"),
    [
        ("own_pictures.py", ["--size", "8", "--minutes", "0.02"], ["grid.png", "again/grid.png"]),
        ("latents.py", ["--minutes", "0.02"], ["nearest.png", "way.png"]),
        ("sounds.py", ["--minutes", "0.02"], ["new/00000.wav", "back/0002.wav", "grid.png"]),
        ("tables.py", ["--minutes", "0.02"], ["new.csv", "beside.png"]),
        ("own_model.py", ["--steps", "3"], ["samples.png", "README.md"]),
    ],
)
def test_example_programs(tmp_path: Path, script: str, options: list[str], made: list[str]) -> None:
    path = Path(__file__).parents[1] / "examples" / script
    command = [sys.executable, str(path), *options, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in made:
        assert (tmp_path / "run" / name).is_file(), done.stdout
