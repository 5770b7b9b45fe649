"""YAML and JSON files that people write by hand: read strictly, with mistakes named in plain words.

Parsers keep the last value of a key that stands twice, and say nothing. Here such a file is refused.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from brats_unet.errors import SettingsError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def yaml_text(path: Path) -> tuple[str, yaml.Node | None]:
    """The text of a YAML file and its nodes, which know their lines; no node for a file without values.

    Raises:
        SettingsError: The file is a folder or cannot be read, is not UTF-8, is not valid YAML, or holds a key twice in
            one place. The message names the line.
    """
    if path.is_dir():
        raise SettingsError(f"{path}: is a folder. Give a YAML file.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        line = path.read_bytes()[: problem.start].count(b"\n") + 1
        raise SettingsError(f"{path}, line {line}: is not UTF-8 text. Save the file in UTF-8.") from None
    except OSError as problem:
        raise SettingsError(f"{path}: {problem.strerror or problem}. Expected a readable YAML file.") from problem
    try:
        root = yaml.compose(text, Loader=LOADER)
        twice = [] if root is None else _keys_twice(root)
    except yaml.YAMLError as problem:
        raise _invalid(path, text, problem) from None
    except RecursionError:
        raise SettingsError(f"{path}: refers to itself, or is nested too deeply. Write the values out.") from None
    if twice:
        listed = "\n".join(
            f"{path}, line {line}: {name} stands in line {first} already." for name, first, line in twice
        )
        raise SettingsError(f"{listed}\nExpected each key once. Keep one of them.")
    return text, root


def yaml_values(path: Path) -> Any:
    """The content of a YAML file as plain Python values; None for a file without values.

    Raises:
        SettingsError: As in `yaml_text`, or a value cannot be read, such as a date that does not exist.
    """
    text, _ = yaml_text(path)
    try:
        return yaml.load(text, LOADER)
    except yaml.YAMLError as problem:
        raise _invalid(path, text, problem) from None
    except ValueError as problem:
        raise SettingsError(f"{path}: not valid YAML: {problem}. Correct the file.") from None


def json_values(text: str) -> Any:
    """The content of a JSON text.

    Raises:
        ValueError: It is not valid JSON, or an object holds a key twice.
    """
    return json.loads(text, object_pairs_hook=_object)


def what_is(value: Any) -> str:
    """A value in words, for "found …": "nothing", "a list (A, B)", "keys (a, b)", "the number 3", "the text A"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value}"
    if isinstance(value, dict):
        return f"keys ({_shown(list(value))})" if value else "no key"
    if isinstance(value, list):
        return f"a list ({_shown(value)})" if value else "an empty list"
    return f"the number {value}" if isinstance(value, int | float) else f"{value}"


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values[:5])) + (", …" if len(values) > 5 else "")


def _keys_twice(node: yaml.Node) -> list[tuple[str, int, int]]:
    """Every key that its mapping holds before: its name, the line of the first, and its own line, from 1."""
    found: list[tuple[str, int, int]] = []
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in first:
                found.append((name, first[name], line))
            first.setdefault(name, line)
            found += _keys_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        found += [one for item in node.value for one in _keys_twice(item)]
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it holds the key “{name}” twice")
    return content


def _invalid(path: Path, text: str, problem: yaml.YAMLError) -> SettingsError:
    mark = getattr(problem, "problem_mark", None)
    if mark is None:  # a character that YAML does not allow
        return SettingsError(f"{path}: not valid YAML: {getattr(problem, 'reason', problem)}. Correct the file.")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if line[: mark.column + 1].lstrip(" ").startswith("\t"):
        return SettingsError(f"{path}, line {mark.line + 1}: is indented with a tab. Indent with spaces.")
    return SettingsError(f"{path}, line {mark.line + 1}: not valid YAML: {getattr(problem, 'problem', problem)}.")
