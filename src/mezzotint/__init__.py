"""Mezzotint trains, compares and uses generative models on your own pictures.

Example:
    >>> import mezzotint as mz
    >>> mz.__version__
    '0.1.0'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mezzotint.core.errors import MezzotintError as MezzotintError
    from mezzotint.data.open import open_pictures as open_pictures
    from mezzotint.tasks.cluster import cluster as cluster
    from mezzotint.tasks.edit import edit as edit
    from mezzotint.tasks.encode import encode as encode
    from mezzotint.tasks.evaluate import evaluate as evaluate
    from mezzotint.tasks.evaluation import compare_scores as compare_scores
    from mezzotint.tasks.evaluation import load_scores as load_scores
    from mezzotint.tasks.hub import from_pretrained as from_pretrained
    from mezzotint.tasks.hub import push_to_hub as push_to_hub
    from mezzotint.tasks.hub import save_pretrained as save_pretrained
    from mezzotint.tasks.project import project as project
    from mezzotint.tasks.report import report as report
    from mezzotint.tasks.run import Run as Run
    from mezzotint.tasks.run import load as load
    from mezzotint.tasks.train import resume as resume
    from mezzotint.tasks.train import train as train
    from mezzotint.tasks.translate import translate as translate
    from mezzotint.tasks.translation_sheet import translation_sheet as translation_sheet
    from mezzotint.tasks.traverse import traverse as traverse

# Imported when first used, so that `import mezzotint` costs no torch.
_LAZY = {
    "MezzotintError": "mezzotint.core.errors",
    "Run": "mezzotint.tasks.run",
    "cluster": "mezzotint.tasks.cluster",
    "compare_scores": "mezzotint.tasks.evaluation",
    "edit": "mezzotint.tasks.edit",
    "encode": "mezzotint.tasks.encode",
    "evaluate": "mezzotint.tasks.evaluate",
    "from_pretrained": "mezzotint.tasks.hub",
    "load": "mezzotint.tasks.run",
    "load_scores": "mezzotint.tasks.evaluation",
    "open_pictures": "mezzotint.data.open",
    "project": "mezzotint.tasks.project",
    "push_to_hub": "mezzotint.tasks.hub",
    "report": "mezzotint.tasks.report",
    "resume": "mezzotint.tasks.train",
    "save_pretrained": "mezzotint.tasks.hub",
    "train": "mezzotint.tasks.train",
    "translate": "mezzotint.tasks.translate",
    "translation_sheet": "mezzotint.tasks.translation_sheet",
    "traverse": "mezzotint.tasks.traverse",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mezzotint' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
