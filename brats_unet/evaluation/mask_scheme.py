"""The scheme of masks on disk: as `predict` or `fuse` recorded it beside them, or as the masks show it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from brats_unet.data.labels.scheme_choice import decide_scheme
from brats_unet.data.readers.task_folder import declared_labels, read_description
from brats_unet.errors import SettingsError
from brats_unet.file_kinds.json_kinds import MasksFile
from brats_unet.json_files import read_json
from brats_unet.run import FUSION_MARK, PREDICTIONS_MARK
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.differences import differences
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import DEFAULT, scheme_in


def recorded_convention(masks: Iterable[Path]) -> Convention | None:
    """The label convention, with its scheme, that `predict` or `fuse` recorded beside masks.

    Args:
        masks: Mask files.

    Returns:
        The convention; None if the masks lie in several folders, or in one without a record.

    Raises:
        CheckpointError: A record is not readable as JSON.
    """
    folders = {mask.parent for mask in masks}
    if len(folders) != 1:
        return None
    (folder,) = folders
    for name in (PREDICTIONS_MARK, FUSION_MARK):
        if (folder / name).is_file():
            advice = "Delete it, or set scheme=… and labels=…."
            record = read_json(folder / name, MasksFile, what=str(folder), advice=advice)
            networks = record.get("networks") or [{"recipe": record}]
            found = conventions(scheme_in(networks[0]["recipe"])).get(record.get("convention", ""))
            return None if found is None else replace(found, why=f"recorded in {name}")
    return None


def recorded_scheme(records: Mapping[str, Convention | None]) -> tuple[Scheme, str] | None:
    """The scheme that was recorded beside masks of several sources, and where; None if none was.

    Args:
        records: The recorded convention of each source, by its name.

    Raises:
        SettingsError: Two recorded schemes do not mean the same.
    """
    known = {name: record for name, record in records.items() if record is not None}
    if not known:
        return None
    first, *others = known
    scheme = known[first].scheme
    for name in others:
        other = known[name].scheme
        if not scheme.means_the_same(other):
            found = differences(scheme, other, f"in {first}", f"in {name}")
            raise SettingsError(
                f"The masks in {first} were made with the scheme {scheme.name}, those in {name} with {other.name}, "
                f"which differ ({found}). Give masks of one scheme, or set scheme=… to read all of them with it."
            )
    return scheme, f"{first}: {known[first].why}"


def scheme_shown(
    labels: Sequence[str], paths: Sequence[Path], held: Sequence[Mapping[str, frozenset[int]]]
) -> tuple[Scheme, str]:
    """The scheme that the masks of all sources show, and why; the first that shows another one than glioma decides.

    Raises:
        SettingsError: Two sources show two schemes other than glioma, or all are ambiguous.
    """
    decided: dict[str, tuple[Scheme, str]] = {}
    question: SettingsError | None = None
    for setting, path, sets in zip(labels, paths, held, strict=True):
        declared = declared_labels(read_description(path)) if path.is_dir() else None
        try:
            scheme, why = decide_scheme("", sorted(sets), declared, sets, labels=setting)
        except SettingsError as problem:
            question = problem
        else:
            decided.setdefault(scheme.name, (scheme, why))
    if question is not None and not decided:
        raise question
    own = [one for name, one in decided.items() if name != DEFAULT] or list(decided.values())
    if len(own) > 1:
        names = " and ".join(scheme.name for scheme, _ in own)
        raise SettingsError(f"The inputs show different schemes: {names}. Give masks of one scheme, or set scheme=….")
    return own[0]
