"""What a training says before its first step: network, cases, devices, batch, learning rate and length."""

from brats_unet.data.folds import Split
from brats_unet.models.checkpoint import State
from brats_unet.run import Run
from brats_unet.settings import Train
from brats_unet.training.strategy import Devices


def start_sentences(settings: Train, run: Run, split: Split, weights: int, devices: Devices, state: State) -> list[str]:
    """The sentences for the terminal.

    Args:
        settings: Settings of the training.
        run: The run folder.
        split: Case ids to train on and to hold out.
        weights: Number of weights of the network.
        devices: Devices that share a batch.
        state: State to start from.
    """
    sampling, spacing_mm = settings.sampling, settings.data.preparation["spacing_mm"]
    at = "on the grids of the scans" if spacing_mm is None else f"at {'×'.join(f'{s:g}' for s in spacing_mm)} mm"
    found = [
        f"{run.folder}: {settings.model['name']} with {weights:,} weights, {len(split.train)} cases for training and "
        f"{len(split.validation)} held out, {at}; {devices.precision} on {devices.description}."
    ]
    if devices.replicas > 1:
        each = sampling.batch // devices.replicas
        found.append(f"A step has {sampling.batch} patches over {devices.replicas} devices: {each} per device.")
    if sampling.rate_for_batch is not None:
        rate = settings.optimizer["learning_rate"]
        found.append(
            f"Learning rate {rate * sampling.batch / sampling.rate_for_batch:g}: {rate:g} × batch {sampling.batch} / "
            f"{sampling.rate_for_batch}."
        )
    if settings.minutes:
        most = "" if settings.steps is None else f", or after {settings.steps} steps if that is earlier"
        found.append(f"The schedule ends after {settings.minutes:g} minutes of training and validation{most}.")
    if state.step:
        of = f" of {settings.steps}" if not settings.minutes else f", {(state.seconds or 0) / 60:.1f} minutes in"
        found.append(f"Resuming from step {state.step}{of}.")
    return found
