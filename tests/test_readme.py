"""The README in its two languages: the same commands, code, links and parts in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mezzotint.app.cli._app import app

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def blocks(path: Path) -> list[list[str]]:
    """The lines of each fenced block without comments and file descriptions."""
    found = re.findall(r"^```\w*\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [[re.split(r"\s{2,}", line.strip())[0] for line in block.splitlines() if line.strip()] for block in found]


def test_both_languages_say_the_same() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    for pattern in (r"^#+ ", r"\]\(([^)]+)\)", r"`(mezzotint [^`]*|--[^`]*|\[\w+\])`"):
        one, other = (
            re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE) for path in (ENGLISH, CHINESE)
        )
        one, other = ([each for each in found if not each.startswith("README")] for found in (one, other))
        assert sorted(one) == sorted(other)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", ENGLISH.read_text(encoding="utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), target


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_option_it_names_is_there(path: Path) -> None:
    for line in (line for block in blocks(path) for line in block if line.startswith("mezzotint ")):
        words = line.split()[1:]
        command = words[:2] if words[0] == "data" else words[:1]
        shown = CliRunner().invoke(app, [*command, "--help"], prog_name="mezzotint").stdout
        for option in (word for word in words if word.startswith("-")):
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", shown), line
