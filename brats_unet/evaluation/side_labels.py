"""The label convention of predictions that may differ from that of their references."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from brats_unet.errors import SettingsError
from brats_unet.evaluation.mask_scheme import recorded_convention
from brats_unet.schemes.convention import Convention, conventions, numbers
from brats_unet.spelling import suggestion

AUTO = "auto"


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
        SettingsError: There is no such convention, or several readings are possible; the message lists them.
    """
    known = conventions(reference.scheme)
    if setting != AUTO:
        if setting not in known:
            raise SettingsError(
                f"There is no labels.predictions={setting} in the scheme {reference.scheme.name}. "
                f"{suggestion(setting, [AUTO, *known])}"
            )
        return replace(known[setting], why="set by labels.predictions")
    recorded = recorded_convention(masks)
    if recorded is not None and recorded.name in known and recorded.scheme.means_the_same(reference.scheme):
        return replace(known[recorded.name], why=recorded.why)
    held = frozenset().union(*label_sets.values())
    if held <= set(reference.to_label):
        return replace(reference, why="as the references")
    fitting = [one for one in known.values() if held <= set(one.to_label)]
    in_regions = [one for one in fitting if not held & set(one.without_region)]
    readings: dict[tuple[int, ...], Convention] = {}
    for one in in_regions or fitting:
        readings.setdefault(tuple(one.to_label[integer] for integer in sorted(held)), one)
    if len(readings) == 1:
        return replace(next(iter(readings.values())), why=f"labels {numbers(held)}")
    if not readings:  # each mask is then named with the labels that do not fit
        return replace(reference, why="as the references")
    choices = " or ".join(f"labels.predictions={one.name}" for one in readings.values())
    raise SettingsError(
        f"The predictions hold labels {numbers(held)}; the references follow {reference.name} ({reference.why}), which "
        f"has {numbers(reference.to_label)}. Set {choices}."
    )
