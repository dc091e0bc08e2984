"""VQ-VAE on the CIFAR-10 pictures: are the codes in use, how many bits is a picture, and how near is what comes back?

    MEZZOTINT_DATA=... python benchmarks/vqvae_cifar.py --minutes 20 --out vqvae
    MEZZOTINT_DATA=... python benchmarks/vqvae_cifar.py --minutes 20 --set model.books=4 --out vqvae
    MEZZOTINT_DATA=... python benchmarks/vqvae_cifar.py --minutes 20 --set model.levels=[8,5,5,5] --out vqvae

Trained by `mezzotint train` itself on the 10,000 JPEGs of the training set; all numbers are of the 2,000 of the test
set. Use: the share of all codes that any of their places has, and the perplexity, which is the number of codes that
would be as evenly used. Bits: of the codes as they are, and in the prior's coding. PSNR: the mean over pictures. The
run leaves `beside.png`: pictures, and what comes back.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from _trained import trained
from mezzotint.core.config import parse_assignments
from mezzotint.data.output import grid, save_picture
from mezzotint.engine.feed import to_tensor
from mezzotint.nn.quantise import perplexity

ARCHIVE = "cifar-10-subset/cifar10_jpeg_train10000_test2000.tar.xz"


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Of both parts, [N, 32, 32, 3] each."""
    found: dict[str, list[NDArray[np.uint8]]] = {"train": [], "test": []}
    with tarfile.open(Path(os.environ["MEZZOTINT_DATA"]) / ARCHIVE) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                file = archive.extractfile(member)
                assert file is not None
                with Image.open(io.BytesIO(file.read())) as image:
                    found[member.name.split("/")[0]].append(np.asarray(image.convert("RGB")))
    return {name: np.stack(rows) for name, rows in found.items()}


def main() -> None:
    """Train or go on, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, such as model.books=4")
    parser.add_argument("--out", type=Path, default=Path("vqvae"))
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    sets = pictures()
    title = " ".join(["vqvae", *(each.removeprefix("model.") for each in options.set), f"seed={options.seed}"])
    folder = options.out / re.sub(r"[^\w.=]+", "-", title)
    run = trained(
        "vqvae",
        sets["train"],
        folder,
        minutes=options.minutes,
        quiet=options.quiet,
        seed=options.seed,
        settings=parse_assignments([*options.set, "data.validation=0"]),
    )
    parts = [to_tensor(sets["test"][i : i + 100]) for i in range(0, len(sets["test"]), 100)]
    codes = torch.cat([run.model.indices(part) for part in parts])
    bits = torch.cat([run.model.code_bits(part) for part in parts])
    back = torch.cat([run.model.reconstruct(part) for part in parts])
    mse = ((back - torch.cat(parts)) * 127.5).square().flatten(1).mean(1)
    count = run.model.quantiser.count
    print(f"{title}: {run.step:,} steps in {run.seconds / 60:.1f} minutes")
    for book in range(codes.shape[-1]):
        mine = codes[..., book]
        print(
            f"  book {book}: {len(mine.unique()) / count:.1%} of {count} codes in use, perplexity "
            f"{perplexity(mine, count).item():.0f}"
        )
    raw, psnr = codes[0].numel() * math.log2(count), (10 * torch.log10(255**2 / mse)).mean()
    print(f"  {raw:.0f} bits a picture, {bits.mean():.0f} by the prior; PSNR {psnr:.2f} dB")
    both = np.concatenate((sets["test"][:16], ((back[:16] + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()))
    save_picture(run.path / "beside.png", grid(both, columns=16, scale=2))


if __name__ == "__main__":
    main()
