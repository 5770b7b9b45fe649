"""Build a part by its name from a literal table; a wrong name or option is answered with the right ones."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any, get_type_hints

from brats_unet.binding import value_of
from brats_unet.errors import SettingsError
from brats_unet.spelling import suggestion


def with_plugins(table: Mapping[str, Callable], group: str) -> dict[str, Callable]:
    """`table` plus what installed packages offer under the entry-point group `brats_unet.<group>`.

    A package adds a part without forking: `[project.entry-points."brats_unet.models"] mine = "my_package:build"`.
    A name of our own is never replaced.
    """
    found: dict[str, Callable] = dict(table)
    for entry in entry_points(group=f"brats_unet.{group}"):
        if entry.name in table:
            raise SettingsError(
                f"The package {entry.dist.name if entry.dist else '?'} offers a {group} part named {entry.name}, "
                f"a name that brats-unet uses itself. Rename its entry point."
            )
        found[entry.name] = entry.load()
    return found


def check_options(
    kind: str, name: str, builder: Callable, options: Mapping[str, Any], given: Iterable[str]
) -> dict[str, Any]:
    """Hold options against the builder's signature and its types, before anything is built.

    Args:
        kind: What is built, as the settings call it: "model", "loss", ….
        name: Its name in the table.
        builder: Keyword-only options are those a user may set.
        options: What the user's settings say.
        given: Names of arguments that the program itself passes (channels, outputs, …).

    Returns:
        The options in the types of the signature, see `binding.value_of`.

    Raises:
        SettingsError: An option is unknown, missing, of another type or out of range.
    """
    parameters = inspect.signature(builder).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    allowed = [p for p in parameters if p not in set(given)]
    for option in options:
        if option not in allowed and not open_ended:
            raise SettingsError(f"{kind}={name} has no option {option}. {suggestion(option, allowed)}")
    missing = [p for p in allowed if p not in options and parameters[p].default is inspect.Parameter.empty]
    missing = [
        p for p in missing if parameters[p].kind not in (parameters[p].VAR_KEYWORD, parameters[p].VAR_POSITIONAL)
    ]
    if missing:
        raise SettingsError(f"{kind}={name} needs {', '.join(missing)}. Set {kind}.{missing[0]}=….")
    types = option_types(builder)
    return {option: value_of(types.get(option, Any), value, f"{kind}.{option}") for option, value in options.items()}


def option_types(builder: Callable) -> dict[str, Any]:
    """Annotated type of each parameter; Any where there is none, or where it names something not imported here."""
    names = getattr(inspect.unwrap(builder), "__globals__", {})
    found = {}
    for name, parameter in inspect.signature(builder).parameters.items():
        written = Any if parameter.annotation is parameter.empty else parameter.annotation
        try:
            hints = get_type_hints(SimpleNamespace(__annotations__={name: written}), names, include_extras=True)
        except NameError:  # a type imported for type checkers only
            hints = {}
        found[name] = hints.get(name, Any)
    return found


def chosen(kind: str, table: Mapping[str, Callable], name: Any) -> Callable:
    """`table[name]`; SettingsError with the nearest known name where there is none."""
    if name not in table:
        raise SettingsError(f"There is no {kind} named {name}. {suggestion(str(name), table)}")
    return table[name]


def options_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a part: its settings but for the name."""
    return {key: value for key, value in settings.items() if key != "name"}


def build(kind: str, table: Mapping[str, Callable], settings: Mapping[str, Any], **given: Any) -> Any:
    """Call `table[settings["name"]]` with the other settings as options and `given` from the program.

    Args:
        kind: What is built, as the settings call it; used in messages.
        table: Name to builder.
        settings: {"name": …, option: value, …} of plain types.
        **given: What the program passes; a user's settings cannot name these.

    Raises:
        SettingsError: No such name, or options that do not fit; see `check_options`.
    """
    options, name = options_of(settings), settings.get("name")
    builder = chosen(kind, table, name)
    return builder(**given, **check_options(kind, str(name), builder, options, given))
