"""The label convention of predictions that may differ from that of their references."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from brats_unet.data.labels.decide import named_convention, of_channels
from brats_unet.errors import SettingsError
from brats_unet.evaluation.mask_scheme import recorded_convention
from brats_unet.mask_channels import codes
from brats_unet.schemes.convention import Convention, conventions, numbers
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin, builtin_names

AUTO, KEY = "auto", "labels.predictions"


def prediction_convention(
    setting: str, reference: Convention, masks: Iterable[Path], label_sets: Mapping[str, frozenset[int]]
) -> Convention:
    """The convention of predicted masks: as set, as recorded beside them, that of the references, or as they show.

    Args:
        setting: Name of a convention, or "auto".
        reference: Convention of the references.
        masks: The predicted masks.
        label_sets: Set of integers in each of them, by case id.

    Returns:
        The convention; that of the references if it defines all integers, or if none does. Of others, those that put
        every integer into a region come first.

    Raises:
        SettingsError: There is no such convention, or several readings are possible, also by a scheme with more labels
            than that of the references; the message lists them.
    """
    known = conventions(reference.scheme)
    held = frozenset().union(*label_sets.values())
    if setting != AUTO:
        return named_convention(setting, reference.scheme, KEY, held)
    recorded = recorded_convention(masks)
    if recorded is not None and recorded.name in known and recorded.scheme.means_the_same(reference.scheme):
        return replace(known[recorded.name], why=recorded.why)
    if held <= set(reference.to_label) and not _one_hot(held, reference):
        return replace(reference, why="as the references")
    if codes(held):
        return of_channels(reference.scheme, held, KEY)
    fitting = [one for one in known.values() if held <= set(one.to_label)]
    in_regions = [one for one in fitting if not held & set(one.without_region)]
    readings: dict[tuple[int, ...], Convention] = {}
    for one in in_regions or fitting:
        readings.setdefault(tuple(one.to_label[integer] for integer in sorted(held)), one)
    wider = _wider_scheme(reference, held)
    if readings and wider:
        readable = " or ".join(f"{KEY}={one.name}" for one in readings.values())
        new = [region for region in wider.predicted if region not in reference.scheme.predicted]
        raise SettingsError(
            f"The predictions hold labels {numbers(held)}; the references follow {reference.name} ({reference.why}), "
            f"which has {numbers(reference.to_label)}. If one of them is {' or '.join(new)}, which the scheme "
            f"{reference.scheme.name} lacks, set scheme={wider.name}; else set {readable}."
        )
    if len(readings) == 1:
        return replace(next(iter(readings.values())), why=f"labels {numbers(held)}")
    if not readings:  # each mask is then named with the labels that do not fit
        return replace(reference, why="as the references")
    choices = " or ".join(f"labels.predictions={one.name}" for one in readings.values())
    raise SettingsError(
        f"The predictions hold labels {numbers(held)}; the references follow {reference.name} ({reference.why}), which "
        f"has {numbers(reference.to_label)}. Set {choices}."
    )


def _wider_scheme(reference: Convention, held: frozenset[int]) -> Scheme | None:
    """The built-in scheme of the same tumour with more labels, one of whose conventions has every integer, if the
    predictions hold all integers of the references and more."""
    if not set(reference.to_label) < held:
        return None
    wider = (builtin(name) for name in builtin_names() if name.startswith(f"{reference.scheme.name}_"))
    return next((one for one in wider if any(held <= set(c.to_label) for c in conventions(one).values())), None)


def _one_hot(held: frozenset[int], reference: Convention) -> bool:
    """Whether no two channels of the predictions overlap although those of the references are nested regions."""
    found = codes(held)
    nested = reference.channels and set(reference.channels) <= set(reference.scheme.predicted)
    return bool(nested) and len(found) > 1 and all(one.bit_count() == 1 for one in found)
