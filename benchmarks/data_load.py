"""A folder of 10,000 JPEGs to the first training batch: a PIL DataLoader and ours, first time and from the cache.

    MEZZOTINT_DATA=... python benchmarks/data_load.py --pictures 10000 --turns 3

The pictures are 256 pixels on the short side, JPEG of quality 90, cut at random places out of the photographs of
shared data (PACS, Kodak; enlarged where they are smaller) or, without that folder, out of smooth noise. The peer is
what everyone writes: `torch.utils.data.DataLoader` over a Dataset that opens a file with PIL, shortens the short side
to 64 with an antialiased bilinear filter, cuts the centre square, and makes a float tensor; two workers, batch 64.

Two questions, both in turn, A B A B:

* how long until every picture has been ready for training once (the first epoch of the peer, our whole ingest);
* how long until the first batch, the second time: our cache. The peer has no cache; its every epoch costs the same.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from _turns import in_turn, ratio

SIZE, BATCH = 64, 64


def originals() -> list[Image.Image]:
    """Photographs to cut pieces from."""
    found: list[Image.Image] = []
    if "MEZZOTINT_DATA" in os.environ:
        root = Path(os.environ["MEZZOTINT_DATA"])
        for path in (root / "pacs-photo-art" / "pacs_photo_art_128.zip", root / "kodak-subset" / "kodak_5.zip"):
            with zipfile.ZipFile(path) as archive:
                names = sorted(n for n in archive.namelist() if n.lower().endswith((".jpg", ".png")))
                found += [Image.open(io.BytesIO(archive.read(n))).convert("RGB") for n in names]
    if not found:
        noise = np.random.default_rng(0).integers(0, 256, (20, 24, 32, 3), dtype=np.uint8)
        found = [Image.fromarray(values).resize((768, 512), Image.Resampling.BICUBIC) for values in noise]
    return found


def make_folder(folder: Path, count: int, side: int) -> None:
    """Write `count` different JPEGs of `side` pixels on the short side, upright and wide, grainy as a camera's."""
    random = np.random.default_rng(0)
    sources = originals()
    grain = random.normal(0, 4, (side * 2, side * 2, 1))
    for number in range(count):
        image = sources[number % len(sources)]
        width, height = [(side, side), (side * 4 // 3, side), (side, side * 4 // 3)][number % 3]
        share = random.uniform(0.7, 1.0)
        cut = (min(image.width, image.height * width / height) * share, 0.0)
        cut = (cut[0], cut[0] * height / width)
        left, top = random.uniform(0, image.width - cut[0]), random.uniform(0, image.height - cut[1])
        piece = image.resize((width, height), Image.Resampling.BICUBIC, (left, top, left + cut[0], top + cut[1]))
        y, x = random.integers(0, side * 2 - height), random.integers(0, side * 2 - width)
        values = np.asarray(piece) + grain[y : y + height, x : x + width]
        picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
        picture.save(folder / f"{number:05d}.jpg", quality=90)


class Peer(Dataset[torch.Tensor]):
    """One JPEG at a time, by PIL."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = Image.open(self.paths[index]).convert("RGB")
        scale = SIZE / min(image.size)
        image = image.resize(
            (max(SIZE, round(image.width * scale)), max(SIZE, round(image.height * scale))), Image.Resampling.BILINEAR
        )
        left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
        values = np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))
        return torch.from_numpy(values.copy()).permute(2, 0, 1).float().div_(127.5).sub_(1)


def peer_epoch(folder: Path, workers: int) -> None:
    """Every picture once."""
    loader = DataLoader(Peer(folder), BATCH, shuffle=True, num_workers=workers)
    assert sum(len(batch) for batch in loader) == len(list(folder.iterdir()))


def ours(folder: Path, cache: Path) -> None:
    """Everything `train` does before its first step: the set opened, and the first batch as a tensor."""
    from mezzotint.data.batches import Batches
    from mezzotint.data.open import open_pictures
    from mezzotint.data.types import DataConfig
    from mezzotint.engine.feed import to_tensor

    os.environ["MEZZOTINT_CACHE"] = str(cache)
    pictures = open_pictures(str(folder), DataConfig(size=SIZE))
    batch = to_tensor(Batches(pictures, BATCH, 0, rows=pictures.splits["train"]).at(0).pictures)
    assert tuple(batch.shape) == (BATCH, 3, SIZE, SIZE)


def main() -> None:
    """Make the folder, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=256, help="pixels on the short side")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "pictures", Path(temporary) / "cache"
        folder.mkdir()
        make_folder(folder, options.pictures, options.side)
        size = sum(path.stat().st_size for path in folder.iterdir()) / options.pictures
        print(f"{options.pictures:,} JPEGs of {size / 1000:.1f} kB")

        def first_time() -> None:
            shutil.rmtree(cache, ignore_errors=True)
            ours(folder, cache)

        seconds = in_turn(
            {"PIL DataLoader": lambda: peer_epoch(folder, options.workers), "mezzotint, first time": first_time},
            options.turns,
        )
        cached = []
        for _ in range(5):
            started = time.perf_counter()
            ours(folder, cache)
            cached.append(time.perf_counter() - started)
        for name, values in seconds.items():
            median = statistics.median(values)
            print(f"{name:24}{median:8.2f} s   {options.pictures / median:8,.0f} pictures/s")
        print(f"{'mezzotint, from cache':24}{statistics.median(cached):8.2f} s   (slowest {max(cached):.2f})")
        print(ratio(seconds, "PIL DataLoader", "mezzotint, first time"))


if __name__ == "__main__":
    main()
