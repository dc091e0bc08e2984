"""Every registered model keeps the contract, in all its variants. A new model needs no test of its own here."""

from __future__ import annotations

import pytest

from mezzotint.engine.model import MODELS, Model
from mezzotint.testing import CHECKS, variants_of

KINDS = [
    pytest.param(kind, id="-".join([kind.name, *(f"{k}={v}" for k, v in kind.tiny.items() if k not in cls.tiny)]))
    for cls in MODELS
    for kind in variants_of(cls)
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind: type[Model], check: str) -> None:
    CHECKS[check](kind)
