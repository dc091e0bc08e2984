"""Whether functions with derivatives of our own may stand in for torch's."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad


def plain_eager() -> bool:
    """Whether operators really run now, with ordinary reverse-mode derivatives, and nobody is recording them."""
    return not (
        torch.compiler.is_compiling()
        or torch.compiler.is_exporting()
        or torch._C._get_tracing_state() is not None
        or torch.onnx.is_in_onnx_export()
        or torch._C._are_functorch_transforms_active()
        or getattr(forward_ad, "_current_level", -1) >= 0
    )
