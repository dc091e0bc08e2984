"""What every model is: settings, networks, phases. A model is one file; this is all it must fill in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mezzotint.core.config import Config
from mezzotint.core.errors import ConfigError
from mezzotint.core.registry import Registry
from mezzotint.data.batches import Batches
from mezzotint.data.meaning import PICTURES, Meaning, meaning_of_json
from mezzotint.data.types import PictureSet
from mezzotint.engine.fitting import Pass
from mezzotint.engine.phase import Phase, Turn

MODELS: Registry[type[Model]] = Registry("model", package="mezzotint.models", group="mezzotint.models")

_SHAPE = ("channels", "height", "width", "classes")


@dataclass(frozen=True)
class Paper:
    """Where a model comes from."""

    authors: str
    year: int
    title: str
    arxiv: str = ""

    def __str__(self) -> str:
        link = f", arXiv:{self.arxiv}" if self.arxiv else ""
        return f'{self.authors} ({self.year}), "{self.title}"{link}'


@dataclass(frozen=True)
class PictureSpec:
    """The shape of the pictures a model works on.

    Attributes:
        channels: 1 grey, 2 grey with alpha, 3 colour, 4 colour with alpha.
        height, width: pixels.
        classes: names of the classes; empty when the data has none.
        meaning: what the values are: of pictures to look at, of points of the plane, of sounds, of a table's rows.
        attributes: names of those that are learned, each yes or no.
    """

    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()
    meaning: Meaning = PICTURES
    attributes: tuple[str, ...] = ()

    @classmethod
    def of(cls, pictures: PictureSet) -> PictureSpec:
        """The shape of a set's pictures."""
        classes = pictures.classes if pictures.labels is not None else ()
        return cls(*pictures.shape, classes, pictures.meaning, pictures.target_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width

    @property
    def values(self) -> int:
        """How many numbers a picture is: C * H * W."""
        return self.channels * self.height * self.width

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, with "attributes" if there are any, and of other than pictures a key for the meaning."""
        shape = {name: getattr(self, name) for name in _SHAPE}
        return shape | self.meaning.to_json() | ({"attributes": self.attributes} if self.attributes else {})

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PictureSpec:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        channels, height, width, classes = (value[name] for name in _SHAPE)
        meaning = meaning_of_json({name: value[name] for name in value if name not in (*_SHAPE, "attributes")})
        return cls(channels, height, width, tuple(classes), meaning, tuple(value.get("attributes", ())))


class Model(nn.Module):
    """The base of all models.

    A subclass sets the class attributes, builds its networks in `__init__`, and returns its `phases`. What it can
    do beyond training it says by having the methods of `mezzotint.engine.capabilities`.

    Args:
        config: the model's own settings.
        spec: the shape of the pictures.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[Paper]
    Config: ClassVar[type[Config]]
    tiny: ClassVar[Mapping[str, Any]] = {}
    """Settings that make the model small enough for tests."""
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Further settings, each of which takes other paths through the model; the contract is checked with each."""
    unexported: ClassVar[Mapping[str, str]] = {}
    """Functions that it has and an exported graph cannot hold -> why, in a clause."""
    estimates: ClassVar[tuple[str, ...]] = ()
    """Of a model that is fitted: the buffers that hold what is estimated; further ones hold sums on the way to it."""
    doubles: ClassVar[bool] = False
    """Whether it computes in double precision, which not every device has."""
    order: type[Batches] = Batches
    """In which order it is shown pictures: `ByClass` and `Pairs` of `data.domains` are for two domains at once."""
    averaged: ClassVar[tuple[str, ...]] = ()
    """Submodules of which the engine keeps a moving average (EMA), used whenever the model is used."""
    optional: ClassVar[Mapping[str, str]] = {}
    """Capabilities that it has only with a setting -> which, such as "model.styles=64"."""
    lacking: tuple[str, ...] = ()
    """Capabilities that one with these settings has not, though its class has the methods."""

    def __init__(self, config: Any, spec: PictureSpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    def phases(self) -> tuple[Phase, ...]:
        """The turns of one round of training, in order; none for a model that is fitted."""
        return ()

    def passes(self) -> tuple[Pass, ...]:
        """Of a model that is fitted: how it looks at all training pictures."""
        return ()

    @classmethod
    def fitted(cls) -> bool:
        """Whether it is fitted in passes rather than trained in phases."""
        return cls.passes is not Model.passes

    def validation_loss(self, turn: Turn) -> Tensor | None:
        """A number (0-dim) on held-out pictures that is smaller for a better model, or None."""
        return None

    def differentiated_twice(self) -> tuple[str, ...]:
        """Names of the networks whose gradients have gradients of their own, as a penalty of the slope has."""
        return ()

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Called with the first weights, before anything is trained: what shall begin as the pictures say.

        Args:
            training: `training(n)` gives up to n pictures (and labels) to train on, the same ones each time.
        """

    def rehearse(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Passes, in evaluation, of the averaged networks that have batch normalisation.

        Called with their averaged weights in place, which have no statistics of their own: those of these passes become
        theirs. A model without it has the moving average of the weights' statistics. It is to go by the weights and
        `training` alone, so that it says the same whenever it is called.

        Args:
            training: as of `begin`.
        """

    def start(self) -> None:
        """Called when training begins or goes on: forget what `finish` has fitted to a model that no longer is."""

    def finish(self, held_out: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Called when training ends, and before the best round is saved.

        Args:
            held_out: `held_out(n)` gives up to n pictures (and labels) never trained on.
        """

    @property
    def device(self) -> torch.device:
        """Where the parameters are, or the sums of a model that is fitted."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def learned(self) -> int:
        """How many numbers it learns: its parameters, or what is estimated where it is fitted."""
        return sum(p.numel() for p in self.parameters()) + sum(self.get_buffer(n).numel() for n in self.estimates)

    def check_pictures(self, pictures: Tensor, any_size: bool = False) -> Tensor:
        """`pictures` on the model's device and in its precision, if they are floats [N, C, H, W] of its own shape.

        Args:
            any_size: only the number of channels has to be its own.

        Raises:
            ConfigError: they are not.
        """
        compared = 1 if any_size else 3
        if pictures.dim() != 4 or tuple(pictures.shape[1 : 1 + compared]) != self.spec.shape[:compared]:
            wanted = ", ".join(map(str, (*self.spec.shape[:compared], "H", "W")[:3]))
            raise ConfigError(f"This model takes pictures of the shape [N, {wanted}]; got {list(pictures.shape)}.")
        if not pictures.is_floating_point():
            raise ConfigError(
                f"This model takes pictures as floats in [-1, 1]; got {pictures.dtype}: for bytes, x / 127.5 - 1."
            )
        weight = next(self.parameters(), None)
        return pictures.to(self.device, torch.float32 if weight is None else weight.dtype)

    def check_labels(self, n: int, labels: Tensor | None) -> Tensor | None:
        """`labels` on the model's device, checked against the model's classes.

        Raises:
            ConfigError: there are not n of them, or one names no class.
        """
        if labels is None:
            return None
        try:
            labels = torch.as_tensor(labels, dtype=torch.int64, device=self.device)
        except (TypeError, ValueError, RuntimeError):
            raise ConfigError(f"Labels are class numbers [N]; got {labels!r}.") from None
        if labels.shape != (n,):
            raise ConfigError(f"{n} pictures need {n} labels; got an array of shape {tuple(labels.shape)}.")
        if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < len(self.spec.classes)):
            raise ConfigError(f"Labels of this model go from 0 to {len(self.spec.classes) - 1}.")
        return labels


M = TypeVar("M", bound=type[Model])


def register(cls: M) -> M:
    """Class decorator: make a model known by its `name`.

    Raises:
        ConfigError: the name is taken.
    """
    MODELS.add(cls.name, cls)
    return cls


def build(name: str, settings: dict[str, Any], spec: PictureSpec, seed: int = 0) -> Model:
    """Make a fresh model. The same seed gives the same weights, and the caller's random state is left alone.

    Raises:
        ConfigError: no such model, or a setting is wrong.
    """
    cls = MODELS.get(name)
    config = cls.Config.build(settings, "model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config, spec)
