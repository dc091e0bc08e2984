"""Models handed on: folders read back truly, the hub itself by a stand-in."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mezzotint.core.errors import CheckpointError, ConfigError, MissingExtra
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.checkpoint import read_safetensors, write_safetensors
from mezzotint.engine.model import MODELS, PictureSpec
from mezzotint.tasks import hub
from mezzotint.tasks.hub import FILES, from_pretrained, push_to_hub, save_pretrained
from mezzotint.tasks.run import Run
from mezzotint.tasks.sample import models_that, sample_grid

Open = Callable[..., Run]
SAMPLER = models_that("samples")[0]


@pytest.fixture
def run(opened: Open, tmp_path: Path) -> Run:
    return opened(SAMPLER, tmp_path / "run")


class FakeHub:
    """What of `huggingface_hub` is used, kept in a folder. `wrong` is raised by every call."""

    def __init__(self, folder: Path, wrong: Exception | None = None) -> None:
        self.folder = folder
        self.wrong = wrong
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def HfApi(self, token: str | None = None) -> FakeHub:
        self.calls.append(("HfApi", {"token": token}))
        return self

    def create_repo(self, **given: Any) -> str:
        self._note("create_repo", given)
        return f"https://huggingface.co/{given['repo_id']}"

    def upload_folder(self, **given: Any) -> None:
        self._note("upload_folder", given)
        target = self.folder / given["repo_id"]
        target.mkdir(parents=True)
        for name in given["allow_patterns"]:
            if (given["folder_path"] / name).exists():
                shutil.copy(given["folder_path"] / name, target / name)

    def snapshot_download(self, repo_id: str, **given: Any) -> str:
        self._note("snapshot_download", {"repo_id": repo_id, **given})
        return str(self.folder / repo_id)

    def _note(self, name: str, given: dict[str, Any]) -> None:
        self.calls.append((name, given))
        if self.wrong is not None:
            raise self.wrong


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    made = FakeHub(tmp_path / "hub")
    monkeypatch.setattr(hub, "_import_hub", lambda what: made)
    return made


@pytest.mark.parametrize("name", MODELS.names())
def test_a_model_comes_back_as_it_was(opened: Open, name: str, tmp_path: Path) -> None:
    run = opened(name, tmp_path / "run", PictureSpec(3, 9, 11, ("a", "b")))
    folder = save_pretrained(run, tmp_path / "new" / "model", license="mit", tags=("birds",))
    back = from_pretrained(str(folder))
    assert (back.recipe.name, back.recipe.spec, back.recipe.model) == (name, run.recipe.spec, run.recipe.model)
    assert not back.model.training
    assert not any(p.requires_grad for p in back.model.parameters())
    for key, value in run.model.state_dict().items():
        assert torch.equal(back.model.state_dict()[key], value), key
    draws = "samples" in capabilities(run.model)
    if draws:
        assert torch.equal(back.model.sample(3, seed=2), run.model.sample(3, seed=2))
        sample_grid(back, 4, out=tmp_path / "grid.png")
        assert not Image.open(folder / "samples.png").info
    assert {p.name for p in folder.iterdir()} == set(FILES) - (set() if draws else {"samples.png"})


def test_the_card_and_nothing_private(run: Run, tmp_path: Path) -> None:
    folder = save_pretrained(run, tmp_path / "model", tags=("birds", "mezzotint"))
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    lines = front.splitlines()
    assert "library_name: mezzotint" in lines
    assert "license: unknown" in lines
    assert lines.count('- "mezzotint"') == lines.count('- "birds"') == 1
    assert "ask the author" in text
    for file in folder.iterdir():
        assert b"secret" not in file.read_bytes()
        assert str(tmp_path).encode() not in file.read_bytes()
    assert json.loads((folder / "config.json").read_text())["data"]["source"] == "birds"
    save_pretrained(run, folder, license="cc-by-4.0")  # again, over the earlier one
    assert "license: cc-by-4.0" in (folder / "README.md").read_text()
    assert not list(tmp_path.glob(".partial*"))


def test_saving_refuses_to_overwrite_other_things(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        save_pretrained(run, tmp_path / "file")
    (run.path / "config.json").touch()
    other = tmp_path / "other"
    other.mkdir()
    (other / "README.md").write_text("mine")
    for folder in (run.path, other):
        with pytest.raises(ConfigError, match="overwritten"):
            save_pretrained(run, folder)
    assert (other / "README.md").read_text() == "mine"
    for bad in ({"license": "a: b"}, {"tags": ("x\ny",)}, {"tags": ("",)}):
        with pytest.raises(ConfigError, match="plain word"):
            save_pretrained(run, tmp_path / "model", **bad)  # type: ignore[arg-type]
    assert not (tmp_path / "model").exists()


class Trap:
    """Unpickling it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_wrong_files_are_checkpoint_errors_and_nothing_runs(run: Run, tmp_path: Path) -> None:
    folder = save_pretrained(run, tmp_path / "model")
    config, weights = folder / "config.json", folder / "model.safetensors"
    good = {file: file.read_bytes() for file in (config, weights)}

    def refused() -> str:
        with pytest.raises(CheckpointError) as caught:
            from_pretrained(folder)
        for file, data in good.items():
            file.write_bytes(data)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    weights.write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    refused()
    torch.save(Trap(tmp_path / "mark"), weights)
    refused()
    assert not (tmp_path / "mark").exists()
    weights.write_bytes(good[weights][:-5])
    refused()
    weights.unlink()
    refused()
    config.unlink()
    assert "config.json" in refused()
    for text in ("", "[1]", "{", "[" * 100_000, '{"schema": 99}', '{"schema": 1}', "\x00"):
        config.write_text(text)
        refused()
    value = json.loads(good[config])
    value["model"]["name"] = "os.system"
    config.write_text(json.dumps(value))
    assert "does not know" in refused()
    tensors = read_safetensors(weights)
    write_safetensors(weights, dict(list(tensors.items())[1:]))
    assert "belong together" in refused()


