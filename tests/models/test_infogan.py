"""What is said of InfoGAN: its bound, whom its gradient moves, its latents, and what it reads from pictures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.models.infogan import InfoGAN, InfoGANConfig

SMALL = {"latent": 5, "width": 4, "discriminator_width": 4, "dense": 16}


def made(size: int = 8, **settings: Any) -> Any:
    return build("infogan", {**SMALL, **settings}, PictureSpec(1, size, size))


def outputs_for(model: Any, latents: Tensor, scale: float) -> Tensor:
    """What a Q would give that knows the codes: logits of `scale` on the right value, the means themselves."""
    outputs = latents[:, model.config.latent :].clone()
    outputs[:, : sum(model.config.categorical)] *= scale
    return outputs


def test_a_q_that_knows_the_categorical_codes_gives_their_entropy_and_a_useless_one_nothing() -> None:
    model = made(categorical=(10, 4), continuous=0)
    latents = model.latent(64)
    perfect = model.information(outputs_for(model, latents, 100.0), latents)
    assert perfect["categorical"].item() == pytest.approx(math.log(10) + math.log(4), abs=1e-5)
    useless = model.information(torch.zeros(64, 14), latents)
    assert useless["categorical"].item() == pytest.approx(0, abs=1e-5)
    assert perfect.keys() == {"categorical"}


@pytest.mark.parametrize("right", [0.3, 0.9])
def test_a_noisy_channel_has_the_information_of_the_textbook(right: float) -> None:
    """A symmetric channel: I = log K - H(error), when Q is the true posterior (Cover and Thomas, eq. 7.22)."""
    model, count = made(categorical=(4,), continuous=0), 4000
    latents = model.latent(count)
    generator = torch.Generator().manual_seed(0)
    truth = latents[:, 5:].argmax(1)
    wrong = torch.rand(count, generator=generator) > right
    heard = torch.where(wrong, (truth + torch.randint(1, 4, (count,), generator=generator)) % 4, truth)
    posterior = torch.full((count, 4), (1 - right) / 3)
    posterior[torch.arange(count), heard] = right
    noise = -right * math.log(right) - (1 - right) * math.log((1 - right) / 3)
    bound = model.information(posterior.log(), latents)["categorical"].item()
    assert bound == pytest.approx(math.log(4) - noise, abs=0.06)


def test_continuous_codes_have_the_density_of_a_normal() -> None:
    """Against torch's own normal, with variance 1 and with a learned one."""
    for variance in ("unit", "learned"):
        model = made(categorical=(3,), continuous=2, variance=variance)
        latents = model.latent(16)
        outputs = torch.randn(16, 3 + 2 * (1 + (variance == "learned")), generator=torch.Generator().manual_seed(1))
        scale = torch.ones(16, 2) if variance == "unit" else (-6 + (outputs[:, 5:] + 6).exp().log1p()).div(2).exp()
        wanted = torch.distributions.Normal(outputs[:, 3:5], scale).log_prob(latents[:, 8:]).sum(1).mean()
        bound = model.information(outputs, latents)["continuous"]
        assert bound.item() == pytest.approx(wanted.item() + 2 * math.log(2), abs=1e-4)


def test_the_bound_moves_q_and_the_body_with_the_discriminator_and_the_generator_alone() -> None:
    model = made(16)
    discriminator, generator = model.phases()
    own = {id(p) for net in (model.discriminator, model.recognition) for p in net.parameters()}
    assert {id(p) for p in discriminator.parameters()} == own
    assert {id(p) for p in generator.parameters()} == {id(p) for p in model.generator.parameters()}
    turn = Turn(torch.randn(8, 1, 16, 16).tanh(), None, Draw(0, ("test",)), 0)
    turn.prepared = model.drawn(turn)
    names = dict(model.named_parameters())

    def moved(terms: Any) -> set[str]:
        """Networks that the bound alone reaches."""
        bound = terms["categorical"] + terms["continuous"]
        gradients = torch.autograd.grad(bound, list(names.values()), allow_unused=True)
        return {name.rpartition(".")[0] for name, g in zip(names, gradients, strict=True) if g is not None and g.any()}

    reached = moved(model.discriminator_loss(turn))
    body = {"discriminator.first", "discriminator.dense.0"}
    assert body | {"recognition.hidden", "recognition.last"} <= reached
    assert not any(name.startswith("generator") for name in reached), "the pictures are fixed in this turn"
    assert "discriminator.last" not in reached, "the score is no part of the bound"
    terms = model.generator_loss(turn)
    assert "generator.first" in moved({key: value.clone() for key, value in terms.items()})
    bound = model.information(model.recognition(model.discriminator.features(turn.prepared[1])), turn.prepared[0])
    assert terms["categorical"].item() == pytest.approx(-bound["categorical"].item(), rel=1e-4)
    assert turn.notes["information"].item() == pytest.approx(sum(b.item() for b in bound.values()), rel=1e-4)


