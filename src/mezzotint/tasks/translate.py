"""Pictures of one domain turned into pictures of another, each at its own size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import ConfigError, DataError, suggest
from mezzotint.data.output import save_picture
from mezzotint.data.singles import Half, Single, Singles
from mezzotint.data.targets import exclusive
from mezzotint.data.types import NARROWED, BadFile
from mezzotint.engine.capabilities import require
from mezzotint.engine.ways import as_seen, in_style
from mezzotint.tasks._folders import refuse_file
from mezzotint.tasks._style import check_style, refuse_alpha, style_for
from mezzotint.tasks._tiles import by_tiles
from mezzotint.tasks.reconstruct import unique_stems
from mezzotint.tasks.sample import models_that


@dataclass(frozen=True)
class Changed:
    """What was written.

    Attributes:
        out: the folder.
        names: what each picture is called in its source.
        files: the file of each, within `out`.
        left_out: what could not be read, and why.
        notes: sentences a person should read.
    """

    out: Path
    names: tuple[str, ...]
    files: tuple[str, ...]
    left_out: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()


def translate(
    run: Any,
    source: str | Path,
    out: str | Path,
    *,
    to: str | None = None,
    style_seed: int | None = None,
    like: str | Path | None = None,
    half: Half | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Translate every picture, at its own size and depth, with its own transparency.

    Args:
        run: an opened run, whose model translates.
        source: a picture, a folder or an archive.
        out: a folder; it is made if it is not there. Each picture becomes a PNG file of its own name.
        to: the name of a domain; or of attributes, "smile=1,hat=0", where the others stay as the model sees them. When
            left out every domain has its turn, in a folder of its name within `out`.
        style_seed: of a model with style codes: which style is drawn, the same one for all pictures; 0 is usual.
        like: of such a model: a picture of the domain `to`, whose style all shall have.
        half: of pairs side by side, the half that is taken of each picture: "left" or "right".
        overwrite: replace files of these names.
        progress: called with (done, all).

    Raises:
        CapabilityError: the model does not translate, or has no style codes.
        ConfigError: there is no such domain or half, `out` is (the name of) a file, or holds a file of one of the
            names, or style and domain do not go together.
        DataError: there is nothing to read, or `like` is not one picture.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> spec = PictureSpec(3, 32, 32, classes=("day", "night"))
        >>> model = build("cyclegan", {"width": 4, "critic_width": 4, "blocks": 1}, spec).eval()
        >>> folder = tempfile.mkdtemp()
        >>> Image.new("RGB", (50, 40)).save(folder + "/a.jpg")
        >>> translate(model, folder + "/a.jpg", folder + "/b", to="night").files
        ('a.png',)
    """
    model, common = translating(run), {"overwrite": overwrite}
    check_style(to, style_seed, like)
    if to is not None:
        change = change_to(model, to, style_seed, like)
        made = change_each(Singles(source, half), out, change, model.spec.channels, progress=progress, **common)
        return replace(made, notes=(*made.notes, *pair_note(run, source, half)))
    names = model.domains()
    if model.spec.attributes:
        raise ConfigError(f"Say which attributes pictures shall have with --to, such as {names[0]}=1.")
    found = []
    for k, (name, folder) in enumerate(zip(names, folders_of(names), strict=True)):
        moved = None if progress is None else partial(_of_several, progress, k, len(names))
        change = change_to(model, name, style_seed, like)
        pictures = Singles(source, half)
        made = change_each(pictures, Path(out) / folder, change, model.spec.channels, progress=moved, **common)
        found.append(replace(made, files=tuple(f"{folder}/{file}" for file in made.files)))
    first = found[0]
    every = tuple(name for made in found for name in made.names), tuple(file for made in found for file in made.files)
    return Changed(Path(out), *every, first.left_out, (*first.notes, *pair_note(run, source, half)))


def pair_note(run: Any, source: str | Path, half: Half | None) -> tuple[str, ...]:
    """A sentence where a run has learned from halves, and the first picture to translate looks like a whole pair."""
    recipe = getattr(run, "recipe", None)
    if recipe is None or not recipe.data.halves or half is not None:
        return ()
    first = next((each for each in Singles(source) if isinstance(each, Single)), None)
    if first is None:
        return ()
    height, width = first.pixels.shape[:2]
    if not 1.8 < width / height * recipe.spec.height / recipe.spec.width < 2.2:
        return ()
    return (
        f"This run has learned from halves of pictures, and {first.name} looks like a whole pair, which was translated "
        "as it is; --half left takes the left half of each, and --half right the right one.",
    )


def _of_several(progress: Callable[[int, int], None], k: int, several: int, done: int, count: int) -> None:
    progress(k * count + done, several * count)


def folders_of(domains: Sequence[str]) -> list[str]:
    """A folder's name for each domain, which every file system takes.

    Example:
        >>> folders_of(("summer", "v1.5", "a/b"))
        ['summer', 'v1.5', 'b']
    """
    return unique_stems([f"{name}.png" for name in domains])


