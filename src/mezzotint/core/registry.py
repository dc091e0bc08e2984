"""A name for each thing that registers itself; discovery is by listing a package."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from mezzotint.core.errors import ConfigError, MezzotintWarning, suggest

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to classes or functions.

    Args:
        kind: what is registered, for messages ("model").
        package: dotted name of the package whose modules register themselves when imported.
        group: entry-point group through which other distributions add theirs.

    Example:
        >>> pets = Registry("pet")
        >>> _ = pets.add("cat", object)
        >>> pets.names()
        ['cat']
    """

    def __init__(self, kind: str, package: str | None = None, group: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._entries: dict[str, T] = {}
        self._discovered = package is None and group is None

    def add(self, name: str, thing: T) -> T:
        """Register `thing` as `name`.

        Raises:
            ConfigError: another thing already has the name.
        """
        known = self._entries.get(name)
        if known is not None and known is not thing:
            raise ConfigError(f'Two {self.kind}s are called "{name}": {known!r} and {thing!r}; rename one.')
        self._entries[name] = thing
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda thing: self.add(name, thing)

    def get(self, name: str) -> T:
        """The thing called `name`.

        Raises:
            ConfigError: nothing has that name; the message holds the closest one.
        """
        if name not in self._entries:
            self._discover()
        if name not in self._entries:
            raise ConfigError(f'There is no {self.kind} called "{name}"; {suggest(name, self._entries)}')
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._entries)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[T]:
        return iter([self._entries[name] for name in self.names()])

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True  # first, because what is imported may ask us something
        try:
            self._import_all()
        except BaseException:
            self._discovered = False  # or the next question would be answered from half a list
            raise

    def _import_all(self) -> None:
        if self._package is not None:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{self._package}.{module.name}")
        if self._group is not None:
            for point in entry_points(group=self._group):
                try:
                    point.load()
                except Exception as error:  # another package's fault must not stop those that work
                    warnings.warn(
                        f'The {self.kind} "{point.name}" of another package cannot be loaded ({error}); '
                        f"mend or uninstall the package that has {point.value}.",
                        MezzotintWarning,
                        stacklevel=2,
                    )
