"""Numbers of a training that fit their types and still make no sense: refused before any data is read."""

import math

from brats_unet.anatomy import Region
from brats_unet.errors import SettingsError
from brats_unet.parts import suggestion
from brats_unet.settings import Train


def check_numbers(settings: Train, replicas: int) -> None:
    """Numbers that no type can refuse."""
    sampling = settings.sampling
    if sampling.batch < 1 or sampling.batch % replicas:
        raise SettingsError(
            f"sampling.batch={sampling.batch} cannot be dealt out to {replicas} device(s). "
            f"Choose a positive multiple of {replicas}."
        )
    if not 0 <= sampling.foreground <= 1:
        raise SettingsError(f"sampling.foreground={sampling.foreground}: a share lies from 0 to 1.")
    if unknown := set(sampling.regions) - {str(region) for region in Region}:
        name = min(unknown)
        raise SettingsError(f"There is no setting sampling.regions.{name}. {suggestion(name, map(str, Region))}")
    if not all(0 <= weight < math.inf for weight in sampling.regions.values()):
        raise SettingsError(f"sampling.regions={sampling.regions}: weights are numbers from 0 up.")
    if sampling.foreground and not any(sampling.regions.get(str(region), 1.0) for region in Region):
        raise SettingsError("sampling.regions are all 0. Give one of them a weight, or say sampling.foreground=0.")
    if sampling.accumulate < 1 or sampling.batch % (replicas * sampling.accumulate):
        raise SettingsError(
            f"sampling.accumulate={sampling.accumulate}: each device has {sampling.batch // replicas} of the "
            f"{sampling.batch} patches of sampling.batch, which so many equal parts cannot be made of. "
            f"Choose a number that divides {sampling.batch // replicas}."
        )
    if settings.steps is None and settings.minutes is None:
        raise SettingsError("steps=null and minutes=null: a training needs an end. Give one of them.")
    if settings.steps is not None and settings.steps < 1:
        raise SettingsError(f"steps={settings.steps}: expected 1 or more, or null with minutes=….")
    if settings.minutes is not None and not 0 < settings.minutes < math.inf:
        raise SettingsError(f"minutes={settings.minutes}: expected more than 0, or null for as long as the steps take.")
    if not 0 < settings.validation.every <= 1:
        raise SettingsError(f"validation.every={settings.validation.every}: a share of the steps, above 0 and up to 1.")
    if sampling.slices is not None and not (len(sampling.slices) == 2 and 0 <= sampling.slices[0] < sampling.slices[1]):
        raise SettingsError(f"sampling.slices={sampling.slices}: expected [first, end) with first below end.")
