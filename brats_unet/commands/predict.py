"""`brats-unet predict`: masks for scans, on each scan's own grid and in its own convention."""

import json
from collections.abc import Sequence
from pathlib import Path

from brats_unet.anatomy import Modality
from brats_unet.commands.display import Display, shown
from brats_unet.commands.predicting import (
    PROBABILITIES,
    keep_nothing,
    keep_regions,
    open_networks,
    origin_of,
    predict_cases,
    run_paths,
)
from brats_unet.data.discovery import find_cases
from brats_unet.data.label_convention import CONVENTIONS, Convention
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.network import Network
from brats_unet.parts import suggestion
from brats_unet.settings import Predict


def main(settings: Predict) -> int:
    """Predict; 1 if a case could not be read, else 0."""
    with shown(json=settings.json) as display:
        return _predict(settings, display)


def _predict(settings: Predict, display: Display) -> int:
    paths = run_paths(settings.run)
    output = Path(settings.output)
    refuse_output_in_input(output, Path(settings.input))
    networks = open_networks(paths, checkpoint=settings.checkpoint, device=settings.device, say=display.say)
    convention = convention_to_write(settings.labels, networks)

    wanted = {modality for network in networks for modality in network.preparation.modalities}
    dataset = find_cases(settings.input, modalities=[m for m in Modality if m in wanted])
    for note in dataset.notes:
        display.say(note)
    if not dataset.cases:
        raise DataError(f"{settings.input}: no case was found there.")
    kept = PROBABILITIES if settings.probabilities else None
    done = predict_cases(
        networks,
        dataset.cases,
        output,
        convention,
        origin=origin_of(paths, networks, checkpoint=settings.checkpoint, convention=convention.name, kept=kept),
        overwrite=settings.overwrite,
        keep=keep_regions(output / PROBABILITIES) if settings.probabilities else keep_nothing,
        progress=lambda count, total: display.progress("Predicting", count, total),
    )
    if settings.json:
        result = {"output": str(output), "convention": convention.name, "cases": done.written, "failed": done.failed}
        print(json.dumps(result, indent=2))
    before = f", {done.found} of them from before" if done.found else ""
    display.say(f"{len(done.written)} masks in {output} (labels: {convention.name}{before}).")
    for sentence in done.failed.values():
        display.say(f"Not predicted: {sentence}")
    return 1 if done.failed else 0


def refuse_output_in_input(output: Path, source: Path) -> None:
    """The scans' folder is never written to."""
    if output.resolve().is_relative_to(source.resolve()):
        raise SettingsError(f"output={output} lies in the folder of the scans, {source}. Choose a folder outside it.")


def convention_to_write(setting: str, networks: Sequence[Network]) -> Convention:
    """The convention of the training data, or the one that was asked for."""
    learnt = sorted({network.recipe["convention"] for network in networks})
    if setting == "auto" and len(learnt) > 1:
        raise SettingsError(f"The networks were trained on labels of {' and '.join(learnt)}. Choose with labels=….")
    name = learnt[0] if setting == "auto" else setting
    if name not in CONVENTIONS:
        raise SettingsError(f"There is no label convention named {name}. {suggestion(name, CONVENTIONS)}")
    return CONVENTIONS[name]
