"""Parts of installed packages, by entry points; a package is imported only when one of its parts is used.

A package offers a part under the group `brats_unet.models`, `.losses`, `.metrics` or `.augmentations`:

    [project.entry-points."brats_unet.losses"]
    mine = "my_package.losses:mine"

What is wrong with such a part is told in one sentence that names the package and its entry point.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from brats_unet.errors import CheckpointError, SettingsError

GROUPS = {"model": "models", "loss": "losses", "augmentation": "augmentations", "metric": "metrics"}
# What the code of a package may raise; a package's own kind of exception keeps its traceback.
RAISED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def offers(kind: str) -> dict[str, list[EntryPoint]]:
    """Entry points of installed packages for one kind of part, by name, without importing any package.

    Args:
        kind: A key of `GROUPS`.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=f"brats_unet.{GROUPS[kind]}"):
        found.setdefault(entry.name, []).append(entry)
    return found


def package_of(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the package that an entry point belongs to; ("?", "?") if it belongs to none."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")


def origin_of(entry: EntryPoint) -> str:
    """An entry point in words, for messages: package, version, group, name and value."""
    package, version = package_of(entry)
    return f"package {package} {version}, entry point {entry.group}: {entry.name} = {entry.value}"


def only_offer(kind: str, name: str, found: list[EntryPoint], *, ours: bool) -> EntryPoint:
    """The one entry point of a name that is used.

    Raises:
        SettingsError: Several packages offer the name, or it is one of brats-unet's own: a name that stands in the
            settings of runs must mean one thing.
    """
    packages = " and ".join(package_of(entry)[0] for entry in found)
    if ours:
        raise SettingsError(
            f"{kind}={name}: brats-unet has a {kind} of this name, and the package {packages} offers another "
            f"({origin_of(found[0])}). Rename that entry point, or uninstall {packages}."
        )
    if len(found) > 1:
        raise SettingsError(
            f"{kind}={name}: the packages {packages} all offer a {kind} of this name. Uninstall all of them but one, "
            f"or rename the entry point."
        )
    return found[0]


def loaded(kind: str, entry: EntryPoint, expected: str) -> Any:
    """Import what an entry point names.

    Args:
        kind: A key of `GROUPS`, for messages.
        entry: Entry point of an installed package.
        expected: What should be there, in words.

    Raises:
        SettingsError: The module or the attribute does not exist, or the module fails on import.
    """
    try:
        return entry.load()
    except ModuleNotFoundError as problem:
        raise wrong(kind, entry, f"there is no module {problem.name}", expected) from problem
    except RAISED as problem:
        absent = isinstance(problem, AttributeError) and f"'{entry.module}'" in str(problem)
        text = f"{type(problem).__name__}: {problem}"
        found = f"{entry.module} has no {entry.attr}" if absent else f"importing {entry.module} fails with {text}"
        raise wrong(kind, entry, found, expected) from problem


def wrong(kind: str, entry: EntryPoint, found: str, expected: str) -> SettingsError:
    """The error for a part of a package that is not what it should be."""
    package, _ = package_of(entry)
    return SettingsError(
        f"{kind}={entry.name} ({origin_of(entry)}): {found}. Expected {expected}. "
        f"Repair or uninstall {package}{'' if kind == 'metric' else f', or choose another {kind}'}."
    )


def shown(value: Any) -> str:
    """A value and its type, for messages, 60 characters of it at most."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"


class Builders(Mapping[str, Callable]):
    """Builders by name: our own table, and those of installed packages, each imported when it is looked up.

    Names can be listed and tested without importing anything. A builder of a package has an attribute `origin`, and
    refuses to return anything but a part of its kind.
    """

    def __init__(self, ours: Mapping[str, Callable], kind: str, part: str, fits: Callable[[Any], bool]) -> None:
        """Look the entry points up.

        Args:
            ours: Our own table.
            kind: A key of `GROUPS`.
            part: Class of what a builder returns, in words.
            fits: Whether a value is such a part.
        """
        self._ours, self._kind, self._part, self._fits = ours, kind, part, fits
        self._offers = offers(kind)

    def __contains__(self, name: object) -> bool:
        return name in self._ours or name in self._offers

    def __iter__(self) -> Iterator[str]:
        yield from self._ours
        yield from (name for name in self._offers if name not in self._ours)

    def __len__(self) -> int:
        return len(self._ours.keys() | self._offers.keys())

    def __getitem__(self, name: str) -> Callable:
        if name not in self._offers:
            return self._ours[name]
        entry = only_offer(self._kind, name, self._offers[name], ours=name in self._ours)
        expected = f"a function that returns a {self._part}"
        builder = loaded(self._kind, entry, expected)
        if not callable(builder):
            raise wrong(self._kind, entry, f"it is {shown(builder)}", expected)

        @functools.wraps(builder)
        def checked(**options: Any) -> Any:
            made = builder(**options)
            if not self._fits(made):
                raise wrong(self._kind, entry, f"it returns {shown(made)}", expected)
            return made

        checked.__dict__["origin"] = origin_of(entry)
        return checked


def packages_of(parts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Which installed package gives each part, by kind: name of the part, package and version; ours are left out.

    Args:
        parts: Name of the part that is used, by kind.
    """
    found = {}
    for kind, name in parts.items():
        if entries := offers(kind).get(name):
            package, version = package_of(entries[0])
            found[kind] = {"name": name, "package": package, "version": version}
    return found


def refuse_absent_packages(recorded: Mapping[str, Mapping[str, str]], run: object) -> list[str]:
    """Refuse to open a run whose parts come from packages that are not installed.

    Args:
        recorded: Parts of the run, as `packages_of` returned them when it was trained.
        run: Run folder, for the message.

    Returns:
        A sentence for each package that is installed in another version.

    Raises:
        CheckpointError: A package is missing, or no longer offers the part.
    """
    notes = []
    for kind, part in recorded.items():
        package, version = part["package"], part["version"]
        installed = dict(package_of(entry) for entry in offers(kind).get(part["name"], []))
        trained = f"{run} was trained with {kind}={part['name']} of the package {package} {version}"
        if package not in installed:
            raise CheckpointError(
                f"{trained}, which is not installed here or no longer offers it. Install {package}=={version}."
            )
        if installed[package] != version:
            notes.append(f"{trained}; here is version {installed[package]}, which may compute something else.")
    return notes