def test_weights_are_lambda() -> None:
    once, twice = made(), made(categorical_weight=2.0, continuous_weight=0.1)
    twice.load_state_dict(once.state_dict())
    found = []
    for model in (once, twice):
        turn = Turn(torch.zeros(4, 1, 8, 8), None, Draw(0, ("test",)), 0)
        turn.prepared = model.drawn(turn)
        found.append(model.generator_loss(turn))
    assert found[1]["categorical"].item() == pytest.approx(2 * found[0]["categorical"].item(), rel=1e-4)
    assert found[1]["continuous"].item() == pytest.approx(0.1 * found[0]["continuous"].item(), rel=1e-4)


def test_latents_are_noise_one_hots_and_numbers_from_minus_one_to_one() -> None:
    model = made(categorical=(3, 2), continuous=2)
    latents = model.latent(2000, seed=4)
    assert torch.equal(latents[:7], model.latent(7, seed=4))
    noise, first, second, numbers = latents.split([5, 3, 2, 2], 1)
    assert noise.std().item() == pytest.approx(1, abs=0.05)
    for hot in (first, second):
        assert torch.equal(hot.sum(1), torch.ones(2000))
        assert bool(((hot == 0) | (hot == 1)).all())
        assert hot.mean(0).std().item() < 0.03, "all values alike"
    assert numbers.abs().max() <= 1
    assert numbers.var().item() == pytest.approx(1 / 3, abs=0.03)
    cut = model.latent(2000, seed=4, truncation=0.25)
    assert cut[:, :5].abs().max() <= 0.5
    assert cut[:, 10:].abs().max() <= 0.25
    assert torch.equal(cut[:, 5:10], latents[:, 5:10]), "one-hot codes are not shortened"
    trained = model.drawn(Turn(torch.zeros(64, 1, 8, 8), None, Draw(0, ("t",)), 0))[0]
    assert trained.shape == (64, 12)
    assert torch.equal(trained[:, 5:8].sum(1), torch.ones(64))


def test_a_way_keeps_codes_that_both_ends_share() -> None:
    model = made(categorical=(3,), continuous=1)
    seen: list[Tensor] = []
    model.generate = lambda latents, labels=None: seen.append(latents)
    ends = model.set_codes(model.latent(2), {"c0": 1, "c1": 0.9})
    model.interpolate(ends[0], ends[1], steps=5)
    assert torch.allclose(seen[0][:, 5:], ends[0, 5:].expand(5, 4))
    other = model.set_codes(ends, {"c0": 2, "c1": -0.9})
    model.interpolate(ends[0], other[1], steps=3)
    assert torch.allclose(seen[1][:, 5:8].sum(1), torch.ones(3)), "mixtures of one-hots add up to one"
    assert torch.allclose(seen[1][1, 5:], torch.tensor([0, 0.5, 0.5, 0.0]), atol=1e-6)
    assert torch.equal(seen[1][0], ends[0])


def test_encode_gives_the_means_of_q_and_no_noise() -> None:
    model = made(categorical=(3,), continuous=2).eval()
    latents = model.encode(torch.randn(6, 1, 8, 8).tanh())
    assert latents.shape == (6, 10)
    assert not latents[:, :5].any()
    assert torch.allclose(latents[:, 5:8].sum(1), torch.ones(6))
    codes = model.get_codes(latents)
    assert codes["c0"].dtype == torch.int64
    assert torch.equal(codes["c0"], latents[:, 5:8].argmax(1))
    assert torch.equal(codes["c2"], latents[:, 9])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"categorical": (), "continuous": 0}, "needs a code"),
        ({"categorical": (10, 1)}, "2 to 1,000 values; got 1"),
        ({"condition": "concatenation"}, "condition"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(**settings)


def test_agreement_is_the_information_of_both_guesses_and_moves_q_and_what_it_shares() -> None:
    from mezzotint.nn.information import shared_information

    model = made(categorical=(3, 2), continuous=1, invariance=1.0).eval()  # no statistics of batches
    pictures = torch.rand(6, 1, 8, 8) * 2 - 1
    moved = pictures.flip(3)
    logits = [model.recognition(model.discriminator.features(x)) for x in (pictures, moved)]
    expected = sum(
        shared_information(logits[0][:, part].softmax(1), logits[1][:, part].softmax(1))
        for part in (slice(0, 3), slice(3, 5))
    )
    found = model.agreement(model.discriminator.features(pictures), moved)
    torch.testing.assert_close(found, expected)
    model.zero_grad()
    found.backward()
    assert model.discriminator.first.weight.grad.abs().sum() > 0
    assert model.recognition.last.weight.grad.abs().sum() > 0


def test_invariance_needs_a_kind() -> None:
    with pytest.raises(ConfigError, match="categorical codes, and there is none"):
        made(categorical=(), continuous=1, invariance=1.0)


@pytest.mark.parametrize(("channels", "side", "dense"), [(1, 28, 1024), (1, 32, 1024), (3, 32, 0), (1, 48, 0)])
def test_only_what_is_like_digits_gets_their_dense_layer(channels: int, side: int, dense: int) -> None:
    """With it photographs of clothes and faces end as noise (docs/results.md)."""
    spec = PictureSpec(channels, side, side)
    chosen = {each.name: each.value for each in InfoGAN.advise(100, spec, torch.device("cpu"))}
    assert InfoGANConfig(**chosen).dense == dense
