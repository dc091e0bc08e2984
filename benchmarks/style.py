"""Style transfer with what ships: losses beside public decoders, seconds, memory, seams, flicker.

    MEZZOTINT_DATA=... python benchmarks/style.py losses --weights .../weights --out style
    python benchmarks/style.py seconds --threads 2
    python benchmarks/style.py memory
    MEZZOTINT_DATA=... python benchmarks/style.py film
    MEZZOTINT_DATA=... python benchmarks/style.py pictures --out docs/pictures

`losses`: 7 contents and 20 styles of `style-transfer-inputs`, none of which anything here was trained on, all 140 pairs
at 256 pixels (squeezed). The judge is VGG-19 itself, relu1_1 to relu3_1 of the normalised weights: the
paper's two losses (eqs. 12 and 13) of what each draws, content against AdaIN's target at relu3_1, style over three
levels. Beside ours: the public decoders of VGG-19's relu3_1 and of a smaller VGG-19's relu4_1, which are given AdaIN's
target of their own encoder's features; they were trained to give pictures back, not to draw styles. "Untouched" is the
content itself. It leaves a sheet of pictures of each.

`memory` draws 4,000 x 3,000 pixels in a process of its own; the seam is the difference of what parts give from what is
drawn at once, on 1,200 x 900. `film` is how much places that stand still in a film change from frame to frame.
`pictures` draws the sheet of docs/style.md: photographs that it was trained on, in styles that `_style_sets.py` of the
scripts draws by another seed.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from mezzotint.data.film import Film
from mezzotint.data.output import grid, save_picture
from mezzotint.models._encoders import read_vgg
from mezzotint.nn.transfer import adapt, moments, style_distance
from mezzotint.nn.translators import reflect
from mezzotint.nn.vgg import StyleEncoder
from mezzotint.tasks._flicker import Steady
from mezzotint.tasks._paint import Style, paint
from mezzotint.tasks.stylize import own_model

SIDE = 256
Draw = Callable[[Tensor, Tensor], Tensor]


def inputs(data: Path, kind: str) -> list[Tensor]:
    """Pictures [1, 3, 256, 256] in [-1, 1]."""
    found = []
    with zipfile.ZipFile(data / "style-transfer-inputs" / "adain_inputs_384.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.startswith(kind + "/")):
            with Image.open(io.BytesIO(archive.read(name))) as image:
                pixels = np.array(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
            found.append(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1)
    return found


def ours() -> Draw:
    """What ships."""
    model = own_model("cpu")
    return lambda content, style: model.stylize(content, model.styles(style))


def vgg_decoder(weights: Path) -> Draw:
    """VGG-19 to relu3_1 and its public decoder."""
    encoder = StyleEncoder(64, 3)
    read_vgg(encoder, str(weights / "vgg19-normalised" / "vgg_normalised_conv3_1.pth"))
    tensors = list(torch.load(weights / "vgg19-normalised/feature_invertor_conv3_1.pth", weights_only=True).values())

    def draw(content: Tensor, style: Tensor) -> Tensor:
        x = adapt(encoder(content)[-1], moments(encoder(style)[-1]))
        pairs = list(zip(tensors[0::2], tensors[1::2], strict=True))
        for k, (weight, bias) in enumerate(pairs):
            x = F.conv2d(reflect(x, (1,) * 4), weight, bias)
            if k < len(pairs) - 1:
                x = F.relu(x)
            if k in (0, 2):
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return x.clamp(0, 1) * 2 - 1

    return draw


class Small:
    """The smaller VGG-19 to relu4_1 and its public decoder."""

    ENCODER = ("11", "12", "pool", "21", "22", "pool", "31", "32", "33", "34", "pool", "41")
    DECODER = ("41", "up", "34", "33", "32", "31", "up", "22", "21", "up", "12", "11")

    def __init__(self, weights: Path) -> None:
        self.encoder, self.decoder = (
            torch.load(weights / "cd16x" / f"cd16x_4{part}.pth", map_location="cpu", weights_only=True)["model"]
            for part in ("SE", "SD")
        )

    def __call__(self, content: Tensor, style: Tensor) -> Tensor:
        x = adapt(self.features(content), moments(self.features(style)))
        for name in self.DECODER:
            if name == "up":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            else:
                x = self._convolve(self.decoder, f"conv{name}", x)
                x = x if name == "11" else F.relu(x)
        return x.clamp(0, 1) * 2 - 1

    def features(self, picture: Tensor) -> Tensor:
        x = F.conv2d((picture + 1) / 2, self.encoder["conv0.weight"], self.encoder["conv0.bias"])
        for name in self.ENCODER:
            x = F.max_pool2d(x, 2) if name == "pool" else F.relu(self._convolve(self.encoder, f"conv{name}", x))
        return x

    def _convolve(self, weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
        return F.conv2d(reflect(x, (1,) * 4), weights[f"{name}.weight"], weights[f"{name}.bias"])


@torch.no_grad()
def losses(options: argparse.Namespace) -> None:
    """The table, and the sheet."""
    data = Path(os.environ["MEZZOTINT_DATA"])
    judge: nn.Module = StyleEncoder(64, 3)
    read_vgg(judge, str(options.weights / "vgg19-normalised" / "vgg_normalised_conv3_1.pth"))  # type: ignore[arg-type]
    contents, styles = inputs(data, "content"), inputs(data, "style")
    seen_c, seen_s = [[judge(x) for x in xs] for xs in (contents, styles)]
    looks = [[moments(level) for level in seen] for seen in seen_s]
    ways: dict[str, Draw] = {
        "untouched": lambda content, style: content,
        "ours": ours(),
        "VGG-19 to relu3_1, public decoder": vgg_decoder(options.weights),
        "smaller VGG-19 to relu4_1, public decoder": Small(options.weights),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, draw in ways.items():
        values, sheet = [], []
        for i, content in enumerate(contents):
            for j, style in enumerate(styles):
                made = draw(content, style)[:, :, :SIDE, :SIDE]
                seen = judge(made)
                target = adapt(seen_c[i][-1], looks[j][-1])
                look = sum(style_distance(moments(a), b) for a, b in zip(seen, looks[j], strict=True))
                values.append((F.mse_loss(seen[-1], target).item(), float(look)))
                if i < 3 and j % 4 == 0:
                    sheet.append(made)
        content_loss, style_loss = np.array(values).T
        print(
            f"{name}: content {np.mean(content_loss):.2f} (median {np.median(content_loss):.2f}), "
            f"style {np.mean(style_loss):.2f} (median {np.median(style_loss):.2f}) over {len(values)} pairs"
        )
        pixels = torch.cat(sheet).add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        save_picture(options.out / f"{name.replace(' ', '-').replace(',', '')}.png", grid(pixels, columns=5, scale=1))


def seconds(options: argparse.Namespace) -> None:
    """Of one picture of 512 x 512 in one style that has been read, and with reading it."""
    torch.set_num_threads(options.threads)
    model = own_model("cpu")
    picture, style = torch.rand(1, 3, 512, 512) * 2 - 1, torch.rand(1, 3, 512, 512) * 2 - 1
    known = [Style(model.styles(style))]
    actions: dict[str, Callable[[], object]] = {
        "drawn": lambda: paint(model, picture, known),
        "style read and drawn": lambda: paint(model, picture, [Style(model.styles(style))]),
    }
    for what, action in actions.items():
        action()
        times = []
        for _ in range(7):
            started = time.perf_counter()
            action()
            times.append(time.perf_counter() - started)
        print(f"512 x 512, {what}: {np.median(times):.3f} s on {options.threads} threads")
    command = [sys.executable, "-c", _WHOLE]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    print(f"the whole command for a picture of 512 x 512, with start: {time.perf_counter() - started:.2f} s")


_WHOLE = """
import tempfile, numpy as np, sys
from pathlib import Path
from PIL import Image
folder = Path(tempfile.mkdtemp())
for name in ("a.png", "b.png"):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(folder / name)
from mezzotint.app.cli import main
given, style, made = (str(folder / f"{name}.png") for name in "abc")
sys.argv = ["mezzotint", "stylize", given, "--style", style, "-o", made]
main()
"""


_MEMORY = """
import resource, torch, time
from mezzotint.tasks._paint import Style, paint
from mezzotint.tasks.stylize import own_model
model = own_model("cpu")
x = torch.rand(1, 3, 3000, 4000) * 2 - 1
style = [Style(model.styles(torch.rand(1, 3, 512, 512)))]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
with torch.no_grad():
    paint(model, x, style)
