"""Assign cases to folds: cases of one patient and duplicate cases share a fold, and strata are balanced."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from brats_unet.errors import SettingsError


@dataclass(frozen=True)
class Subject:
    """One case, with the facts that its fold depends on.

    Attributes:
        case: Case id.
        patient: Patient id; cases of one patient share a fold.
        stratum: Group to balance over the folds, such as the grade or whether there is enhancing tumour.
        duplicates: One or more content hashes, separated by blanks; cases with a common hash share a fold. "" means
            that the case has no duplicate.
    """

    case: str
    patient: str
    stratum: str
    duplicates: str


def assign(subjects: Sequence[Subject], *, folds: int = 5, seed: int) -> dict[str, int]:
    """Fold of each case by case id, counted from 0; depends on the set of subjects and the seed, not on their order.

    Groups (see `grouped`) are assigned stratum by stratum, large groups first, each to the fold with the fewest cases
    of that stratum; of equal ones, to the fold with the fewest cases in all.

    Raises:
        SettingsError: There are fewer groups than folds, or fewer than two folds.
        ValueError: A case appears twice.
    """
    if folds < 2:
        raise SettingsError(f"data.folds={folds}: expected 2 or more, or data.fold=all to hold nothing out.")
    groups = grouped(subjects)
    if len(groups) < folds:
        kept = f" ({len(subjects)} cases; cases of one patient and duplicates share a fold)"
        raise SettingsError(
            f"data.folds={folds}, but there are {len(groups)} patients with masks{kept if subjects else ''}. Lower "
            f"data.folds{f' to {len(groups)}' if len(groups) > 1 else ''}, or set data.fold=all to train on everything."
        )
    groups.sort(key=lambda group: _shuffle_key(seed, group[0].case))
    by_stratum: dict[str, list[list[Subject]]] = {}
    for group in groups:
        by_stratum.setdefault(_stratum(group), []).append(group)
    sizes = [0] * folds
    assignment: dict[str, int] = {}
    for _, members in sorted(by_stratum.items(), key=lambda item: (-len(item[1]), item[0])):
        in_stratum = [0] * folds
        for group in sorted(members, key=len, reverse=True):  # a stable sort: groups of equal size stay shuffled
            fold = min(range(folds), key=lambda f: (in_stratum[f], sizes[f], f))
            in_stratum[fold] += len(group)
            sizes[fold] += len(group)
            assignment.update(dict.fromkeys((subject.case for subject in group), fold))
    return dict(sorted(assignment.items()))


def grouped(subjects: Iterable[Subject]) -> list[list[Subject]]:
    """Groups of subjects that must share a fold; groups and their members are sorted by case id.

    Two subjects are in one group if they share a patient or a content hash, directly or through other subjects.

    Raises:
        ValueError: A case appears twice.
    """
    ordered = sorted(subjects, key=lambda subject: subject.case)
    if len({subject.case for subject in ordered}) < len(ordered):
        raise ValueError("A case appears twice among the subjects.")
    parent = list(range(len(ordered)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, subject in enumerate(ordered):
        for key in (("patient", subject.patient), *(("content", part) for part in subject.duplicates.split())):
            parent[root(index)] = root(first.setdefault(key, index))
    groups: dict[int, list[Subject]] = {}
    for index, subject in enumerate(ordered):
        groups.setdefault(root(index), []).append(subject)
    return sorted(groups.values(), key=lambda group: group[0].case)


def _stratum(group: Sequence[Subject]) -> str:
    """The most frequent stratum of a group; among equally frequent ones, the first in alphabetical order."""
    counts = Counter(subject.stratum for subject in group)
    return min(counts, key=lambda stratum: (-counts[stratum], stratum))


def _shuffle_key(seed: int, case: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{case}".encode(), digest_size=8).digest()
