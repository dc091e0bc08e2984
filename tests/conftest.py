"""What all tests share: one thread a worker, a cache of their own, and the folder of real data if there is one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Two workers on two cores: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
_CACHE = tempfile.TemporaryDirectory(prefix="mezzotint-tests-")
os.environ["MEZZOTINT_CACHE"] = _CACHE.name


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    import torch

    torch.set_num_threads(1)
    yield
    _CACHE.cleanup()


@pytest.fixture
def real_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    folder = os.environ.get("MEZZOTINT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MEZZOTINT_DATA names no folder of real data")
    return Path(folder)
