"""The public implementations of CycleGAN, StarGAN and AdaIN as peers, from a folder with a copy of their repository.

- CycleGAN: github.com/junyanz/pytorch-CycleGAN-and-pix2pix, its class `CycleGANModel`, whose `optimize_parameters` is a
  step.
- StarGAN: github.com/yunjey/stargan, its class `Solver`, whose `train` is called.
- AdaIN: github.com/naoto0804/pytorch-AdaIN, its class `Net`, which gives the losses; the step around it is that of its
  `train.py`.

They start from our first weights and read our pictures in our order, without their data loaders (and so without
torchvision), in float32; their last weights are their result. Nothing of theirs is copied here.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import random
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mezzotint.data.types import PictureSet
from mezzotint.engine.config import TrainConfig
from mezzotint.engine.feed import to_labels, to_tensor
from mezzotint.engine.optim import lr_factor


class PeerCycleGAN:
    """The reference of CycleGAN, with its pool of 50 pictures; its rate falls step by step, as ours does.

    Args:
        folder: of the repository.
        model: a fresh `cyclegan` of ours with a resnet, of which it has the sizes and the first weights.
        pictures: two classes; it reads the train split.
        config: the batch, the seed, the steps and the schedule.
    """

    def __init__(self, folder: Path, model: Any, pictures: PictureSet, config: TrainConfig) -> None:
        self.config, self.lr, self.step = config, model.config.lr, 0
        self.batches = model.order(pictures, config.batch_size, config.seed, rows=pictures.splits["train"])
        random.seed(config.seed)  # of its pool
        torch.manual_seed(config.seed)
        module = _imported(folder, "models.cycle_gan_model", ("models", "util"))
        networks, channels = module.networks, model.spec.channels
        norm = networks.get_norm_layer("instance")
        networks.define_G = lambda *given: networks.ResnetGenerator(  # which its options have with 6 or 9 blocks only
            channels, channels, model.config.width, norm_layer=norm, n_blocks=model.config.blocks
        )
        with contextlib.redirect_stdout(io.StringIO()):
            self.model = module.CycleGANModel(self._options(model))
        pairs = (("to_b", "netG_A"), ("to_a", "netG_B"), ("critic_b", "netD_A"), ("critic_a", "netD_B"))
        for ours, theirs in pairs:
            copy_convolutions(getattr(model, ours), getattr(self.model, theirs))

    @staticmethod
    def _options(model: Any) -> types.SimpleNamespace:
        config, channels = model.config, model.spec.channels
        return types.SimpleNamespace(
            gpu_ids=[], isTrain=True, checkpoints_dir=tempfile.gettempdir(), name="", preprocess="none",
            input_nc=channels, output_nc=channels, ngf=config.width, ndf=config.critic_width, netG="resnet_6blocks",
            netD="n_layers", n_layers_D=model.critic_layers, norm="instance", no_dropout=True, init_type="normal",
            init_gain=0.02, gan_mode="lsgan", pool_size=config.history, lambda_A=config.cycle, lambda_B=config.cycle,
            lambda_identity=config.identity, lr=config.lr, beta1=config.beta1, direction="AtoB",
        )  # fmt: skip

    def round(self) -> None:
        """One step on as many pictures of each domain as ours has."""
        raw = self.batches.at(self.step * self.config.batch_size, self.config.batch_size)
        x = to_tensor(raw.pictures)
        for optimizer in self.model.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * lr_factor(self.config, self.step)
        self.model.set_input({"A": x[0::2], "B": x[1::2], "A_paths": [], "B_paths": []})
        self.model.optimize_parameters()
        self.step += 1

    @torch.no_grad()
    def translate(self, pictures: Tensor, to: Tensor) -> Tensor:
        """Pictures [N, C, H, W], all of them to the same of two domains [N, 2]."""
        (place,) = to.argmax(1).unique().tolist()
        made: Tensor = (self.model.netG_A if place == 1 else self.model.netG_B)(pictures)
        return made


class PeerAdaIN:
    """The program that most use for AdaIN, on eight contents and eight styles of two folders.

    Args:
        folder: of the repository.
        model: a fresh `adain` of ours with VGG-19's widths, of which it has the first weights.
        pictures: two classes; it reads the train split.
        config: the batch and the seed.
    """

    def __init__(self, folder: Path, model: Any, pictures: PictureSet, config: TrainConfig) -> None:
        self.config, self.step, self.style_weight = config, 0, model.config.style_weight
        model.begin(lambda count: (torch.empty(0), None))
        self.batches = model.order(pictures, config.batch_size, config.seed, rows=pictures.splits["train"])
        module = _imported(folder, "net", ("net", "function"))
        vgg = nn.Sequential(*list(module.vgg.children())[:31])
        colours, *rest = (layer for layer in vgg if isinstance(layer, nn.Conv2d))
        with torch.no_grad():  # ours takes values from -1 to 1, and has no convolution of the colours
            nn.init.dirac_(colours.weight)
            nn.init.zeros_(colours.bias)
            for ours, theirs in zip(model.encoder.convolutions(), rest, strict=True):
                theirs.load_state_dict(ours.state_dict())
        copy_convolutions(model.decoder, module.decoder)
        self.model = module.Net(vgg, module.decoder).train()
        self.optimizer = torch.optim.Adam(self.model.decoder.parameters(), lr=model.config.lr)

    def round(self) -> None:
        """One step."""
        raw = self.batches.at(self.step * self.config.batch_size, self.config.batch_size)
        x = to_tensor(raw.pictures, torch.device("cpu"))
        content, style = self.model(x[0::2], x[1::2])
        loss = content + self.style_weight * style
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses = (content.item(), style.item())
        self.step += 1


class PeerStarGAN:
    """The reference of StarGAN for attributes.

    Its rate falls step by step in the second half (`lr_update_step=1`), as ours does: with its default of every 1,000
    steps it falls by a thousandth of what its option says.

    Args:
        folder: of the repository.
        model: a fresh `stargan` of ours, of which it has the sizes.
        pictures: with targets, none of them unknown; it reads the train split.
        config: the batch, the seed and the steps.
        networks: "own" are its networks: halving by 4x4, an affine normalisation, no reflection at the edges; "ours"
            are copies of ours, for which its loop does the same work as our engine.
    """

    def __init__(
        self, folder: Path, model: Any, pictures: PictureSet, config: TrainConfig, networks: str = "own"
    ) -> None:
        assert pictures.targets is not None
        if "torchvision" not in sys.modules and importlib.util.find_spec("torchvision") is None:
            sys.modules["torchvision"] = types.ModuleType("torchvision")
            sys.modules["torchvision.utils"] = types.ModuleType("torchvision.utils")
            sys.modules["torchvision.utils"].save_image = None  # type: ignore[attr-defined]
        self.config, self.turns, self.position = config, model.config.turns, 0
        self.batches = model.order(pictures, config.batch_size, config.seed, rows=pictures.splits["train"])
        torch.manual_seed(config.seed)
        module = _imported(folder, "solver", ("solver", "model", "logger"))
        with contextlib.redirect_stdout(io.StringIO()):
            self.solver = module.Solver(self, None, self._options(model))
        if networks == "ours":
            self._take(model)
        else:
            copy_convolutions(model.discriminator, self.solver.D)

    def _options(self, model: Any) -> types.SimpleNamespace:
        config, never = model.config, 10**12
        side = model.shown[0]
        return types.SimpleNamespace(
            c_dim=len(model.domains()), c2_dim=0, image_size=side, g_conv_dim=config.width,
            d_conv_dim=config.critic_width, g_repeat_num=config.blocks, d_repeat_num=len(model.discriminator.body),
            lambda_cls=config.classification, lambda_rec=config.reconstruction, lambda_gp=config.gradient_penalty,
            dataset="CelebA", batch_size=self.config.batch_size, num_iters=0, num_iters_decay=1, g_lr=config.lr,
            d_lr=config.lr, n_critic=self.turns, beta1=config.beta1, beta2=0.999, resume_iters=None,
            selected_attrs=list(model.domains()), test_iters=0, use_tensorboard=False, log_dir="", sample_dir="",
            model_save_dir="", result_dir="", log_step=never, sample_step=never, model_save_step=never,
            lr_update_step=1,
        )  # fmt: skip

    def _take(self, model: Any) -> None:
        """Copies of our networks in the place of its own; its discriminator gives a score for each patch."""
        solver, config = self.solver, model.config
        solver.G, solver.D = model.generator, model.discriminator
        for name, net in (("g_optimizer", solver.G), ("d_optimizer", solver.D)):
            setattr(solver, name, torch.optim.Adam(net.parameters(), config.lr, (config.beta1, 0.999)))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from where it is; the first of them comes twice, since the solver takes one to look at."""
        first = True
        while True:
            raw = self.batches.at(self.position, self.config.batch_size)
            if not first:
                self.position += self.config.batch_size
            first = False
            targets = to_labels(raw.targets)
            assert targets is not None
            yield to_tensor(raw.pictures), targets

    def round(self, rounds: int = 1, falling: bool = False) -> None:
        """So many rounds: the discriminator's turns, and one of the generator; `falling` is for a whole training."""
        self.solver.num_iters = rounds * self.turns
        self.solver.num_iters_decay = max(1, self.solver.num_iters // 2) if falling else 0
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="size_average")
            self.solver.train()

    @torch.no_grad()
    def translate(self, pictures: Tensor, to: Tensor) -> Tensor:
        """Pictures [N, C, H, W] with the attributes `to` [N, K]; in training mode, as its own `test` does."""
        made: Tensor = self.solver.G(pictures, to)
        return made


def copy_convolutions(ours: nn.Module, theirs: nn.Module) -> None:
    """Our first weights into a network of the same layers; biases that only it has are zero.

    Raises:
        ValueError: the layers differ.
    """
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    one, two = ([m for m in net.modules() if isinstance(m, kinds)] for net in (ours, theirs))
    if [m.weight.shape for m in one] != [m.weight.shape for m in two]:
        raise ValueError(f"{type(ours).__name__} and {type(theirs).__name__} have other layers.")
    with torch.no_grad():
        for a, b in zip(one, two, strict=True):
            b.weight.copy_(a.weight)
            if b.bias is not None:
                b.bias.zero_() if a.bias is None else b.bias.copy_(a.bias)


def _imported(folder: Path, name: str, packages: tuple[str, ...]) -> Any:
    """A module of the repository in `folder`, of which these are the top names; they are forgotten afterwards."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is no folder; --peer is a copy of the repository.")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for known in [m for m in sys.modules if m.split(".")[0] in packages]:
            del sys.modules[known]
