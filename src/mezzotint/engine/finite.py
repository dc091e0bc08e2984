"""Refusing what is not finite, before anything is updated with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from mezzotint.core.errors import NotFinite
from mezzotint.engine.phase import Phase, Terms


def check_loss(phase: Phase, terms: Terms, total: Tensor, step: int) -> None:
    """Refuse a loss that is not finite, by the first of its terms that is not.

    Raises:
        NotFinite: `total` [], the sum of the terms, is not finite.
    """
    if math.isfinite(total.item()):
        return
    values = {name: value.item() for name, value in terms.items()} | {"their sum": total.item()}
    bad = next(name for name, value in values.items() if not math.isfinite(value))
    raise NotFinite(
        f'The term "{bad}" of phase "{phase.name}" became {values[bad]} in step {step}; nothing was updated. A lower '
        "learning rate, --set train.clip_norm=1 or --precision fp32 usually helps."
    )


def check_gradient(phase: Phase, parameters: Sequence[nn.Parameter], step: int, limit: float) -> None:
    """Refuse a gradient that is not finite, which a finite loss may well have; clip it where there is a limit.

    Args:
        phase: whose.
        parameters: with their gradients.
        step: the round.
        limit: the largest norm; 0 does not clip.

    Raises:
        NotFinite: its norm is not finite.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if not math.isfinite(norm.item()):
        raise NotFinite(
            f'The gradient of phase "{phase.name}" is not finite in step {step}; nothing was updated. A lower learning '
            "rate or --precision fp32 usually helps."
        )
    if limit:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
