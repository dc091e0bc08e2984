"""What a model can do, as small protocols. A task asks for a capability, never for a type of model.

Pictures are float32 [N, C, H, W] in [-1, 1]; latents are float32 [N, latent]; labels are int64 [N].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from mezzotint.core.errors import CapabilityError
from mezzotint.engine.codes import Code
from mezzotint.engine.explaining import Explanation


@runtime_checkable
class Samples(Protocol):
    """Draws new pictures from noise."""

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents [n, latent]; with truncation t < 1 no number is further than 2t from the middle (one-hots are)."""
        ...

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The pictures of these latents (and classes, for a conditional model)."""
        ...

    def sample(self, n: int, seed: int = 0, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """`n` new pictures; the first k of them do not depend on n."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Turns pictures into latents."""

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of the pictures; a part that the model cannot know of a picture is zero."""
        ...


@runtime_checkable
class Codes(Protocol):
    """Has latents of which named parts can be set one by one."""

    def codes(self) -> tuple[Code, ...]:
        """Its codes. What an encoder cannot know of a picture is no code."""
        ...

    def set_codes(self, latents: Tensor, values: Mapping[str, float]) -> Tensor:
        """A copy of the latents [N, latent] in which these codes have these values."""
        ...

    def get_codes(self, latents: Tensor) -> dict[str, Tensor]:
        """name -> [N]: int64 for a code of several values, float32 for others; of pictures: those of `encode`."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Turns latents into pictures."""

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of the latents."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Gives a picture back as the model sees it."""

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """Pictures of the same shape."""
        ...


@runtime_checkable
class Discriminates(Protocol):
    """Tells real pictures from generated ones."""

    def discriminate(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Probability [N] in [0, 1] that each picture is real, calibrated on held-out pictures."""
        ...


@runtime_checkable
class Criticises(Protocol):
    """Gives real pictures higher scores than generated ones, on a scale of its own."""

    def critic(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores [N], any real numbers."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Gives (a bound on) the log-likelihood of pictures."""

    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        """Nats [N]; `bits_per_dim` of the same model converts."""
        ...

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Negative log-likelihood in bits for each pixel value of 0..255."""
        ...


@runtime_checkable
class Marginalises(Protocol):
    """Integrates its latents out by importance sampling: log p(x) as closely as samples allow, where they are many."""

    def importance_log_likelihood(self, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
        """Nats [N], on average a lower bound of log p(x) that rises with the number of samples to log p(x) itself."""
        ...

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """As in `Scores`."""
        ...


@runtime_checkable
class Infers(Protocol):
    """Gives a normal distribution of latents for each picture, q(z|x)."""

    def infer(self, pictures: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Its mean and log variance [N, units] each; a conditional model reads classes that are not given."""
        ...


@runtime_checkable
class Quantises(Protocol):
    """Turns pictures into whole numbers and back."""

    def indices(self, pictures: Tensor) -> Tensor:
        """Codes int64 [N, h, w, books] of the pictures."""
        ...

    def from_indices(self, indices: Tensor) -> Tensor:
        """The pictures of codes; of a picture's own codes, its reconstruction."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Turns pictures into others of the same size and of another domain."""

    def domains(self) -> tuple[str, ...]:
        """Names of what it can translate to."""
        ...

    def translate(self, pictures: Tensor, to: Tensor) -> Tensor:
        """Pictures [N, C, H, W] of any size in the domains `to` [N, domains], 1 for what is wanted and else 0."""
        ...


@runtime_checkable
class Restyles(Protocol):
    """Translates in many styles, each of which is a code that belongs to a domain."""

    def draw_styles(self, domains: Tensor, seed: int = 0) -> Tensor:
        """Codes [N, style] of the domains [N, K], each another one; the first k of them do not depend on N."""
        ...

    def styles_of(self, pictures: Tensor, domains: Tensor) -> Tensor:
        """Codes [N, style] of pictures [N, C, H, W] of any size, each seen as one of its domain [N, K]."""
        ...

    def restyle(self, pictures: Tensor, styles: Tensor) -> Tensor:
        """Pictures [N, C, H, W] of any size in these styles [N, style], and so in their domains."""
        ...


@runtime_checkable
class Stylizes(Protocol):
    """Draws pictures of any size with the style of others, in parts if need be."""

    def styles(self, pictures: Tensor) -> Tensor:
        """Mean and deviation [N, 2, F] of each picture's features."""
        ...

    def reach(self) -> Any:
        """`step`: pixels a side of a feature; `encode`: how many around it it sees; `decode`: features a pixel sees."""
        ...

    def content(self, pictures: Tensor) -> Tensor:
        """Features [N, F, h, w]; each depends on its own pixels and on `reach().encode` around them."""
        ...

    def draw(self, features: Tensor) -> Tensor:
        """Pictures of features; a pixel depends on the feature it lies in and on `reach().decode` around it."""
        ...

    def stylize(self, pictures: Tensor, styles: Tensor, alpha: float = 1.0) -> Tensor:
        """Pictures of the same size in these styles."""
        ...


@runtime_checkable
class Reads(Protocol):
    """Tells of which domains pictures are."""

    def read(self, pictures: Tensor) -> Tensor:
        """Probabilities [N, domains] of pictures of any size, in the order of `domains`."""
        ...


@runtime_checkable
class Explains(Protocol):
    """Shows what it has learned."""

    def explain(self) -> Explanation:
        """Pictures that it is made of, and curves."""
        ...


CAPABILITIES: dict[str, type] = {
    protocol.__name__.lower(): protocol
    for protocol in (
        Samples,
        Encodes,
        Decodes,
        Reconstructs,
        Discriminates,
        Criticises,
        Scores,
        Marginalises,
        Codes,
        Infers,
        Quantises,
        Translates,
        Restyles,
        Stylizes,
        Reads,
        Explains,
    )
}


def capabilities(model: object) -> list[str]:
    """Names of what `model` (an instance or a class) can do, in the order of this file."""
    return [name for name in CAPABILITIES if _offers(model, name)]


def require(model: object, name: str, task: str, *, others: list[str]) -> None:
    """Check at a task's door that `model` can do what the task needs.

    Args:
        model: an instance.
        name: a key of `CAPABILITIES`.
        task: what is being done, for the message ("reconstruct").
        others: names of models that would do.

    Raises:
        CapabilityError: it cannot.
    """
    if not _offers(model, name):
        raise CapabilityError(
            f'"{task}" needs a model that {name}, and {getattr(model, "name", "this one")} does not; '
            f"these do: {', '.join(others) or 'none yet'}."
        )


def _offers(model: object, name: str) -> bool:
    wanted = [key for key in CAPABILITIES[name].__dict__ if not key.startswith("_")]
    return name not in getattr(model, "lacking", ()) and all(callable(getattr(model, key, None)) for key in wanted)
