"""A model of your own in one file: a least-squares GAN (Mao et al. 2017) on DCGAN's networks, trained by the engine.

The losses are written out to show how; `dcgan` has them already, by `--set model.loss=least_squares`.

    python examples/own_model.py --steps 2000

Put such a class into a file of `src/mezzotint/models/`, or name its module under the entry points `mezzotint.models` of
your own package, and every command knows it. `check_model` says whether it keeps the contract.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mezzotint as mz
from mezzotint.engine.model import Paper, register
from mezzotint.engine.phase import Terms, Turn
from mezzotint.models.dcgan import DCGAN
from mezzotint.testing import check_model


@register
class LSGAN(DCGAN):
    """Least-squares GAN: squared distance to 1 and 0 in the place of the logarithms (eq. 9 of the paper).

    Example:
        >>> from mezzotint.engine.model import PictureSpec, build
        >>> tuple(build("lsgan", {"width": 8}, PictureSpec(1, 16, 16)).eval().sample(2).shape)
        (2, 1, 16, 16)
    """

    name = "lsgan"
    summary = "Least-squares GAN."
    paper = Paper("Mao et al.", 2017, "Least Squares Generative Adversarial Networks", "1611.04076")
    variants = ({"conditional": True}, {"pack": 2, "augment": "diffaugment"})

    def discriminator_loss(self, turn: Turn) -> Terms:
        """Real pictures to 1, generated ones to 0."""
        labels = self.known(turn.labels)
        real = self.score(self.seen(turn, turn.pictures), labels)
        fake = self.score(self.seen(turn, turn.prepared.detach()), labels)
        return {"real": 0.5 * (real - 1).square().mean(), "fake": 0.5 * fake.square().mean()}

    def generator_loss(self, turn: Turn) -> Terms:
        """Generated pictures to 1."""
        fake = self.score(self.seen(turn, turn.prepared), self.known(turn.labels))
        return {"fake": 0.5 * (fake - 1).square().mean()}


def main() -> None:
    """Check the contract, then train as any other model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("runs/lsgan"))
    options = parser.parse_args()
    check_model(LSGAN, tell=print)
    run = mz.train("lsgan", "digits", out=options.out, steps=options.steps)
    print(f"{run.path}/samples.png")


if __name__ == "__main__":
    main()
