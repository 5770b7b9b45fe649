"""The label conventions of the BraTS family (which tissue each integer of a mask means), and the choice of one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Label
from brats_unet.data.labels.evidence import candidates, declared_meaning
from brats_unet.errors import DataError, SettingsError
from brats_unet.nifti import read_integers
from brats_unet.spelling import suggestion

UNKNOWN = 255  # not the value of any Label
WORDS = {
    Label.BACKGROUND: "background",
    Label.NECROTIC: "necrotic or non-enhancing core",
    Label.OEDEMA: "oedema",
    Label.CAVITY: "resection cavity",
    Label.ENHANCING: "enhancing",
}


@dataclass(frozen=True)
class Convention:
    """A label convention: the meaning of each integer in a mask.

    Attributes:
        name: Name of the convention, as given in the setting `data.labels`.
        to_label: Label of each integer that may occur.
        why: Human-readable reason why this convention was chosen; "" in the table `CONVENTIONS`.
    """

    name: str
    to_label: Mapping[int, Label]
    why: str = ""

    def decode(self, integers: np.ndarray, *, where: str) -> np.ndarray:
        """The labels of a mask that follows this convention.

        Args:
            integers: Integers of the mask as on disk, any integer type, any shape; may be empty.
            where: Case and file, which begin the error message.

        Returns:
            Values of `Label`, uint8, same shape.

        Raises:
            DataError: The mask holds an integer that this convention does not define.
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
                f"{where}: holds label {listed}. The {self.name} convention allows {_numbers(known)}. Correct the "
                f"mask, or choose another convention with data.labels=…."
            )
        return labels

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """The inverse of `decode`.

        Args:
            labels: Values of `Label`, any integer type, any shape.

        Returns:
            Integers as this convention writes them, uint8, same shape; the lowest if several mean the same label.

        Raises:
            ValueError: This convention has no integer for a label.
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
    "nnunet": _NNUNET,  # nnU-Net's conversions of BraTS use the integers of MSD
    "brats2015": {0: BACKGROUND, 1: NECROTIC, 2: OEDEMA, 3: NECROTIC, 4: ENHANCING},  # 3: non-enhancing core
}
CONVENTIONS: dict[str, Convention] = {name: Convention(name, table) for name, table in _TABLE.items()}


def label_set(path: Path) -> frozenset[int]:
    """The set of integers in a mask on disk.

    Raises:
        DataError: The file cannot be read or is not a mask.
    """
    return integers_of(read_integers(path).array)


def integers_of(array: np.ndarray) -> frozenset[int]:
    """The set of values of an integer array with values from 0 to 255; empty for an array without voxels."""
    seen = np.zeros(256, bool)
    seen[array[array != 0]] = True  # leave out the zeros, which are most voxels: indexing is slow
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
    """Decide the label convention of a dataset.

    Args:
        setting: "auto", or a name in `CONVENTIONS`, which is used without checking it against the masks.
        dataset_layout: Layout as in `discovery.Dataset`; "" for a folder that holds only masks.
        case_ids: Case ids, used as evidence: BraTS20_… means brats2017, brats_2013_… brats2015, BraTS-GLI-… brats2023
            or brats2024.
        declared_labels: "labels" of dataset.json; if they are understood, they decide instead of ids and layout.
        label_sets: Set of integers in each mask, by case id; conventions that lack one of the integers are ruled out.
        key: Name of the setting in the current command, for messages.

    Returns:
        The convention, with the reason in `why`; the likeliest one if several give these integers the same meaning.

    Raises:
        SettingsError: There is no such convention, no convention fits, or two meanings remain possible; the message
            lists the choices.
        DataError: A mask holds an integer that no convention defines.
    """
    if setting != "auto":
        if setting not in CONVENTIONS:
            raise SettingsError(f"There is no {key}={setting}. {suggestion(setting, ['auto', *CONVENTIONS])}")
        return replace(CONVENTIONS[setting], why=f"set by {key}")
    held = frozenset().union(*label_sets.values())
    _refuse_unknown(label_sets)
    names, evidence = candidates(dataset_layout, case_ids)
    meaning = declared_meaning(declared_labels)
    if meaning is not None:
        names, evidence = _declared(meaning, dataset_layout), "the label names of dataset.json"
    fitting = [CONVENTIONS[name] for name in names if held <= set(CONVENTIONS[name].to_label)]
    if 4 in held and 3 not in held and meaning is None and dataset_layout != "brats2023+":
        # Labels 0 1 2 4 are by far the most common. A whole dataset of another convention very likely holds a label 3.
        fitting = [convention for convention in fitting if convention.name == "brats2017"] or fitting
    if not fitting:
        raise SettingsError(_none_fits(names, evidence, held, label_sets, key))
    readings: dict[tuple[Label, ...], Convention] = {}
    for convention in fitting:
        readings.setdefault(tuple(convention.to_label[integer] for integer in sorted(held)), convention)
    if len(readings) > 1:
        raise SettingsError(
            f"The masks hold labels {_numbers(held)}, which can be read as {_listed(readings.values(), held)}; the "
            f"case ids do not show which is right. Set {_choices(readings.values(), key)}."
        )
    found = next(iter(readings.values()))
    return replace(found, why=", ".join(part for part in (evidence, f"labels {_numbers(held)}") if part))


def _declared(meaning: Mapping[int, Label], layout: str) -> tuple[str, ...]:
    """Names of the conventions that agree with dataset.json; a convention named like the layout comes first."""
    agreeing = [n for n, table in _TABLE.items() if all(table.get(i) == label for i, label in meaning.items())]
    return tuple(sorted(agreeing, key=lambda name: name != layout))


def _refuse_unknown(label_sets: Mapping[str, frozenset[int]]) -> None:
    """Raise DataError if a mask holds an integer that no convention defines."""
    known = {integer for convention in CONVENTIONS.values() for integer in convention.to_label}
    wrong = {case_id: integers - known for case_id, integers in sorted(label_sets.items()) if integers - known}
    if wrong:
        listed = ", ".join(f"{case_id}: {_numbers(integers)}" for case_id, integers in list(wrong.items())[:10])
        more = f" and {len(wrong) - 10} more masks" if len(wrong) > 10 else ""
        raise DataError(
            f"The masks hold labels that no convention defines ({listed}{more}). Expected {_numbers(known)}. Correct "
            f"these masks, or list the cases under data.leave_out."
        )


def _none_fits(
    names: Sequence[str], evidence: str, held: frozenset[int], label_sets: Mapping[str, frozenset[int]], key: str
) -> str:
    """The error message for masks that hold an integer that none of the conventions `names` defines."""
    fitting: dict[tuple[Label, ...], Convention] = {}
    for convention in CONVENTIONS.values():
        if held <= set(convention.to_label):
            fitting.setdefault(tuple(convention.to_label[integer] for integer in sorted(held)), convention)
    choices = f"If the masks are right, set {_choices(fitting.values(), key)}"
    if not names:
        return f"{evidence[:1].upper()}{evidence[1:]} do not show what labels {_numbers(held)} mean. {choices}."
    table = CONVENTIONS[names[0]].to_label
    case_id = next(c for c, integers in sorted(label_sets.items()) if integers - set(table))
    return (
        f"According to {evidence}, the masks follow {' or '.join(names)} (labels {_numbers(set(table))}), but "
        f"{case_id} holds {_numbers(label_sets[case_id] - set(table))}. {choices}."
    )


def _listed(conventions: Iterable[Convention], held: frozenset[int]) -> str:
    """The conventions with their meanings: "brats2023 (1 necrotic or non-enhancing core, 2 oedema) or …"."""
    return " or ".join(
        f"{c.name} ({', '.join(f'{i} {WORDS[c.to_label[i]]}' for i in sorted(held) if i)})" for c in conventions
    )


def _choices(conventions: Iterable[Convention], key: str) -> str:
    return " or ".join(f"{key}={convention.name}" for convention in conventions) or f"{key}=…"


def _numbers(integers: set[int] | frozenset[int]) -> str:
    return " ".join(str(value) for value in sorted(integers))
