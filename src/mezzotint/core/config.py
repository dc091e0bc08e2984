"""Settings, declared once: typed, keyword-only, with a range and a help text.

From one declaration come the Python arguments, the command-line `--set`, the JSON beside the weights and the
docs. Unknown keys are errors, and so are values out of range; both are answered in one sentence.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticUndefined

from mezzotint.core.errors import ConfigError, suggest


class Config(BaseModel):
    """The base of every settings class: immutable, and closed to unknown keys.

    Example:
        >>> class Toy(Config):
        ...     latent: int = option(100, "Size of the latent vector.", ge=1)
        >>> Toy.build({"latent": 64}, "model").latent
        64
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )

    @classmethod
    def build(cls, values: Mapping[str, Any], where: str) -> Self:
        """Check `values` and build the settings; `where` ("model", "train") is named in errors.

        Raises:
            ConfigError: a key is unknown, or a value is of the wrong type or out of range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(_sentence(cls, error, where)) from error

    def changed(self, **values: Any) -> Self:
        """A checked copy with some values changed."""
        return self.build({**self.model_dump(), **values}, type(self).__name__.removesuffix("Config").lower())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `build` gives the same settings back."""
        return self.model_dump(mode="json")


def option(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one setting: its default, what it does, and the range it may have."""
    return Field(default=default, description=help, ge=ge, gt=gt, le=le, lt=lt)


@dataclass(frozen=True)
class OptionInfo:
    """What can be said of one setting, for help texts, forms and docs."""

    name: str
    type: str
    default: Any
    range: str
    help: str


def describe(cls: type[Config]) -> list[OptionInfo]:
    """All settings of `cls` in the order of their declaration."""
    infos = []
    for name, field in cls.model_fields.items():
        bounds = [
            f"{sign} {getattr(m, key):g}"
            for m in field.metadata
            for key, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
            if getattr(m, key, None) is not None
        ]
        default = None if field.default is PydanticUndefined else field.default
        infos.append(
            OptionInfo(name, _type_text(field.annotation), default, ", ".join(bounds), field.description or "")
        )
    return infos


def parse_assignments(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`["model.latent=64", "train.ema=0.99"]` as nested values. Values are JSON, or else plain text.

    Raises:
        ConfigError: an assignment has no `=` or no section before the dot.
    """
    result: dict[str, dict[str, Any]] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not equals or not section or not dot or not name:
            raise ConfigError(f'--set takes section.name=value, such as model.latent=64; got "{text}".')
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = value
        result.setdefault(section, {})[name] = parsed
    return result


def read_file(path: Path, convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> dict[str, Any]:
    """Settings from a `.json` or `.toml` file, as nested values.

    Args:
        path: the file.
        convert: is given what the file holds and returns its sections, for files of another layout.

    Raises:
        ConfigError: the file is missing, is neither, does not parse, or holds something else than sections.
    """
    try:
        if path.suffix == ".toml":
            return _sections(tomllib.loads(path.read_text(encoding="utf-8")), path, convert)
        if path.suffix == ".json":
            return _sections(json.loads(path.read_text(encoding="utf-8")), path, convert)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"Cannot read the settings file {path} ({reason.lower()}); check its name.") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} does not parse ({error}); settings look like model = {{latent = 64}}.") from error
    raise ConfigError(f"{path} is neither .json nor .toml; settings files are one of the two.")


def _sections(value: Any, path: Path, convert: Callable[[dict[str, Any]], dict[str, Any]] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold a JSON object with sections such as model, data and train.")
    value = value if convert is None else convert(value)
    for name, section in value.items():
        if not isinstance(section, dict):
            raise ConfigError(f'{path}: "{name}" must be a section such as model, data or train, with settings in it.')
    return value


def merge(*layers: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sections merged key by key; later layers win."""
    result: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for section, values in layer.items():
            result.setdefault(section, {}).update(values)
    return result


def _type_text(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) is not None:
        return str(annotation).replace("typing.", "")
    return getattr(annotation, "__name__", str(annotation))


def _sentence(cls: type[Config], error: ValidationError, where: str) -> str:
    first = error.errors(include_url=False)[0]
    # Behind the setting's name stand the branches of its type that were tried, which nobody has written.
    known = first["loc"][:1] and first["loc"][0] in cls.model_fields
    kept = [part for i, part in enumerate(first["loc"]) if i == 0 or isinstance(part, int) or not known]
    path = ".".join(map(str, kept))
    name = f"{where}.{path}" if path else where
    if first["type"] == "extra_forbidden":
        return f'There is no setting "{name}"; {suggest(path, cls.model_fields)}'
    if first["type"] == "missing":
        return f'The setting "{name}" is missing; give it a value.'
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"The setting {name}={first['input']!r} is wrong: {message[0].lower() + message[1:]}."
