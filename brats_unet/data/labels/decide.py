"""The choice of a label convention: which tissue each integer of the masks of a data set means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brats_unet.data.labels.evidence import brats_candidates, candidates, declared_meaning
from brats_unet.errors import DataError, SettingsError
from brats_unet.mask_channels import FIRST_CODE, MOST, codes
from brats_unet.scan_files import read_mask
from brats_unet.schemes.convention import (
    BACKGROUND_NAME,
    JOIN,
    Convention,
    channels_shown,
    convention_named,
    conventions,
    numbers,
)
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin, builtin_names
from brats_unet.spelling import suggestion


def label_set(path: Path) -> frozenset[int]:
    """The set of integers in a mask on disk.

    Raises:
        DataError: The file cannot be read or is not a mask.
    """
    return integers_of(read_mask(path).array)


def integers_of(array: np.ndarray) -> frozenset[int]:
    """The set of values of a mask as it is read; empty for an array without voxels."""
    seen = np.zeros(FIRST_CODE + 2**MOST, bool)
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
    scheme: Scheme,
    key: str = "data.labels",
    fixed: bool = False,
) -> Convention:
    """Decide the label convention of a dataset.

    Args:
        setting: "auto", or the name of a convention of the scheme, which is used without checking it against the masks.
        dataset_layout: Layout as in `discovery.Dataset`; "" for a folder that holds only masks.
        case_ids: Case ids, used as evidence: BraTS20_… means brats2017, brats_2013_… brats2015, BraTS-GLI-… brats2023
            or brats2024.
        declared_labels: "labels" of dataset.json; if they are understood, they decide instead of ids and layout.
        label_sets: Set of integers in each mask, by case id; conventions that lack one of the integers are ruled out.
        scheme: What is segmented; only its conventions are possible.
        key: Name of the setting in the current command, for messages.
        fixed: Whether the scheme is that of a run, so that messages do not propose another.

    Returns:
        The convention, with the reason in `why`; the likeliest one if several give these integers the same meaning.

    Raises:
        SettingsError: There is no such convention, no convention fits, or two meanings remain possible; the message
            lists the choices.
        DataError: A mask holds an integer that no convention defines.
    """
    known = conventions(scheme)
    held = frozenset().union(*label_sets.values())
    if setting != "auto":
        return named_convention(setting, scheme, key, held)
    if codes(held):
        return of_channels(scheme, held, key)
    _refuse_unknown(known, scheme, label_sets, fixed)
    names, evidence = candidates(dataset_layout, case_ids, scheme)
    meaning = declared_meaning(declared_labels, scheme)
    if meaning is not None:
        names, evidence = _declared(known, meaning, dataset_layout), "the label names of dataset.json"
    fitting = [known[name] for name in names if held <= set(known[name].to_label)]
    if 4 in held and 3 not in held and meaning is None and names[:1] != ("brats2023",):
        # Labels 0 1 2 4 are by far the most common. A whole dataset of another convention very likely holds a label 3.
        fitting = [convention for convention in fitting if convention.name == "brats2017"] or fitting
    if not names and meaning is None:
        foreign, evidence, _ = brats_candidates(dataset_layout, case_ids)
        fit = " or ".join(f"scheme={name}" for name in builtin_names() if set(foreign) & set(builtin(name).integers))
        other = f"Evaluate a run with {fit}" if fixed else f"Set {fit}"
        raise SettingsError(
            f"According to {evidence}, the masks follow {' or '.join(foreign)}, which the scheme {scheme.name} does "
            f"not have. {other}, or {_choices(known.values(), key)} if the masks follow it."
        )
    if not fitting:
        raise SettingsError(_none_fits(known, names, evidence, held, label_sets, key))
    readings: dict[tuple[int, ...], Convention] = {}
    for convention in fitting:
        readings.setdefault(tuple(convention.to_label[integer] for integer in sorted(held)), convention)
    if len(readings) > 1:
        raise SettingsError(
            f"The masks hold labels {numbers(held)}, which can be read as {_listed(readings.values(), held)}; the "
            f"case ids do not show which is right. Set {_choices(readings.values(), key)}."
        )
    found = next(iter(readings.values()))
    return replace(found, why=", ".join(part for part in (evidence, f"labels {numbers(held)}") if part))


def named_convention(setting: str, scheme: Scheme, key: str, held: frozenset[int]) -> Convention:
    """The convention that a setting names; refuses one that the scheme lacks, or that names too few channels."""
    found = convention_named(scheme, setting)
    if found is None:
        if JOIN in setting:
            raise SettingsError(
                f"{key}={setting} does not name channels of the scheme {scheme.name}. {_naming(scheme, key)}"
            )
        known = ["auto", *conventions(scheme)]
        raise SettingsError(f"There is no {key}={setting} in the scheme {scheme.name}. {suggestion(setting, known)}")
    count = max(codes(held), default=0).bit_length()
    if count > max(1, len(found.channels)):
        names = f"names {len(found.channels)}" if found.channels else "is for masks of one integer a voxel"
        raise SettingsError(
            f"The masks have {count} channels or more, but {key}={setting} {names}. {_naming(scheme, key)}"
        )
    return replace(found, why=f"set by {key}")


def of_channels(scheme: Scheme, held: frozenset[int], key: str) -> Convention:
    """The convention of masks with a channel for each region or label, whose nesting has to show which is which."""
    if plain := [integer for integer in held if 0 < integer < FIRST_CODE]:
        raise SettingsError(
            f"Some masks have a channel for each region, others one integer a voxel ({numbers(plain)}). Give masks of "
            f"one kind."
        )
    found = channels_shown(scheme, held)
    if found is None:
        count = max(codes(held)).bit_length()
        raise SettingsError(
            f"The masks have {count} channels or more, and their nesting does not show which region or label each is. "
            f"{_naming(scheme, key)}"
        )
    return found


def _naming(scheme: Scheme, key: str) -> str:
    regions, labels = JOIN.join(scheme.predicted), JOIN.join((BACKGROUND_NAME, *scheme.classes))
    return f"Name them in their order: {key}={regions} for regions, or {key}={labels} for labels."


def _declared(known: Mapping[str, Convention], meaning: Mapping[int, int], layout: str) -> tuple[str, ...]:
    """Names of the conventions that agree with dataset.json; a convention named like the layout comes first."""
    agreeing = [
        name
        for name, convention in known.items()
        if all(convention.to_label.get(integer) == label for integer, label in meaning.items())
    ]
    return tuple(sorted(agreeing, key=lambda name: name != layout))


def _refuse_unknown(
    known: Mapping[str, Convention], scheme: Scheme, label_sets: Mapping[str, frozenset[int]], fixed: bool
) -> None:
    """Raise DataError if a mask holds an integer that no convention of the scheme defines."""
    every = {integer for convention in known.values() for integer in convention.to_label}
    wrong = {case_id: integers - every for case_id, integers in sorted(label_sets.items()) if integers - every}
    if wrong:
        listed = ", ".join(f"{case_id}: {numbers(integers)}" for case_id, integers in list(wrong.items())[:10])
        more = f" and {len(wrong) - 10} more masks" if len(wrong) > 10 else ""
        of_run = ", in which the run was trained," if fixed else ""
        remedy = "or list the cases under data.leave_out"
        if not fixed:
            remedy = "list the cases under data.leave_out, or choose another scheme with scheme=…"
        raise DataError(
            f"The masks hold labels that no convention of the scheme {scheme.name}{of_run} defines ({listed}{more}). "
            f"Expected {numbers(every)}. Correct these masks, {remedy}."
        )


def _none_fits(
    known: Mapping[str, Convention],
    names: Sequence[str],
    evidence: str,
    held: frozenset[int],
    label_sets: Mapping[str, frozenset[int]],
    key: str,
) -> str:
    """The error message for masks that hold an integer that none of the conventions `names` defines."""
    fitting: dict[tuple[int, ...], Convention] = {}
    for convention in known.values():
        if held <= set(convention.to_label):
            fitting.setdefault(tuple(convention.to_label[integer] for integer in sorted(held)), convention)
    choices = f"If the masks are right, set {_choices(fitting.values(), key)}"
    if not names:
        return f"{evidence[:1].upper()}{evidence[1:]} do not show what labels {numbers(held)} mean. {choices}."
    table = known[names[0]].to_label
    case_id = next(c for c, integers in sorted(label_sets.items()) if integers - set(table))
    return (
        f"According to {evidence or 'the scheme'}, the masks follow {' or '.join(names)} (labels {numbers(table)}), "
        f"but {case_id} holds {numbers(label_sets[case_id] - set(table))}. {choices}."
    )


def _listed(fitting: Iterable[Convention], held: frozenset[int]) -> str:
    """The conventions with their meanings: "brats2023 (1 necrotic or non-enhancing core, 2 oedema) or …"."""
    return " or ".join(
        f"{c.name} ({', '.join(f'{i} {c.scheme.words_of(c.to_label[i])}' for i in sorted(held) if i)})" for c in fitting
    )


def _choices(fitting: Iterable[Convention], key: str) -> str:
    return " or ".join(f"{key}={convention.name}" for convention in fitting) or f"{key}=…"
