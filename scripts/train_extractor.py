"""Train `mezzotint-1`, the extractor that is embedded in the package.

    MEZZOTINT_DATA=... python scripts/train_extractor.py --out build/extractor

One network learns several things at once from pictures whose licence allows shipping the result (`_extractor_sets.py`):

- the class of a picture, over the classes of all sets together (these are the logits of the inception score);
- two gentle views of one picture are closer than views of others (InfoNCE, van den Oord et al. 2018, eq. 4), so that
  every picture has its place and a lost mode is missed;
- the kind of damage, if any (`_extractor_damage.py`), so that damage moves the mean of the features;
- how bad it is: a picture damaged at severities s1 < s2 moves by about s1 and s2, and further the second time. That is
  what makes distances rank quality.

The feature is normalised without scale, so that each dimension has variance one over clean and damaged training
pictures. Everything is drawn from `--seed`; one machine gives the same weights again, another may round differently.
A checkpoint is left every minute, from which the same command goes on. The learning rate is constant but for the last
quarter, so a run may be shortened by a smaller `--steps` before that begins, and is then what it would have been.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _extractor_damage import KINDS, apply
from _extractor_sets import SIDE, STORED, Part, data_folder, load_parts
from safetensors.torch import save
from torch import Tensor, nn

from mezzotint.core import atomic
from mezzotint.core.rng import derive
from mezzotint.metrics.extractors.embedded import DIMS, LAYERS, POOLED, maps_of, pool

GROUPS = 4  # kinds of damage in a step
LINES = ("digits", "omniglot, small set 1")  # pen on paper, either of which may be the lighter
FALL = 0.25  # the last share of the steps, in which the learning rate falls to 0
MOVE = 1.3  # what severity 1 moves a picture by, where two pictures are about the square root of 2 apart


class Network(nn.Module):
    """The extractor with its batch normalisations and the heads that only training needs."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleDict(
            {each.name: nn.Conv2d(each.inputs, each.outputs, 3, each.stride, 1, bias=False) for each in LAYERS}
        )
        self.norms = nn.ModuleDict({each.name: nn.BatchNorm2d(each.outputs) for each in LAYERS})
        self.embed = nn.Linear(POOLED, DIMS)
        self.scale = nn.BatchNorm1d(DIMS, affine=False)
        self.classes = nn.Linear(DIMS, classes)
        self.kind = nn.Linear(DIMS, 1 + len(KINDS))

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, 32, 32] in -1..1 -> features [N, DIMS]."""
        maps = maps_of(x, lambda name, x: self.norms[name](self.convs[name](x)))
        return self.scale(self.embed(pool(maps)))

    def folded(self) -> dict[str, Tensor]:
        """The weights as the package reads them: normalisation folded into the layer before it."""
        weights = {}
        for each in LAYERS:
            norm = self.norms[each.name]
            gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            weights[f"{each.name}.weight"] = self.convs[each.name].weight.double() * gain[:, None, None, None]
            weights[f"{each.name}.bias"] = norm.bias.double() - norm.running_mean.double() * gain
        gain = (self.scale.running_var.double() + self.scale.eps).rsqrt()
        weights["embed.weight"] = self.embed.weight.double() * gain[:, None]
        weights["embed.bias"] = (self.embed.bias.double() - self.scale.running_mean.double()) * gain
        weights |= {f"classes.{name}": value.double() for name, value in self.classes.named_parameters()}
        return {name: value.detach().float().contiguous() for name, value in weights.items()}


class Views:
    """Batches of all sets in fixed shares; a step's pictures depend on the seed and the step alone."""

    def __init__(self, parts: list[Part], seed: int) -> None:
        self.parts, self.seed = parts, seed
        starts = torch.tensor([0, *(part.classes for part in parts)]).cumsum(0)
        self.starts, self.classes = starts[:-1].tolist(), int(starts[-1])

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Two views [32, 3, 32, 32] in 0..1 of each picture, and the labels [32]; in random order."""
        g = torch.Generator().manual_seed(derive(self.seed, "batch", step) % 2**63)
        first, second, labels = [], [], []
        for part, start in zip(self.parts, self.starts, strict=True):
            rows = torch.randint(len(part.pictures), (part.share,), generator=g)
            pictures = self._dress(part, part.pictures[rows].float() / 255, g)
            first.append(self._view(part, pictures, g))
            second.append(self._jitter(self._view(part, pictures, g), g))
            labels.append(part.labels[rows] + start)
        order = torch.randperm(sum(map(len, labels)), generator=g)
        return torch.cat(first)[order], torch.cat(second)[order], torch.cat(labels)[order]

    def _dress(self, part: Part, x: Tensor, g: torch.Generator) -> Tensor:
        """Colour for some grey pictures, and paper darker than ink or the other way about."""
        if x.shape[1] == 3:
            return x
        pick = torch.rand(2, len(x), 1, 1, 1, generator=g)
        if part.name in LINES:
            x = torch.where(pick[0] < 0.3, 1 - x, x)
        dark, bright = torch.rand(2, len(x), 3, 1, 1, generator=g)
        return torch.where(pick[1] < 0.2, dark + x * (bright - dark), x.expand(-1, 3, -1, -1))

    def _view(self, part: Part, x: Tensor, g: torch.Generator) -> Tensor:
        offsets = torch.randint(STORED - SIDE + 1, (len(x), 2), generator=g).tolist()
        cut = torch.stack([each[:, t : t + SIDE, s : s + SIDE] for each, (t, s) in zip(x, offsets, strict=True)])
        mirror = torch.rand(len(x), 1, 1, 1, generator=g) < (0.5 if part.flips else 0)
        return torch.where(mirror, cut.flip(3), cut)

    def _jitter(self, x: Tensor, g: torch.Generator) -> Tensor:
        gain, shift, tint = (torch.rand(3, len(x), 3, 1, 1, generator=g) - 0.5).unbind()
        x = x * (1 + 0.2 * gain[:, :1] + 0.06 * tint) + 0.1 * shift[:, :1]
        return x.clamp(0, 1)


def damaged(x: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Each picture damaged twice in one kind: pictures (less, more), severities (less, more), kind [N] from 1."""
    g = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(KINDS), generator=g)[:GROUPS].tolist()
    pair = torch.rand(2, len(x), generator=g).clamp_min(0.04).sort(0).values
    less, more, kinds = [], [], []
    names = list(KINDS)
    for k, group in zip(chosen, torch.arange(len(x)).chunk(GROUPS), strict=True):
        draw = int(torch.randint(2**31, (), generator=g))
        less.append(apply(names[k], x[group], pair[0, group], draw))
        more.append(apply(names[k], x[group], pair[1, group], draw))
        kinds.append(torch.full((len(group),), k + 1))
    return torch.cat(less), torch.cat(more), pair[0], pair[1], torch.cat(kinds)


