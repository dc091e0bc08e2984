"""What a VAE's latents are good for: the nearest pictures to a picture, and the way from one to another.

python examples/latents.py --minutes 2
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import mezzotint as mz
from mezzotint.data.output import grid, save_picture, to_uint8
from mezzotint.engine.feed import to_tensor


def main() -> None:
    """Train on the digits, then search and interpolate by their codes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("runs/latents"))
    options = parser.parse_args()
    run = mz.train("vae", "digits", out=options.out, minutes=options.minutes, settings={"model": {"latent": 8}})

    digits = mz.open_pictures("digits")
    pictures = to_tensor(digits.pictures)
    codes = run.model.encode(pictures)

    rows = []
    for query in digits.splits["validation"][:8]:
        nearest = torch.cdist(codes[query : query + 1], codes)[0].argsort()[:10]  # the first is the picture itself
        rows.append(pictures[nearest])
    save_picture(options.out / "nearest.png", grid(to_uint8(torch.cat(rows).numpy()), columns=10))

    start, end = codes[digits.splits["validation"][0]], codes[digits.splits["validation"][5]]
    way = torch.stack([torch.lerp(start, end, t) for t in torch.linspace(0, 1, 10).tolist()])
    save_picture(options.out / "way.png", grid(to_uint8(run.model.decode(way).numpy()), columns=10))
    print(f"{options.out}/nearest.png and {options.out}/way.png")


if __name__ == "__main__":
    main()
