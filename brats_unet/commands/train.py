"""`brats-unet train`: train a network and write it to a run folder."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from brats_unet import job_report, models
from brats_unet.assembly.case_storage import held_out_sampler, store_cases, training_sampler
from brats_unet.assembly.number_checks import check_numbers, refuse_wrong_gradients
from brats_unet.assembly.restoring import restored
from brats_unet.assembly.resume import prepare_run_folder, rules_version
from brats_unet.assembly.run_names import run_folder
from brats_unet.assembly.run_record import RunSession, record_run
from brats_unet.assembly.shared_work import agree_on_run, agree_on_settings, open_together
from brats_unet.assembly.start_sentences import start_sentences
from brats_unet.assembly.tracking import FirstCase, refuse_absent_tracker, tracked_run, trackers_of
from brats_unet.assembly.training_parts import (
    budget_of,
    devices_of,
    initial_network,
    optimizer_of,
    patch_validation,
    save_model,
    training_step,
)
from brats_unet.assembly.transfer import start_weights
from brats_unet.commands.display import Display, TrainingDisplay, open_shared_display
from brats_unet.commands.training_result import print_pause, print_training
from brats_unet.data.augment import known as known_augmentations
from brats_unet.data.augment.augmentation import refuse_blank_samples
from brats_unet.data.fingerprint import refuse_other_dataset
from brats_unet.data.phantom.phantoms import is_phantom
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.file_patterns import data_patterns
from brats_unet.data.recorded_cases import recorded_cases
from brats_unet.data.study import open_study
from brats_unet.distributed.workers import Workers
from brats_unet.errors import Interrupted
from brats_unet.inference.keras_network import network_of
from brats_unet.inference.network import recipe
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.predictor import refuse_invalid_inference
from brats_unet.losses import known as known_losses
from brats_unet.parts import build, options_of
from brats_unet.plugins import refuse_absent_packages
from brats_unet.report.figures import training_curves
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Train
from brats_unet.stopping import StopRequest
from brats_unet.training.averaging import Average
from brats_unet.training.held_out_dice import held_out_dice
from brats_unet.training.loop import train
from brats_unet.training.schedules import SCHEDULES
from brats_unet.training.step import LossScale


def main(settings: Train, stop: StopRequest) -> int:
    """Train, or resume a training; exit code 0 when all steps are done.

    Raises:
        Interrupted: A stop was requested while steps were done; they are saved.
        SettingsError: Settings that do not fit together, or a run folder with other settings.
        DataError: Scans or masks that are missing or broken.
        CheckpointError: A checkpoint that is broken or of another network.
        MachineError: No such device, or not enough disk space or memory.
        LostWorkerError: Another worker of the training is gone.
    """
    device, deadline = settings.hardware.device, settings.hardware.deadline_seconds
    try:
        with (
            open_shared_display(json=settings.json, device=device, deadline_seconds=deadline) as (display, workers),
            RunSession() as session,
        ):
            return _train(settings, display, workers, stop, session)
    except Interrupted as saved:
        without = ", without overwrite=true," if settings.overwrite else ""
        raise Interrupted(f"{saved} Run the same command again{without} to continue.") from None


def _train(settings: Train, display: Display, workers: Workers, stop: StopRequest, session: RunSession) -> int:
    # Build the parts; refuse those that do not fit together before any data are read.
    agree_on_settings(workers, settings)
    run = Run(run_folder(settings), writes=workers.is_chief)
    job_report.tell(run=str(run.folder))
    if not settings.overwrite:
        for note in refuse_absent_packages(run.plugins(), run.folder):
            display.log(note)
    refuse_absent_tracker(settings)
    settings = replace(settings, rules=workers.of_chief("rules", rules_version(run, settings)))
    network_shape = models.describe(settings.model["name"], options_of(settings.model))
    network_shape.refuse_patch(settings.sampling.patch)
    refuse_invalid_inference(stride=network_shape.stride, **vars(settings.inference))
    loss = build("loss", known_losses(), settings.loss)
    augmentation = build("augmentation", known_augmentations(), settings.augmentation)
    refuse_blank_samples(augmentation, len(settings.data.modalities))
    schedule = build("schedule", SCHEDULES, settings.schedule)
    scheme = scheme_of(settings.scheme)
    rules = Postprocessing.from_dict(settings.postprocessing or {}, scheme)
    preparation = Preparation.of(settings.data.modalities, settings.data.preparation, settings.data.files)
    devices = devices_of(settings.hardware, workers)
    with devices.strategy.scope():
        optimizer = optimizer_of(settings)
    check_numbers(settings, devices.replicas)
    if not devices.on_gpu:
        refuse_wrong_gradients(settings, network_shape, devices.precision, devices.replicas)

    # Build the network, and give it the weights of init= that fit.
    with devices.strategy.scope():
        model = initial_network(settings, loss.outputs, devices.policy)
    transfer = start_weights(run, settings, model, network_shape, loss, preparation)

    # Claim the run folder.
    workers.gather("start weights", None)
    if run.writes:
        if run.was_started:
            session.lock(run)
        prepare_run_folder(run, settings)

    # Find, check and prepare the cases.
    open_one = partial(
        open_study,
        recorded=None if settings.overwrite else recorded_cases(run),
        **vars(settings.data),
        scheme=scheme,
        log=display.log,
        progress=display.progress,
        accept=lambda dataset: refuse_other_dataset(settings.planned_for, dataset, preparation),
    )
    study = open_together(workers, Path(settings.data.cache), open_one)
    held_out = study.validation[: settings.validation.cases]
    largest = [max(case.grid.shape[axis] for case in study.train) for axis in range(3)]
    augmentation = augmentation.for_channels(len(settings.data.modalities)).for_patches(
        settings.sampling.patch, largest, settings.sampling.overhang
    )

    # Assemble the step, and restore the state from a checkpoint if there is one.
    average = None if optimizer.ema is None else Average(model, optimizer.ema, devices.strategy)
    step = training_step(
        settings,
        devices=devices,
        model=model,
        network_shape=network_shape,
        loss=loss,
        optimizer=optimizer,
        augmentation=augmentation,
        average=average,
        loss_scale=(loss_scale := LossScale() if devices.precision == "float16" else None),
        new_parts=None if transfer is None else transfer.new_parts(model),
    )
    state = restored(run, settings, devices, model, optimizer, average, loss_scale, display.log)
    run_recipe = recipe(
        model=settings.model,
        outputs=loss.outputs,
        logits=len(scheme.of_channels(loss.outputs)),
        stride=network_shape.stride,
        preparation=preparation,
        inference=vars(settings.inference),
        scheme=scheme,
        convention=study.convention.written.name,
        precision=devices.precision,
    ) | {"modality_dropout": augmentation.modality_dropout, "postprocessing": rules.as_dict(scheme)}
    if patterns := data_patterns(settings.data.name, settings.data.files):
        run_recipe["files"] = patterns.scans_as_dict()
    # Validation and prediction use the averaged weights, if there are any.
    evaluated_model = model if average is None else initial_network(settings, loss.outputs, devices.policy)
    predictor = network_of(evaluated_model, run_recipe, display.log)

    # Record what the run is made of.
    if run.writes:
        session.lock(run)
        record_run(run, settings, run_recipe, study, devices, transfer)
        session.note_end_in(run)
    agree_on_run(workers, run, state.step)
    for sentence in start_sentences(settings, run, study.split, model.count_params(), devices, state):
        display.log(sentence)
    if transfer is not None and not state.step:
        for sentence in transfer.sentences(settings.init_freeze_steps):
            display.log(sentence)

    # Train and validate.
    margin, log, progress = augmentation.margin, display.log, display.progress
    cases = store_cases(settings, study.train, devices, network_shape, margin=margin, log=log, progress=progress)
    sampler = training_sampler(settings, cases, margin)

    patches = None
    if held_out:
        patches = patch_validation(
            settings,
            devices=devices,
            model=evaluated_model,
            network_shape=network_shape,
            loss=loss,
            sampler=held_out_sampler(settings, study.validation),
            average=average,
        )

    first = FirstCase(held_out[0], settings.data.modalities, scheme) if held_out and run.writes else None

    def validate() -> list[dict[str, float]]:
        if average is not None:
            average.into(evaluated_model)
        return held_out_dice(predictor, workers.share(held_out), first.keep if first else None)

    tracker = trackers_of(settings, run, display.log)
    session.report_to(tracker, tracked_run(settings, run))
    with TrainingDisplay(display, state.step, None if settings.minutes else settings.steps) as bar:
        state = train(
            run=run,
            devices=devices,
            model=model,
            step=step,
            optimizer=optimizer,
            schedule=schedule,
            sampler=sampler,
            budget=budget_of(settings),
            state=state,
            loss_scale=loss_scale,
            average=average,
            validate=validate if held_out else None,
            draw=first.draw if first else None,
            patches=patches,
            tracker=tracker,
            display=bar,
            stop=stop,
            keep=settings.checkpoint.keep,
        )

    if not run.writes:
        return 0
    if settings.until is not None and state.step < (settings.steps or 0):
        session.pause()
        session.report_end()
        print_pause(display, run, settings, state)
        return 0

    # Save the network in float32 for prediction, and draw the training curves.
    plain = initial_network(settings, loss.outputs, "float32")
    plain.set_weights(model.get_weights())
    if average is not None:
        average.into(plain)
    save_model(run, plain)
    synthetic = any(is_phantom(case.mask) for case in study.cases.values() if case.mask is not None)
    training_curves(run.journal(), run.training_figure(), scheme=scheme, synthetic=synthetic)
    session.report_end()
    print_training(display, run, settings, state, validated=bool(held_out))
    return 0
