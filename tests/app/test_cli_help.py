"""The command line before it does anything: help, version, completion, start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import mezzotint
from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._app import app
from mezzotint.app.cli._common import complete_model, complete_source

COMMANDS = (
    ["train"],
    ["sample"],
    ["reconstruct"],
    ["traverse"],
    ["encode"],
    ["translate"],
    ["export"],
    ["evaluate"],
    ["report"],
    ["data"],
    ["data", "check"],
    ["data", "list"],
    ["doctor"],
    ["models"],
    ["version"],
)


def run(*args: str):
    return CliRunner().invoke(app, list(args), prog_name="mezzotint")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_examples(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"    mezzotint {' '.join(command)}" in result.stdout  # on lines of their own, ready to copy
    if command != ["data"]:  # which only holds others
        assert "--json" in result.stdout
        assert "--quiet" in result.stdout


def test_root_help_has_examples_and_exit_codes():
    result = run("--help")
    assert "Examples:" in result.stdout
    text = " ".join(result.stdout.split())
    for code in ("0 done", "1 other", "2 a setting", "3 the pictures", "4 the run folder", "5 the model", "6 training"):
        assert code in text
    for code in ("7 an optional part", "70 a bug", "130 interrupted"):
        assert code in text
    assert run().stdout == result.stdout
    for command in COMMANDS:
        assert command[0] in result.stdout


def test_version():
    assert run("version").stdout == run("--version").stdout == f"mezzotint {mezzotint.__version__}\n"
    assert json.loads(run("version", "--json").stdout)["mezzotint"] == mezzotint.__version__


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["--version"], ["train", "--stpes", "3"]])
def test_torch_is_not_imported(args):
    code = (
        f"import sys; sys.argv = ['mezzotint', *{args!r}]\n"
        "from mezzotint.app.cli import main; main()\n"
        "heavy = {'torch', 'numpy', 'rich'} & set(sys.modules); assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=30)


def test_importing_the_package_imports_no_torch():
    code = "import sys, mezzotint; assert 'torch' not in sys.modules and 'typer' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_completion_of_models_is_complete_without_importing_them():
    from mezzotint.engine.model import MODELS

    assert complete_model("") == MODELS.names()
    assert complete_model("dc") == ["dcgan"]
    assert complete_source("dig") == ["digits"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [("mezzotint tra", "train"), ("mezzotint train dc", "dcgan"), ("mezzotint train vae dig", "digits")],
)
def test_the_shell_completes(line, expected):
    words = line.split()
    env = {
        **os.environ,
        "_MEZZOTINT_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    code = "import sys; from mezzotint.app.cli import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30)
    assert expected in ended.stdout.split()


def test_completion_script_can_be_shown():
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "mezzotint", "--show-completion", "bash"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
    assert "complete -o default -F _mezzotint_completion mezzotint" in ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢字 👩‍🎨.png", "plain é 漢字 👩‍🎨.png"),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        ("\udc80", "\\udc80"),
    ],
)
def test_names_are_printed_safely(text, expected):
    assert safe(text) == expected
