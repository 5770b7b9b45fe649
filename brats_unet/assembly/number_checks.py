"""Check a training's settings against one another before any data is read; `settings` has the limits of each."""

from brats_unet.anatomy import Region
from brats_unet.data.folds import refuse_invalid_fold
from brats_unet.errors import SettingsError
from brats_unet.losses import known as known_losses
from brats_unet.parts import build, check_options, chosen, options_of
from brats_unet.settings import Train
from brats_unet.spelling import suggestion
from brats_unet.training.optimizers import OPTIMIZERS
from brats_unet.training.schedules import SCHEDULES


def check_parts(settings: Train) -> None:
    """Refuse options of the loss, the schedule and the optimizer that do not fit, without importing Keras.

    Raises:
        SettingsError: A part or an option does not exist, or a value does not fit.
    """
    build("loss", known_losses(), settings.loss)
    build("schedule", SCHEDULES, settings.schedule)
    optimizer = settings.optimizer.get("name")
    builder = chosen("optimizer", OPTIMIZERS, optimizer)
    check_options("optimizer", str(optimizer), builder, options_of(settings.optimizer), ())


def check_numbers(settings: Train, replicas: int) -> None:
    """Refuse settings that fit their types but not one another.

    Args:
        settings: Those of a training.
        replicas: Devices that share a batch.

    Raises:
        SettingsError: There is no such fold or region, the batch cannot be split, nothing ends the training, or the
            range of slices is empty.
    """
    data, sampling = settings.data, settings.sampling
    refuse_invalid_fold(fold=data.fold, folds=data.folds, splits=data.splits, validation_root=data.validation_root)
    if sampling.batch < 1 or sampling.batch % replicas:
        raise SettingsError(
            f"sampling.batch={sampling.batch} cannot be split over {replicas} devices. Choose a multiple of {replicas}."
        )
    if sampling.batch % (replicas * sampling.accumulate):
        share = sampling.batch // replicas
        raise SettingsError(
            f"sampling.accumulate={sampling.accumulate}: each device has {share} of the {sampling.batch} patches of "
            f"sampling.batch, which cannot be split into {sampling.accumulate} equal parts. Choose a number that "
            f"divides {share}."
        )
    if unknown := set(sampling.regions) - {str(region) for region in Region}:
        name = min(unknown)
        raise SettingsError(f"There is no setting sampling.regions.{name}. {suggestion(name, map(str, Region))}")
    if sampling.foreground and not any(sampling.regions.get(str(region), 1.0) for region in Region):
        raise SettingsError(
            "sampling.regions are all 0. Give one of them a weight above 0, or set sampling.foreground=0."
        )
    if settings.steps is None and settings.minutes is None:
        raise SettingsError("steps=null and minutes=null: nothing ends the training. Give one of them.")
    if sampling.slices is not None and not (len(sampling.slices) == 2 and sampling.slices[0] < sampling.slices[1]):
        raise SettingsError(
            f"sampling.slices={sampling.slices}: expected [first, end) with first below end, such as [22,122]."
        )
