"""Every model on a GPU (or any device): does it train as on the CPU, resume exactly, and what does a step take?

    python benchmarks/device_check.py --device cuda [--deterministic]

For every registered model, 32 x 32 in colour, its default settings, batches of 64: the first round's losses in float32
beside the CPU's; whether training that was stopped and gone on with ends bit for bit where one without a stop does; and
the milliseconds of a step in float32, in bfloat16, and compiled in bfloat16 (the median of 20 after 5).
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from mezzotint.core.errors import MezzotintError
from mezzotint.engine.compiling import compile_networks
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.device import deterministic, wait_for
from mezzotint.engine.loop import Trainer
from mezzotint.engine.model import MODELS, Model
from mezzotint.testing._make import make_pictures, spec_of

PICTURES = make_pictures(channels=3, height=32, width=32, count=400)


def trainer(cls: type[Model], device: torch.device, precision: str = "fp32", compiled: bool = False) -> Trainer:
    """One in training mode, with the same weights at every call."""
    torch.manual_seed(0)
    model = cls(cls.Config(), spec_of(PICTURES))
    config = TrainConfig(batch_size=64, steps=10_000, precision=precision, ema_every=1)
    made = Trainer(model, PICTURES, config, device)
    made.model.start()
    made.model.train()
    if compiled:
        compile_networks(made.model)
    return made


def losses(of: Trainer) -> dict[str, float]:
    """What the last round's terms were."""
    return {name: float(value) for name, value in of.losses.items()}


def apart(cls: type[Model], device: torch.device) -> float:
    """The largest difference of the first round's terms from the CPU's, as a share of the larger of 1 and the term."""
    here, there = trainer(cls, torch.device("cpu")), trainer(cls, device)
    here.round()
    there.round()
    mine, yours = losses(here), losses(there)
    return max(abs(mine[name] - yours[name]) / max(1.0, abs(mine[name])) for name in mine)


def weights(of: Trainer) -> dict[str, Tensor]:
    """All that training depends on, copied."""
    return {name: value.detach().clone() for name, value in of.tensors().items()}


def resumes(cls: type[Model], device: torch.device) -> tuple[bool, float]:
    """Whether stopping after 5 of 10 rounds changes a bit, and the largest difference of two runs without a stop."""
    ends = []
    for _ in range(2):
        whole = trainer(cls, device)
        for k in range(10):
            whole.round()
            if k == 4:
                kept, state = weights(whole), whole.state()
        ends.append(weights(whole))
    again = trainer(cls, device)
    again.restore(kept, state)
    for _ in range(5):
        again.round()
    found = weights(again)
    exact = all(torch.equal(found[name], value) for name, value in ends[1].items())
    noise = max(float((ends[0][name] - value).abs().max()) for name, value in ends[1].items() if value.numel())
    return exact, noise


def milliseconds(cls: type[Model], device: torch.device, precision: str, compiled: bool) -> float:
    """Median time of a round."""
    made = trainer(cls, device, precision, compiled)
    found = []
    for _ in range(25):
        started = time.perf_counter()
        made.round()
        wait_for(device)
        found.append(time.perf_counter() - started)
    return statistics.median(found[5:]) * 1000


def check(device: torch.device, options: argparse.Namespace) -> None:
    """The table."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}, torch {torch.__version__}")
    print("| model | first round beside the CPU's | resumes exactly | fp32, ms | bf16, ms | compiled bf16, ms |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for key in options.models:
        cls = MODELS.get(key)
        try:
            exact, noise = resumes(cls, device)
            said = "yes" if exact else f"no (two runs differ by {noise:.1g})"
            row = [key, f"{apart(cls, device):.1g}", said]
            row += [f"{milliseconds(cls, device, precision, False):.1f}" for precision in ("fp32", "bf16")]
            row.append("" if options.no_compile else f"{milliseconds(cls, device, 'bf16', True):.1f}")
        except (RuntimeError, MezzotintError) as error:
            row = [key, f"FAILED: {str(error).splitlines()[0][:200]}", "", "", "", ""]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=MODELS.names())
    parser.add_argument("--no-compile", action="store_true", help="leave out compiled networks, which take a minute")
    parser.add_argument("--deterministic", action="store_true", help="as with train.deterministic=true")
    options = parser.parse_args()
    device = torch.device(options.device)
    with deterministic(device, options.deterministic):
        check(device, options)


if __name__ == "__main__":
    main()
