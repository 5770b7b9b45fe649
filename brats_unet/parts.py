"""Build a part by its name from a literal table; a wrong name or option is answered with the right ones."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from brats_unet.errors import SettingsError


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The known name most like `name`, or None where none is near enough to be a typo."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)), None)


def suggestion(name: str, choices: Iterable[str]) -> str:
    """The sentence that follows "There is no X.": the nearest known name, or all of them where none is near."""
    known = sorted(choices)
    if near := nearest(name, known):
        return f"Did you mean {near}?"
    return f"Known: {', '.join(known)}."


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


def check_options(kind: str, name: str, builder: Callable, options: Mapping[str, Any], given: Iterable[str]) -> None:
    """Refuse options that the builder's signature does not take, or misses, before anything is built.

    Args:
        kind: What is built, as the settings call it: "model", "loss", ….
        name: Its name in the table.
        builder: Keyword-only options are those a user may set.
        options: What the user's settings say.
        given: Names of arguments that the program itself passes (channels, outputs, …).
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
        SettingsError: No such name, no such option, or an option is missing.
    """
    options, name = options_of(settings), settings.get("name")
    builder = chosen(kind, table, name)
    check_options(kind, str(name), builder, options, given)
    return builder(**given, **options)
