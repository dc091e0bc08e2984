"""CycleGAN between photographs and paintings, and between oranges and lemons, beside the reference implementation.

    MEZZOTINT_DATA=... python benchmarks/translate_domains.py --peer pytorch-CycleGAN-and-pix2pix --jobs 2
    MEZZOTINT_DATA=... python benchmarks/translate_domains.py --sets fruit --steps 4 --set model.width=8 --out try

- `pacs`: photographs and art paintings, 400 of each of 128 pixels, brought to `--size`; 300 of each are trained on.
- `fruit`: oranges and lemons of Tiny ImageNet, 64 pixels; 300 of each are trained on, and 50 held out.

The distance of translated pictures to the pictures of the domain they shall be of, all of them, by the features of
`mezzotint-1`: Fréchet (Heusel et al. 2017), which few pictures make larger, alike for all rows of a set; and KID, in
thousandths, which is unbiased. "Untranslated" is how far apart the domains are, the floor is one half of a domain
against the other (Fréchet: of half as many pictures, and so too high). Once of all pictures, as is usual with few, and
once of the held-out ones alone (KID). There and back again: PSNR of the held-out ones, by way of a picture of 8 bits.

`--peer` is a folder with github.com/junyanz/pytorch-CycleGAN-and-pix2pix: its own `CycleGANModel` with the same
networks, first weights, batches, schedule and number of pictures, in float32. Of ours there are two rows: by the
averaged weights, which are what a run gives, and by the last ones, as of the reference. Sheets hold the first held-out
pictures, a row each of sources and of what each made of them; people are left out. What has finished is skipped when it
is called again, and what `mezzotint` had begun goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from _factors import written
from _frechet import frechet
from _translation import Pictures, as_tensor, decibels, in_jobs, is_kept, kept, sheet, table
from _translation_runs import OURS, REFERENCE, ROWS, missing, place, train_cyclegan
from _translation_sets import Domains, chosen, fruit, pacs
from mezzotint.metrics.extractor import EXTRACTORS
from mezzotint.metrics.kid import kernel_distance

SETS = {"pacs": pacs, "fruit": fruit}
SMALL = ("model.width=32", "model.critic_width=32", "train.schedule=late")
"""Networks of half the width, so that a CPU gets somewhere."""
SHOWN = 10
Extractor = Any


def everything(domains: Domains) -> tuple[Pictures, Pictures]:
    """Of both domains those that are held out, and after them those that are trained on."""
    a, b = (np.concatenate((domains.held[k], domains.train[k])) for k in (0, 1))
    return a, b


def features(extractor: Extractor, pictures: Pictures) -> Tensor:
    """[N, D]."""
    found: Tensor = extractor(as_tensor(pictures)).features
    return found


class Target:
    """A domain, and how far pictures are from it.

    Args:
        extractor: of features.
        pictures: of the domain, all of them.
    """

    def __init__(self, extractor: Extractor, pictures: Pictures) -> None:
        self.extractor, self.real = extractor, features(extractor, pictures)

    def floor(self) -> dict[str, float]:
        """One half of the domain against the other, in a mixed order."""
        order = np.random.default_rng(0).permutation(len(self.real))
        a, b = self.real[order[::2]], self.real[order[1::2]]
        return {"frechet": frechet(a, b), "kid": kernel_distance(a, b).value}

    def scores(self, made: Pictures, held: int) -> dict[str, float]:
        """Of pictures, the first `held` of which are of held-out ones."""
        mine = features(self.extractor, made)
        return {
            "frechet": frechet(self.real, mine),
            "kid": kernel_distance(self.real, mine).value,
            "kid_held": kernel_distance(self.real, mine[:held]).value,
        }


def rows_of(name: str, domains: Domains, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows of a set, both ways; draws its sheets."""
    extractor = EXTRACTORS.get("mezzotint-1").open()
    sources = everything(domains)
    found: list[dict[str, Any]] = []
    for way, (one, two) in {"ab": (0, 1), "ba": (1, 0)}.items():
        target, held = Target(extractor, sources[two]), len(domains.held[one])
        title = f"{domains.names[one]} to {domains.names[two]}"
        found.append({"way": title, "by": "untranslated", **target.scores(sources[one], held)})
        rows = [chosen(domains.shown[one], domains.held[one], SHOWN)]
        for row in ROWS:
            for seed in options.seeds:
                path = place(_folder(options.out, name, seed), row)
                if not is_kept(path):
                    continue
                made, told = kept(path)
                back = decibels(made[way + way[0]][:held], sources[one][:held])
                scores = target.scores(made[way], held)
                found.append({"way": title, "by": row, "seed": seed, "back": back, **scores, **told})
                if seed == options.seeds[0]:
                    rows.append(chosen(domains.shown[one], made[way], SHOWN))
        found.append({"way": title, "by": "floor: halves of the domain", **target.floor()})
        sheet(options.out / f"{name}-{title.replace(' ', '-')}.png", rows, SHOWN)
    return found


def _folder(out: Path, name: str, seed: int) -> Path:
    return out / f"{name}-{seed}"


def _cells(row: dict[str, Any]) -> list[str]:
    def number(key: str, form: str, scale: float = 1.0) -> str:
        return format(scale * row[key], form) if key in row else ""

    pictures = format(row["steps"] * row["batch_size"], ",") if "steps" in row else ""
    scores = (number("frechet", ".3g"), number("kid", ".3g", 1000), number("kid_held", ".3g", 1000))
    return [row["way"], row["by"], str(row.get("seed", "")), pictures, *scores, number("back", ".1f")]


def main() -> None:
    """Train what has not finished, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=2, help="pictures, half of them of each domain")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peer", type=Path, help="folder of the reference implementation")
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="settings, such as model.width=64; model's hold for both"
    )
    parser.add_argument("--out", type=Path, default=Path("translate-domains"))
    options = parser.parse_args()
    sets = {name: SETS[name](options.size) for name in options.sets}
    todo = []
    for seed in options.seeds:
        for name, domains in sets.items():
            folder = _folder(options.out, name, seed)
            for row in (OURS, *([REFERENCE] if options.peer else [])):
                if missing(row, folder, options.steps):
                    train = dict(zip(domains.names, domains.train, strict=True))
                    how = (options.steps, options.batch_size, seed, [*SMALL, *options.set], options.peer)
                    todo.append((row, name, train, everything(domains), folder, *how))
    in_jobs(train_cyclegan, todo, options.jobs)
    head = ("way", "by", "seed", "pictures seen", "Fréchet distance", "KID, 1e-3", "KID of held-out, 1e-3")
    for name, domains in sets.items():
        found = rows_of(name, domains, options)
        written(options.out / f"{name}.json", found)
        said = (
            f"{name} at {options.size} pixels: {len(domains.train[0])} and {len(domains.train[1])} pictures to train on"
        )
        print(f"\n{said}\n\n{table((*head, 'there and back, dB'), map(_cells, found))}", flush=True)


if __name__ == "__main__":
    main()
