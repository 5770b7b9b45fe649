"""The networks of leak_lesson.py: axial slices as cases, training on them, and the sums of held-out slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from leak_scores import Slice, measured

from brats_unet import models
from brats_unet.assembly.case_storage import training_sampler
from brats_unet.assembly.networks import open_networks
from brats_unet.assembly.restoring import restored
from brats_unet.assembly.training_parts import budget_of, devices_of, initial_network, optimizer_of, training_step
from brats_unet.commands.display import Display, TrainingDisplay
from brats_unet.data.augment import known as known_augmentations
from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.geometry import Box
from brats_unet.inference.network import recipe
from brats_unet.json_files import write_json
from brats_unet.losses import known as known_losses
from brats_unet.parts import build, options_of
from brats_unet.run import Run
from brats_unet.schemes.convention import Convention
from brats_unet.settings import Train
from brats_unet.stopping import StopRequest
from brats_unet.training.averaging import Average
from brats_unet.training.loop import train
from brats_unet.training.schedules import SCHEDULES
from brats_unet.training.step import LossScale
from brats_unet.training.tracker import Trackers


@dataclass(frozen=True, eq=False)
class SliceCase:
    """One axial slice in memory, for `Sampler` to draw from as from a prepared case.

    Attributes:
        id: Case id of the patient, and the number of the slice.
        patient: Case id of the patient.
        number: Place in the volume, counted upwards from 0.
        image: Normalised scans, float16, shape (X, Y, 1, M).
        labels: Labels, uint8, shape (X, Y, 1).
        grid: Grid of the slice.
        foreground: Empty: patches are not centred on tumours.
        copies: Empty: there are no copies on devices.
    """

    id: str
    patient: str
    number: int
    image: np.ndarray
    labels: np.ndarray
    grid: Grid
    foreground: Mapping[str, np.ndarray] = field(default_factory=dict)
    copies: tuple[Any, ...] = ()


def slices_of(case: PreparedCase) -> list[SliceCase]:
    """Every axial slice of a prepared case, normalised as in its volume."""
    (x, y, z), (x_end, y_end, _) = case.grid.box.start, case.grid.box.stop
    image, labels = np.asarray(case.image), np.asarray(case.labels)
    return [
        SliceCase(
            f"{case.id}/{z + i}",
            case.id,
            z + i,
            np.ascontiguousarray(image[:, :, i : i + 1]),
            np.ascontiguousarray(labels[:, :, i : i + 1]),
            replace(case.grid, box=Box((x, y, z + i), (x_end, y_end, z + i + 1))),
        )
        for i in range(image.shape[2])
    ]


def train_on_slices(
    settings: Train,
    run: Run,
    convention: Convention,
    slices: Sequence[SliceCase],
    largest: Sequence[int],
    display: Display,
) -> None:
    """Train on slices as `brats-unet train` does on volumes, without validation; resumes from the last checkpoint.

    Args:
        settings: Settings of the training.
        run: Run folder, ready to be written to.
        convention: What the integers of the masks on disk mean.
        slices: Slices to train on.
        largest: Voxels of the largest slice along x, y, z.
        display: Display of the progress.
    """
    network_shape = models.describe(settings.model["name"], options_of(settings.model))
    network_shape.refuse_patch(settings.sampling.patch)
    loss = build("loss", known_losses(), settings.loss)
    augmentation = build("augmentation", known_augmentations(), settings.augmentation)
    augmentation = augmentation.for_patches(settings.sampling.patch, largest, settings.sampling.overhang)
    devices = devices_of(settings.hardware)
    with devices.strategy.scope():
        optimizer = optimizer_of(settings)
        model = initial_network(settings, loss.outputs, devices.policy)
    average = None if optimizer.ema is None else Average(model, optimizer.ema, devices.strategy)
    loss_scale = LossScale() if devices.precision == "float16" else None
    step = training_step(
        settings,
        devices=devices,
        model=model,
        network_shape=network_shape,
        loss=loss,
        optimizer=optimizer,
        augmentation=augmentation,
        average=average,
        loss_scale=loss_scale,
    )
    state = restored(run, settings, devices, model, optimizer, average, loss_scale, display.log)
    scheme = convention.scheme
    run_recipe = recipe(
        model=settings.model,
        outputs=loss.outputs,
        logits=len(scheme.of_channels(loss.outputs)),
        stride=network_shape.stride,
        preparation=Preparation.of(settings.data.modalities, settings.data.preparation),
        inference=vars(settings.inference),
        scheme=scheme,
        convention=convention.written.name,
        precision=devices.precision,
    )
    write_json(run.recipe_file, run_recipe)
    display.log(f"{run.name}: training on {len(slices)} slices; {devices.precision} on {devices.description}.")
    with StopRequest() as stop, TrainingDisplay(display, state.step, settings.steps) as bar:
        train(
            run=run,
            devices=devices,
            model=model,
            step=step,
            optimizer=optimizer,
            schedule=build("schedule", SCHEDULES, settings.schedule),
            sampler=training_sampler(settings, slices, augmentation.margin),
            budget=budget_of(settings),
            state=state,
            loss_scale=loss_scale,
            average=average,
            validate=None,
            draw=None,
            patches=None,
            tracker=Trackers(),
            display=bar,
            stop=stop,
            keep=settings.checkpoint.keep,
        )


def measured_slices(run: Run, slices: Sequence[SliceCase], display: Display) -> list[Slice]:
    """Predict slices with the last weights of a run, and measure them; a voxel counts from a probability of 0.5."""
    (network,) = open_networks([run.folder], checkpoint="last", device="auto", log=display.log)
    (region,) = network.scheme.predicted
    found = []
    for done, one in enumerate(slices, 1):
        probabilities = network.on_prepared_grid(one.image)[..., 0]
        found.append(measured(one.patient, one.number, network.scheme.region_mask(one.labels, region), probabilities))
        display.progress(f"{run.name}: scoring", done, len(slices))
    return found
