"""From plain mappings to the dataclasses of `settings`: each value held against its type."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from brats_unet.errors import SettingsError
from brats_unet.parts import suggestion

NEEDED = "???"  # how YAML says that the user must give a value
NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a section"}

T = TypeVar("T")


def bind(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """An instance of a settings dataclass from nested plain containers, as YAML, JSON or Hydra give them.

    Args:
        cls: A dataclass; its fields may be plain types, lists of them, Literal, Optional, Any, dict or dataclasses.
        values: One entry a field, no more and no fewer.
        prefix: Section that `values` is, with its final dot; used in messages.

    Raises:
        SettingsError: An entry is missing, unknown, or of another type; names the key, the value and the type.
    """
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]  # T is a dataclass
    for name in values:
        if name not in names:
            raise SettingsError(f"There is no setting {prefix}{name}. {suggestion(str(name), names)}")
    for name in names:
        if name not in values:
            raise SettingsError(f"The setting {prefix}{name} is missing. Expected {type_text(hints[name])}.")
    return cls(**{name: value_of(hints[name], values[name], prefix + name) for name in names})


def value_of(kind: Any, value: Any, key: str) -> Any:
    """`value` as the type `kind`, or a sentence that names `key`; 1.0 is a whole number, and 1 a number."""
    if value == NEEDED:
        raise SettingsError(f"{key} is not set. Give {key}=… ({type_text(kind)}).")
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise _misfit(key, value, "a section of settings")
        return bind(kind, value, key + ".")
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else value_of(_without_none(arguments), value, key)
    if origin is Literal:
        if isinstance(value, bool) and {"on", "off"} <= set(arguments):
            return "on" if value else "off"  # as YAML reads those words
        if value not in arguments:
            choices = [str(choice) for choice in arguments]
            raise SettingsError(f"{key}={_shown(value)} is not a choice. {suggestion(_shown(value), choices)}")
        return value
    if origin is list:
        if not isinstance(value, list):
            raise _misfit(key, value, type_text(kind))
        return [value_of(arguments[0], item, f"{key}[{index}]") for index, item in enumerate(value)]
    if origin is dict or kind is dict:
        if not isinstance(value, Mapping):
            raise _misfit(key, value, "a section of settings")
        _refuse_gaps(value, key)
        return dict(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _misfit(key, value, type_text(kind))
    return value


def type_text(kind: Any) -> str:
    """A type in a reader's words: "a whole number, or null"."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return f"{type_text(_without_none(arguments))}, or null"
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin is list:
        example = {int: "[1,2]", float: "[0.5,1]", str: "[a,b]"}.get(arguments[0], "[…]")
        return f"a list such as {example}"
    return NAMES.get(origin or kind, "a value")


def _without_none(arguments: tuple[Any, ...]) -> Any:
    return next(argument for argument in arguments if argument is not type(None))


def _refuse_gaps(section: Mapping[str, Any], key: str) -> None:
    for name, value in section.items():
        if value == NEEDED:
            raise SettingsError(f"{key}.{name} is not set. Give {key}.{name}=….")
        if isinstance(value, Mapping):
            _refuse_gaps(value, f"{key}.{name}")


def _misfit(key: str, value: Any, expected: str) -> SettingsError:
    return SettingsError(f"{key}={_shown(value)} does not fit. Expected {expected}.")


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(_shown(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_shown(item)}" for name, item in value.items()) + "}"
    return str(value)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as {"data.root": …}; tuples as lists, as JSON gives them back."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = list(value) if isinstance(value, tuple) else value
    return found
