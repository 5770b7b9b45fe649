"""Long because each kind of type has its own rule: check values against types, with every misfit named.

Nested plain containers become the dataclasses of `settings`; what a file holds is checked against a TypedDict.
"""

import math
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from brats_unet.errors import SettingsError
from brats_unet.spelling import suggestion

NEEDED = "???"  # how YAML says that the user must give a value
NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
SECTIONS = (dict, Mapping)
LISTS = (list, Sequence)
LONGEST = 200  # characters of a value in a message
LARGEST = 10**18 - 1  # of whole numbers, in size: arrays and counters hold no others

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Limits of a number, for `Annotated[int, Range(1)]`. With or without limits, no number may be NaN or infinite, and
    no whole number larger than `LARGEST`.

    Attributes:
        least: Lowest value.
        most: Highest value.
        above_least: Whether `least` itself is excluded.
        below_most: Whether `most` itself is excluded.
    """

    least: float = -math.inf
    most: float = math.inf
    above_least: bool = False
    below_most: bool = False

    def holds(self, value: float) -> bool:
        """Whether the value lies within the limits."""
        return (
            self.least <= value <= self.most
            and not (self.above_least and value == self.least)
            and not (self.below_most and value == self.most)
        )

    @property
    def text(self) -> str:
        """The limits in words that follow "a number": ", 1 or more", " from 0 to 1", " above 0 and below 1"."""
        if self.most == math.inf:
            return f" above {self.least:g}" if self.above_least else f", {self.least:g} or more"
        most = f"{self.most:.10g}"
        if self.above_least:
            return f" above {self.least:g} and " + (f"below {most}" if self.below_most else f"up to {most}")
        return f" from {self.least:g} to " + (f"below {most}" if self.below_most else most)


def bind(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """An instance of a settings dataclass from nested plain containers, as YAML, JSON or Hydra give them.

    Args:
        cls: A dataclass whose fields are of the types that `value_of` knows.
        values: One entry for each field, no more and no fewer.
        prefix: Name of the section that `values` holds, with its final dot; used in messages.

    Raises:
        SettingsError: An entry is missing, unknown, of another type or out of range; names the key, the value and what
            was expected.
    """
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]  # T is a dataclass
    for name in values:
        if name not in names:
            raise SettingsError(f"There is no setting {prefix}{name}. {suggestion(str(name), names)}")
    for name in names:
        if name not in values:
            raise SettingsError(f"The setting {prefix}{name} is missing. Expected {type_text(hints[name])}.")
    return cls(**{name: value_of(hints[name], values[name], prefix + name) for name in names})


def value_of(kind: Any, value: Any, key: str, *, expected: str | None = None) -> Any:
    """`value` as the type `kind`.

    Args:
        kind: A plain type, a dataclass, a TypedDict (its other keys stay as they are), or list, Sequence, dict,
            Mapping, Literal, Optional, a union, Any or Annotated with a `Range` of these.
        value: A plain value; 1.0 is taken as a whole number, 1 as a number, and 2020 as text.
        key: Name of the setting, used in messages.
        expected: What messages say was expected; None for `type_text(kind)`.

    Returns:
        The value in that type: sequences as lists, sections as dicts.

    Raises:
        SettingsError: The value does not fit; the message names the key, the value and what was expected.
    """
    if isinstance(value, str) and value == NEEDED:
        raise SettingsError(f"{key} is not set. Give {key}=… ({type_text(kind)}).")
    if kind is Any:
        return value
    expected = expected or type_text(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise _misfit(key, value, expected)
        return bind(kind, value, key + ".")
    if is_typeddict(kind):
        return _keys_of(kind, value, key, expected)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        bound = value_of(arguments[0], value, key, expected=expected)
        if any(isinstance(note, Range) and not note.holds(bound) for note in arguments[1:]):
            raise _misfit(key, value, expected)
        return bound
    if origin in (Union, types.UnionType):
        return _one_of(kind, value, key, expected)
    if origin is Literal:
        if isinstance(value, bool) and {"on", "off"} <= set(arguments):
            return "on" if value else "off"  # as YAML reads those words
        if isinstance(value, (list, Mapping)) or value not in arguments:
            choices = [str(choice) for choice in arguments]
            raise SettingsError(f"{key}={_shown(value)} is not a choice. {suggestion(_shown(value), choices)}")
        return value
    if (origin or kind) in LISTS:
        if not isinstance(value, (list, tuple)):
            raise _misfit(key, value, expected)
        inner = arguments[0] if arguments else Any
        return [value_of(inner, item, f"{key}[{index}]") for index, item in enumerate(value)]
    if (origin or kind) in SECTIONS:
        if not isinstance(value, Mapping):
            raise _misfit(key, value, expected)
        _refuse_gaps(value, key)
        inner = arguments[1] if arguments else Any
        return {name: value_of(inner, item, f"{key}.{name}") for name, item in value.items()}
    return _plain(kind, value, key, expected)


def _keys_of(kind: Any, value: Any, key: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _misfit(key, value, expected)
    found, prefix = dict(value), f"{key}." if key else ""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        inner = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        if name in found:
            found[name] = value_of(inner, found[name], prefix + name)
        elif name in kind.__required_keys__:
            raise SettingsError(f"{prefix}{name} is missing. Expected {type_text(inner)}.")
    return found


def _plain(kind: Any, value: Any, key: str, expected: str) -> Any:
    if kind not in NAMES:
        return value  # a type that is not known here: the part itself must check it
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and is_number:
        if not abs(value) <= sys.float_info.max:  # NaN, infinity, or a whole number that no float can hold
            raise _misfit(key, value, expected.replace("a number", "a finite number", 1))
        return float(value)
    if kind is int and is_number and abs(value) > LARGEST:
        raise _misfit(key, value, expected)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is str and is_number:
        return str(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _misfit(key, value, expected)
    return value


def _one_of(kind: Any, value: Any, key: str, expected: str) -> Any:
    """The value as the first type of a union that it fits."""
    kinds = [one for one in get_args(kind) if one is not type(None)]
    if value is None and len(kinds) < len(get_args(kind)):
        return None
    if isinstance(value, (list, tuple)) and (lists := [one for one in kinds if (get_origin(one) or one) in LISTS]):
        kinds = lists  # an entry that does not fit is then named
    for one in kinds[:-1]:
        try:
            return value_of(one, value, key)
        except SettingsError:
            continue
    return value_of(kinds[-1], value, key, expected=expected)


def type_text(kind: Any) -> str:
    """A type in words for a message: "a whole number, 1 or more, or null"."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        ranges = "".join(note.text for note in arguments[1:] if isinstance(note, Range))
        return type_text(arguments[0]) + ranges
    if origin in (Union, types.UnionType):
        named = [type_text(one) for one in arguments if one is not type(None)]
        return ", or ".join([*dict.fromkeys(named), *(["null"] if type(None) in arguments else [])])
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if (origin or kind) in LISTS:
        inner = _bare(arguments[0]) if arguments else Any
        example = {int: "[1,2]", float: "[0.5,1]", str: "[a,b]"}.get(inner, "[…]")
        return f"a list such as {example}"
    if (origin or kind) in SECTIONS or is_dataclass(kind) or is_typeddict(kind):
        return "a section of settings"
    return NAMES.get(kind, "a value")


