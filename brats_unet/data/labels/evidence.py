"""Evidence for a label convention: case ids, the layout of the data folder, and label names in dataset.json."""

import re
from collections.abc import Mapping, Sequence

from brats_unet.anatomy import Label

# Pattern of case ids -> possible conventions, likeliest first.
CASE_NAMES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"brats(20)?(17|18|19|20|21)[_-].+", re.IGNORECASE), ("brats2017",)),
    (re.compile(r"brats_(2013|tcia)_.+", re.IGNORECASE), ("brats2015",)),
    (re.compile(r"brats_\d{3}", re.IGNORECASE), ("msd",)),
    # BraTS-PED changed its label integers in 2024, and its case ids do not show the edition.
    (re.compile(r"brats-ped-.+", re.IGNORECASE), ()),
    (re.compile(r"brats-[a-z]+-.+", re.IGNORECASE), ("brats2023", "brats2024")),
)
# Layout -> possible conventions, likeliest first; used for unknown case ids.
LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "msd": ("msd",),
    "nnunet": ("nnunet", "brats2023", "brats2024", "brats2017", "brats2015"),
    "brats2023+": ("brats2023", "brats2024", "brats2017"),
}
ANY = ("brats2017", "brats2023", "brats2024", "nnunet", "brats2015")
LAYOUT_WORDS = {"msd": "MSD folder names", "nnunet": "nnU-Net folder names", "brats2023+": "BraTS 2023+ scan names"}

# Pattern of label names in dataset.json -> label; the first pattern that occurs in the name decides.
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
# Patterns of region names in dataset.json, from the outermost region (WT) to the innermost (ET).
REGION_WORDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (r"whole|complete|^wt$", r"^(tumou?r[-_ ]?)?core$|^tc$", r"(?<!non[-_ ])(?<!non)enhanc|^et$")
)
REGION_TISSUES = (Label.OEDEMA, Label.NECROTIC, Label.ENHANCING)


def candidates(layout: str, case_ids: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The conventions that the case ids allow; unknown ids allow all conventions of the layout.

    Args:
        layout: Layout as in `discovery.Dataset`; "" for a folder that holds only masks.
        case_ids: Case ids; ignored for "msd" and "nnunet".

    Returns:
        Names of the conventions, likeliest first, and the evidence in words. No names for cases of BraTS-PED, whose
        editions differ; "" as evidence if neither the ids nor the layout give any.
    """
    if layout not in ("msd", "nnunet"):  # conversions to these layouts keep the case ids but change the labels
        by_case = {case_id: _conventions_of_id(case_id) for case_id in case_ids}
        answers = set(by_case.values())
        if len(answers) == 1 and None not in answers:
            first = min(by_case)
            renumbered = (
                "" if by_case[first] else " (a series with new label integers since 2024, which no convention covers)"
            )
            return by_case[first] or (), f"case ids such as {first}{renumbered}"
        if answers - {None}:
            allowed = {name for answer in answers if answer for name in answer}
            if None in answers:
                allowed |= set(LAYOUTS.get(layout, ANY))
            return tuple(name for name in ANY if name in allowed), "case ids of several kinds"
    return LAYOUTS.get(layout, ANY), LAYOUT_WORDS.get(layout, "")


def _conventions_of_id(case_id: str) -> tuple[str, ...] | None:
    return next((names for pattern, names in CASE_NAMES if pattern.fullmatch(case_id)), None)


def declared_meaning(declared: Mapping[str, int | list[int]] | None) -> dict[int, Label] | None:
    """Label of each integer according to the label names in dataset.json.

    Args:
        declared: Name -> integer for labels, name -> integers for regions (whole tumour, tumour core, enhancing).

    Returns:
        Integer -> label; None if there are no names, or if the meaning of any integer is not understood.
    """
    if not declared:
        return None
    regions = {name: set(value) for name, value in declared.items() if isinstance(value, list) and len(value) > 1}
    meaning: dict[int, Label] = {}
    if regions:
        nested = [_region(declared, pattern) for pattern in REGION_WORDS]
        for members, tissue in zip(nested, REGION_TISSUES, strict=True):  # inner regions overwrite outer ones
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
    """The integers of the first region whose name matches `pattern`; empty if there is none."""
    for name, value in declared.items():
        if pattern.search(name.strip()):
            return set(value) if isinstance(value, list) else {value}
    return set()
