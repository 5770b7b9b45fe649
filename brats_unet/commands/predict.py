"""`brats-unet predict`: masks for scans, on each scan's own grid and in its own convention."""

import json
from collections.abc import Sequence
from pathlib import Path

from brats_unet.anatomy import Modality
from brats_unet.assembly.networks import open_for_prediction, run_paths
from brats_unet.commands.display import Display, open_display
from brats_unet.data.readers.discovery import Dataset
from brats_unet.data.readers.incomplete import cases_to_predict, named_case
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.masks_folder import origin_of
from brats_unet.inference.network import Network
from brats_unet.inference.predicting import known_scans, predict_cases
from brats_unet.inference.probability_maps import keep_all, keep_regions, keep_uncertainty
from brats_unet.run import PROBABILITIES, UNCERTAINTY, mask_file
from brats_unet.settings import Predict
from brats_unet.volume import Case

REVIEWS_SHOWN = 10  # cases to look at that are named on the terminal; volumes.csv names all


def main(settings: Predict) -> int:
    """Predict; 1 if a case could not be read, else 0."""
    with open_display(json=settings.json) as display:
        return _predict(settings, display)


def _predict(settings: Predict, display: Display) -> int:
    named = _named_files(settings)
    paths = run_paths(settings.run)
    output = Path(settings.output)
    if settings.input is not None:
        refuse_output_in_input(output, Path(settings.input))
    networks, rules, convention = open_for_prediction(
        paths,
        checkpoint=settings.checkpoint,
        mode=settings.mode,
        mirror=settings.mirror,
        postprocess=settings.postprocess,
        labels=settings.labels,
        device=settings.device,
        log=display.log,
    )

    dataset = _cases(settings, named, networks)
    for note in dataset.notes:
        display.log(note)
    if not dataset.cases:
        raise DataError(f"{settings.input}: no case was found there.")
    refuse_masks_over_scans(output, dataset.cases)
    kept = {PROBABILITIES: keep_regions, UNCERTAINTY: keep_uncertainty}
    wanted = [name for name in kept if getattr(settings, name)]
    done = predict_cases(
        networks,
        dataset.cases,
        output,
        convention,
        rules=rules,
        origin=origin_of(
            paths, networks, checkpoint=settings.checkpoint, convention=convention.name, rules=rules, kept=wanted
        ),
        overwrite=settings.overwrite,
        keep=keep_all([kept[name](output / name) for name in wanted]),
        log=display.log,
        progress=lambda count, total: display.progress("Predicting", count, total),
    )
    if settings.json:
        result = {
            "output": str(output),
            "convention": convention.name,
            "cases": done.written,
            "review": done.review,
            "failed": done.failed,
        }
        print(json.dumps(result, indent=2))
    before = f", {done.found} of them from before" if done.found else ""
    display.log(f"{len(done.written)} masks in {output} (labels: {convention.name}{before}), volumes in volumes.csv.")
    for case_id, reasons in list(done.review.items())[:REVIEWS_SHOWN]:
        display.log(f"Look at {case_id}: {reasons}.")
    if len(done.review) > REVIEWS_SHOWN:
        display.log(f"… and at {len(done.review) - REVIEWS_SHOWN} more: volumes.csv names them.")
    for sentence in done.failed.values():
        display.log(f"Not predicted: {sentence}")
    return 1 if done.failed else 0


def _named_files(settings: Predict) -> dict[Modality, str]:
    """The files that were given one by one.

    Raises:
        SettingsError: Neither they nor a folder, or both.
    """
    named = {m: path for m in Modality if (path := getattr(settings, m)) is not None}
    if (settings.input is None) == (not named):
        found = "both input and files" if named else "neither input nor files"
        raise SettingsError(
            f"There is {found} to predict. Give input=<folder of cases, or one case's own>, or the files of one case: "
            f"flair=… t1=… t1ce=… t2=…."
        )
    return named


def _cases(settings: Predict, named: dict[Modality, str], networks: Sequence[Network]) -> Dataset:
    modalities, fill = known_scans(networks)
    if settings.input is not None:
        return cases_to_predict(settings.input, modalities, fill_missing=fill)
    case = named_case(named, modalities, name=settings.case, fill_missing=fill)
    return Dataset(next(iter(case.images.values())).path.parent, "", (case,))


def refuse_masks_over_scans(output: Path, cases: Sequence[Case]) -> None:
    """A mask never takes the name of one of the scans, even where overwriting is allowed."""
    scans = {file.path.resolve() for case in cases for file in case.images.values()}
    for case in cases:
        if mask_file(output, case.id).resolve() in scans:
            raise SettingsError(
                f"{mask_file(output, case.id)} is a scan. Choose another output folder, or case=<name>."
            )


def refuse_output_in_input(output: Path, source: Path) -> None:
    """The scans' folder is never written to."""
    if output.resolve().is_relative_to(source.resolve()):
        raise SettingsError(f"output={output} lies in the folder of the scans, {source}. Choose a folder outside it.")
