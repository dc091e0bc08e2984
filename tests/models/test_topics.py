"""Topics beside scikit-learn's latent Dirichlet allocation, and what they must find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import LatentDirichletAllocation

from mezzotint.core.errors import ConfigError
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig, PictureSet
from mezzotint.engine.draw import Draw
from mezzotint.engine.model import PictureSpec, build
from mezzotint.engine.phase import Turn
from mezzotint.nn.patches import cut, joined
from mezzotint.testing._make import fitted


def two_scenes(count: int = 200) -> PictureSet:
    """Pictures of 6 x 6: bright above or bright below, grained."""
    rng = np.random.default_rng(0)
    x = np.full((count, 6, 6), 60.0)
    x[::2, :3] = 200
    x[1::2, 3:] = 200
    x += rng.normal(0, 12, x.shape)
    return open_pictures(np.clip(x, 0, 255).astype(np.uint8), DataConfig(validation=0))


def turn(pictures: PictureSet) -> Turn:
    x = torch.from_numpy(pictures.pictures[:].astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    return Turn(x, None, Draw(0, ("test",)), 0)


@pytest.mark.parametrize("places", [True, False])
def test_topics_are_scikit_learns(places: bool) -> None:
    pictures = two_scenes(60)
    model: Any = build(
        "topics", {"topics": 3, "words": 5, "patch": 2, "places": places, "prior": "even"}, PictureSpec(1, 6, 6)
    ).double()
    given = turn(pictures)
    model.begin(lambda n: (given.pictures[:n], None))
    words = model.words(given.pictures)
    kinds = 9 if places else 1
    ids = words.numpy() + 5 * (np.arange(9) if places else np.zeros(9, np.int64))
    counts = np.stack([np.bincount(row, minlength=5 * kinds) for row in ids])
    first = np.random.RandomState(0).gamma(100.0, 0.01, (3, 5 * kinds))  # as scikit-learn begins
    model.components.copy_(torch.from_numpy(first).view(3, kinds, 5))
    for _ in range(4):
        model.see(given)
        model.close()
    peer = LatentDirichletAllocation(
        3, learning_method="batch", max_iter=4, max_doc_update_iter=1000, mean_change_tol=1e-10, random_state=0
    ).fit(counts)
    np.testing.assert_allclose(model.components.flatten(1), peer.components_, rtol=2e-2, atol=2e-2)
    theta = model.encode(given.pictures.double())[:, :3]
    np.testing.assert_allclose(theta, peer.transform(counts), atol=2e-2)


def test_two_kinds_of_pictures_are_two_topics() -> None:
    pictures = two_scenes()
    run: Any = fitted("topics", pictures, topics=2, words=6, patch=3)
    theta = run.encode(turn(pictures).pictures)[:, :2]
    assert theta.max(1).values.min() > 0.8
    found = theta.argmax(1)
    assert bool((found[::2] == found[0]).all())
    assert bool((found[1::2] == 1 - found[0]).all())
    topics, words = run.explain().parts
    above = topics.pictures[:, 0, :3].mean((1, 2)) > topics.pictures[:, 0, 3:].mean((1, 2))
    assert above.sum() == 1
    assert words.pictures.shape == (6, 1, 3, 3)
    drawn = run.sample(100, seed=1)[:, 0]
    assert bool(((drawn[:, :3].mean((1, 2)) > 0) != (drawn[:, 3:].mean((1, 2)) > 0)).float().mean() > 0.9)


def test_a_picture_comes_back_in_words_and_patches_are_cut_and_joined() -> None:
    model: Any = build("topics", {"topics": 4, "words": 7, "patch": 3}, PictureSpec(3, 7, 8))
    x = torch.rand(5, 3, 7, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(joined(cut(x, 3), (3, 7, 8)), x)
    once = model.reconstruct(x)
    torch.testing.assert_close(once, joined(model.book[model.words(x)], (3, 7, 8)).float())


def test_set_to_a_topic_a_picture_is_of_it() -> None:
    run: Any = fitted("topics", two_scenes(), topics=2, words=6, patch=3)
    latents = run.latent(30, seed=2)
    assert torch.equal(latents[:4], run.latent(4, seed=2))
    means = [run.generate(run.set_codes(latents, {"topic": k}))[:, 0, :3].mean() for k in (0, 1)]
    assert abs(means[0] - means[1]) > 0.5


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"patch": 9}, "larger than pictures"), ({"words": 100_000, "topics": 100}, "do not fit into memory")],
)
def test_what_cannot_be_is_said(settings: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("topics", settings, PictureSpec(1, 8, 8))


def test_too_few_patches_for_the_words_are_said() -> None:
    with pytest.raises(ConfigError, match="need as many patches"):
        fitted("topics", two_scenes(10), words=500, patch=3)
