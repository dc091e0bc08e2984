"""Models as folders to hand on, in the layout of the Hugging Face hub.

```
config.json         the recipe, without the name of any folder of this machine
model.safetensors   the weights one uses: the averaged ones, where a run keeps them
README.md           the model card
samples.png         what it draws, if it draws
```

Loading reads JSON and safetensors only, so nothing that is loaded can run code.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError, ConfigError, MezzotintError, MissingExtra
from mezzotint.data.output import save_picture
from mezzotint.engine.callbacks import preview
from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.checkpoint import read_safetensors, write_safetensors
from mezzotint.engine.device import choose_device
from mezzotint.engine.recipe import Recipe
from mezzotint.engine.weights import load_model_tensors
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks._hubcard import hub_card

CONFIG, WEIGHTS, CARD, SAMPLES = FILES = ("config.json", "model.safetensors", "README.md", "samples.png")

_REPO = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
_SHOWN = 64


@dataclass(frozen=True)
class Pretrained:
    """A model that was handed on.

    Attributes:
        path: the folder it was read from.
        recipe: how it was made.
        model: in evaluation mode; what it can do is what its class offers.
    """

    path: Path
    recipe: Recipe
    # Any: a model offers what its capabilities say, beyond what the base class declares
    model: Any


def save_pretrained(
    run: Any, folder: str | Path, *, license: str | None = None, tags: Sequence[str] = (), repo_id: str | None = None
) -> Path:
    """Write a model as a folder that can be handed on.

    Args:
        run: an opened run (or what `from_pretrained` gave).
        folder: where to; it is made, or the files of an earlier `save_pretrained` in it are replaced.
        license: the licence under which you hand it on, such as "apache-2.0" or "cc-by-4.0"; the card says that it
            is not known, and that one must ask, when left out.
        tags: further words by which it shall be found.
        repo_id: its name on the hub, for the card.

    Returns:
        `folder`.

    Raises:
        ConfigError: `folder` is (the name of) a file, or a run, or a tag or the licence is no plain word.
        TrainingError: the disk is full or may not be written.

    Example:
        >>> import mezzotint as mz, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> run = mz.train("vae", "digits", steps=2, out=folder + "/a", quiet=True)
        >>> from_pretrained(save_pretrained(run, folder + "/b", license="cc0-1.0")).model.name
        'vae'
    """
    folder = Path(folder)
    refuse_file(folder, "Models")
    there = {name for name in FILES if (folder / name).exists()}
    if (folder / "checkpoints").exists() or (there and not {CONFIG, WEIGHTS} <= there):
        raise ConfigError(f"{folder} holds a run or other files that would be overwritten; choose another folder.")
    for word in (*tags, *([license] if license else [])):
        if not re.fullmatch(r"[\w.+-]+", word):
            raise ConfigError(f'"{word}" is no plain word; tags and licences are letters, digits, "-" and ".".')
    with atomic.explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic.partial(folder.parent) as draft:
            draft.mkdir()
            _write(run, draft, license, tags, repo_id or folder.name)
            if not folder.exists():
                atomic.disk.replace(draft, folder)
            else:
                for name in FILES:  # an old picture must not stay beside new weights
                    if (draft / name).exists():
                        atomic.disk.replace(draft / name, folder / name)
                    elif (folder / name).exists():
                        atomic.disk.remove(folder / name)
            atomic.sync_folder(folder.parent)
    return folder


def from_pretrained(
    source: str | Path, *, device: str = "auto", revision: str | None = None, token: str | None = None
) -> Pretrained:
    """Open a model that was handed on: a folder of this machine, or a name on the Hugging Face hub.

    Of a repository only the four files of the layout are downloaded, and nothing in them can execute code.

    Args:
        source: a folder that `save_pretrained` wrote, or else "name/model" on the hub.
        device: where the model is put.
        revision: branch, tag or commit on the hub.
        token: for a private repository; the one of `hf auth login` when left out.

    Raises:
        CheckpointError: there is no such thing, it cannot be downloaded, or its files are damaged or not ours.
        MissingExtra: a download without the extra `hub`.
    """
    path = Path(source)
    if not path.is_dir():
        if path.exists() or not _REPO.fullmatch(str(source)):
            raise CheckpointError(
                f'"{source}" is neither a folder nor a name on the hub such as "name/model"; give one of them.'
            )
        path = _download(str(source), revision, token)
    recipe = _read_recipe(path)
    weights = read_safetensors(path / WEIGHTS)
    model = _build(recipe, weights, path)
    return Pretrained(path, recipe, model.to(choose_device(device, model.doubles)).eval().requires_grad_(False))


def push_to_hub(
    run: Any,
    repo_id: str,
    private: bool = True,
    token: str | None = None,
    *,
    license: str | None = None,
    tags: Sequence[str] = (),
) -> str:
    """Upload a model to the Hugging Face hub.

    Args:
        run: an opened run.
        repo_id: "name/model"; it is made if it is not there. One that is there stays as public as it is.
        private: whether a new repository is visible to you only.
        token: one that may write; the one of `hf auth login` when left out.
        license, tags: see `save_pretrained`.

    Returns:
        The address of the repository.

    Raises:
        MissingExtra: the extra `hub` is not installed.
        ConfigError: the name is no repository's.
        CheckpointError: the hub refused, or cannot be reached.
    """
    if not _REPO.fullmatch(repo_id):
        raise ConfigError(f'"{repo_id}" is no name of a repository; they look like "name/model".')
    hub = _import_hub("Uploading to the Hugging Face hub")
    with tempfile.TemporaryDirectory() as folder:
        made = save_pretrained(run, Path(folder) / "model", license=license, tags=tags, repo_id=repo_id)
        try:
            # The hub's errors and those of whatever carries them over the network are many classes of other libraries.
            api = hub.HfApi(token=token)
            url = api.create_repo(repo_id=repo_id, private=private, repo_type="model", exist_ok=True)
            api.upload_folder(
                repo_id=repo_id,
                folder_path=made,
                repo_type="model",
                commit_message="Upload with Mezzotint",
                allow_patterns=list(FILES),
            )
        except Exception as error:
            raise CheckpointError(
                f"Cannot upload to {repo_id}: {_first_line(error)}; check the name, the connection, and your token "
                "(hf auth login)."
            ) from error
    return str(url)


def _write(run: Any, folder: Path, license: str | None, tags: Sequence[str], title: str) -> None:
    recipe: Recipe = run.recipe
    summary = replace(recipe.summary, source=Path(recipe.summary.source).name)
    write_safetensors(folder / WEIGHTS, run.model.state_dict())
    pictured = _write_samples(run, folder / SAMPLES)
    atomic.write_text(folder / CARD, hub_card(run, license, tags, title, pictured))
    atomic.write_json(folder / CONFIG, replace(recipe, summary=summary).to_json())


@torch.no_grad()
def _write_samples(run: Any, path: Path) -> bool:
    """What the model draws. Of one that cannot draw, a run shows the person's own pictures, which are not handed on."""
    if "samples" not in capabilities(run.model):
        return False
    save_picture(path, preview(run.model, torch.empty(0, *run.recipe.spec.shape), _SHOWN))
    return True


