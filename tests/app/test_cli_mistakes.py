"""What people do wrong: one sentence, the right exit code, no traceback, nothing on standard output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest
from PIL import Image
from typer.testing import CliRunner

from mezzotint.app.cli import _answer, info
from mezzotint.app.cli._app import app
from mezzotint.core.errors import MissingExtra

TINY = ["--steps", "1", "--batch-size", "8", "--device", "cpu", "--set", "model.width=4"]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEZZOTINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEZZOTINT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)


def refused(code: int, *args: str) -> str:
    """The sentence with which the command line refuses."""
    result = CliRunner().invoke(app, list(args), prog_name="mezzotint")
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    sentence = result.stderr.splitlines()[-1]
    assert result.stderr == f"{sentence}\n", "more than one sentence"
    assert sentence.endswith((".", "?", '"')) or "such as" in sentence or " --help" in sentence
    assert "Traceback" not in result.stderr
    return sentence


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "a"
    CliRunner().invoke(app, ["train", "vae", "digits", "--out", str(path), "-q", *TINY])
    return path


@pytest.fixture
def make_run(template):
    return partial(_make_run, template)


def _make_run(template, path, **changes):
    shutil.copytree(template, path)
    config = json.loads((path / "config.json").read_text())
    for section, values in changes.items():
        config[section] = {**config[section], **values} if isinstance(values, dict) else values
    (path / "config.json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["trian"], "train"),
        (["train", "--stpes", "3"], '"--steps"'),
        (["data", "chek"], "check"),
        (["sample"], "RUN"),
        (["sample", "a", "-n", "many"], "-n"),
        (["reconstruct", "a", "b"], "--out"),
        (["models", "dcgn"], '"dcgan"'),
        (["train", "dcgn", "digits"], '"dcgan"'),
        (["train", "dcgan"], "mezzotint train dcgan photos/"),
        (["train"], "mezzotint train dcgan photos/"),
        (["train", "vae", "digits", "--size", "big"], "64x48"),
        (["train", "vae", "digits", "--size", "0"], "64x48"),
        (["train", "vae", "digits", "--size", "64x"], "64x48"),
        (["train", "vae", "digits", "--size", "-8"], "64x48"),
        (["train", "vae", "digits", "--fit", "squeeze"], "data.fit"),
        (["train", "vae", "digits", "--steps", "0"], "train.steps"),
        (["train", "vae", "digits", "--minutes", "-1"], "train.minutes"),
        (["train", "vae", "digits", "--batch-size", "0"], "train.batch_size"),
        (["train", "vae", "digits", "--precision", "fp8"], "train.precision"),
        (["train", "vae", "digits", "--device", "toaster"], "toaster"),
        (["train", "vae", "digits", "--set", "model.latnet=3"], '"latent"'),
        (["train", "vae", "digits", "--set", "modle.latent=3"], '"model"'),
        (["train", "vae", "digits", "--set", "latent"], "section.name=value"),
        (["train", "vae", "digits", "--set", "model.latent=0"], "model.latent"),
        (["train", "vae", "digits", "--config", "nothing.toml"], "nothing.toml"),
        (["train", "vae", "digits", "--source", "elsewhere"], "--resume"),
        (["train", "vae", "--resume", "a"], "MODEL"),
        (["train", "--resume", "a", "--size", "8"], "data.size"),
        (["train", "--resume", "a", "--dry-run"], "--dry-run"),
        (["sample", "a", "--walk", "w.gif", "-o", "x.png"], "--walk"),
        (["sample", "a", "--single", "--interpolate"], "--single"),
        (["sample", "a", "--seconds", "3", "-o", "x.png"], "--walk"),
        (["export", "a"], "--onnx"),
        (["data", "check", "digits", "--set", "train.steps=3"], "train"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_and_settings(args, part):
    assert part in refused(2, *args)


@pytest.mark.parametrize("command", [["train", "vae"], ["data", "check"]])
def test_pictures_that_are_none(command, tmp_path):
    assert "nowhere" in refused(3, *command, "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(3, *command, "empty")
    (tmp_path / "notes.txt").write_text("words")
    assert "notes.txt" in refused(3, *command, "notes.txt")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert "broken" in refused(3, *command, "broken")


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    (tmp_path / "mixed").mkdir()
    for side in (8, 12):
        Image.new("L", (side, side)).save(tmp_path / "mixed" / f"{side}.png")
    assert "--size" in refused(3, "train", "vae", "mixed")


def test_a_config_file_that_does_not_parse(tmp_path):
    (tmp_path / "bad.toml").write_text("[train\nsteps = 1")
    assert "bad.toml" in refused(2, "train", "vae", "digits", "--config", "bad.toml")


def test_the_configuration_of_a_run_that_does_not_fit(tmp_path, make_run):
    file = make_run(tmp_path / "a") / "config.json"
    args = ["train", "dcgan", "digits", "--config", str(file)]
    assert '"vae"' in refused(2, *args)
    config = json.loads(file.read_text())
    for change, part in (
        ({"schema": 999}, "upgrade"),
        ({"schema": "1"}, "damaged"),
        ({"data": {}}, "damaged"),
        ({"model": None}, "damaged"),
        ({"train": {**config["train"], "stpes": 3}}, "train.stpes"),
    ):
        file.write_text(json.dumps({**config, **change}))
        assert part in refused(2, "train", "vae", "digits", "--config", str(file))
    file.write_text("[" * 100_000)
    assert "does not parse" in refused(2, "train", "vae", "digits", "--config", str(file))


def test_a_run_is_never_overwritten(tmp_path, make_run):
    make_run(tmp_path / "a")
    before = (tmp_path / "a" / "config.json").read_bytes()
    result = CliRunner().invoke(app, ["train", "vae", "digits", "--out", "a", *TINY], prog_name="mezzotint")
    assert result.exit_code == 2
    assert "--resume" in result.stderr.splitlines()[-1]
    assert (tmp_path / "a" / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [["sample"], ["train", "--resume"], ["export", "--hub", "h"], ["reconstruct", "-o", "r", "--", "RUN", "digits"]],
)
def test_folders_that_are_no_run(command, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty"):
        args = [name if part == "RUN" else part for part in command]
        assert name in refused(4, *(args if "RUN" in command else [*args, name]))


def test_a_run_without_a_checkpoint(tmp_path, make_run):
    run = make_run(tmp_path / "a")
    (run / "checkpoints").rename(run / "gone")
    assert "--resume" in refused(4, "sample", "a")


def test_a_damaged_configuration(tmp_path, make_run):
    run = make_run(tmp_path / "a")
    for text in ("{", "[]", "{}", '{"schema": 1}', '{"schema": 999}', "\x00"):
        (run / "config.json").write_text(text)
        assert "config.json" in refused(4, "sample", "a")


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "../vae", "__import__('os')", 7, None, ["vae"]])
def test_a_configuration_that_names_a_class_of_its_own(tmp_path, name, make_run):
    make_run(tmp_path / "a", model={"name": name})
    result = CliRunner().invoke(app, ["sample", "a"], prog_name="mezzotint")
    assert result.exit_code in (2, 4)
    assert len(result.stderr.splitlines()) == 1
    assert "bug" not in result.stderr


def test_what_a_model_cannot_do():
    CliRunner().invoke(app, ["train", "dcgan", "digits", "--out", "gan", "-q", *TINY])
    sentence = refused(5, "reconstruct", "gan", "digits", "-o", "r")
    assert "vae" in sentence
    assert "vae" in refused(5, "export", "gan", "--onnx", "e.onnx", "--what", "encode")


def test_an_output_that_cannot_be(tmp_path, make_run):
    make_run(tmp_path / "a")
    (tmp_path / "file").write_text("")
    assert "file" in refused(2, "sample", "a", "--single", "-o", "file")
    assert "file" in refused(2, "reconstruct", "a", "digits", "-o", "file")
    assert "file" in refused(2, "train", "vae", "digits", "--out", "file", "-q", *TINY)


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (["export", "a", "--onnx", "x.txt"], "x.txt"),
        (["export", "a", "--hub", "x.safetensors"], "x.safetensors"),
        (["reconstruct", "a", "digits", "-o", "out.png"], "out.png"),
        (["sample", "a", "--single", "-o", "new/out.JPG"], "out.JPG"),
        (["train", "vae", "digits", "--out", "model.pt", *TINY], "model.pt"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_folder_that_is_called_like_a_file(tmp_path, make_run, args, name):
    make_run(tmp_path / "a")
    before = sorted(tmp_path.rglob("*"))
    sentence = refused(2, *args)
    assert name in sentence
    assert "folder" in sentence
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_with_a_dot_in_its_name_is_one(tmp_path, make_run):
    make_run(tmp_path / "a")
    for args in (
        ["reconstruct", "a", "digits", "-o", "v1.5"],
        ["sample", "a", "-n", "1", "--single", "-o", "v1.5/b.c"],
    ):
        result = CliRunner().invoke(app, [*args, "-q"], prog_name="mezzotint")
        assert result.exit_code == 0, result.stderr
    (tmp_path / "pictures.png").mkdir()
    result = CliRunner().invoke(app, ["sample", "a", "-n", "1", "-o", "pictures.png", "-q"], prog_name="mezzotint")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "pictures.png" / "00000.png").exists()


def _raise(error):
    def broken(json: bool = False) -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (MissingExtra("Writing MP4 films", "film"), 7, 'pip install "mezzotint[film]"'),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (MemoryError(), 6, "memory"),
        (PermissionError(13, "Permission denied", "a\nb"), 1, "a\\nb"),
        (EOFError("early"), 70, "bug"),
        (ZeroDivisionError("division\nby zero"), 70, "ZeroDivisionError: division by zero"),
        (SystemError("no"), 70, "issues"),
    ],
    ids=repr,
)
def test_the_answer_to_each_kind_of_error(monkeypatch, tmp_path, error, code, part):
    import signal

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(info, "print_version", _raise(error))
    before = signal.getsignal(signal.SIGINT)
    try:
        assert part in refused_any(code, "version")
    finally:
        signal.signal(signal.SIGINT, before)
    kept = list(tmp_path.glob("mezzotint-bug-*.txt"))
    assert len(kept) == (code == 70)
    if kept:
        assert "Traceback" in kept[0].read_text()


@pytest.mark.parametrize("where", ["make_context", "invoke"])
def test_ctrl_c_while_arguments_are_read(monkeypatch, where):
    import signal

    from typer.core import TyperGroup

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(TyperGroup, where, interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert refused_any(130, "version") == "Interrupted.\n"
    finally:
        signal.signal(signal.SIGINT, before)


def refused_any(code: int, *args: str) -> str:
    result = CliRunner().invoke(app, list(args), prog_name="mezzotint")
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_debugging_adds_the_traceback(monkeypatch):
    monkeypatch.setenv("MEZZOTINT_DEBUG", "1")
    result = CliRunner().invoke(app, ["sample", "nowhere"], prog_name="mezzotint")
    assert result.exit_code == 4
    assert "Traceback" in result.stderr


def test_out_of_memory_is_known_by_name():
    class OutOfMemoryError(RuntimeError):
        pass

    assert _answer.explain(OutOfMemoryError("CUDA out of memory"))[0] == 6


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "mezzotint", "data", "list", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(30)


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_any_locale(locale, tmp_path):
    name = "ño 漢字 👩‍🎨"
    env = {**os.environ, "PYTHONCOERCECLOCALE": "0", **locale}
    ended = subprocess.run(
        [sys.executable, "-m", "mezzotint", "models", name], env=env, capture_output=True, timeout=60
    )
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr
    assert name.encode() in ended.stderr or b"\\udc" in ended.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("method.n_int=3", 'no setting "n_int" that could be changed; did you mean "n_init"?'),
        ("model.n_init=3", "write --set method.NAME=VALUE"),
        ("n_init", "--set takes section.name=value"),
    ],
)
def test_settings_of_clustering(setting: str, said: str) -> None:
    assert said in refused(2, "cluster", "digits", "-k", "3", "--set", setting, "-o", "clusters")
