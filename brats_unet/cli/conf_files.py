"""What conf/ offers, read without Hydra in milliseconds: commands, groups, choices, keys, values and their comments."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from brats_unet import settings
from brats_unet.errors import SettingsError

COMMANDS: dict[str, type] = {
    "train": settings.Train,
    "plan": settings.Plan,
    "doctor": settings.Doctor,
    "evaluate": settings.Evaluate,
    "compare": settings.Compare,
    "report": settings.Report,
    "predict": settings.Predict,
    "tune": settings.Tune,
    "export": settings.Export,
    "fuse": settings.Fuse,
    "check": settings.Check,
    "phantom": settings.Phantom,
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Setting:
    """One line of a YAML file: `value` and `comment` are its text."""

    value: str
    comment: str


@dataclass(frozen=True)
class ConfFile:
    """A YAML file under conf/.

    Attributes:
        about: The comment lines it opens with, without their marks.
        defaults: Its defaults list, in order: ("data", "phantom"); ("", name) for a sister file; ("_self_", "").
        overrides: Its `override /group: choice` lines.
        settings: Leaves by their key inside the file, dotted.
        everywhere: Whether its keys are whole ("# @package _global_") rather than those of its group.
    """

    about: tuple[str, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    everywhere: bool = False

    @property
    def summary(self) -> str:
        return self.about[0] if self.about else ""


def own_folder() -> Path:
    """conf/ inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return installed if (installed := package / "conf").is_dir() else package.parent / "conf"


def read(path: Path) -> ConfFile:
    """Take one YAML file apart.

    Raises:
        SettingsError: It is not valid YAML, or holds something other than keys.
    """
    text = path.read_text(encoding="utf-8")
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{path}{where}: not valid YAML ({getattr(problem, 'problem', problem)}).") from None
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise SettingsError(f"{path}: expected lines of the form `key: value`.")
    lines = text.splitlines()
    about = []
    everywhere = False
    for line in lines:
        if not line.startswith("#"):
            break
        if line.startswith("# @package"):
            everywhere = "_global_" in line
        else:
            about.append(line[1:].removeprefix(" "))
    defaults: list[tuple[str, str]] = []
    overrides: dict[str, str] = {}
    found: dict[str, Setting] = {}
    for key, node in _entries(root):
        if key == "defaults":
            for group, choice in _defaults(node):
                if group.startswith("override "):
                    overrides[group.removeprefix("override ").lstrip("/")] = choice
                else:
                    defaults.append((group.lstrip("/"), choice))
        else:
            _collect(key, node, text, lines, found)
    return ConfFile(tuple(about), tuple(defaults), overrides, found, everywhere)


def read_plan(path: Path) -> dict[str, Any]:
    """The settings of a plan, by dotted key, in its order.

    Raises:
        SettingsError: There is no such file, or it is not valid YAML, or holds something other than keys.
    """
    if not path.is_file():
        raise SettingsError(
            f"plan={path}: there is no such file. `brats-unet plan` writes one; plan=auto does so first."
        )
    read(path)  # refuses, with the line
    return {str(key): value for key, value in (yaml.load(path.read_text(encoding="utf-8"), LOADER) or {}).items()}


def _entries(node: Any) -> Iterable[tuple[str, Any]]:
    return ((key.value, value) for key, value in node.value) if isinstance(node, yaml.MappingNode) else ()


def _defaults(node: Any) -> Iterable[tuple[str, str]]:
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        if isinstance(item, yaml.MappingNode):
            yield from ((key, value.value) for key, value in _entries(item) if isinstance(value, yaml.ScalarNode))
        else:
            yield ("_self_", "") if item.value == "_self_" else ("", item.value)


def _collect(key: str, node: Any, text: str, lines: list[str], found: dict[str, Setting]) -> None:
    if isinstance(node, yaml.MappingNode) and node.value:
        for name, value in _entries(node):
            _collect(f"{key}.{name}", value, text, lines, found)
        return
    line = lines[node.end_mark.line] if node.end_mark.line < len(lines) else ""
    comment = re.search(r"(?:^|\s)#\s*(.*)$", line[node.end_mark.column :])
    found[key] = Setting(text[node.start_mark.index : node.end_mark.index], comment[1] if comment else "")


