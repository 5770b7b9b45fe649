"""Paths in files that others may read: by their last component only, since folders may name patients, users and sites.

Only a `settings.json` holds whole paths; a plan, which is a settings file too, holds them as the user typed them.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from brats_unet.binding import comma_parts

ROOTS = ("data.root", "data.validation_root")  # settings of which only the last component is shown, also if relative
TYPED = re.compile(r"(?P<key>[+~]*[\w./@-]+=|--[\w-]+=)(?P<value>.*)", re.DOTALL)
# An absolute path of two components or more, inside a sentence.
IN_TEXT = re.compile(r"(?<![\w.}/])(?:~\w*)?/(?:[^\s/:;,'\"()\[\]]+/)+(?P<last>[^\s/:;,'\"()\[\]]*)")


def short_command(words: Sequence[str]) -> list[str]:
    """The words of a command line with each private path replaced by its last component, also inside lists.

    Args:
        words: Command-line arguments, such as `run=[/a,/b]`, `data.root=/scans`, `/a/run` and `--json`.
    """
    return [_short_word(word) for word in words]


def short_values(nested: Any, key: str = "") -> Any:
    """Settings in plain types with each private path replaced by its last component.

    Args:
        nested: A mapping, list or value.
        key: Dotted name of `nested` among the settings.
    """
    if isinstance(nested, dict):
        return {name: short_values(value, f"{key}.{name}" if key else str(name)) for name, value in nested.items()}
    if isinstance(nested, list | tuple):
        return [short_values(value, key) for value in nested]
    return short_path(nested, always=key in ROOTS) if isinstance(nested, str) else nested


def short_path(text: str, *, always: bool = False) -> str:
    """The last component of a private path; any other text unchanged.

    A path is private if it is absolute, begins with `~` or `..`, or contains the home folder.

    Args:
        text: A path or any other value of a setting.
        always: Take the last component of every path, also of a relative one.
    """
    private = text.startswith(("/", "~/", "../")) or re.match(r"~[\w.-]+/", text) or _home() in text
    return Path(text).name if private or (always and "/" in text) else text


def short_text(text: str, folders: Iterable[Path] = ()) -> str:
    """A sentence with each private path replaced by its last component.

    Args:
        text: A sentence, such as a message of an error.
        folders: Folders that the sentence may name; a path inside one of them begins with the folder's last component.
    """
    spellings = {spelling: one.absolute().name for one in folders for spelling in (str(one.absolute()), str(one))}
    for spelling in sorted(spellings, key=len, reverse=True):
        if len(Path(spelling).parts) > 1:
            name = spellings[spelling].replace("\\", r"\\")
            text = re.sub(rf"(?<![\w.-]){re.escape(spelling)}(?![\w-])", name, text)
    return IN_TEXT.sub(lambda found: found["last"] or Path(found[0]).name, text)


def short_texts(nested: Any, folders: Collection[Path] = ()) -> Any:
    """A JSON document with `short_text` of each text in it."""
    if isinstance(nested, dict):
        return {key: short_texts(one, folders) for key, one in nested.items()}
    if isinstance(nested, list | tuple):
        return [short_texts(one, folders) for one in nested]
    return short_text(nested, folders) if isinstance(nested, str) else nested


def _short_word(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"":
        return word[0] + _short_word(word[1:-1]) + word[0]
    found = TYPED.fullmatch(word)
    if found is None:
        return _short_value(word)
    key = found["key"]
    return key + _short_value(found["value"], always=key.strip("+~=") in ROOTS)


def _short_value(value: str, *, always: bool = False) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[0] + _short_value(value[1:-1], always=always) + value[0]
    if value.startswith("[") and value.endswith("]"):
        return "[" + ",".join(_short_value(item, always=always) for item in comma_parts(value[1:-1])) + "]"
    if value.startswith("{") and value.endswith("}"):
        pairs = (item.partition(":") for item in comma_parts(value[1:-1]))
        return "{" + ",".join(key + colon + _short_value(one, always=always) for key, colon, one in pairs) + "}"
    if value != value.lstrip():
        return value[: -len(value.lstrip()) or None] + _short_value(value.lstrip(), always=always)
    items = comma_parts(value)
    if len(items) > 1 and all(short_path(item) != item for item in items):  # the values of a sweep
        return ",".join(_short_value(item) for item in items)
    return short_path(value, always=always)


def _home() -> str:
    try:
        home = str(Path.home())
    except RuntimeError:  # a user without a home
        home = ""
    return home if len(home) > 1 else "\0"  # "/" is in every path; no text contains a NUL
