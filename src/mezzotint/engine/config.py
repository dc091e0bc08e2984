"""How training runs: the settings that are the same for every model."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from mezzotint.core.config import Config, option

BestBy = Literal["auto", "loss", "frechet", "kid"]


class TrainConfig(Config):
    """Settings of the training loop."""

    steps: int | None = option(5000, "Rounds of training in all; empty trains until the time is up.", ge=1)
    minutes: float | None = option(None, "Stop after this many minutes of training.", gt=0)
    batch_size: int = option(64, "Pictures in a batch, over all processes together.", ge=1)
    seed: int = option(0, "Seed of everything random.", ge=0)
    device: str = option("auto", "cpu, cuda, cuda:1, mps, or auto for the fastest there is.")
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "Number format; auto times both on this machine and takes the faster."
    )
    channels_last: bool = option(True, "Keep pictures as [N, H, W, C] in memory, which convolutions like.")
    compile: Literal["off", "on", "auto"] = option(
        "off", "Compile the networks; auto does on a GPU, when the run is long enough to repay it."
    )
    deterministic: bool = option(
        False,
        "On a GPU take only algorithms that give the same bits each time, so that resuming is exact there too; slower. "
        "A CPU always does.",
    )
    processes: int = option(1, "Processes (or GPUs) that share the batch.", ge=1)
    ema: float = option(0.999, "Decay of the moving average of the weights; 0 turns it off.", ge=0, lt=1)
    ema_every: int = option(8, "Rounds between two updates of the moving average.", ge=1)
    accumulate: int = option(
        1, "Parts a batch is cut into to save memory; their gradients are averaged. Batch norm sees each alone.", ge=1
    )
    clip_norm: float = option(0.0, "Largest norm of a phase's gradient; 0 does not clip.", ge=0)
    schedule: Literal["constant", "linear", "cosine", "late"] = option(
        "constant", "How the learning rate falls; late: in a line, in the second half."
    )
    schedule_steps: int | None = option(None, "Rounds until the schedule ends; empty means `steps`.", ge=1)
    warmup: int = option(0, "Rounds in which the learning rate rises from zero.", ge=0)
    save_every: int = option(1000, "Rounds between checkpoints.", ge=1)
    save_minutes: float = option(5.0, "Minutes between checkpoints, whichever comes first.", gt=0)
    keep: int = option(3, "Checkpoints to keep, the best one not counted.", ge=1)
    preview_every: int = option(250, "Rounds between preview pictures; 0 draws none.", ge=0)
    preview_count: int = option(64, "Pictures in a preview.", ge=1, le=1024)
    log_every: int = option(20, "Rounds between lines of the log.", ge=1)
    validate_every: int = option(250, "Rounds between validations; 0 never.", ge=0)
    best_by: BestBy = option(
        "auto",
        "What the best checkpoint and patience go by: the model's own loss on held-out pictures, or a quick Fréchet or "
        "kernel distance of generated to held-out pictures; auto takes the loss where there is one, else kid.",
    )
    patience: int = option(0, "Stop when this many validations in a row bring nothing better; 0 never.", ge=0)
    diagnose_every: int | None = option(
        None, "Rounds between two diagnoses; 0 never; empty as often as takes 3 % of the time.", ge=0
    )
    balance_every: int = option(
        100, "Rounds between two looks at the balance of a game that adapts itself to it; 0 never.", ge=0
    )
    stop_at_half: int = option(
        0,
        "Stop a game when the discriminator, once it could tell real from generated, was at one half in so many looks "
        "in a row; 0 never.",
        ge=0,
    )
    tensorboard: bool = option(False, "Also write TensorBoard curves (extra: curves).")

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.steps is None and self.minutes is None:
            raise ValueError("give steps, minutes or both, or training would never end")
        if self.batch_size % (self.processes * self.accumulate):
            raise ValueError(
                f"batch_size {self.batch_size} does not divide by processes x accumulate "
                f"= {self.processes * self.accumulate}"
            )
        if self.schedule != "constant" and self.schedule_steps is None and self.steps is None:
            raise ValueError(f"the {self.schedule} schedule needs steps or schedule_steps")
        return self