def typed_keys(cls: type, prefix: str = "") -> dict[str, Any]:
    """Type of each leaf of a settings dataclass, by dotted key; sections of free keys are leaves of type dict."""
    hints = get_type_hints(cls)
    keys: dict[str, Any] = {}
    for item in fields(cls):
        kind = hints[item.name]
        if is_dataclass(kind) and isinstance(kind, type):
            keys |= typed_keys(kind, f"{prefix}{item.name}.")
        else:
            keys[prefix + item.name] = kind
    return keys


@dataclass(frozen=True)
class Conf:
    """The YAML files one command is made of.

    Attributes:
        command: One of `COMMANDS`.
        own: A folder of the user's own files, looked at first, or None.
    """

    command: str
    own: Path | None = None

    @cached_property
    def file(self) -> ConfFile:
        """The command's own file, with those of the commands whose settings it takes over."""
        own = self._find("", self.command)
        defaults: list[tuple[str, str]] = []
        found: dict[str, Setting] = {}
        for group, choice in own.defaults:
            if group or choice == "_self_":
                defaults.append((group, choice))
            else:
                other = self._find("", choice)
                defaults += other.defaults
                _merge(found, other.settings)
        _merge(found, own.settings)
        return replace(own, defaults=tuple(dict.fromkeys(defaults)), settings=found)

    @cached_property
    def types(self) -> dict[str, Any]:
        return typed_keys(COMMANDS[self.command])

    @cached_property
    def defaults(self) -> dict[str, str]:
        """Choice of each group where nobody chooses."""
        return {group: choice for group, choice in self.file.defaults if group not in ("", "_self_")}

    def choices(self, group: str) -> dict[str, str]:
        """Names in a group, each with its summary; empty if there is no such group."""
        names = {path.stem for folder in self._folders for path in (folder / group).glob("*.yaml")}
        return {name: self._find(group, name).summary for name in sorted(names)}

    def chosen(self, asked: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Choices of every group: what the user asked for, else what his experiment says, else the default."""
        chosen = {group: [choice] for group, choice in self.defaults.items()}
        for experiment in asked.get("experiment", chosen.get("experiment", [])):
            for group, choice in self._find("experiment", experiment).overrides.items():
                chosen[group] = [choice]
        return chosen | dict(asked)

    def settings(self, asked: Mapping[str, list[str]]) -> dict[str, Setting]:
        """Every key that the chosen files set, with its last value; a comment holds until another replaces it."""
        chosen = self.chosen(asked)
        order = [group for group, _ in self.file.defaults if group] + [g for g in chosen if g not in self.defaults]
        found: dict[str, Setting] = {}
        for group in order if "_self_" in order else ["_self_", *order]:
            if group == "_self_":
                _merge(found, self.file.settings)
            for choice in chosen.get(group, []):
                _merge(found, self._group_settings(group, choice))
        return found

    @property
    def _folders(self) -> list[Path]:
        return [self.own, own_folder()] if self.own else [own_folder()]

    def _find(self, group: str, name: str) -> ConfFile:
        for folder in self._folders:
            path = folder / group / f"{name}.yaml"
            if path.is_file():
                return read(path)
        return ConfFile()

    def _group_settings(self, group: str, choice: str) -> dict[str, Setting]:
        file = self._find(group, choice)
        found: dict[str, Setting] = {}
        for parent, name in file.defaults:
            if not parent and name != choice:
                _merge(found, self._group_settings(group, name))
        prefix = "" if file.everywhere else group.replace("/", ".") + "."
        _merge(found, {prefix + key: setting for key, setting in file.settings.items()})
        return found


def _merge(into: dict[str, Setting], new: Mapping[str, Setting]) -> None:
    for key, setting in new.items():
        old = into.get(key)
        into[key] = Setting(setting.value, setting.comment or (old.comment if old else ""))
