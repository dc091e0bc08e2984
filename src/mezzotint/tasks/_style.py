"""The style that a person asks for: by a seed, or by a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mezzotint.core.errors import ConfigError
from mezzotint.data.singles import one_picture
from mezzotint.engine.capabilities import require
from mezzotint.tasks.sample import models_that


def check_style(to: str | None, seed: int | None, like: str | Path | None) -> None:
    """Refuse two styles at once, and that of a picture without its domain.

    Raises:
        ConfigError: it is one of these.
    """
    if seed is not None and like is not None:
        raise ConfigError("A style is drawn, or is that of a picture; give --style-seed or --like, not both.")
    if like is not None and to is None:
        raise ConfigError("A style is of one domain; name that of the picture with --to.")


def style_for(model: Any, domain: Tensor | None, seed: int | None, like: str | Path | None) -> Tensor | None:
    """The style code [1, S] of a domain [1, K] that was asked for, by a seed or by a picture; None where none was.

    Raises:
        CapabilityError: the model has no style codes.
        DataError: `like` is not one picture.
    """
    if seed is None and like is None:
        return None
    task = "translate --style-seed" if like is None else "translate --like"
    require(model, "restyles", task, others=models_that("restyles"))
    code: Tensor
    if like is None:
        code = model.draw_styles(domain, seed)
    else:
        refuse_alpha(model.spec.channels)
        picture = torch.from_numpy(one_picture(like, "style").to_values(model.spec.channels))[None]
        code = model.styles_of(picture.to(model.device), domain)
    return code


def refuse_alpha(channels: int) -> None:
    """Refuse a model of pictures with transparency.

    Raises:
        ConfigError: it is one.
    """
    if channels not in (1, 3):
        raise ConfigError("Transparency is kept as it is, so this is for models of grey or colour pictures.")
