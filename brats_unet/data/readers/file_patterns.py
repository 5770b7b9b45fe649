"""Patterns of file names: which scan, or mask, of which case a file is.

`*` stands for any characters but `/`, `?` for one, `**/` for any folders. `{case}` is the id of the case, `{patient}`
that of the patient; `{case=ses-*}` says what it looks like. They take as little as they can. Without either, all files
of one folder are one case. A pattern is held against the end of a path, after a `/`, in upper or lower case; one that
has no ending of a format (`.nii.gz`) takes files of every format.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brats_unet.data.readers.file_presets import MASK, PRESETS
from brats_unet.data.readers.naming import channel_modality
from brats_unet.data.readers.tree import NiftiFile, Tree
from brats_unet.errors import SettingsError
from brats_unet.modality import Modality
from brats_unet.scan_formats import SUFFIXES, suffix_of
from brats_unet.spelling import suggestion

FILES = "files"  # name of the reader, and of its layout
PRESET = "preset"
TOKEN = re.compile(r"\*\*/?|\*|\?|\{(?P<name>[^{}=]*)(?:=(?P<form>[^{}]*))?\}|[{}]")
NAMES = ("case", "patient")


@dataclass(frozen=True)
class Match:
    """A file that a pattern takes.

    Attributes:
        file: The file.
        case: Text of `{case}`; None without it.
        patient: Text of `{patient}`; None without it.
        rank: Place of the pattern among those for the same scan, from 0.
        letters: Number of characters that the pattern spells out.
    """

    file: NiftiFile
    case: str | None
    patient: str | None
    rank: int
    letters: int


@dataclass(frozen=True)
class Pattern:
    """One pattern: its text, what it means, and the number of characters that it spells out."""

    text: str
    meaning: re.Pattern[str]
    letters: int

    def match(self, path: str, file: NiftiFile, rank: int) -> Match | None:
        """What a file is by this pattern; None if the pattern does not take it.

        Args:
            path: The file's path, `/` between its parts, with the name of the data folder in front.
            file: The file.
            rank: Place of the pattern among those for the same scan.
        """
        ending = suffix_of(file.path)
        whole = self.text.lower().endswith(SUFFIXES)
        for text in (path,) if whole else (path[: -len(ending)] if ending else path, path):
            if found := self.meaning.fullmatch(text):
                named = found.groupdict()
                return Match(file, named.get("case"), named.get("patient"), rank, self.letters)
        return None


@dataclass(frozen=True)
class Patterns:
    """Patterns for the scans and the mask of each case.

    Attributes:
        scans: Patterns of each scan, the preferred first.
        mask: Patterns of the mask, the preferred first; () if there are none.
        key: Name of the setting in the current command, for messages.
        preset: Name of the preset that they are from, or "".
    """

    scans: Mapping[Modality, tuple[Pattern, ...]]
    mask: tuple[Pattern, ...]
    key: str
    preset: str = ""

    def text(self, name: str) -> str:
        """The patterns of a scan, or of the mask ("mask"), as they are typed."""
        patterns = self.mask if name == MASK else self.scans[Modality(name)]
        return " or ".join(repr(pattern.text) for pattern in patterns)

    def scans_as_dict(self) -> dict[str, list[str]]:
        """Patterns of the scans in plain types, for the recipe of a network; `patterns_of` is the inverse."""
        return {str(scan): [pattern.text for pattern in patterns] for scan, patterns in self.scans.items()}


def patterns_of(setting: Mapping[str, Any] | None, *, key: str = "data.files") -> Patterns | None:
    """The patterns that a setting gives; None without any.

    Args:
        setting: A pattern, or a list of them, by scan and by "mask"; a preset's name by "preset", whose patterns hold
            for the scans that are not given.
        key: Name of the setting in the current command.

    Raises:
        SettingsError: There is no such preset or scan, no scan has a pattern, or a pattern cannot be read.
    """
    given = {name: value for name, value in (setting or {}).items() if value is not None}
    if not given:
        return None
    preset = given.pop(PRESET, "")
    if preset and preset not in PRESETS:
        raise SettingsError(f"There is no {key}={preset}. {suggestion(str(preset), PRESETS)}")
    texts: dict[str, Any] = {**(PRESETS[preset].files if preset else {}), **given}
    for name in texts:
        _refuse_name(key, name)
    compiled = {name: _all_of(f"{key}.{name}", value) for name, value in texts.items()}
    scans = {Modality(name): patterns for name, patterns in compiled.items() if name != MASK}
    if not scans:
        raise SettingsError(f"{key} has no pattern for a scan. Give one, such as {key}.flair='*_FLAIR.nii.gz'.")
    return Patterns(scans, compiled.get(MASK, ()), key, str(preset))


def _refuse_name(key: str, name: str) -> None:
    """Raise SettingsError unless a key is "mask", a contrast of BraTS, or an own name that is no other word for one."""
    if name == MASK or name in tuple(Modality):
        return
    if contrast := channel_modality(name):
        raise SettingsError(f"{key}.{name}: this scan is named {contrast}. Write {key}.{contrast}.")
    try:
        Modality(name)
    except ValueError as problem:
        raise SettingsError(f"{key}.{name}: {problem}") from None


def data_patterns(name: str, files: Mapping[str, Any] | None, *, key: str = "data.files") -> Patterns | None:
    """The patterns of the settings `data.name` and `data.files`; None for another reader than "files".

    Raises:
        SettingsError: As in `patterns_of`; or patterns are given to another reader, or none to this one.
    """
    found = patterns_of(files, key=key)
    if name == FILES and found is None:
        raise SettingsError(
            f"data=files needs patterns. Give a preset, {key}={'|'.join(sorted(PRESETS))}, or one for each scan, such "
            f"as {key}.flair='*_FLAIR.nii.gz'."
        )
    if name != FILES and found is not None:
        raise SettingsError(f"{key} is set, but data={name} knows the file names. Set data=files, or leave out {key}.")
    return found


def _all_of(key: str, value: Any) -> tuple[Pattern, ...]:
    texts = value if isinstance(value, (list, tuple)) else [value]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise SettingsError(f"{key}={value} is no pattern. Give one, such as '*_FLAIR.nii.gz', or a list of them.")
    return tuple(compiled(key, text) for text in texts)


def compiled(key: str, text: str) -> Pattern:
    """A pattern from its text.

    Raises:
        SettingsError: It leaves the data folder, or a brace is not closed or holds another name than case and patient.
    """
    if text.startswith("/") or ".." in text.split("/"):
        raise SettingsError(f"{key}={text} leaves the data folder. Give the end of a path inside it.")
    parts, at, letters, seen = [r"(?:.*/)?"], 0, 0, set()
    for token in TOKEN.finditer(text):
        between = text[at : token.start()]
        parts.append(re.escape(between))
        letters += len(between)
        at = token.end()
        if token[0] in ("{", "}") or (token["name"] is not None and token["name"] not in NAMES):
            raise SettingsError(
                f"{key}={text}: {token[0]} is unknown. In braces a pattern has {{case}} or {{patient}}, or what they "
                f"look like, as {{case=ses-*}}."
            )
        if (name := token["name"]) is None:
            parts.append({"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}[token[0]])
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            seen.add(name)
            form = "*" if token["form"] is None else token["form"]
            letters += sum(letter not in "*?" for letter in form)
            wild = {"*": r"[^/]*?", "?": r"[^/]"}
            inside = "".join(wild.get(letter, re.escape(letter)) for letter in form)
            parts.append(f"(?P<{name}>(?=[^/]){inside})" if token["form"] is not None else f"(?P<{name}>[^/]+?)")
    parts.append(re.escape(text[at:]))
    return Pattern(text, re.compile("".join(parts), re.IGNORECASE), letters + len(text[at:]))


def matches(tree: Tree, patterns: Sequence[Pattern]) -> list[Match]:
    """The files of a folder that one of the patterns takes, each by the first that does."""
    found = []
    for file in tree.files:
        path = path_text(tree, file)
        taken = (pattern.match(path, file, rank) for rank, pattern in enumerate(patterns))
        if match := next(filter(None, taken), None):
            found.append(match)
    return found


def path_text(tree: Tree, file: NiftiFile) -> str:
    """Path of a file with the name of the data folder in front, `/` between its parts."""
    inside = file.folder.relative_to(tree.root) / f"{file.stem}{suffix_of(file.path)}"
    return f"{tree.root.resolve().name}/{inside.as_posix()}"
