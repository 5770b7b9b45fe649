"""Check a training's settings against one another before any data is read; `settings` has the limits of each."""

from itertools import accumulate
from operator import mul

from brats_unet.data.folds import refuse_invalid_fold
from brats_unet.errors import SettingsError
from brats_unet.losses import known as known_losses
from brats_unet.models.network_shape import NetworkShape
from brats_unet.parts import build, check_options, chosen, options_of
from brats_unet.schemes.scheme_file import scheme_of
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


def refuse_wrong_gradients(settings: Train, network_shape: NetworkShape, precision: str, replicas: int) -> None:
    """Refuse bfloat16 on a CPU where oneDNN computes wrong weight gradients.

    With oneDNN as in TensorFlow 2.21, the gradient of a 3×3×3 kernel (stride 1) reads memory that nobody wrote if the
    features have two voxels along x and the batch holds two patches or more: it can be NaN, or finite and wrong.
    Float32, float16, slices, other lengths and GPUs are not affected.

    Args:
        settings: Settings of a training that runs on CPUs.
        network_shape: Shape side of its network.
        precision: Precision of the arithmetic.
        replicas: Number of devices that share a batch.

    Raises:
        SettingsError: The training would use such gradients.
    """
    sampling = settings.sampling
    lengths = [sampling.patch[0] // step for step in accumulate((s[0] for s in network_shape.strides), mul)]
    at_once = sampling.batch // replicas // sampling.accumulate
    if precision != "bfloat16" or network_shape.rank != 3 or at_once < 2 or 2 not in lengths:
        return
    raise SettingsError(
        f"sampling.patch={sampling.patch} leaves 2 voxels along x in the network, where bfloat16 on a CPU computes "
        f"wrong gradients (a fault of oneDNN in TensorFlow 2.21). Use hardware.precision=float32, or a larger patch."
    )


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
    regions, weights = scheme_of(settings.scheme).predicted, sampling.regions or {}
    if unknown := set(weights) - set(regions):
        name = min(unknown)
        raise SettingsError(f"There is no setting sampling.regions.{name}. {suggestion(name, regions)}")
    if sampling.foreground and not any(weights.get(region, 1.0) for region in regions):
        raise SettingsError(
            "sampling.regions are all 0. Give one of them a weight above 0, or set sampling.foreground=0."
        )
    if settings.until is not None and settings.minutes is not None:
        raise SettingsError("until counts steps, and minutes ends the training by the clock. Give one of them.")
    if settings.steps is None and settings.minutes is None:
        raise SettingsError("steps=null and minutes=null: nothing ends the training. Give one of them.")
    if sampling.slices is not None and not (len(sampling.slices) == 2 and sampling.slices[0] < sampling.slices[1]):
        raise SettingsError(
            f"sampling.slices={sampling.slices}: expected [first, end) with first below end, such as [22,122]."
        )
