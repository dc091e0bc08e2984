"""What each capability promises, as checks of a trained model."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Model
from mezzotint.testing._make import refusal


def _in_range(pictures: Tensor, n: int, model: Model, what: str) -> None:
    assert pictures.shape == (n, *model.spec.shape), f"{model.name}.{what} has shape {tuple(pictures.shape)}"
    assert pictures.dtype == torch.float32, f"{model.name}.{what} gives {pictures.dtype}"
    assert float(pictures.min()) >= -1, f"{model.name}.{what} goes below -1"
    assert float(pictures.max()) <= 1, f"{model.name}.{what} goes above 1"


def _samples(model: Any, _: Tensor, labels: Tensor | None) -> None:
    many = model.sample(5, seed=3)
    _in_range(many, 5, model, "sample")
    assert torch.equal(many, model.sample(5, seed=3)), f"{model.name}.sample is not a function of the seed"
    assert not torch.equal(many, model.sample(5, seed=4)), f"{model.name}.sample does not depend on the seed"
    assert torch.allclose(many[:2], model.sample(2, seed=3), atol=1e-4), f"{model.name}: sample k depends on n"
    assert model.sample(0).shape == (0, *model.spec.shape), f"{model.name} cannot draw no pictures"
    assert float(model.latent(500, truncation=0.5).abs().max()) <= 1 + 1e-6, f"{model.name}: truncation cuts nothing"
    few = None if labels is None else labels[:3]
    _in_range(model.generate(model.latent(3), few), 3, model, "generate")
    if model.conditional:
        other = [model.sample(2, seed=3, labels=torch.full((2,), label)) for label in (0, 1)]
        assert not torch.equal(*other), f"{model.name} draws the same for every class"
    for wrong in (0.0, 1.5):
        said = refusal(ConfigError, partial(model.sample, 2, truncation=wrong))
        assert said, f"{model.name} accepts truncation {wrong}"


def _encodes(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    latents = model.encode(pictures)
    assert latents.dim() == 2, f"{model.name}.encode gives no vectors"
    assert len(latents) == len(pictures)
    assert torch.allclose(latents[:1], model.encode(pictures[:1]), atol=1e-4), f"{model.name}.encode mixes pictures"


def _decodes(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    _in_range(model.decode(model.encode(pictures)), len(pictures), model, "decode")


def _reconstructs(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    _in_range(model.reconstruct(pictures), len(pictures), model, "reconstruct")


def _discriminates(model: Any, pictures: Tensor, labels: Tensor | None) -> None:
    probability = model.discriminate(pictures, labels)
    assert probability.shape == (len(pictures),)
    assert bool(((probability >= 0) & (probability <= 1)).all()), f"{model.name}.discriminate gives no probability"


def _criticises(model: Any, pictures: Tensor, labels: Tensor | None) -> None:
    scores = model.critic(pictures, labels)
    assert scores.shape == (len(pictures),)
    assert bool(torch.isfinite(scores).all()), f"{model.name}.critic is not finite"
    few = model.critic(pictures[:2], None if labels is None else labels[:2])
    assert torch.allclose(scores[:2], few, rtol=1e-3, atol=1e-4), f"{model.name}.critic mixes pictures"


def _scores(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    nats = model.log_likelihood(pictures, seed=1)
    assert nats.shape == (len(pictures),)
    assert torch.equal(nats, model.log_likelihood(pictures, seed=1)), f"{model.name}.log_likelihood ignores its seed"
    few = model.log_likelihood(pictures[:2], seed=1)
    assert torch.allclose(nats[:2], few, rtol=1e-4), f"{model.name}.log_likelihood of one picture depends on the others"
    bits = model.bits_per_dim(nats)
    assert bool(torch.isfinite(bits).all()), f"{model.name}.bits_per_dim is not finite"
    rise = (model.bits_per_dim(nats - model.spec.values * math.log(2)) - bits).mean().item()
    assert abs(rise - 1) < 1e-3, f"{model.name}.bits_per_dim: a bit less likely for each value must be a bit more"


def _marginalises(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    what = f"{model.name}.importance_log_likelihood"
    nats = model.importance_log_likelihood(pictures, samples=9, seed=1)
    assert nats.shape == (len(pictures),), f"{what} has shape {tuple(nats.shape)}"
    assert bool(torch.isfinite(nats).all()), f"{what} is not finite"
    again, other = (model.importance_log_likelihood(pictures, samples=9, seed=seed) for seed in (1, 2))
    assert torch.equal(nats, again), f"{what} is not a function of its seed"
    assert not torch.equal(nats, other), f"{what} ignores its seed"
    few = model.importance_log_likelihood(pictures[:2], samples=9, seed=1)
    assert torch.allclose(nats[:2], few, rtol=1e-4), f"{what} of one picture depends on the others"
    said = refusal(ConfigError, partial(model.importance_log_likelihood, pictures, samples=0))
    assert said, f"{what} accepts no samples"


def _infers(model: Any, pictures: Tensor, labels: Tensor | None) -> None:
    mean, log_variance = model.infer(pictures)
    assert mean.shape == log_variance.shape, f"{model.name}.infer gives two shapes"
    assert len(mean) == len(pictures), f"{model.name}.infer has shape {tuple(mean.shape)}"
    assert bool(torch.isfinite(log_variance).all()), f"{model.name}.infer gives a variance that is not finite"
    coded = model.encode(pictures)[:, : mean.shape[1]]
    assert torch.allclose(coded, mean, atol=1e-4), f"{model.name}: encode is not the mean of infer"
    if labels is not None:
        assert model.infer(pictures, labels)[0].shape == mean.shape


def _translates(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    count = len(model.domains())
    assert count > 0, f"{model.name} knows no domain"
    for k in range(count):
        to = torch.eye(count)[[k] * len(pictures)]
        _in_range(model.translate(pictures, to), len(pictures), model, "translate")
    wider = torch.nn.functional.pad(pictures, (0, 5, 0, 3), mode="replicate")
    made = model.translate(wider, torch.eye(count)[[0] * len(wider)])
    assert made.shape == wider.shape, f"{model.name}.translate gives {tuple(made.shape)} of {tuple(wider.shape)}"


def _restyles(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    count, n = len(model.domains()), len(pictures)
    for k in range(count):
        domains = torch.eye(count)[[k] * n]
        styles = model.draw_styles(domains, seed=3)
        assert len(styles) == n, f"{model.name}.draw_styles has shape {tuple(styles.shape)}"
        assert torch.equal(styles, model.draw_styles(domains, seed=3)), f"{model.name}.draw_styles ignores its seed"
        other = model.draw_styles(domains, seed=4)
        assert not torch.equal(styles, other), f"{model.name}.draw_styles does not depend on its seed"
        few = model.draw_styles(domains[:2], seed=3)
        assert torch.allclose(styles[:2], few, atol=1e-4), f"{model.name}: style k depends on the number of styles"
        made = model.restyle(pictures, styles)
        _in_range(made, n, model, "restyle")
        assert not torch.equal(made, model.restyle(pictures, other)), f"{model.name}.restyle ignores the style"
        read = model.styles_of(torch.nn.functional.pad(pictures, (0, 5, 0, 3), mode="replicate"), domains)
        assert read.shape == styles.shape, f"{model.name}.styles_of has shape {tuple(read.shape)}"
        assert bool(torch.isfinite(read).all()), f"{model.name}.styles_of is not finite"


def _reads(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    found = model.read(pictures)
    assert found.shape == (len(pictures), len(model.domains())), f"{model.name}.read has shape {tuple(found.shape)}"
    assert bool(((found >= 0) & (found <= 1)).all()), f"{model.name}.read gives no probabilities"


def _explains(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    said = model.explain()
    assert said.parts or said.curves, f"{model.name}: it explains nothing"
    for part in said.parts:
        assert part.name, f"{model.name}: a part has no name"
        assert part.says, f"{model.name}: {part.name} is not said in words"
        assert part.pictures.dim() == 4, f"{model.name}: {part.name} are not pictures [n, C, H, W]"
        assert part.pictures.shape[1] == model.spec.channels, f"{model.name}: {part.name} have other channels"
        within = bool(torch.isfinite(part.pictures).all()) and float(part.pictures.abs().max()) <= 1
        assert within, f"{model.name}: {part.name} are not in [-1, 1]"
    for curve in said.curves:
        assert len(curve.at) == len(curve.values) > 0, f"{model.name}: the curve {curve.name} has odd lengths"
        rises = all(a < b for a, b in zip(curve.at, curve.at[1:], strict=False))
        assert rises, f"{model.name}: the curve {curve.name} does not go from left to right"


def _quantises(model: Any, pictures: Tensor, _: Tensor | None) -> None:
    indices = model.indices(pictures)
    assert indices.dtype == torch.int64, f"{model.name}.indices gives {indices.dtype}"
    assert len(indices) == len(pictures), f"{model.name}.indices has shape {tuple(indices.shape)}"
    again = model.from_indices(indices)
    _in_range(again, len(pictures), model, "from_indices")
    assert torch.equal(again, model.reconstruct(pictures)), f"{model.name}: codes lead to other reconstructions"


PROMISES: dict[str, Callable[[Any, Tensor, Tensor | None], None]] = {
    "samples": _samples,
    "encodes": _encodes,
    "decodes": _decodes,
    "reconstructs": _reconstructs,
    "discriminates": _discriminates,
    "criticises": _criticises,
    "scores": _scores,
    "marginalises": _marginalises,
    "infers": _infers,
    "quantises": _quantises,
    "translates": _translates,
    "restyles": _restyles,
    "reads": _reads,
    "explains": _explains,
}
