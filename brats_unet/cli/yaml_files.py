"""Read one YAML file of settings: its opening comment, defaults, values and comments."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from brats_unet.errors import SettingsError
from brats_unet.hand_written import LOADER, what_is, yaml_text, yaml_values


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


def read(path: Path) -> ConfFile:
    """Take one YAML file apart.

    Raises:
        SettingsError: It is not valid YAML, holds a key twice, or something other than keys.
    """
    text, root = yaml_text(path)
    if "!" in text or "<<" in text:
        yaml_values(path)  # refuses a tag or a merge that Hydra could not read
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise SettingsError(f"{path}: found {what_is(yaml_values(path))}. Expected lines of the form `key: value`.")
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
                    overrides[group.removeprefix("override ").lstrip("/").partition("@")[0]] = choice
                else:
                    defaults.append((group.lstrip("/"), choice))
        else:
            _collect(key, node, text, lines, found)
    return ConfFile(tuple(about), tuple(defaults), overrides, found, everywhere)


def read_plan(path: Path) -> dict[str, Any]:
    """The settings of a plan, by dotted key, in its order.

    Raises:
        SettingsError: There is no such file, or it is not valid YAML, holds a key twice, or something other than keys.
    """
    if not path.exists():
        raise SettingsError(
            f"plan={path}: there is no such file. `brats-unet plan` writes one; plan=auto does so first."
        )
    read(path)  # refuses, with the line
    return {str(key): value for key, value in (yaml_values(path) or {}).items()}


def plain_value(text: str) -> Any:
    """The value of a setting from its text in a YAML file, as `Setting.value` holds it."""
    return yaml.load(text, LOADER)


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


def merge(into: dict[str, Setting], new: Mapping[str, Setting]) -> None:
    """Add settings to those of an earlier file; a comment holds until another replaces it."""
    for key, setting in new.items():
        old = into.get(key)
        into[key] = Setting(setting.value, setting.comment or (old.comment if old else ""))
