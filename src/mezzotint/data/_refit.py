"""Arrays of pictures brought to another size, mode or depth."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data._rows import RowFile
from mezzotint.data._sixteen import fit16
from mezzotint.data.cache import PICTURES_FILE, Meta
from mezzotint.data.decode import Plan, render


def refit(pictures: NDArray[Any], plan: Plan, folder: Path, workers: int | None) -> Meta:
    """Fit `pictures` [N, H, W, C] uint8 or uint16 to the plan, and pack them into `folder`."""

    def work(start: int) -> list[NDArray[Any]]:
        return [_render_one(picture, plan) for picture in pictures[start : start + 256]]

    digest = hashlib.sha256(repr((plan.shape, plan.dtype().dtype.str)).encode())
    count = len(pictures)
    with RowFile(folder / PICTURES_FILE, plan, count) as file, ThreadPoolExecutor(workers) as pool:
        starts = range(0, count, 256)
        for start, rows in zip(starts, pool.map(work, starts), strict=True):
            file.write(range(start, start + len(rows)), rows)
            for row in rows:
                digest.update(np.ascontiguousarray(row).data)
        file.finish(range(count))
    return Meta([str(i) for i in range(count)], None, "", digest.hexdigest())


def _render_one(picture: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """One array [H, W, C], 8 or 16 bits, by the plan."""
    if picture.dtype == np.uint8:
        return render(_as_image(picture), plan, set())
    if picture.shape[-1] == 1:
        return render(Image.fromarray(np.ascontiguousarray(picture[..., 0])), plan, set())
    if not plan.deep:
        return render(_as_image(np.rint(picture / 257.0).astype(np.uint8)), plan, set())
    return fit16(picture, plan)


def _as_image(picture: NDArray[Any]) -> Image.Image:
    flat = picture[..., 0] if picture.shape[-1] == 1 else picture
    return Image.fromarray(np.ascontiguousarray(flat))
