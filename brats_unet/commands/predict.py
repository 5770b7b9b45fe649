"""`brats-unet predict`: masks for scans, on the grid of each scan and in the label convention of the training."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from brats_unet.assembly.networks import open_for_prediction, run_paths
from brats_unet.commands.display import Display, open_shared_display
from brats_unet.data.readers.discovery import Dataset
from brats_unet.data.readers.file_patterns import Patterns, patterns_of
from brats_unet.data.readers.incomplete import cases_to_predict, named_case
from brats_unet.distributed.workers import Workers
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.masks_folder import origin_of
from brats_unet.inference.network import Network
from brats_unet.inference.predicting import Predicted, known_scans, masks_to_write, predict_cases, trained_patterns
from brats_unet.inference.probability_maps import keep_all, keep_regions, keep_uncertainty
from brats_unet.modality import Modality
from brats_unet.run import PROBABILITIES, UNCERTAINTY
from brats_unet.schemes.convention import Convention
from brats_unet.settings import Predict
from brats_unet.volume import Case

REVIEWS_SHOWN = 10  # cases to check that are named on the terminal; volumes.csv names all


def main(settings: Predict) -> int:
    """Predict masks; exit code 1 if a case could not be read, else 0. Raises what `predicted` does."""
    return 1 if predicted(settings).failed else 0


def predicted(settings: Predict) -> Predicted:
    """Predict masks, and print how many there are and which to check.

    Raises:
        SettingsError: Settings that do not fit together, or an output folder that may not be written.
        DataError: No case was found, or a case lacks a scan.
        CheckpointError: A run or an exported network is missing, broken or not safe to open.
        MachineError: A device, a package or another worker is missing.
    """
    with open_shared_display(json=settings.json, device=settings.device) as (display, workers):
        return _predict(settings, display, workers)


def _predict(settings: Predict, display: Display, workers: Workers) -> Predicted:
    workers.agree("settings", asdict(settings), "Start every worker with the same command.")
    files = _named_files(settings)
    patterns = patterns_of(settings.files, key="files")
    refuse_maps_beside_masks(settings)
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
        trust=settings.trust,
        log=display.log,
    )

    dataset = _dataset(settings, files, patterns, networks)
    for note in dataset.notes:
        display.log(note)
    if not dataset.cases:
        raise DataError(f"{settings.input}: no case found. Give a folder of cases, or the folder of one case.")
    refuse_masks_over_scans(output, dataset.cases, settings.mask_format)

    writers = {PROBABILITIES: keep_regions, UNCERTAINTY: keep_uncertainty}
    kept = [name for name in writers if getattr(settings, name)]
    done = predict_cases(
        networks,
        dataset.cases,
        output,
        convention,
        rules=rules,
        origin=origin_of(
            paths, networks, checkpoint=settings.checkpoint, convention=convention.name, rules=rules, kept=kept
        )
        | ({} if settings.mask_format == "nifti" else {"mask_format": settings.mask_format}),
        overwrite=settings.overwrite,
        masks_only=settings.masks_only,
        mask_format=settings.mask_format,
        keep=keep_all([writers[name](output / name, convention.scheme) for name in kept]),
        log=display.log,
        progress=lambda count, total: display.progress("Predicting", count, total),
        workers=workers,
    )
    if workers.is_chief:
        _print_result(settings, display, done, output, convention)
    return done


def _named_files(settings: Predict) -> dict[Modality, str]:
    """The scans that were given one by one, by modality; {} if a folder was given.

    Raises:
        SettingsError: Both scans and a folder were given, or neither.
    """
    files = {m: path for m in Modality if (path := getattr(settings, m)) is not None}
    if files and settings.files:
        raise SettingsError("files names the scans of a folder. Give input=… with it, or the files of one case alone.")
    if (settings.input is None) == (not files):
        found = "both input and files" if files else "neither input nor files"
        raise SettingsError(
            f"There is {found} to predict. Give input=<folder of cases, or of one case>, or the files of one case: "
            f"flair=… t1=… t1ce=… t2=…."
        )
    return files


def _dataset(
    settings: Predict, files: dict[Modality, str], patterns: Patterns | None, networks: Sequence[Network]
) -> Dataset:
    """The cases to predict, with the modalities that the networks know."""
    modalities, fill = known_scans(networks)
    if settings.input is not None:
        return cases_to_predict(
            settings.input,
            modalities,
            fill_missing=fill,
            spacing_mm=settings.spacing_mm,
            patterns=patterns,
            trained=trained_patterns(networks),
        )
    if own := [m for m in modalities if m not in tuple(Modality)]:
        raise SettingsError(
            f"The network expects {', '.join(own)}, too, which no setting of one file has. Give input=<folder> and a "
            f"pattern for each scan, such as files.{own[0]}='*_{own[0]}.nii.gz'."
        )
    case = named_case(files, modalities, name=settings.case, fill_missing=fill)
    return Dataset(next(iter(case.images.values())).path.parent, "", (case,))


def refuse_maps_beside_masks(settings: Predict) -> None:
    """Raise SettingsError if only masks are wanted, but maps too."""
    if maps := [name for name in (PROBABILITIES, UNCERTAINTY) if settings.masks_only and getattr(settings, name)]:
        raise SettingsError(
            f"masks_only=true writes no maps, but {maps[0]}=true asks for them. Leave out one of the two."
        )


def refuse_output_in_input(output: Path, source: Path) -> None:
    """Raise SettingsError if `output` lies in the folder of the scans, where nothing is ever written."""
    if output.resolve().is_relative_to(source.resolve()):
        raise SettingsError(f"output={output} lies in the folder of the scans, {source}. Choose a folder outside it.")


def refuse_masks_over_scans(output: Path, cases: Sequence[Case], mask_format: str) -> None:
    """Raise SettingsError if a mask would replace a scan; overwrite=true does not allow it either."""
    scans = {file.path.resolve() for case in cases for file in case.images.values()}
    for mask in masks_to_write(output, cases, mask_format).values():
        if mask.resolve() in scans:
            raise SettingsError(f"{mask} is a scan. Choose another output folder, or case=<name>.")


def _print_result(settings: Predict, display: Display, done: Predicted, output: Path, convention: Convention) -> None:
    if settings.json:
        document = {
            "output": str(output),
            "convention": convention.name,
            "cases": done.written,
            "review": done.review,
            "failed": done.failed,
            "notes": display.notes,
        }
        print(json.dumps(document, indent=2))
        return
    before = f", {done.found} of them from before" if done.found else ""
    volumes, names = ("", "") if settings.masks_only else (", volumes in volumes.csv", ": volumes.csv names them")
    display.log(f"{len(done.written)} masks in {output} (labels: {convention.name}{before}){volumes}.")
    for case_id, reasons in list(done.review.items())[:REVIEWS_SHOWN]:
        display.log(f"Check {case_id}: {reasons}.")
    if len(done.review) > REVIEWS_SHOWN:
        display.log(f"… and {len(done.review) - REVIEWS_SHOWN} more{names}.")
    for sentence in done.failed.values():
        display.log(f"Not predicted: {sentence}")
