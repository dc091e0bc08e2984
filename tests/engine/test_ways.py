"""What a translating model makes of pictures: the same as it does when asked directly, in columns by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mezzotint.data.output import grid, to_uint8
from mezzotint.engine.callbacks import preview
from mezzotint.engine.model import MODELS, PictureSpec, build
from mezzotint.engine.ways import as_seen, beside, evenly, preview_of, styled_ways, ways
from mezzotint.tasks.report._images import ungrid
from mezzotint.testing._make import make_pictures, make_trainer

TINY = {"width": 4, "critic_width": 4, "blocks": 1}
CLASSES = PictureSpec(3, 16, 16, classes=("day", "night", "dusk"))


def test_a_column_for_each_domain() -> None:
    model: Any = build("stargan", TINY, CLASSES, seed=0).eval()
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    found = ways(model)
    assert [way.name for way in found] == ["day", "night", "dusk"]
    for k, way in enumerate(found):
        torch.testing.assert_close(way.change(x), model.translate(x, torch.eye(3)[[k, k]]))
    sheet = beside(x, found)
    height = grid(np.zeros((8, 16, 16, 3), np.uint8), 4).shape[0]
    shown = ungrid(sheet[len(sheet) - height :], (16, 16), 8, 4)
    assert shown is not None
    assert (shown[0] == to_uint8(x.numpy())[0]).all()
    assert (shown[5] == to_uint8(found[0].change(x).numpy())[1]).all()


def test_attributes_are_switched_and_the_others_stay() -> None:
    model: Any = build("stargan", TINY, PictureSpec(3, 16, 16, attributes=("smile", "hat")), seed=0).eval()
    seen: list[Any] = []
    model.read = lambda x: torch.tensor([[0.9, 0.2], [0.1, 0.7]])
    model.translate = lambda x, to: seen.append(to.tolist()) or x
    for way in ways(model):
        way.change(torch.zeros(2, 3, 16, 16))
    assert [way.name for way in ways(model)] == ["smile switched", "hat switched"]
    assert seen == [[[0, 0], [1, 1]], [[1, 1], [0, 0]]]


def test_of_words_of_one_column_a_picture_has_one() -> None:
    names = ("age=young", "smile", "age=old")
    model: Any = build("stargan", TINY, PictureSpec(3, 16, 16, attributes=names), seed=0).eval()
    seen: list[Any] = []
    model.read = lambda x: torch.tensor([[0.6, 0.9, 0.8], [0.3, 0.1, 0.2]])
    model.translate = lambda x, to: seen.append(to.tolist()) or x
    x = torch.zeros(2, 3, 16, 16)
    assert as_seen(model, x).tolist() == [[0, 1, 1], [0, 0, 0]]
    for way in ways(model):
        way.change(x)
    assert [way.name for way in ways(model)] == ["age=young", "smile switched", "age=old"]
    assert seen == [[[1, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 1, 0]], [[0, 1, 1], [0, 0, 1]]]


def test_styles_by_seed() -> None:
    settings = {**TINY, "styles": 4, "style_noise": 3, "mapping_width": 16}
    model: Any = build("stargan", settings, CLASSES, seed=0).eval()
    x = torch.rand(2, 3, 16, 16)
    found = styled_ways(model, [2], [5, 6])
    assert [way.name for way in found] == ["style 5", "style 6"]
    for seed, way in zip((5, 6), found, strict=True):
        style = model.draw_styles(torch.eye(3)[[2]], seed)
        torch.testing.assert_close(way.change(x), model.restyle(x, torch.cat((style, style))))


def test_places_are_spread_over_all() -> None:
    assert evenly(100, 5).tolist() == [0, 24, 49, 74, 99]
    assert evenly(3, 64).tolist() == [0, 1, 2]
    assert evenly(0, 4).tolist() == []


@pytest.mark.parametrize("name", ["cyclegan", "pix2pix", "stargan"])
def test_previews_show_pictures_of_all_domains(name: str) -> None:
    """Held-out pictures of one class stand before those of the other."""
    pictures = make_pictures(count=80)
    rows = pictures.splits["validation"]
    assert pictures.labels is not None
    rows[:] = rows[pictures.labels[rows].argsort(kind="stable")]
    trainer = make_trainer(MODELS.get(name), pictures)
    with trainer.using() as model:
        few = trainer.held_out(4, spread=True)[1]
        assert few is not None
        assert few.tolist() == [0, 0, 1, 1]
        held = trainer.held_out(64, spread=True)[0]
        sheet = preview(model, held, 64)
        assert (sheet == preview_of(model, held)).all()
        columns = 1 + len(model.domains())  # type: ignore[operator]
    assert sheet.shape[1] > sheet.shape[0] or columns < 3
