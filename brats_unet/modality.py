"""The scans of a case: the MR contrasts of BraTS, and scans of other kinds under the user's own names."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from brats_unet.errors import CheckpointError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
RESERVED = ("mask", "none", "preset", "seg")  # words that stand in the place of a scan's name in settings and tables


def is_name(text: str) -> bool:
    """Whether a scan may have this name."""
    return bool(NAME.fullmatch(text)) and text.lower() not in RESERVED


class _Contrasts(type):
    """Lets `for modality in Modality` go through the four contrasts of BraTS, in their channel order."""

    def __iter__(cls) -> "Iterator[Modality]":
        return iter((cls.FLAIR, cls.T1, cls.T1CE, cls.T2))  # type: ignore[attr-defined]

    def __len__(cls) -> int:
        return 4


class Modality(str, metaclass=_Contrasts):
    """The name of a kind of scan: flair, t1, t1ce or t2, or the user's own, such as ADC or CT.

    Letters, digits, `_` and `-`, with a letter first. Equal names are one object. `in_order` says which channel of an
    array each one is.

    Raises:
        ValueError: The text is no such name, or is one of `RESERVED`.
    """

    FLAIR: "Modality"
    T1: "Modality"
    T1CE: "Modality"
    T2: "Modality"
    __slots__ = ()

    def __new__(cls, name: str) -> "Modality":
        if (known := KNOWN.get(str(name))) is not None:
            return known
        if not is_name(name):
            raise ValueError(f"{name!r} is no name of a scan. Expected letters, digits, _ and -, with a letter first.")
        return KNOWN.setdefault(str(name), super().__new__(cls, name))


KNOWN: dict[str, Modality] = {}
Modality.FLAIR, Modality.T1, Modality.T1CE, Modality.T2 = map(Modality, ("flair", "t1", "t1ce", "t2"))
WORDS = {Modality.FLAIR: "FLAIR", Modality.T1: "T1", Modality.T1CE: "T1ce", Modality.T2: "T2"}


def named_scans(names: Iterable[str], file: Path) -> list[Modality]:
    """The scans that a file of ours, or a folder of them, names; raises CheckpointError if one is no name of a scan."""
    names = list(names)
    if wrong := [name for name in names if not is_name(name)]:
        raise CheckpointError(f"{file}: {wrong[0]!r} is no name of a scan. Restore the file from a backup.")
    return [Modality(name) for name in names]


def in_order(names: Iterable[str]) -> list[Modality]:
    """Scans in the order of channels, each once: the contrasts of BraTS, then own names by alphabet."""
    given = {Modality(name) for name in names}
    return [*(m for m in Modality if m in given), *sorted(given - set(Modality), key=lambda name: (name.lower(), name))]


def in_words(name: str) -> str:
    """A scan as headings and sentences write it: "T1ce"; own names as they are."""
    return WORDS.get(Modality(name), name)
