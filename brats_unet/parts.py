"""Build a part by its name from a literal table; a wrong name or option is answered with the right ones."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar, get_type_hints

from brats_unet.binding import value_of
from brats_unet.errors import SettingsError
from brats_unet.spelling import suggestion

Builder = TypeVar("Builder", bound=Callable)


def contract_options(*options: Mapping[str, Any]) -> Callable[[Builder], Builder]:
    """Mark a builder with the options that its contract test builds it with; one test case for each mapping.

    A part declares here what makes it small and quick, and every option of its own that the contract should cover.
    Tests of one option, such as `batch_dice` of a loss, run only on the parts that declare it.
    """

    def mark(builder: Builder) -> Builder:
        builder.__dict__["contract_options"] = options
        return builder

    return mark


def contract_options_of(builder: Callable) -> tuple[Mapping[str, Any], ...]:
    """The options that a builder declares with `contract_options`; its defaults alone if it declares none."""
    return getattr(builder, "contract_options", ({},))


def check_options(
    kind: str, name: str, builder: Callable, options: Mapping[str, Any], given: Iterable[str]
) -> dict[str, Any]:
    """Check options against the names and types of the builder's signature, before anything is built.

    Args:
        kind: Kind of part, as the settings call it: "model", "loss", ….
        name: Name of the part in its table.
        builder: Function whose keyword-only arguments are the options that a user may set.
        options: Options from the user's settings.
        given: Names of the arguments that the program itself passes (channels, outputs, …).

    Returns:
        The options in the types of the signature, see `binding.value_of`.

    Raises:
        SettingsError: An option is unknown, missing, of another type or out of range. The message names the package if
            the builder comes from an installed one.
    """
    parameters = inspect.signature(builder).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = [n for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    allowed = [n for n in named if n not in set(given)]
    origin = getattr(builder, "origin", "")
    part = f"{kind}={name}{f' ({origin})' if origin else ''}"
    for option in options:
        if option not in allowed and not open_ended:
            known = suggestion(option, allowed) if allowed else "It has no options."
            raise SettingsError(f"{part} has no option {option}. {known}")
    missing = [n for n in allowed if n not in options and parameters[n].default is inspect.Parameter.empty]
    if missing:
        raise SettingsError(f"{part} needs {', '.join(missing)}. Set {kind}.{missing[0]}=….")
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
    """`table[name]`; SettingsError with the nearest known name if there is none."""
    if not isinstance(name, str) or name not in table:
        raise SettingsError(f"There is no {kind} named {name}. {suggestion(str(name), table)}")
    return table[name]


def options_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a part: all of its settings except the name."""
    return {key: value for key, value in settings.items() if key != "name"}


def build(kind: str, table: Mapping[str, Callable], settings: Mapping[str, Any], **given: Any) -> Any:
    """Call `table[settings["name"]]` with the other settings as options and `given` from the program.

    Args:
        kind: Kind of part, as the settings call it; used in messages.
        table: Builders by name.
        settings: {"name": …, option: value, …} of plain types.
        **given: Arguments that the program passes; a user's settings cannot name these.

    Raises:
        SettingsError: No such name, or options that do not fit; see `check_options`.
    """
    options, name = options_of(settings), settings.get("name")
    builder = chosen(kind, table, name)
    return builder(**given, **check_options(kind, str(name), builder, options, given))
