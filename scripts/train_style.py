"""Train what ships with `adain`: a small encoder of our own, and a decoder for it.

    MEZZOTINT_DATA=... python scripts/train_style.py --weights .../weights --out build/style

1. **Encoder.** VGG-19's layers up to relu4_1 with a quarter of its channels, taught to say what VGG-19 says: with a
   linear map of each level, its features are those of VGG-19 normalised (relu1_1 to relu3_1) and of a smaller VGG-19
   whose features are mapped to those of the whole (relu4_1), by the mean squared difference over the teacher's variance
   (Wang et al. 2020, "Collaborative Distillation", arXiv:2003.08436, eq. 4, has the like). Each channel is then scaled
   to a mean square of 1 over the training pictures. (VGG-19's are scaled to a mean of 1, Gatys et al. 2016; here
   channels that are seldom anything would count for too much.) The teachers are in `--weights` (`vgg19-normalised`,
   CC BY 4.0; `cd16x`, MIT) and no part of the package.
2. **Decoder.** `mezzotint train adain` itself on two folders, contents and styles, with that encoder.

Pictures are those of `_style_sets.py`, whose licences allow shipping what is learned from them. The same seed and
machine give the same weights. Both parts go on where they were cut off. What ships is `adain.safetensors`, with float16
weights and a `card` that says how it was made.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _style_sets import LICENCES, contents, data_folder, styles
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import mezzotint as mz
from mezzotint.core import atomic
from mezzotint.core.rng import stream
from mezzotint.data.output import save_picture
from mezzotint.models import _encoders
from mezzotint.nn.translators import reflect
from mezzotint.nn.vgg import CONVOLUTIONS, StyleDecoder, StyleEncoder, widths_of

LEVELS = 4
CROP = 96
BATCH = 8
TEACHERS = ("vgg19-normalised/vgg_normalised_conv3_1.pth", "cd16x/cd16x_5SE.pth")


class SmallTeacher:
    """relu4_1 of VGG-19 [N, 512, h, w] as the small public network has it, of pictures [N, 3, H, W] in [-1, 1]."""

    def __init__(self, path: Path) -> None:
        self.weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["model"]

    def __call__(self, x: Tensor) -> Tensor:
        y = self._convolve("conv0", (x + 1) / 2, edge=0)
        for name in ("11", "12", "pool", "21", "22", "pool", "31", "32", "33", "34", "pool", "41"):
            y = F.max_pool2d(y, 2) if name == "pool" else F.relu(self._convolve(f"conv{name}", y))
        return F.relu(self._convolve("conv41_aux", y, edge=0))

    def _convolve(self, name: str, x: Tensor, edge: int = 1) -> Tensor:
        return F.conv2d(reflect(x, (edge,) * 4), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


def teacher_of(weights: Path) -> Any:
    """Pictures -> the four levels of VGG-19."""
    vgg = StyleEncoder(64, 3)
    _encoders.read_vgg(vgg, str(weights / TEACHERS[0]))
    deep = SmallTeacher(weights / TEACHERS[1])

    @torch.no_grad()
    def features(x: Tensor) -> tuple[Tensor, ...]:
        return (*vgg(x), deep(x))

    return features


def batch(pictures: Tensor, random: np.random.Generator, count: int) -> Tensor:
    """Random parts [count, 3, 96, 96] in [-1, 1], half of them mirrored."""
    found = []
    for k in random.integers(0, len(pictures), count):
        top, left = random.integers(0, pictures.shape[2] - CROP + 1, 2)
        part = pictures[k, :, top : top + CROP, left : left + CROP]
        found.append(part.flip(2) if random.random() < 0.5 else part)
    return torch.stack(found).float() / 127.5 - 1


def distil(pictures: Tensor, weights: Path, steps: int, seed: int, out: Path) -> StyleEncoder:
    """The encoder; a checkpoint is left every 250 steps."""
    torch.manual_seed(seed)
    teacher, encoder = teacher_of(weights), StyleEncoder(_encoders.SMALL_WIDTH, LEVELS)
    for conv in encoder.convolutions():
        nn.init.kaiming_normal_(conv.weight)
        nn.init.zeros_(conv.bias)
    sizes = zip(widths_of(_encoders.SMALL_WIDTH, LEVELS), widths_of(64, LEVELS), strict=True)
    heads = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in sizes)
    both = nn.ModuleList([encoder, heads])
    optimizer = torch.optim.Adam(both.parameters(), 1e-3)
    spread = [x.var().item() for x in teacher(batch(pictures, stream(seed, "spread"), 32))]
    file, begun = out / "encoder.pt", 0
    if file.exists():
        saved = torch.load(file, weights_only=True)
        both.load_state_dict(saved["both"])
        optimizer.load_state_dict(saved["optimizer"])
        begun = saved["step"]
    started = time.process_time()
    for step in range(begun, steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 100, 2 * (1 - step / steps))
        x = batch(pictures, stream(seed, "distil", step), BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            wanted = teacher(x)
            said = [head(y) for head, y in zip(heads, encoder(x), strict=True)]
        parts = [F.mse_loss(a.float(), b.float()) / s for a, b, s in zip(said, wanted, spread, strict=True)]
        optimizer.zero_grad()
        torch.stack(parts).sum().backward()
        optimizer.step()
        if step % 250 == 249 or step == steps - 1:
            shown = " ".join(f"{part.item():.3f}" for part in parts)
            print(f"encoder {step + 1:,}: {shown} of the variance, {time.process_time() - started:.0f} s", flush=True)
            torch.save({"both": both.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, file)
    normalise(encoder, pictures, seed)
    return encoder.eval()


@torch.no_grad()
def normalise(encoder: StyleEncoder, pictures: Tensor, seed: int) -> None:
    """Every channel of every layer gets a mean square of 1, which rectified layers allow without another result."""
    x = batch(pictures, stream(seed, "normalise"), 64)
    before = torch.ones(3)
    pools = {sum(CONVOLUTIONS[:k]) + CONVOLUTIONS[k] - 1 for k in range(1, LEVELS)}
    for k, conv in enumerate(encoder.convolutions()):
        conv.weight.mul_(before[None, :, None, None])
        x = F.max_pool2d(x, 2, ceil_mode=True) if k in pools else x
        y = F.relu(conv(reflect(x, (1,) * 4)))
        size = y.square().mean((0, 2, 3)).sqrt()
        before = size.clamp(min=0.1 * size.median().item())
        conv.weight.div_(before[:, None, None, None])
        assert conv.bias is not None
        conv.bias.div_(before)
        x = y / before[:, None, None]


def write(path: Path, encoder: nn.Module, decoder: nn.Module, card: dict[str, Any]) -> None:
    """The file that ships."""
    parts = {"encoder": encoder, "decoder": decoder}
    tensors = {f"{a}.{n}": p.half().contiguous() for a, net in parts.items() for n, p in net.state_dict().items()}
    save_file(tensors, path, metadata={"card": json.dumps(card)})


def main() -> None:
    """Draw the pictures, teach the encoder, train the decoder, write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="the folder of the teachers")
    parser.add_argument("--out", type=Path, default=Path("build/style"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--styles", type=int, default=1600)
    parser.add_argument("--encoder-steps", type=int, default=2500)
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--levels", type=int, default=3, help="of the features that are drawn; the encoder has 4")
    parser.add_argument("--width", type=int, default=32)
    options = parser.parse_args()
    data, out = data_folder(), options.out
    drawn = (
        kept(out / "pictures" / "contents", lambda: contents(data, options.seed)),
        kept(out / "pictures" / "styles", lambda: styles(data, options.seed, options.styles)),
    )
    together = torch.from_numpy(np.concatenate(drawn)).permute(0, 3, 1, 2).contiguous()
    encoder = distil(together, options.weights, options.encoder_steps, options.seed, out)
    fresh = StyleDecoder(widths_of(_encoders.SMALL_WIDTH, options.levels)[-1], options.width, options.levels)
    card = {
        "made_by": "scripts/train_style.py",
        "seed": options.seed,
        "encoder_steps": options.encoder_steps,
        "steps": options.steps,
        "pictures": LICENCES,
        "teachers": {name: atomic.file_sha256(options.weights / name) for name in TEACHERS},
        "width": options.width,
        "levels": options.levels,
    }
    _encoders.OWN = out / "adain.safetensors"
    write(_encoders.OWN, encoder, fresh, card)
    _encoders.own_weights.cache_clear()
    run = train(out, options)
    write(_encoders.OWN, encoder, run.model.decoder, card)  # the averaged weights
    print(f"{_encoders.OWN}: {_encoders.OWN.stat().st_size / 1e6:.2f} MB, {len(load_file(_encoders.OWN))} tensors")


def kept(folder: Path, draw: Callable[[], Iterable[Any]]) -> Any:
    """Pictures [N, 160, 160, 3] that are drawn once and kept in a folder."""
    if not folder.exists():
        with atomic.partial(folder.parent) as part:
            part.mkdir(parents=True)
            for k, picture in enumerate(draw()):
                save_picture(part / f"{k:05d}.png", picture)
            part.rename(folder)
    return np.stack([np.asarray(Image.open(file)) for file in sorted(folder.iterdir())])


def train(out: Path, options: argparse.Namespace) -> Any:
    """The decoder, by the package's own trainer."""
    folder = out / "run"
    if (folder / "config.json").exists():
        return mz.resume(folder, steps=options.steps)
    settings = {
        "model": {"crop": CROP, "width": options.width, "levels": options.levels, "identity": 20.0},
        "train": {"precision": "bf16", "schedule": "cosine", "batch_size": 2 * BATCH},
        "data": {"size": 160},
    }
    return mz.train("adain", out / "pictures", out=folder, steps=options.steps, seed=options.seed, settings=settings)


if __name__ == "__main__":
    main()
