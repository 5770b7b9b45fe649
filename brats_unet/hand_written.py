"""YAML and JSON files that people write by hand: read strictly, with mistakes named in plain words.

Parsers keep the last value of a key that stands twice, and say nothing. Here such a file is refused.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from brats_unet.errors import SettingsError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HALF_OF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")  # in JSON: a character beyond 16 bits, or half of one
DEEPEST = 100  # values in one another
MOST_VALUES = 100_000  # of a YAML file, in which a short alias can stand for many
# What PyYAML raises for a value that its tag does not allow, such as a date that does not exist.
INVALID_VALUES = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


def yaml_text(path: Path) -> tuple[str, yaml.Node | None]:
    """The text of a YAML file and its nodes, which know their lines; no node for a file without values.

    Raises:
        SettingsError: The file is a folder or cannot be read, is not UTF-8, is not valid YAML, is nested too deeply,
            or holds a key twice in one place. The message names the line.
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
        too_deep = _is_too_deep(text)
        root = None if too_deep else yaml.compose(text, Loader=LOADER)
        twice = [] if root is None else _keys_twice(path, root)
    except yaml.YAMLError as problem:
        raise _invalid(path, text, problem) from None
    if too_deep:
        raise SettingsError(f"{path}: is nested more than {DEEPEST} levels deep. Write it flatter.")
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
    except INVALID_VALUES as problem:
        raise SettingsError(f"{path}: not valid YAML: {problem}. Correct the file.") from None


def json_values(text: str | bytes) -> Any:
    """The content of a JSON text.

    Raises:
        ValueError: It is not UTF-8 or not valid JSON, an object holds a key twice, or it is nested too deeply.
    """
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        content = None
    else:
        if not _nested_deeper(content, DEEPEST):
            if HALF_OF_PAIR.search(text if isinstance(text, str) else text.decode(errors="replace")):
                json.dumps(content, ensure_ascii=False).encode()  # refuses what is no text
            return content
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def _nested_deeper(value: Any, levels: int) -> bool:
    inside = [value]
    for _ in range(levels + 1):
        inside = [
            inner
            for one in inside
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not inside:
            return False
    return True


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


def _is_too_deep(text: str) -> bool:
    """Whether YAML is nested too deeply; its parser in C would end the process. Most texts are too plain to be."""
    if sum(map(text.count, "[{-?")) <= DEEPEST and " " * DEEPEST not in text:
        return False
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False


def _keys_twice(path: Path, root: yaml.Node) -> list[tuple[str, int, int]]:
    """Every key that its mapping holds before: its name, the line of the first, and its own line, from 1.

    Raises:
        SettingsError: A key is a list or a section, or aliases stand for too many values.
    """
    found: list[tuple[str, int, int]] = []
    waiting, values = [root], 0
    while waiting:
        node = waiting.pop()
        values += 1
        if values > MOST_VALUES:
            raise SettingsError(
                f"{path}: its aliases refer to themselves, or stand for more than {MOST_VALUES:,} values. Write "
                "the values out."
            )
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, _ in node.value:
                name, line = key.value, key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    raise SettingsError(f"{path}, line {line}: a key is a list or a section. Expected a word as key.")
                if name in first:
                    found.append((name, first[name], line))
                first.setdefault(name, line)
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return sorted(found, key=lambda one: one[2])


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