def losses(network: Network, views: Views, step: int) -> dict[str, Tensor]:
    """The terms of one step, each with its weight."""
    a, b, labels = views.batch(step)
    c, d, s, t, kinds = damaged(a, derive(views.seed, "damage", step) % 2**63)
    x = (torch.cat([a, b, c, d]) * 2 - 1).contiguous(memory_format=torch.channels_last)
    features = network(x)
    fa, fb, fc, fd = features.chunk(4)
    every = F.cross_entropy(network.classes(features), labels.repeat(4), reduction="none", label_smoothing=0.05)
    trust = torch.cat([torch.ones(2 * len(s)), 1 - s, 1 - t])  # what is beyond recognition need not be recognised
    kind = torch.cat([torch.zeros(2 * len(s), dtype=torch.int64), kinds, kinds])
    heavy = torch.cat([torch.ones(2 * len(s)), s.sqrt(), t.sqrt()])
    similar = F.normalize(fa, dim=1) @ F.normalize(fb, dim=1).T / 0.2
    same = torch.arange(len(fa))
    moved = [((fa - other).square().mean(1) + 1e-4).sqrt() for other in (fc, fd)]
    # A pair at severities s < t is in the right order when the second moves further, by a share of their ratio.
    behind = 0.5 * (t / s).log().clamp_max(2) - (moved[1] / moved[0]).log()
    return {
        "class": (every * trust).mean(),
        "instance": 0.4 * (F.cross_entropy(similar, same) + F.cross_entropy(similar.T, same)) / 2,
        "kind": 0.4 * (F.cross_entropy(network.kind(features), kind, reduction="none") * heavy).mean(),
        "amount": sum(F.smooth_l1_loss(m, MOVE * each, beta=0.3) for m, each in zip(moved, (s, t), strict=True)),
        "order": F.softplus(8 * behind).mean() / 8,
    }


