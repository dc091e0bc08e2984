"""Topics: latent Dirichlet allocation on visual words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core import rng
from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.advice import Choice
from mezzotint.engine.codes import Code
from mezzotint.engine.explaining import Explanation, Parts
from mezzotint.engine.fitting import Pass
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Turn
from mezzotint.models._coded import Coded
from mezzotint.nn.dirichlet import expected_log, likeliest_parameters
from mezzotint.nn.patches import cut, joined

_SEEN, _PATCHES = 5000, 100_000
"""Pictures, and patches of them, that words are found among."""
_STEPS = 40
"""Of the inference of a picture's topics."""
_MOST = 2**24
"""Numbers that all topics may have together: 128 MiB, and the sums as much again."""


class TopicsConfig(Config):
    """Settings of `topics`."""

    topics: int = option(20, "Topics that pictures are mixtures of.", ge=1, le=10_000)
    words: int = option(100, "Visual words: kinds of patches.", ge=2, le=100_000)
    patch: int = option(4, "Height and width of a patch, in pixels.", ge=1, le=256)
    places: bool = option(
        True, "Whether a word at another place is another word; if not, a picture is a bag of words, as a text is."
    )
    prior: Literal["learned", "even"] = option(
        "learned", "Whether some topics are more frequent than others, and how mixed pictures are, is learned too."
    )
    passes: int = option(20, "Looks at all pictures, at most.", ge=1)
    tolerance: float = option(1e-3, "A look that makes a word likelier by fewer nats is the last.", ge=0)


