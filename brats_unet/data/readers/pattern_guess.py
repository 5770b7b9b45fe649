"""Guess the patterns that would read a folder, from words in its file names, for the message about such a folder."""

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from brats_unet.data.readers.file_patterns import compiled, matches
from brats_unet.data.readers.file_presets import MASK, PRESETS
from brats_unet.data.readers.naming import CHANNEL_NAMES
from brats_unet.data.readers.tree import NiftiFile, Tree
from brats_unet.modality import Modality

WORDS = {**CHANNEL_NAMES, "fla": Modality.FLAIR, "t1gad": Modality.T1CE, "t1pre": Modality.T1, "t1wpost": Modality.T1CE}
MASK_WORDS = (
    "seg",
    "segm",
    "segmentation",
    "mask",
    "label",
    "labels",
    "roi",
    "gt",
    "dseg",
    "tumor",
    "tumour",
    "lesion",
)
MASK_FOLDERS = ("labels", "label", "masks", "mask", "seg", "segs", "segmentations", "labelstr", "gt")
PARTS = re.compile(r"[^_.\-\s]+|[_.\-\s]+")  # words, and what stands between them


@dataclass(frozen=True)
class Guess:
    """One file name, understood.

    Attributes:
        name: The scan, or "mask".
        before: Text before the word that says so.
        word: That word, as written.
        after: Text behind it.
        folder: Name of the folder if it says that this is a mask, else "".
    """

    name: str
    before: str
    word: str
    after: str
    folder: str = ""


def guessed_settings(tree: Tree, key: str, wanted: Collection[str]) -> str:
    """The settings that would read a folder, as they are typed in a shell; "" if nothing can be inferred.

    A preset that finds two scans of some case goes first; else the words of the file names decide.

    Args:
        tree: Files of the folder.
        key: Name of the setting that takes patterns.
        wanted: Scans, or "mask", of which the settings must find one.
    """
    first = "data=files " if key.startswith("data.") else ""
    for name, preset in PRESETS.items():
        found = [scan for scan, texts in preset.files.items() if matches(tree, [compiled(key, text) for text in texts])]
        scans = [scan for scan in found if scan != MASK]
        if len(scans) > 1 and set(found) & set(wanted):
            return f"{first}{key}={name}{_modalities(scans, key)}"
    patterns = _patterns(tree)
    if not any(name != MASK for name in patterns) or not set(patterns) & set(wanted):
        return ""
    listed = " ".join(f"{key}.{name}={shlex.quote(text)}" for name, text in patterns.items())
    return f"{first}{listed}{_modalities([name for name in patterns if name != MASK], key)}"


def _modalities(found: Sequence[str], key: str) -> str:
    """The setting of the modalities if some are not there, with a space in front; `predict` has no such setting."""
    if not key.startswith("data.") or len(found) == len(Modality):
        return ""
    return f" data.modalities=[{','.join(m for m in Modality if m in found)}]"


def _patterns(tree: Tree) -> dict[str, str]:
    """The likeliest pattern of each scan and of the mask: the one that most files have."""
    guesses = {file: guess for file in tree.files if (guess := _guess(file))}
    in_one_folder: dict[tuple[Path, str], int] = Counter((file.folder, guess.name) for file, guess in guesses.items())
    flat = max(in_one_folder.values(), default=0) > 1
    texts: dict[str, Counter[str]] = defaultdict(Counter)
    for guess in guesses.values():
        case = "{case}" if flat or any(g.folder for g in guesses.values()) else "*"
        before = _around(guess.before, case, at_end=True)
        after = _around(guess.after, case if not guess.before else "*", at_end=False)
        texts[guess.name][f"{guess.folder}/{{case}}" if guess.folder else f"{before}{guess.word}{after}"] += 1
    return {name: texts[name].most_common(1)[0][0] for name in (*map(str, Modality), MASK) if name in texts}


def _around(text: str, wild: str, *, at_end: bool) -> str:
    """What varies beside the word, as `*` or `{case}`, with the separator next to the word kept."""
    parts = PARTS.findall(text)
    if not parts:
        return ""
    separator = parts[-1 if at_end else 0]
    if len(parts) == 1:
        return separator if PARTS.fullmatch(separator) and not separator[0].isalnum() else wild
    return f"{wild}{separator}" if at_end else f"{separator}{wild}"


def _guess(file: NiftiFile) -> Guess | None:
    """What a file is by its name: by the last word, or pair of words, that names a scan or a mask."""
    parts = PARTS.findall(file.stem)
    masks = [i for i, part in enumerate(parts) if part.lower() in MASK_WORDS]
    for width in (3, 1):  # "t1_gd" before "t1"
        for start in reversed(range(len(parts) - width + 1)):
            word = "".join(parts[start : start + width])
            plain = re.sub(r"[^a-z0-9]", "", word.lower())
            if plain in WORDS and not masks and parts[start][0].isalnum():
                name = str(WORDS[plain])
                return Guess(name, "".join(parts[:start]), word, "".join(parts[start + width :]))
    if masks:
        at = masks[-1]
        return Guess(MASK, "".join(parts[:at]), parts[at], "".join(parts[at + 1 :]))
    if file.folder.name.lower() in MASK_FOLDERS:
        return Guess(MASK, "", "", "", file.folder.name)
    return None