def train(args: argparse.Namespace, network: Network, views: Views) -> int:
    """Steps until the plan is done; returns how many were made in this call."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=args.lr, weight_decay=0.02)
    state = Path(args.out) / "checkpoint.pt"
    first = 0
    if state.is_file():
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        first = kept["step"]
    began, last_saved, seen = time.monotonic(), time.monotonic(), dict[str, float]()
    for step in range(first, args.steps):
        warm, left = min(1.0, (step + 1) / 100), min(1.0, (1 - step / args.steps) / FALL)
        for group in optimizer.param_groups:
            group["lr"] = args.lr * warm * left
        optimizer.zero_grad(set_to_none=True)
        terms = losses(network, views, step)
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        for name, value in terms.items():
            new = float(value.detach())
            seen[name] = 0.98 * seen.get(name, new) + 0.02 * new
        now = time.monotonic()
        if step % args.every == 0 or step + 1 == args.steps:
            words = "  ".join(f"{name} {value:.3f}" for name, value in seen.items())
            print(f"step {step + 1}/{args.steps}  {now - began:.0f} s  {words}", flush=True)
        if now - last_saved > 60:
            _save_state(state, network, optimizer, step + 1)
            last_saved = now
    _save_state(state, network, optimizer, args.steps)
    return args.steps - first


def _save_state(path: Path, network: Network, optimizer: torch.optim.Optimizer, step: int) -> None:
    part = path.with_suffix(".part")
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
    part.replace(path)


def export(args: argparse.Namespace, network: Network, parts: list[Part]) -> str:
    """Write the weights and where they come from; returns the SHA-256."""
    names = [f"{part.name}/{k}" for part in parts for k in range(part.classes)]
    content = save(network.eval().folded(), metadata={"name": "mezzotint-1"})
    path = Path(args.out) / "mezzotint-1.safetensors"
    atomic.write_bytes(path, content)
    digest = atomic.file_sha256(path)
    record: dict[str, Any] = {
        "name": "mezzotint-1",
        "sha256": digest,
        "bytes": len(content),
        "licence": "same as this package (Apache-2.0); the sets below are acknowledged as their licences ask",
        "script": "scripts/train_extractor.py",
        "settings": {"steps": args.steps, "lr": args.lr, "seed": args.seed, "pictures_a_step": 32, "views_a_step": 128},
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "data": [
            {
                "name": p.name,
                "pictures": len(p.pictures),
                "licence": p.licence,
                "source": p.source,
                "share_of_32": p.share,
            }
            for p in parts
        ],
        "classes": names,
    }
    atomic.write_text(path.with_suffix(".json"), json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return digest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/extractor")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=25, help="steps between lines of progress")
    parser.add_argument("--small", action="store_true", help="few pictures of each set, to try the script out")
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # sums in one order
    began = time.monotonic()
    parts = load_parts(data_folder(), args.seed, args.small)
    views = Views(parts, args.seed)
    network = Network(views.classes).to(memory_format=torch.channels_last)
    size = sum(value.numel() for value in network.folded().values())
    print(f"{len(parts)} sets, {views.classes} classes, {size} numbers; ready after {time.monotonic() - began:.0f} s")
    train(args, network.train(), views)
    print("SHA-256", export(args, network, parts))


if __name__ == "__main__":
    main()