def _bare(kind: Any) -> Any:
    """A type without its range; of a union, its first type."""
    if get_origin(kind) is Annotated or get_origin(kind) in (Union, types.UnionType):
        return _bare(get_args(kind)[0])
    return kind


def _refuse_gaps(section: Mapping[str, Any], key: str) -> None:
    for name, value in section.items():
        if isinstance(value, str) and value == NEEDED:
            raise SettingsError(f"{key}.{name} is not set. Give {key}.{name}=….")
        if isinstance(value, Mapping):
            _refuse_gaps(value, f"{key}.{name}")


def _misfit(key: str, value: Any, expected: str) -> SettingsError:
    shown = _shown(value)
    short = shown if len(shown) <= LONGEST else shown[:LONGEST] + "…"
    if isinstance(value, (int, float)) and abs(value) > LARGEST:
        expected = expected.replace("a whole number", "a whole number of at most 18 digits", 1)
    return SettingsError(f"{f'{key}=' if key else ''}{short} does not fit. Expected {expected}.")


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_shown(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_shown(item)}" for name, item in value.items()) + "}"
    return str(value)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key, as {"data.root": …}; tuples become lists, as JSON gives them back."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = list(value) if isinstance(value, tuple) else value
    return found


def comma_parts(text: str) -> list[str]:
    """Parts of a typed value between the commas that are outside quotes and brackets, as they are."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
