"""The contract that every model keeps, as checks anyone can run on a model of their own.

Example:
    >>> from mezzotint.engine.model import MODELS
    >>> from mezzotint.testing import check_model
    >>> check_model(MODELS.get("vae"), only="shapes")
"""

from __future__ import annotations

from collections.abc import Callable

from mezzotint.engine.model import MODELS, Model
from mezzotint.testing._checks import CHECKS, Check

__all__ = ["CHECKS", "Check", "check_model", "variants_of"]


def variants_of(cls: type[Model]) -> list[type[Model]]:
    """The model, and one of its kind for each of its `variants`, whose `tiny` settings have those too.

    Example:
        >>> [kind.tiny.get("conditional", False) for kind in variants_of(MODELS.get("wgan"))]
        [False, True]
    """
    changed = [{"tiny": {**cls.tiny, **settings}, "__module__": cls.__module__} for settings in cls.variants]
    return [cls, *(type(cls.__name__, (cls,), {**values, "__doc__": cls.__doc__}) for values in changed)]


def check_model(cls: type[Model] | str, only: str | None = None, tell: Callable[[str], None] | None = None) -> None:
    """Check that a model keeps the contract of the house, with its `tiny` settings and with each of its `variants`.

    Args:
        cls: the model's class, which need not be registered, or the name of one that is.
        only: run just the check of this name (see `CHECKS`).
        tell: called with the name of each check before it runs.

    Raises:
        AssertionError: a promise is broken; the message says which.
        KeyError: `only` names no check.
    """
    cls = MODELS.get(cls) if isinstance(cls, str) else cls
    checks = CHECKS if only is None else {only: CHECKS[only]}
    for kind in variants_of(cls):
        for name, check in checks.items():
            if tell is not None:
                tell(name if kind is cls else f"{name}, {dict(kind.tiny)}")
            check(kind)
