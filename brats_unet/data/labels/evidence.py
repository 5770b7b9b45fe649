"""Evidence for a label convention: case ids, the layout of the data folder, and label names in dataset.json."""

import re
from collections.abc import Mapping, Sequence

from brats_unet.schemes.scheme import BACKGROUND, Scheme

# Pattern of case ids -> possible conventions, likeliest first; the first pattern that fits decides. Phantoms are named
# after the edition of BraTS whose labels they have.
# brats2017: masks that were renumbered. Labels 0 1 2 4 then are ambiguous where 4 is a cavity in brats2024.
CASE_NAMES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"(brats(20)?|phantom)(17|18|19|20|21)[_-].+", re.IGNORECASE), ("brats2017",)),
    (re.compile(r"brats_(2013|tcia)_.+", re.IGNORECASE), ("brats2015",)),
    (re.compile(r"brats_\d{3}", re.IGNORECASE), ("msd",)),
    # BraTS-PED changed its label integers in 2024, and its case ids do not show the edition.
    (re.compile(r"brats-peds?-.+", re.IGNORECASE), ("ped2023", "ped2024")),
    (re.compile(r"brats-men-rt-.+", re.IGNORECASE), ("gtv",)),
    (re.compile(r"brats-(men|ssa|goat)-.+", re.IGNORECASE), ("brats2023", "brats2017")),
    (re.compile(r"(brats|phantom)-[a-z]+-.+", re.IGNORECASE), ("brats2023", "brats2024", "brats2017")),
)
# Layout -> possible conventions, likeliest first; used for unknown case ids.
LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "msd": ("msd",),
    "nnunet": ("nnunet", "brats2023", "brats2024", "brats2017", "brats2015"),
    "brats2023+": ("brats2023", "brats2024", "brats2017"),
}
ANY = ("brats2017", "brats2023", "brats2024", "nnunet", "brats2015")  # of adult glioma, which unknown cases are
KNOWN = tuple(dict.fromkeys((*ANY, *(name for _, names in CASE_NAMES for name in names))))
LAYOUT_WORDS = {"msd": "MSD folder names", "nnunet": "nnU-Net folder names", "brats2023+": "BraTS 2023+ scan names"}


def candidates(layout: str, case_ids: Sequence[str], scheme: Scheme) -> tuple[tuple[str, ...], str]:
    """The conventions of a scheme that the case ids allow; unknown ids allow all conventions of the layout.

    Args:
        layout: Layout as in `discovery.Dataset`; "" for a folder that holds only masks.
        case_ids: Case ids; ignored for "msd" and "nnunet".
        scheme: What is segmented. If it has no convention of BraTS, or unknown ids and the layout allow none that it
            has, all of its conventions are allowed.

    Returns:
        Names of the conventions, likeliest first, and the evidence in words. No names for cases of a series of BraTS
        that the scheme does not fit; "" as evidence if neither the ids nor the layout give any.
    """
    if not set(KNOWN) & set(scheme.integers):
        return tuple(scheme.integers), ""
    names, evidence, certain = brats_candidates(layout, case_ids)
    fitting = tuple(name for name in names if name in scheme.integers)
    return (fitting, evidence) if fitting or certain else (tuple(scheme.integers), "")


def brats_candidates(layout: str, case_ids: Sequence[str]) -> tuple[tuple[str, ...], str, bool]:
    """As `candidates`, of all conventions of BraTS, whether a scheme has them or not; and whether the ids show them."""
    if layout not in ("msd", "nnunet"):  # conversions to these layouts keep the case ids but change the labels
        by_case = {case_id: _conventions_of_id(case_id) for case_id in case_ids}
        answers = set(by_case.values())
        if len(answers) == 1 and None not in answers:
            first = min(by_case)
            return by_case[first] or (), f"case ids such as {first}", True
        if answers - {None}:
            allowed = {name for answer in answers if answer for name in answer}
            if None in answers:
                allowed |= set(LAYOUTS.get(layout, ANY))
            return tuple(name for name in KNOWN if name in allowed), "case ids of several kinds", None not in answers
    return LAYOUTS.get(layout, ANY), LAYOUT_WORDS.get(layout, ""), False


def _conventions_of_id(case_id: str) -> tuple[str, ...] | None:
    return next((names for pattern, names in CASE_NAMES if pattern.fullmatch(case_id)), None)


def declared_meaning(declared: Mapping[str, int | list[int]] | None, scheme: Scheme) -> dict[int, int] | None:
    """Label of each integer according to the names in dataset.json.

    Args:
        declared: Name -> integer for labels, name -> integers for regions.
        scheme: What is segmented; its labels and predicted regions say by which names they go.

    Returns:
        Integer -> label, as in memory; None if there are no names, or if the meaning of any integer is not understood.
    """
    if not declared:
        return None
    regions = {name: set(value) for name, value in declared.items() if isinstance(value, list) and len(value) > 1}
    meaning: dict[int, int] = {}
    if regions:
        for region in scheme.predicted:  # inner regions overwrite outer ones
            members = _region(declared, scheme.regions[region].also)
            meaning.update(dict.fromkeys(members, scheme.own_label(region)))
    for name, value in declared.items():
        if name in regions:
            continue
        integer = value[0] if isinstance(value, list) else value
        label = BACKGROUND if integer == 0 else _tissue(name.strip(), scheme)
        if label is None:
            return None
        meaning.setdefault(integer, label)
    tissues = {integer for integer, label in meaning.items() if label != BACKGROUND}
    every = {i for value in declared.values() for i in (value if isinstance(value, list) else [value])}
    return meaning if tissues and every <= set(meaning) else None


def _tissue(name: str, scheme: Scheme) -> int | None:
    """The label that goes by this name; the first whose pattern occurs in it decides."""
    return next((one.value for one in scheme.labels.values() if re.search(one.also, name, re.IGNORECASE)), None)


def _region(declared: Mapping[str, int | list[int]], also: str) -> set[int]:
    """The integers of the first region whose name matches the pattern; empty if there is none."""
    for name, value in declared.items():
        if re.search(also, name.strip(), re.IGNORECASE):
            return set(value) if isinstance(value, list) else {value}
    return set()
