"""What can be hung on the training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mezzotint.core.errors import MezzotintError
    from mezzotint.engine.loop import Trainer


class Callback:
    """Called around rounds of training. Every method may be left as it is.

    To end training set `trainer.stop_reason` to a few words.
    """

    def on_start(self, trainer: Trainer) -> None:
        """Before the first round (of this process: `trainer.step` is not 0 after a resume)."""

    def on_round(self, trainer: Trainer) -> None:
        """After each round; `trainer.step` rounds are done."""

    def on_finish(self, trainer: Trainer) -> None:
        """After the last round, when training ended as it should."""

    def on_error(self, trainer: Trainer, error: MezzotintError) -> None:
        """When training cannot go on; the error goes on its way afterwards."""

    def on_close(self, trainer: Trainer) -> None:
        """At the very end, also after an error: give back files and signal handlers."""

    def state(self) -> dict[str, Any]:
        """What must be remembered in a checkpoint, as JSON values."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of `state`; empty when the checkpoint has none."""
