"""Every registered model keeps the contract. A new model needs no test of its own here."""

from __future__ import annotations

import pytest

from mezzotint.engine.model import MODELS
from mezzotint.testing import CHECKS, check_model


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", MODELS.names())
def test_contract(name: str, check: str) -> None:
    check_model(MODELS.get(name), only=check)