took, most = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"4,000 x 3,000: {most / 2**20:.2f} GiB at most ({before / 2**20:.2f} before), {took:.1f} s")
"""


def memory(options: argparse.Namespace) -> None:
    """The peak, and the seam."""
    subprocess.run([sys.executable, "-c", _MEMORY], check=True)
    model = own_model("cpu")
    picture = F.interpolate(torch.rand(1, 3, 90, 120), (900, 1200), mode="bicubic").clamp(0, 1) * 2 - 1
    style = [Style(model.styles(torch.rand(1, 3, 256, 256) * 2 - 1))]
    with torch.no_grad():
        whole = paint(model, picture, style, whole=10**9)
        parts = paint(model, picture, style, whole=0, tile=256)
    off = (whole - parts).abs()
    print(f"1,200 x 900 in parts of 256 and at once: differ by {off.max():.1e} at most, of values from -1 to 1")


@torch.no_grad()
def film(options: argparse.Namespace) -> None:
    """Flicker with and without steadiness."""
    data = Path(os.environ["MEZZOTINT_DATA"])
    model = own_model("cpu")
    style = [Style(model.styles(inputs(data, "style")[10]))]
    for steadiness in (0.0, 0.8):
        steady, last, before = Steady(steadiness), None, None
        changes = []
        for k, frame in enumerate(Film(data / "video-bunny" / "cutBunny.mp4")):
            if k >= options.frames:
                break
            x = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 127.5 - 1
            made = steady.picture(x, lambda x=x, steady=steady: paint(model, x, style, steady=steady.moments))  # type: ignore[misc]
            if last is not None and before is not None:
                still = (x - before).abs().mean(1, keepdim=True) < 0.02
                if still.float().mean() > 0.05:
                    changes.append((((made - last).abs() * still).sum() / still.sum() / 3).item())
            last, before = made, x
        print(f"steadiness {steadiness}: places that stand still change by {np.mean(changes):.4f} a frame")


@torch.no_grad()
def pictures(options: argparse.Namespace) -> None:
    """The sheet of the docs."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    from _style_sets import photographs, styles  # type: ignore[import-not-found]

    data = Path(os.environ["MEZZOTINT_DATA"])
    known = [image for image, _ in photographs(data)]
    contents = [known[k].resize((240, 160), Image.Resampling.LANCZOS) for k in (4, 5, 3)]
    contents = [image.crop((40, 0, 200, 160)) for image in contents]
    drawn = [style for k, style in enumerate(styles(data, 1, 16)) if k in (0, 3, 6, 12, 13, 15)]
    model = own_model("cpu")
    rows = [np.stack([np.full_like(drawn[0], 255), *drawn])]
    for image in contents:
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        made = [np.asarray(image)]
        for style in drawn:
            looks = model.styles(torch.from_numpy(style.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1)
            picture = model.stylize(x, looks)[0].permute(1, 2, 0).add(1).mul(127.5).round()
            made.append(picture.clamp(0, 255).byte().numpy())
        rows.append(np.stack(made))
    options.out.mkdir(parents=True, exist_ok=True)
    save_picture(options.out / "styles.png", grid(np.concatenate(rows), columns=1 + len(drawn), scale=1))


_WORK = {"losses": losses, "seconds": seconds, "memory": memory, "film": film, "pictures": pictures}


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(required=True)
    for name, work in _WORK.items():
        part = parts.add_parser(name)
        part.set_defaults(work=work)
        if name == "losses":
            part.add_argument("--weights", type=Path, required=True, help="the folder of public weights")
        part.add_argument("--out", type=Path, default=Path("style"))
        part.add_argument("--threads", type=int, default=2)
        part.add_argument("--frames", type=int, default=60)
    options: Any = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
