"""What the benchmarks of translation share: sets made of arrays, pictures translated and compared, jobs, sheets.

Pictures are uint8 [N, H, W, 3] everywhere, also between the way there and the way back: what an 8-bit file cannot hold
is lost, so nothing faint can be hidden in a picture that was made.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing as mp
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mezzotint.data.output import grid, save_picture, to_uint8
from mezzotint.data.types import PictureSet
from mezzotint.engine.feed import to_tensor
from mezzotint.metrics.pixel import psnr

Pictures = NDArray[np.uint8]
Translator = Callable[[Tensor, Tensor], Tensor]
"""Pictures [N, 3, H, W] in [-1, 1] and what they shall be [N, K] -> pictures."""


def set_of(
    source: str,
    domains: Mapping[str, Pictures],
    attributes: Mapping[str, NDArray[Any]] | None = None,
) -> PictureSet:
    """A set to train on, whose classes are the domains; pictures of one place in two domains are a pair.

    Args:
        source: what it is called.
        domains: name -> its pictures.
        attributes: column -> a value for each picture; there are then no classes.
    """
    pictures = np.concatenate(list(domains.values()))
    labels = np.repeat(np.arange(len(domains)), [len(x) for x in domains.values()])
    digest = hashlib.sha256(pictures.tobytes() + labels.tobytes())
    for name, column in (attributes or {}).items():
        digest.update(name.encode() + column.tobytes())
    return PictureSet(
        pictures=pictures,
        labels=None if attributes else labels.astype(np.int64),
        classes=() if attributes else tuple(domains),
        names=tuple(f"{name}/{k:06d}.png" for name, x in domains.items() for k in range(len(x))),
        splits={"train": np.arange(len(pictures)), "validation": np.arange(0), "test": np.arange(0)},
        source=source,
        fingerprint=digest.hexdigest(),
        attributes=dict(attributes or {}),
    )


@torch.no_grad()
def translated(translate: Translator, pictures: Pictures, to: Tensor, size: int = 50) -> Pictures:
    """What becomes of `pictures`, of which each shall be `to` [N, K]."""
    parts = []
    for start in range(0, len(pictures), size):
        made = translate(to_tensor(pictures[start : start + size]), to[start : start + size])
        parts.append(to_uint8(made.float().numpy()))
    return np.concatenate(parts)


def one_of_two(place: int, count: int) -> Tensor:
    """One-hot [N, 2] of one of two domains."""
    return torch.eye(2)[[place]].expand(count, -1)


def there_and_back(translate: Translator, a: Pictures, b: Pictures) -> dict[str, Pictures]:
    """ "ab" is what became of pictures of the first domain, "aba" the way back; "ba" and "bab" likewise."""
    found: dict[str, Pictures] = {}
    for name, x, place in (("ab", a, 1), ("ba", b, 0)):
        found[name] = translated(translate, x, one_of_two(place, len(x)))
        found[name + name[0]] = translated(translate, found[name], one_of_two(1 - place, len(x)))
    return found


def levels(a: Pictures, b: Pictures) -> float:
    """The mean difference |a - b|, in levels of 0 to 255."""
    return float(np.abs(a.astype(np.int16) - b).mean())


def decibels(a: Pictures, b: Pictures) -> float:
    """PSNR, the mean over pictures."""
    return float(psnr(as_tensor(a), as_tensor(b), 255).mean())


def as_tensor(pictures: Pictures) -> Tensor:
    """uint8 [N, 3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)


def keep(path: Path, arrays: Mapping[str, Pictures], **told: Any) -> None:
    """Write pictures, and last of all what a run says of itself, by which it counts as finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
    path.with_suffix(".json").write_text(json.dumps(told), encoding="utf-8")


def kept(path: Path) -> tuple[dict[str, Pictures], dict[str, Any]]:
    """What `keep` has written."""
    with np.load(path.with_suffix(".npz")) as file:
        return {name: file[name] for name in file}, json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def is_kept(path: Path) -> bool:
    """Whether there is something that `keep` has finished writing."""
    return path.with_suffix(".json").is_file()


def unfinished(path: Path, steps: int, run: Path | None = None) -> bool:
    """Whether what `keep` shall write is not there yet; `run` is the run folder that it is made by.

    Raises:
        SystemExit: it, or the run, is of another number of steps, after which the rate has fallen to nothing.
    """
    found = []
    if is_kept(path):
        found.append(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["steps"])
    if run is not None and (run / "config.json").is_file():
        found.append(json.loads((run / "config.json").read_text(encoding="utf-8"))["train"]["steps"])
    for other in (n for n in found if n != steps):
        raise SystemExit(f"{path.parent} holds a run of {other:,} steps, not {steps:,}; take another --out.")
    return not is_kept(path)


def in_jobs(work: Callable[..., str], todo: Iterable[tuple[Any, ...]], jobs: int) -> None:
    """Do what is to be done, so many at a time, each in a process of its own with one thread; print what it says."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(jobs, mp.get_context("spawn"), max_tasks_per_child=1) as pool:
        for future in as_completed(pool.submit(work, *each) for each in todo):
            print(time.strftime("%H:%M:%S"), future.result(), flush=True)


def sheet(path: Path, rows: Sequence[Pictures], columns: int) -> None:
    """Rows of pictures, of each the first `columns`."""
    save_picture(path, grid(np.concatenate([row[:columns] for row in rows]), columns=columns, scale="auto"))
    print(path)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