def translating(run: Any) -> Any:
    """The model of a run, or the model itself, if it translates.

    Raises:
        CapabilityError: it does not.
    """
    model = getattr(run, "model", run)
    require(model, "translates", "translate", others=models_that("translates"))
    return model


def change_to(model: Any, to: str, style_seed: int | None, like: str | Path | None) -> Callable[[Tensor], Tensor]:
    """What is done to each picture [1, C, H, W] of any size; large ones are taken in tiles.

    Raises:
        CapabilityError, ConfigError, DataError: as of `translate`.
    """
    asked = wanted_attributes(model.domains(), to) if model.spec.attributes else None
    domain = wanted(model.domains(), to) if asked is None else None
    style = style_for(model, domain, style_seed, like)

    @torch.no_grad()
    def change(picture: Tensor) -> Tensor:
        x = picture.to(model.device)
        if style is not None:
            return by_tiles(in_style(model, style), x)
        if asked is None:
            target = domain
        else:  # what is not asked for stays as it is, in the model's eyes
            target = as_seen(model, x)
            for k, value in asked.items():
                target[:, k] = value
        return by_tiles(lambda part: model.translate(part, target), x)

    return change


def wanted(domains: Sequence[str], to: str) -> Tensor:
    """One-hot [1, domains] of the name of a domain.

    Raises:
        ConfigError: there is no such domain.
    """
    if to not in domains:
        raise ConfigError(f'This model has no domain "{to}"; {suggest(to, domains)}')
    return torch.eye(len(domains))[[list(domains).index(to)]]


def wanted_attributes(names: Sequence[str], to: str) -> dict[int, float]:
    """Attribute number -> 1 or 0, of words such as "smile=1,hat=0"; a name alone is 1.

    Of several words of one column ("age=old" and "age=young") one that is 1 makes the others 0.

    Raises:
        ConfigError: there is no such attribute, a value is neither 1 nor 0, or two words of one column are asked for.

    Example:
        >>> wanted_attributes(("age=old", "smile"), "smile=0,age=old")
        {1: 0.0, 0: 1.0}
        >>> wanted_attributes(("age=old", "age=young"), "age=old")
        {0: 1.0, 1: 0.0}
    """
    found: dict[int, float] = {}
    for part in to.split(","):
        name, equals, value = part.strip().rpartition("=")
        if not equals or part.strip() in names:  # a name may hold the sign itself
            name, value = part.strip(), "1"
        if name not in names:
            raise ConfigError(f'This model has no attribute "{name}"; {suggest(name, names)}')
        if value not in ("0", "1"):
            raise ConfigError(f'An attribute is 1 or 0; got "{part.strip()}".')
        found[list(names).index(name)] = float(value)
    for words in exclusive(names):
        asked = [k for k in words if found.get(k)]
        if len(asked) > 1:
            raise ConfigError(
                f'A picture has one word of a column; got "{names[asked[0]]}" and "{names[asked[1]]}"; ask for one.'
            )
        found |= dict.fromkeys(set(words) - set(asked), 0.0) if asked else {}
    return found


def change_each(
    pictures: Singles,
    out: str | Path,
    change: Callable[[Tensor], Tensor],
    channels: int,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Changed:
    """Write what `change` makes of each picture [1, C, H, W] in [-1, 1]; a picture that cannot be read is left out.

    Raises:
        ConfigError: `out` is (the name of) a file, or holds a file of one of the names.
        DataError: not one picture can be read.
    """
    folder = Path(out)
    refuse_file(folder, "Pictures")
    refuse_alpha(channels)
    stems = unique_stems(pictures.names)
    files = {name: f"{stem}.png" for name, stem in zip(pictures.names, stems, strict=True)}
    taken = None if overwrite else next((file for file in files.values() if (folder / file).exists()), None)
    if taken is not None:
        raise ConfigError(f"{folder / taken} is there already; choose another folder, or pass --overwrite.")
    written, bad = dict[str, str](), list(pictures.bad)
    narrowed = 0
    for done, picture in enumerate(pictures):  # in the order in which they are read, which may be any
        if isinstance(picture, BadFile):
            bad.append(picture)
        else:
            with atomic.explained(folder):
                folder.mkdir(parents=True, exist_ok=True)
            written[picture.name] = files[picture.name]
            narrowed += picture.narrowed
            _write(folder / files[picture.name], picture, change, channels)
        if progress is not None:
            progress(done + 1, len(pictures))
    if not written:
        raise DataError(
            f"None of the {len(pictures):,} pictures can be used; the first, {bad[0].path}, {bad[0].reason}."
        )
    notes: tuple[str, ...] = ()
    if narrowed:
        notes = (f"Of 16 bits a channel 8 were read where pictures are {NARROWED} ({narrowed:,}).",)
    names = tuple(name for name in pictures.names if name in written)
    return Changed(folder, names, tuple(written[name] for name in names), tuple(bad), notes)


def _write(path: Path, picture: Single, change: Callable[[Tensor], Tensor], channels: int) -> None:
    x = torch.from_numpy(picture.to_values(channels))[None]
    save_picture(path, picture.with_values(change(x)[0].float().cpu().numpy()))
