"""Compiled networks: when they can be had, and when they are not wanted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Model


def compile_networks(model: nn.Module) -> None:
    """Compile every network in place, for static shapes: dynamic ones fail in a discriminator's backward.

    Networks that the model differentiates twice stay as they are, since the compiler cannot do that.
    """
    twice = model.differentiated_twice() if isinstance(model, Model) else ()
    for name, network in model.named_children():
        if name in twice:
            continue
        with contextlib.suppress(NotImplementedError):  # containers without a forward
            network.compile(dynamic=False)


@contextlib.contextmanager
def uncompiled(model: nn.Module) -> Iterator[None]:
    """Inside, networks that were compiled run as they are written.

    They were compiled for the batches of training. Every other size would be compiled again, for half a minute, and
    after a few sizes the compiler gives up.
    """
    if all(module._compiled_call_impl is None for module in model.modules()):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def require_compiler(device: torch.device) -> None:
    """Check that networks can be compiled for `device` on this machine; takes seconds.

    Raises:
        ConfigError: they cannot.
    """
    fault = compiler_fault(device)
    if fault is not None:
        raise ConfigError(f"Networks cannot be compiled on this machine ({fault}); set train.compile to off.")


def compiler_fault(device: torch.device) -> str | None:
    """Why networks cannot be compiled for `device` on this machine, in a clause; None if they can. Takes seconds."""
    try:
        compiled = torch.compile(lambda x: (x + 1).sin(), dynamic=False)
        compiled(torch.ones(4, device=device))
    except Exception as error:  # of the compiler's many parts: no C++ compiler, no Triton, no headers of Python
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return (lines[0] if lines else type(error).__name__).rstrip(".:;")
    return None