@register
class Topics(Coded):
    """Latent Dirichlet allocation: a picture is a mixture of topics, and a topic says how often each word occurs.

        theta ~ Dirichlet(alpha),      at each place p:   topic t ~ theta,   word w ~ beta_t,   a patch of the kind w
                                                                                            (section 3 of the paper)

    Pictures are cut into patches, and words are the clusters of patches (k-means, scikit-learn). Topics are fitted by
    variational inference: with q(theta) = Dirichlet(gamma) for each picture and q(beta_t) = Dirichlet(lambda_t),

        phi_pt ~ exp(E log theta_t + E log beta_t,w(p)),    gamma_t = alpha_t + sum_p phi_pt,
        lambda_tw = 1/K + sum of phi_pt over all places of all pictures that have the word w

    (Hoffman, Blei and Bach 2010, eqs. 2 to 5, all pictures in each step). With `prior=even` alpha is 1/K and it is
    scikit-learn's `LatentDirichletAllocation` with `learning_method="batch"`; else alpha becomes the likeliest after
    each look (section 5.3 of the paper). Only sums are kept between batches.

    Words know their places unless `places` is off, so topics look like pictures; without places a topic is a texture.

    A latent is [theta | a standard normal number for each place], and the number says which word is drawn there: that
    up to which the words' probabilities add up to the normal's distribution function. `encode` gives the expected
    theta, and the numbers of the very words of a picture, so `reconstruct` gives it back in words. The code "topic" is
    the largest of theta.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: patches are larger than pictures, or the topics would not fit into memory.

    Example:
        >>> model = Topics(TopicsConfig(topics=3, words=5, patch=2), PictureSpec(1, 4, 6)).eval()
        >>> pictures = model.sample(2)
        >>> bool(torch.equal(model.decode(model.encode(pictures)), pictures))
        True
    """

    name = "topics"
    summary = "Latent Dirichlet allocation on visual words: pictures as mixtures of topics; the other LDA."
    paper = Paper("Blei, Ng, Jordan", 2003, "Latent Dirichlet Allocation")  # Journal of Machine Learning Research 3
    Config = TopicsConfig
    tiny = {"topics": 3, "words": 4, "patch": 3, "passes": 3}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"places": False, "prior": "even"},)
    unexported: ClassVar[Mapping[str, str]] = {"encode": "it takes digamma functions"}
    doubles = True
    estimates = ("book", "components", "alpha")
    config: TopicsConfig
    book: Tensor
    components: Tensor
    alpha: Tensor
    sums: Tensor
    logs: Tensor
    nats: Tensor
    seen: Tensor
    bound: Tensor

    def __init__(self, config: TopicsConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if config.patch > min(spec.height, spec.width):
            raise ConfigError(
                f"Patches of {config.patch} pixels are larger than pictures of {spec.height} x {spec.width}; set "
                "model.patch lower."
            )
        self.place_count = math.ceil(spec.height / config.patch) * math.ceil(spec.width / config.patch)
        kinds = self.place_count if config.places else 1
        if config.topics * config.words * kinds > _MOST:
            raise ConfigError(
                f"{config.topics:,} topics of {config.words * kinds:,} words do not fit into memory; set model.words "
                "or model.topics lower, model.patch higher, or model.places=false."
            )
        self.latent_size = config.topics + self.place_count

        def keep(name: str, value: Tensor) -> None:
            self.register_buffer(name, value)

        size = spec.channels * config.patch**2
        flat = torch.linspace(-1, 1, config.words, dtype=torch.float64)
        keep("book", flat[:, None].expand(-1, size).clone())
        keep("components", torch.ones(config.topics, kinds, config.words, dtype=torch.float64))
        keep("sums", torch.zeros(config.topics, kinds, config.words, dtype=torch.float64))
        keep("alpha", torch.full((config.topics,), 1 / config.topics, dtype=torch.float64))
        keep("logs", torch.zeros(config.topics, dtype=torch.float64))
        for name in ("nats", "seen"):
            keep(name, torch.zeros((), dtype=torch.float64))
        keep("bound", torch.tensor(-1e300, dtype=torch.float64))

    # Fitting --------------------------------------------------------------------------------------------------------

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """Batches as large as what they are inferred by fits into a cache."""
        return (Choice("train", "batch_size", min(256, pictures), "what is fitted hardly depends on it"),)

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """The words: clusters of patches, in the order of their first principal component."""
        from sklearn.cluster import MiniBatchKMeans

        patches = cut(training(_SEEN)[0], self.config.patch).flatten(0, 1)
        chosen = torch.from_numpy(rng.stream(0, "patches").permutation(len(patches))[:_PATCHES].copy())
        x = patches[chosen.to(patches.device)].cpu().numpy()
        if len(x) < self.config.words:
            raise ConfigError(
                f"{self.config.words} words need as many patches, and there are {len(x)}; set model.words lower."
            )
        found = MiniBatchKMeans(self.config.words, n_init=1, random_state=0, batch_size=4096).fit(x).cluster_centers_
        book = torch.from_numpy(found).to(self.book)
        centred = book - book.mean(0)
        along = centred @ torch.linalg.eigh(centred.mT @ centred)[1][:, -1]
        along = along * (along * book.mean(1)).sum().sign()  # dark words first
        self.book.copy_(book[along.argsort(stable=True)])
        first = rng.stream(0, "topics").gamma(100.0, 0.01, tuple(self.components.shape))
        self.components.copy_(torch.from_numpy(first))

    def passes(self) -> tuple[Pass, ...]:
        """Steps of variational inference, until words become no likelier."""
        return (Pass("topics", self.see, self.close, self.config.passes),)

    def see(self, turn: Turn) -> Mapping[str, Tensor]:
        """The E step of a batch. `nats` is the mean -log p(word) under the expected theta and beta."""
        words = self.words(turn.pictures)
        told = self.likely(words, self._topics())
        gamma = self.infer_topics(told)
        phi = expected_log(gamma).exp()[:, None] * told
        phi = phi / phi.sum(2, keepdim=True)  # [N, P, K]
        kinds, count = self.components.shape[1:]
        place = torch.arange(self.place_count, device=words.device) % kinds
        flat = (place * count + words).flatten()
        self.sums += torch.zeros_like(self.sums).flatten(1).index_add_(1, flat, phi.flatten(0, 1).mT).view_as(self.sums)
        log_p = self.log_p(words, gamma)
        self.nats += log_p.sum()
        self.seen += len(words)
        self.logs += expected_log(gamma).sum(0)
        return {"nats": -log_p.mean() / self.place_count}

    def close(self) -> bool:
        """The M step; whether words became likelier by less than the tolerance."""
        self.components.copy_(self.sums + 1 / self.config.topics)
        if self.config.prior == "learned" and self.config.topics > 1:
            self.alpha.copy_(likeliest_parameters(self.logs / self.seen, self.alpha))
        bound = self.nats / (self.seen * self.place_count)
        settled = bool((bound - self.bound).abs() < self.config.tolerance)
        self.bound.copy_(bound)
        for sums in (self.sums, self.logs, self.nats, self.seen):
            sums.zero_()
        return settled

    def infer_topics(self, told: Tensor) -> Tensor:
        """gamma [N, K] of pictures whose words have the weights `told` [N, P, K] under each topic."""
        gamma = torch.ones_like(told[:, 0])
        for _ in range(_STEPS):
            weight = expected_log(gamma).exp()
            total = (told @ weight[:, :, None]) + torch.finfo(told.dtype).eps
            gamma = self.alpha + weight * (told.mT @ total.reciprocal())[:, :, 0]
        return gamma

    # Words ----------------------------------------------------------------------------------------------------------

    def words(self, pictures: Tensor) -> Tensor:
        """The word nearest to each patch: int64 [N, P] of pictures [N, C, H, W]."""
        x = cut(pictures.to(self.book), self.config.patch)
        return (self.book.square().sum(1) - 2 * x @ self.book.mT).argmin(2)

    def likely(self, words: Tensor, topics: Tensor) -> Tensor:
        """What each topic [K, kinds, words] says of words [N, P]: [N, P, K]."""
        place = torch.arange(self.place_count, device=words.device) % topics.shape[1]
        return topics[:, place, words].permute(1, 2, 0)

    def expected(self) -> Tensor:
        """How often each word occurs in each topic at each place: [K, P, words], which add up to 1 over the words."""
        shares = self.components / self.components.sum(2, keepdim=True)
        return shares.expand(-1, self.place_count, -1)

    def log_p(self, words: Tensor, gamma: Tensor) -> Tensor:
        """log p of words [N, P] in nats [N], under the expected theta and beta."""
        theta = gamma / gamma.sum(1, keepdim=True)
        return (self.likely(words, self.expected()) @ theta[:, :, None])[:, :, 0].log().sum(1)

    def validation_loss(self, turn: Turn) -> Tensor:
        """-log p of the words of a held-out picture, the mean in nats."""
        words = self.words(turn.pictures)
        return -self.log_p(words, self.infer_topics(self.likely(words, self._topics()))).mean()

    def _topics(self) -> Tensor:
        """exp(E log beta) [K, kinds, words]."""
        return expected_log(self.components, (1, 2)).exp()

    # What it can do -------------------------------------------------------------------------------------------------

    def codes(self) -> tuple[Code, ...]:
        """The topic, and a number for each place."""
        count = self.config.topics
        topic = (Code("topic", "categorical", 0, count),) if count > 1 else ()
        return (*topic, *(Code(f"z{k}", "normal", count + k) for k in range(self.place_count)))

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """As of any latent, with theta of the Dirichlet distribution in front: [theta | standard normal]."""
        latents = super().latent(n, seed, truncation)
        count = self.config.topics
        theta = torch.from_numpy(rng.stream(seed, "theta").dirichlet(self.alpha.cpu().numpy(), n))
        latents[:, :count] = theta.to(latents)
        return latents

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        latents = latents.to(self.device)
        count = self.config.topics
        up_to = self._up_to(latents[:, :count])
        u = torch.special.ndtr(latents[:, count:].to(self.book))
        words = (up_to < u[:, :, None]).sum(2).clamp(max=self.config.words - 1)
        return joined(self.book[words], self.spec.shape).float().clamp(-1, 1)

    def _up_to(self, theta: Tensor) -> Tensor:
        """The probabilities of words, added up: [N, P, words] of theta [N, K]."""
        theta = theta.to(self.book).clamp(min=0)
        theta = theta / theta.sum(1, keepdim=True).clamp(min=1e-12)
        return torch.einsum("nk,kpw->npw", theta, self.expected()).cumsum(2)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]: the expected theta, and the words."""
        words = self.words(self.check_pictures(pictures))
        gamma = self.infer_topics(self.likely(words, self._topics()))
        theta = (gamma / gamma.sum(1, keepdim=True)).float()
        up_to = self._up_to(theta)
        above = up_to.gather(2, words[:, :, None])[:, :, 0]
        below = F.pad(up_to, (1, 0)).gather(2, words[:, :, None])[:, :, 0]
        return torch.cat((theta, torch.special.ndtri((above + below) / 2).float()), 1)

    def explain(self) -> Explanation:
        """What each topic looks like, the most frequent first, and all words."""
        shares = self.components.sum((1, 2))
        order = shares.argsort(descending=True, stable=True)
        if self.config.places:
            looks = joined(self.expected()[order] @ self.book, self.spec.shape)
            says = "The mean picture of each topic, the most frequent first."
        else:
            likeliest = self.components[order, 0].argsort(1, descending=True)
            likeliest = likeliest[:, torch.arange(self.place_count) % self.config.words]
            looks = joined(self.book[likeliest], self.spec.shape)
            says = "The words of each topic, the likeliest at the top left; the most frequent topic first."
        side = self.config.patch
        words = self.book.unflatten(1, (self.spec.channels, side, side))
        return Explanation(
            (
                Parts("Topics", looks.float().clamp(-1, 1), says),
                Parts("Words", words.float().clamp(-1, 1), "Kinds of patches, from dark to light."),
            )
        )
