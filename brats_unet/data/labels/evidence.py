"""What tells a label convention apart: the names of the cases, the layout of the folder, dataset.json."""

import re
from collections.abc import Mapping, Sequence

from brats_unet.anatomy import Label

# Conventions by the names of cases, likeliest first.
CASE_NAMES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"brats(20)?(17|18|19|20|21)[_-].+", re.IGNORECASE), ("brats2017",)),
    (re.compile(r"brats_(2013|tcia)_.+", re.IGNORECASE), ("brats2015",)),
    (re.compile(r"brats_\d{3}", re.IGNORECASE), ("msd",)),
    # The paediatric edition of 2024 numbers its labels anew, so its names leave two readings.
    (re.compile(r"brats-ped-.+", re.IGNORECASE), ()),
    (re.compile(r"brats-[a-z]+-.+", re.IGNORECASE), ("brats2023", "brats2024")),
)
# Conventions by layout, likeliest first, for cases whose names tell nothing.
LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "msd": ("msd",),
    "nnunet": ("nnunet", "brats2023", "brats2024", "brats2017", "brats2015"),
    "brats2023+": ("brats2023", "brats2024", "brats2017"),
}
ANY = ("brats2017", "brats2023", "brats2024", "nnunet", "brats2015")
LAYOUT_WORDS = {"msd": "MSD's folders", "nnunet": "nnU-Net's folders", "brats2023+": "BraTS 2023+ names of scans"}

# What dataset.json calls a label; the first pattern that is found in the name decides.
LABEL_WORDS: tuple[tuple[re.Pattern[str], Label], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), label)
    for pattern, label in (
        (r"^background$|^unlabell?ed$", Label.BACKGROUND),
        (r"resect|cavity|^rc$", Label.CAVITY),
        (r"non[-_ ]?enhanc|necro|^n?cr\b|^ncr|^netc?$", Label.NECROTIC),
        (r"enhanc|^g?d?[-_ ]?et$|^active", Label.ENHANCING),
        (r"o?edema|^ed$|snfh|flair[-_ ]?hyper|invaded", Label.OEDEMA),
    )
)
# What it calls a region, from the outside in.
REGION_WORDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (r"whole|complete|^wt$", r"^(tumou?r[-_ ]?)?core$|^tc$", r"(?<!non[-_ ])(?<!non)enhanc|^et$")
)
REGION_TISSUES = (Label.OEDEMA, Label.NECROTIC, Label.ENHANCING)


def candidates(layout: str, case_ids: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Names of the conventions that the cases' names allow, else the layout, likeliest first; and what says so.

    None at all for cases of BraTS-PED, whose editions differ.
    """
    if layout not in ("msd", "nnunet"):  # conversions keep the cases' names and change their labels
        told = {case_id: _named(case_id) for case_id in case_ids}
        answers = set(told.values())
        if len(answers) == 1 and None not in answers:
            first = min(told)
            renumbered = "" if told[first] else " (a series that was numbered anew in 2024, as no convention here is)"
            return told[first] or (), f"names such as {first}{renumbered}"
        if answers - {None}:
            allowed = {name for answer in answers if answer for name in answer}
            if None in answers:
                allowed |= set(LAYOUTS.get(layout, ANY))
            return tuple(name for name in ANY if name in allowed), "names of several kinds"
    return LAYOUTS.get(layout, ANY), LAYOUT_WORDS.get(layout, "")


def _named(case_id: str) -> tuple[str, ...] | None:
    return next((names for pattern, names in CASE_NAMES if pattern.fullmatch(case_id)), None)


def declared_meaning(declared: Mapping[str, int | list[int]] | None) -> dict[int, Label] | None:
    """Meaning of each integer by the label names of a dataset.json; None where they do not tell it of all of them.

    Args:
        declared: Name -> integer for labels, name -> integers for regions (whole tumour, tumour core, enhancing).
    """
    if not declared:
        return None
    regions = {name: set(value) for name, value in declared.items() if isinstance(value, list) and len(value) > 1}
    meaning: dict[int, Label] = {}
    if regions:
        nested = [_region(declared, pattern) for pattern in REGION_WORDS]
        for members, tissue in zip(nested, REGION_TISSUES, strict=True):  # the innermost region is laid on last
            meaning.update(dict.fromkeys(members, tissue))
    for name, value in declared.items():
        if name in regions:
            continue
        integer = value[0] if isinstance(value, list) else value
        label = next((label for pattern, label in LABEL_WORDS if pattern.search(name.strip())), None)
        if integer == 0:
            label = Label.BACKGROUND
        if label is None:
            return None
        meaning.setdefault(integer, label)
    tissues = {integer for integer, label in meaning.items() if label != Label.BACKGROUND}
    every = {i for value in declared.values() for i in (value if isinstance(value, list) else [value])}
    return meaning if tissues and every <= set(meaning) else None


def _region(declared: Mapping[str, int | list[int]], pattern: re.Pattern[str]) -> set[int]:
    """The integers of the first region whose name `pattern` is found in; empty without one."""
    for name, value in declared.items():
        if pattern.search(name.strip()):
            return set(value) if isinstance(value, list) else {value}
    return set()
