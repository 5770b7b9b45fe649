"""What the integers of a mask mean: the label conventions of the BraTS family, and which one a dataset follows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Label
from brats_unet.data.labels.evidence import candidates, declared_meaning
from brats_unet.errors import DataError, SettingsError
from brats_unet.nifti import read_integers
from brats_unet.parts import suggestion

UNKNOWN = 255  # no Label has it
WORDS = {
    Label.BACKGROUND: "background",
    Label.NECROTIC: "necrotic or non-enhancing core",
    Label.OEDEMA: "oedema",
    Label.CAVITY: "resection cavity",
    Label.ENHANCING: "enhancing",
}


@dataclass(frozen=True)
class Convention:
    """One meaning of the integers of a mask.

    Attributes:
        name: As `data.labels` calls it.
        to_label: Meaning of each integer that may occur.
        why: What it was chosen by, for people; "" in the table.
    """

    name: str
    to_label: Mapping[int, Label]
    why: str = ""

    def decode(self, integers: np.ndarray, *, where: str) -> np.ndarray:
        """Labels of a mask.

        Args:
            integers: As on disk, any integer type, any shape.
            where: Opens the message if they do not fit: case and file.

        Returns:
            uint8 of `Label`, of the same shape.

        Raises:
            DataError: An integer that this convention does not have.
        """
        if integers.size == 0:
            return np.zeros(integers.shape, np.uint8)
        table = np.full(256, UNKNOWN, np.uint8)
        table[list(self.to_label)] = list(self.to_label.values())
        outside = integers.min() < 0 or integers.max() > 255
        labels = np.full(integers.shape, UNKNOWN, np.uint8) if outside else table[integers]
        if outside or (labels == UNKNOWN).any():
            known = set(self.to_label)
            wrong = {
                int(value): int(count) for value, count in zip(*np.unique(integers, return_counts=True), strict=True)
            }
            listed = ", ".join(f"{value} ({count:,} voxels)" for value, count in wrong.items() if value not in known)
            raise DataError(
                f"{where}: label {listed}. The {self.name} convention has {_numbers(known)}. Correct the mask, or "
                f"name another convention with data.labels=…."
            )
        return labels

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """The inverse of `decode`: uint8 integers as this convention writes them; the lowest where two mean the same.

        Raises:
            ValueError: A label that this convention has no integer for.
        """
        table = np.full(256, UNKNOWN, np.uint8)
        for integer in sorted(self.to_label, reverse=True):
            table[self.to_label[integer]] = integer
        integers = table[labels]
        if (integers == UNKNOWN).any():
            missing = {int(value) for value in np.unique(labels)} - {int(label) for label in self.to_label.values()}
            raise ValueError(f"The {self.name} convention has no integer for label {_numbers(missing)}.")
        return integers


BACKGROUND, NECROTIC, OEDEMA, CAVITY, ENHANCING = Label
_NNUNET = {0: BACKGROUND, 1: OEDEMA, 2: NECROTIC, 3: ENHANCING}
_TABLE: dict[str, dict[int, Label]] = {
    "brats2017": {0: BACKGROUND, 1: NECROTIC, 2: OEDEMA, 4: ENHANCING},
    "brats2023": {0: BACKGROUND, 1: NECROTIC, 2: OEDEMA, 3: ENHANCING},
    "brats2024": {0: BACKGROUND, 1: NECROTIC, 2: OEDEMA, 3: ENHANCING, 4: CAVITY},
    "msd": _NNUNET,
    "nnunet": _NNUNET,  # nnU-Net's conversions of BraTS, in MSD's order
    "brats2015": {0: BACKGROUND, 1: NECROTIC, 2: OEDEMA, 3: NECROTIC, 4: ENHANCING},  # 3: non-enhancing core
}
CONVENTIONS: dict[str, Convention] = {name: Convention(name, table) for name, table in _TABLE.items()}


def label_set(path: Path) -> frozenset[int]:
    """The integers that a mask on disk holds.

    Raises:
        DataError: The file cannot be read, or holds no mask.
    """
    return integers_of(read_integers(path).array)


def integers_of(array: np.ndarray) -> frozenset[int]:
    """The different values of an integer array with values from 0 to 255; empty for an array without voxels."""
    seen = np.zeros(256, bool)
    seen[array[array != 0]] = True  # most voxels are 0, and indexing is the slow part
    seen[0] = bool((array == 0).any())
    return frozenset(int(value) for value in np.flatnonzero(seen))


def decide(
    setting: str,
    dataset_layout: str,
    case_ids: Sequence[str],
    declared_labels: Mapping[str, int | list[int]] | None,
    label_sets: Mapping[str, frozenset[int]],
    *,
    key: str = "data.labels",
) -> Convention:
    """The convention of a dataset.

    Args:
        setting: A name of `CONVENTIONS`, taken without question, or "auto".
        dataset_layout: As `discovery.Dataset` has it; "" where masks lie by themselves.
        case_ids: Names tell much: BraTS20_… is brats2017, brats_2013_… is brats2015, BraTS-GLI-… is 2023 or 2024.
        declared_labels: "labels" of dataset.json; decides where it is there and can be read.
        label_sets: The integers of each mask, by case id; what they hold together settles the rest.
        key: How the command calls the setting.

    Returns:
        The convention, with `why` in words. Where several read these masks alike, the likeliest of them.

    Raises:
        SettingsError: No such convention, or two readings remain: the choices are named.
        DataError: A mask holds an integer that no convention has.
    """
    if setting != "auto":
        if setting not in CONVENTIONS:
            raise SettingsError(f"There is no {key}={setting}. {suggestion(setting, ['auto', *CONVENTIONS])}")
        return replace(CONVENTIONS[setting], why=f"{key} says so")
    held = frozenset().union(*label_sets.values())
    _refuse_unknown(label_sets)
    names, evidence = candidates(dataset_layout, case_ids)
    meaning = declared_meaning(declared_labels)
    if meaning is not None:
        names, evidence = _declared(meaning, dataset_layout), "the label names of dataset.json"
    fitting = [CONVENTIONS[name] for name in names if held <= set(CONVENTIONS[name].to_label)]
    if 4 in held and 3 not in held and meaning is None and dataset_layout != "brats2023+":
        # The commonest files of all. That a whole dataset of another convention never holds its label 3 is unlikely.
        fitting = [convention for convention in fitting if convention.name == "brats2017"] or fitting
    if not fitting:
        raise SettingsError(_none_fits(names, evidence, held, label_sets, key))
    readings: dict[tuple[Label, ...], Convention] = {}
    for convention in fitting:
        readings.setdefault(tuple(convention.to_label[integer] for integer in sorted(held)), convention)
    if len(readings) > 1:
        raise SettingsError(
            f"The masks hold labels {_numbers(held)}, which can be read as {_listed(readings.values(), held)}; nothing "
            f"in the names of the cases tells which. Say it: {_choices(readings.values(), key)}."
        )
    found = next(iter(readings.values()))
    return replace(found, why=", ".join(part for part in (evidence, f"labels {_numbers(held)}") if part))


def _declared(meaning: Mapping[int, Label], layout: str) -> tuple[str, ...]:
    """Conventions that agree with what dataset.json says; MSD's folders before nnU-Net's, as the layout is."""
    agreeing = [n for n, table in _TABLE.items() if all(table.get(i) == label for i, label in meaning.items())]
    return tuple(sorted(agreeing, key=lambda name: name != layout))


def _refuse_unknown(label_sets: Mapping[str, frozenset[int]]) -> None:
    known = {integer for convention in CONVENTIONS.values() for integer in convention.to_label}
    wrong = {case_id: integers - known for case_id, integers in sorted(label_sets.items()) if integers - known}
    if wrong:
        listed = ", ".join(f"{case_id}: {_numbers(integers)}" for case_id, integers in list(wrong.items())[:10])
        more = f" and {len(wrong) - 10} more masks" if len(wrong) > 10 else ""
        raise DataError(
            f"Labels that no convention has ({listed}{more}). Expected {_numbers(known)}. Correct these masks, or list "
            f"the cases under data.leave_out."
        )


def _none_fits(
    names: Sequence[str], evidence: str, held: frozenset[int], label_sets: Mapping[str, frozenset[int]], key: str
) -> str:
    """The message for masks that hold what none of the conventions `names` has."""
    fitting: dict[tuple[Label, ...], Convention] = {}
    for convention in CONVENTIONS.values():
        if held <= set(convention.to_label):
            fitting.setdefault(tuple(convention.to_label[integer] for integer in sorted(held)), convention)
    choices = f"If they are right, say what they mean: {_choices(fitting.values(), key)}"
    if not names:
        return f"{evidence[:1].upper()}{evidence[1:]} leave open what labels {_numbers(held)} mean. {choices}."
    table = CONVENTIONS[names[0]].to_label
    case_id = next(c for c, integers in sorted(label_sets.items()) if integers - set(table))
    return (
        f"By {evidence} the masks follow {' or '.join(names)} (labels {_numbers(set(table))}), but "
        f"{case_id} holds {_numbers(label_sets[case_id] - set(table))}. {choices}."
    )


def _listed(conventions: Iterable[Convention], held: frozenset[int]) -> str:
    """The readings in words: brats2023 (1 necrotic core, 2 oedema, 3 enhancing) or …."""
    return " or ".join(
        f"{c.name} ({', '.join(f'{i} {WORDS[c.to_label[i]]}' for i in sorted(held) if i)})" for c in conventions
    )


def _choices(conventions: Iterable[Convention], key: str) -> str:
    return " or ".join(f"{key}={convention.name}" for convention in conventions) or f"{key}=…"


def _numbers(integers: set[int] | frozenset[int]) -> str:
    return " ".join(str(value) for value in sorted(integers))
