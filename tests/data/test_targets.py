"""Attributes that a model learns, from columns of a metadata file to its batches."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.core.errors import DataError
from mezzotint.data.batches import Batches
from mezzotint.data.open import open_pictures
from mezzotint.data.targets import targets_of
from mezzotint.data.types import DataConfig
from mezzotint.engine.model import PictureSpec


def folder(path: Path) -> Path:
    path.mkdir()
    lines = ["file_name,smile,age"]
    for k in range(12):
        Image.new("L", (8, 8), 20 * k).save(path / f"{k:02d}.png")
        lines.append(f"{k:02d}.png,{'' if k == 3 else k % 2},{('old', 'young')[k % 3 == 0]}")
    (path / "metadata.csv").write_text("\n".join(lines))
    return path


def test_attributes_go_with_their_pictures(tmp_path: Path) -> None:
    opened = open_pictures(folder(tmp_path / "in"), DataConfig(attributes=("smile", "age=old")))
    assert opened.target_names == ("smile", "age=old")
    assert opened.targets is not None
    assert np.isnan(opened.targets[3, 0])
    assert opened.targets[4].tolist() == [0, 1]
    batch = Batches(opened, 5, 0).at(3)
    assert batch.targets is not None
    np.testing.assert_array_equal(batch.targets, opened.targets[batch.index])
    assert PictureSpec.of(opened).attributes == ("smile", "age=old")
    assert PictureSpec.from_json(PictureSpec.of(opened).to_json()) == PictureSpec.of(opened)
    part = opened.split("train")
    assert part.targets is not None
    np.testing.assert_array_equal(part.targets, opened.targets[opened.splits["train"]])
    assert opened.fingerprint != open_pictures(tmp_path / "in").fingerprint


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("smil", 'no column "smil"'),
        ("age=odl", 'has "odl"'),
        ("age", "holds words"),
        ("count", "numbers such as 7"),
    ],
)
def test_what_is_no_attribute_is_said(name: str, says: str) -> None:
    columns = {"smile": np.array([1.0, 0.0]), "age": np.array(["old", "young"]), "count": np.array([7.0, 1.0])}
    with pytest.raises(DataError, match=says):
        targets_of(columns, [name], "here")


def test_minus_one_is_no() -> None:
    assert targets_of({"a": np.array([-1.0, 1.0])}, ["a"], "here").tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("kind", ["txt", "csv", "zip"])
def test_celeba_is_read_as_it_is_published(tmp_path: Path, kind: str) -> None:
    """Its own file, the same as a table of others with a column image_id, and both in an archive."""
    pictures = tmp_path / "celeba" / "img_align_celeba"
    pictures.mkdir(parents=True)
    for k in range(1, 5):
        Image.new("RGB", (8, 8), (k, k, k)).save(pictures / f"{k:06d}.png")
    said = {1: "-1  1", 2: " 1  1", 3: "-1 -1", 4: " 1 -1"}
    if kind == "csv":
        lines = ["image_id,Blond_Hair,Male", *(f"{k:06d}.png,{','.join(v.split())}" for k, v in said.items())]
        (tmp_path / "celeba" / "list_attr_celeba.csv").write_text("\n".join(lines))
    else:
        lines = ["4", "Blond_Hair Male", *(f"{k:06d}.png {v}" for k, v in said.items())]
        (tmp_path / "celeba" / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    source = tmp_path / "celeba"
    if kind == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "celeba"))
    opened = open_pictures(source, DataConfig(attributes=("Blond_Hair", "Male")))
    assert opened.targets is not None
    order = [int(name.rsplit("/", 1)[-1][:6]) for name in opened.names]
    assert {k: row.tolist() for k, row in zip(order, opened.targets, strict=True)} == {
        1: [0, 1], 2: [1, 1], 3: [0, 0], 4: [1, 0],
    }  # fmt: skip


def test_a_broken_line_of_celeba_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "000001.png")
    (tmp_path / "list_attr_celeba.txt").write_text("1\nBlond_Hair Male\n000001.png 1\n")
    with pytest.raises(DataError, match=r"Line 3 of list_attr_celeba\.txt .* has 1 values for 2 attributes"):
        open_pictures(tmp_path)