def _read_recipe(path: Path) -> Recipe:
    file = path / CONFIG
    if not file.is_file():
        raise CheckpointError(f"{path} holds no model: it has no {CONFIG}; give a folder that save_pretrained wrote.")
    if (path / "checkpoints").is_dir() and not (path / WEIGHTS).exists():
        raise CheckpointError(f'{path} is a run, not a model handed on; open it with mezzotint.load("{path}").')
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: {_first_line(error)}.") from error
    try:
        return Recipe.from_json(value, str(file))
    except ConfigError as error:
        raise CheckpointError(f"{file} does not fit this Mezzotint: {error}") from error


def _build(recipe: Recipe, weights: dict[str, Tensor], path: Path) -> Any:
    """The model with its weights. Sizes are compared before memory is taken: a settings file can ask for any amount."""
    try:
        with contextlib.suppress(NotImplementedError, RuntimeError), torch.device("meta"):
            load_model_tensors(recipe.build(), weights)
        model = recipe.build()
        load_model_tensors(model, weights)
    except MezzotintError as error:
        raise CheckpointError(f"{path / WEIGHTS} and {CONFIG} do not belong together: {error}") from error
    return model


def _download(repo_id: str, revision: str | None, token: str | None) -> Path:
    hub = _import_hub("Downloading from the Hugging Face hub")
    try:
        return Path(hub.snapshot_download(repo_id, revision=revision, token=token, allow_patterns=list(FILES)))
    except Exception as error:  # the hub's own errors, and those of whatever carries them over the network
        raise CheckpointError(
            f'There is no folder "{repo_id}", and it cannot be had from the hub: {_first_line(error)}; check the name '
            "and the connection, and log in with hf auth login if it is private."
        ) from error


def _import_hub(what: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra(what, "hub") from error
    return huggingface_hub


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".;:")
