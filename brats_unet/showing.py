"""`show`: a case and its masks on disk, or a segmentation, in three planes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brats_unet.data.labels.decide import decide, integers_of
from brats_unet.data.labels.scheme_choice import decide_scheme
from brats_unet.data.readers.discovery import survey
from brats_unet.data.readers.incomplete import named_case
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.grids import grid_mismatch, on_axes_of
from brats_unet.evaluation.mask_scheme import recorded_convention
from brats_unet.evaluation.side_labels import prediction_convention
from brats_unet.modality import Modality, in_order
from brats_unet.picture import AnyPath, Picture, case_picture
from brats_unet.scan_files import read_header, read_mask
from brats_unet.schemes.scheme_file import builtin, builtin_names
from brats_unet.segmentation import Segmentation
from brats_unet.spelling import suggestion
from brats_unet.volume import Case, Header

SIDES = ("references", "predictions")


def show(
    case: Segmentation | AnyPath | Mapping[str, AnyPath],
    mask: AnyPath | None = None,
    *,
    reference: AnyPath | None = None,
    scheme: str | None = None,
    labels: str | Mapping[str, str] = "auto",
) -> Picture:
    """Three planes through a case, with the outlines of the regions of its masks; a notebook displays the result.

        >>> show("scans/Phantom20_001").save("case.png").name
        'case.png'

    Args:
        case: Folder of the case, or its files by modality, such as {"flair": …, "t1": …}; or what `load(run)(case)`
            returned.
        mask: Predicted mask.
        reference: Expert mask; None takes the one in the folder of the case, if there is one.
        scheme: Name of the scheme, such as "glioma_post"; None takes the one recorded beside the predicted mask, or
            decides by the masks.
        labels: Label convention of both masks, such as "brats2023", or of each, such as {"predictions": "brats2023"};
            "auto" finds it.

    Raises:
        DataError: A file cannot be read, a mask is not on the grid of the scans, or the folder does not hold exactly
            one case.
        SettingsError: There is no such scheme or modality, or the masks can be read in two ways.
        MachineError: matplotlib is not installed.
    """
    if isinstance(case, Segmentation):
        if mask is not None or scheme is not None or labels != "auto":
            raise SettingsError(
                "A segmentation has its own mask, scheme and labels. Expected only reference= beside it."
            )
        return case.show(reference)
    if scheme is not None and scheme not in builtin_names():
        raise SettingsError(f"scheme={scheme}: there is no such scheme. {suggestion(scheme, builtin_names())}")
    settings = [labels] * 2 if isinstance(labels, str) else [labels.get(side, "auto") for side in SIDES]
    if not isinstance(labels, str) and (unknown := [side for side in labels if side not in SIDES]):
        raise SettingsError(f"labels: {unknown[0]} is no side. {suggestion(unknown[0], SIDES)}")
    found, layout, declared = _opened(case)
    header = read_header(next(iter(found.images.values())))
    if reference is None and found.mask is not None:
        reference = found.mask
    expert = None if reference is None else _on_grid(Path(reference), header, found)
    own = None if mask is None else _on_grid(Path(mask), header, found)
    first, setting, side = (own, settings[1], SIDES[1]) if expert is None else (expert, settings[0], SIDES[0])
    sets = {} if first is None else {found.id: integers_of(first)}
    recorded = None if mask is None else recorded_convention([Path(mask)])
    if scheme is not None:
        chosen = builtin(scheme)
    elif recorded is not None:
        chosen = recorded.scheme
    else:
        chosen, _ = decide_scheme(layout, [found.id], declared, sets, labels=setting)
    convention = decide(setting, layout, [found.id], declared, sets, scheme=chosen, key=f"labels.{side}")
    if expert is not None:
        expert = convention.decode(expert, where=str(reference))
    if own is not None:
        path = Path(str(mask))
        written = prediction_convention(settings[1], convention, [path], {found.id: integers_of(own)})
        own = written.decode(own, where=str(path))
    return case_picture(found.id, found.images, header.affine, chosen, reference=expert, prediction=own)


def _opened(case: AnyPath | Mapping[str, AnyPath]) -> tuple[Case, str, Mapping[str, int | list[int]] | None]:
    """The case, the layout of its folder, and the label names of its dataset.json."""
    if isinstance(case, Mapping):
        try:
            files = {Modality(key): str(path) for key, path in case.items()}
        except ValueError as problem:
            raise SettingsError(str(problem)) from None
        return named_case(files, in_order(files), name=None, fill_missing=False), "", None
    found = survey(Path(case), modalities=tuple(Modality))
    cases = [*found.dataset.cases, *(one for one in found.incomplete if one.images)]
    if len(cases) != 1:
        raise DataError(
            f"{case} holds {len(cases)} cases. Expected one: give its own folder, or its files by modality."
        )
    return cases[0], found.dataset.layout, found.dataset.declared_labels


def _on_grid(path: Path, header: Header, case: Case) -> np.ndarray:
    """A mask as it is stored, on the axes of the scans."""
    volume = on_axes_of(header.shape, header.affine, read_mask(path, case.spacing_mm))
    if mismatch := grid_mismatch(header.shape, header.affine, volume.array.shape, volume.affine):
        raise DataError(f"{path} does not lie on the grid of {case.id}: {mismatch}")
    return volume.array
