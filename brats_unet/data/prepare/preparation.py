"""The settings of the preparation: which scans, on which grid, cropped and normalised how."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal, Optional, get_args

from brats_unet.binding import Range, bind
from brats_unet.data.readers.discovery import Dataset
from brats_unet.errors import SettingsError
from brats_unet.modality import Modality, in_order, is_name
from brats_unet.volume import Spacing

# Increase this when the same settings give different prepared volumes; it is part of the cache key.
VERSION = 4  # 4: the resampled grid is aligned with the centre of mass of the brain
Crop = Literal["brain", "head", "none"]
Normalise = Literal["zscore", "max"]
CROPS, NORMALISATIONS = get_args(Crop), get_args(Normalise)


@dataclass(frozen=True)
class Options:
    """The settings of `data.preparation`, see `Preparation`."""

    spacing_mm: Optional[list[Annotated[float, Range(0, above_least=True)]]]
    crop: Crop
    normalise: Normalise


@dataclass(frozen=True)
class Preparation:
    """Settings that turn scans into a prepared volume.

    Attributes:
        modalities: Channels of the image, in this order.
        spacing_mm: Voxel edge lengths of the prepared grid along L, P, S, in millimetres; an axis that differs by less
            than a thousandth is not resampled. None: no axis is.
        crop: "brain" (bounding box of the brain), "head" (the same for scans with the skull: what the brain is to the
            others, `head_mask.head_mask` is to them, also for `normalise`) or "none".
        normalise: "zscore" (mean 0, standard deviation 1 in the brain) or "max" (divided by the largest magnitude).
    """

    modalities: tuple[Modality, ...]
    spacing_mm: Spacing | None = (1.0, 1.0, 1.0)
    crop: str = "brain"
    normalise: str = "zscore"

    @classmethod
    def of(
        cls, modalities: Sequence[str], options: Mapping[str, Any], own: Collection[str] | None = None
    ) -> "Preparation":
        """From modality names in any order and the options `spacing_mm`, `crop` and `normalise`.

        Args:
            modalities: The four contrasts of BraTS, and names in `own`.
            options: The options.
            own: Further names that scans may have: the keys of `data.files`.

        Raises:
            SettingsError: A modality, an option or a choice is unknown, or the spacing is not three positive numbers.
        """
        known = {*map(str, Modality), *filter(is_name, own or ())}
        wrong = [m for m in modalities if m not in known]
        if wrong or not modalities or len(set(modalities)) != len(modalities):
            raise SettingsError(
                f"data.modalities={list(modalities)} is not a list of different modalities. "
                f"Choose from {', '.join(sorted(known))}."
            )
        checked = bind(Options, options, "data.preparation.")
        ordered = tuple(in_order(modalities))
        if checked.spacing_mm is None:
            return cls(ordered, None, checked.crop, checked.normalise)
        spacing = tuple(checked.spacing_mm)
        if len(spacing) != 3:
            raise SettingsError(f"data.preparation.spacing_mm={list(spacing)} is not three lengths in mm above 0.")
        return cls(ordered, spacing, checked.crop, checked.normalise)

    def as_dict(self) -> dict[str, Any]:
        """The settings in plain types, for JSON and for the cache key."""
        return {"version": VERSION, **asdict(self), "modalities": [str(m) for m in self.modalities]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Preparation":
        """Inverse of `as_dict`."""
        names = plain["modalities"]
        return cls.of(names, {option.name: plain[option.name] for option in fields(Options)}, own=names)


def refuse_unknown_spacing(dataset: Dataset, recipe: Preparation) -> None:
    """Raise SettingsError if scans are to be resampled whose spacing is unknown."""
    if recipe.spacing_mm is not None and not dataset.spacing_known:
        raise SettingsError(
            f"data.preparation.spacing_mm={list(recipe.spacing_mm)}, but the spacing of the slices in {dataset.root} "
            f"is unknown. Set data.spacing_mm to it, or data.preparation.spacing_mm=null to keep their grid, as "
            f"data=lgg does."
        )
