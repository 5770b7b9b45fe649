"""Who shares a fold with whom, and which fold it is: patients and duplicates together, strata balanced."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from brats_unet.errors import SettingsError


@dataclass(frozen=True)
class Subject:
    """What the division of a case depends on.

    Attributes:
        case: Its id.
        patient: Cases of one patient share a fold.
        stratum: Grade, or whether there is enhancing tumour: every fold gets its share of each.
        duplicates: Hash of its content, or several with blanks between them; cases that have one in common share a
            fold. "" stands alone.
    """

    case: str
    patient: str
    stratum: str
    duplicates: str


def assign(subjects: Sequence[Subject], *, folds: int = 5, seed: int) -> dict[str, int]:
    """Fold of each case, from 0; a pure function of the set of subjects and the seed, whatever their order.

    Groups (patients, joined through duplicates) are dealt out stratum by stratum, large groups first, each to the fold
    with fewest cases of that stratum, then fewest cases.

    Raises:
        SettingsError: Fewer groups than folds, or fewer than two folds.
        ValueError: A case twice.
    """
    if folds < 2:
        raise SettingsError(f"data.folds={folds}: expected 2 or more, or data.fold=all to hold nothing out.")
    groups = grouped(subjects)
    if len(groups) < folds:
        kept = f" ({len(subjects)} cases; those of one patient and duplicates stay together)"
        raise SettingsError(
            f"data.folds={folds}, but there are {len(groups)} patients with masks{kept if subjects else ''}. Lower "
            f"data.folds{f' to {len(groups)}' if len(groups) > 1 else ''}, or set data.fold=all to train on everything."
        )
    groups.sort(key=lambda group: _drawn(seed, group[0].case))
    by_stratum: dict[str, list[list[Subject]]] = {}
    for group in groups:
        by_stratum.setdefault(_stratum(group), []).append(group)
    sizes = [0] * folds
    assignment: dict[str, int] = {}
    for _, members in sorted(by_stratum.items(), key=lambda item: (-len(item[1]), item[0])):
        of_stratum = [0] * folds
        for group in sorted(members, key=len, reverse=True):  # stable: equal sizes stay in drawn order
            fold = min(range(folds), key=lambda f: (of_stratum[f], sizes[f], f))
            of_stratum[fold] += len(group)
            sizes[fold] += len(group)
            assignment.update(dict.fromkeys((subject.case for subject in group), fold))
    return dict(sorted(assignment.items()))


def grouped(subjects: Iterable[Subject]) -> list[list[Subject]]:
    """The subjects in groups that share a patient or content, directly or through others; sorted by case.

    Raises:
        ValueError: A case twice.
    """
    ordered = sorted(subjects, key=lambda subject: subject.case)
    if len({subject.case for subject in ordered}) < len(ordered):
        raise ValueError("A case stands twice among the subjects.")
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
    """The commonest stratum of a group; of equals the first by name."""
    counts = Counter(subject.stratum for subject in group)
    return min(counts, key=lambda stratum: (-counts[stratum], stratum))


def _drawn(seed: int, case: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{case}".encode(), digest_size=8).digest()