def test_settings_that_ask_for_any_amount_of_memory(run: Run, tmp_path: Path) -> None:
    folder = save_pretrained(run, tmp_path / "model")
    value = json.loads((folder / "config.json").read_text())
    value["model"] = {
        k: 10**6 if k in ("width", "hidden") and isinstance(v, int) else v for k, v in value["model"].items()
    }
    (folder / "config.json").write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match="other settings"):
        from_pretrained(folder)


def test_a_run_or_nonsense_instead_of_a_model(run: Run, tmp_path: Path) -> None:
    (run.path / "checkpoints").mkdir()
    (run.path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is a run"):
        from_pretrained(run.path)
    (tmp_path / "file").touch()
    for nonsense in ("", "a/b/c", "../x", "a b", str(tmp_path / "nowhere"), str(tmp_path / "file")):
        with pytest.raises(CheckpointError):
            from_pretrained(nonsense)


def test_up_to_the_hub_and_down_again(run: Run, fake: FakeHub) -> None:
    url = push_to_hub(run, "someone/birds", token="t0", license="mit")
    assert url == "https://huggingface.co/someone/birds"
    assert fake.calls[0] == ("HfApi", {"token": "t0"})
    assert fake.calls[1][1]["private"] is True
    assert 'from_pretrained("someone/birds")' in (fake.folder / "someone/birds/README.md").read_text()
    back = from_pretrained("someone/birds", revision="main", token="t1")
    assert torch.equal(back.model.sample(2), run.model.sample(2))
    name, given = fake.calls[-1]
    assert name == "snapshot_download"
    assert given == {"repo_id": "someone/birds", "revision": "main", "token": "t1", "allow_patterns": list(FILES)}


@pytest.mark.parametrize("wrong", [OSError("offline\nsecond line"), ValueError("no such name")])
def test_the_hubs_refusals_are_one_sentence(wrong: Exception, run: Run, fake: FakeHub) -> None:
    fake.wrong = wrong
    for call in (lambda: push_to_hub(run, "a/b"), lambda: from_pretrained("a/b")):
        with pytest.raises(CheckpointError, match="hf auth login") as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="no name"):
        push_to_hub(run, "a/b/c")


def test_the_errors_of_the_real_library_are_caught() -> None:
    errors = pytest.importorskip("huggingface_hub.errors")
    for name in ("HfHubHTTPError", "RepositoryNotFoundError", "LocalEntryNotFoundError", "HFValidationError"):
        assert issubclass(getattr(errors, name), (OSError, ValueError))


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pytest.importorskip("huggingface_hub")
    download = real.snapshot_download
    monkeypatch.setattr(
        real, "snapshot_download", lambda *a, **k: download(*a, **k, cache_dir=tmp_path, local_files_only=True)
    )
    with pytest.raises(CheckpointError, match="cannot be had from the hub"):
        from_pretrained("mezzotint/does-not-exist")


def test_without_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: push_to_hub(run, "a/b"), lambda: from_pretrained("a/b")):
        with pytest.raises(MissingExtra, match=r"mezzotint\[hub\]"):
            call()
