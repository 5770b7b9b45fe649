"""Build a part by its name from a literal table; a wrong name or option is answered with the right ones."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from brats_unet.binding import value_of
from brats_unet.errors import SettingsError

Builder = TypeVar("Builder", bound=Callable)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is similar enough to be a typo."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)), None)


def suggestion(name: str, choices: Iterable[str]) -> str:
    """The sentence that follows "There is no X.": the nearest known name, or all of them if none is near."""
    known = sorted(choices)
    if near := nearest(name, known):
        return f"Did you mean {near}?"
    return f"Known: {', '.join(known)}."


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


def check_options(kind: str, name: str, builder: Callable, options: Mapping[str, Any], given: Iterable[str]) -> None:
    """Refuse unknown options and missing ones by the builder's signature, before anything is built.

    Args:
        kind: Kind of part, as the settings call it: "model", "loss", ….
        name: Name of the part in its table.
        builder: Function whose keyword-only arguments are the options that a user may set.
        options: Options from the user's settings.
        given: Names of the arguments that the program itself passes (channels, outputs, …).

    Raises:
        SettingsError: An option is unknown, or a required one is missing. The message names the package if the
            builder comes from an installed one.
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


def chosen(kind: str, table: Mapping[str, Callable], name: Any) -> Callable:
    """`table[name]`; SettingsError with the nearest known name if there is none."""
    if name not in table:
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
        SettingsError: There is no such name or option, an option is missing, or an installed package's part is wrong.
    """
    options, name = options_of(settings), settings.get("name")
    builder = chosen(kind, table, name)
    return builder(**given, **check_options(kind, str(name), builder, options, given))
