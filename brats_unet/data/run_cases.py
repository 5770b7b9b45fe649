"""The training cases and the held-out cases of a run, as they are on disk now."""

from collections.abc import Sequence

from brats_unet.anatomy import Modality
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.files import read_json
from brats_unet.run import Run
from brats_unet.volume import Case


def held_out_cases(run: Run) -> list[Case]:
    """The held-out cases of a run, with masks, as they are on disk now.

    Raises:
        DataError: The run held no case out, or held-out cases are missing.
    """
    settings = run.settings()["data"]
    wanted = _division(run)["validation"]
    if not wanted:
        raise DataError(
            f"{run.folder} was trained on every case (data.fold=all) and has no held-out case to evaluate. Predict "
            f"other cases with `brats-unet predict`, then `brats-unet evaluate predictions=… references=…`."
        )
    root = settings["validation_root"] or settings["root"]
    found = _with_masks(run, root)
    missing = [case_id for case_id in wanted if case_id not in found]
    if missing:
        raise DataError(
            f"{root}: {len(missing)} held-out cases of {run.folder} are missing (first: {missing[0]}). Restore them."
        )
    return [found[case_id] for case_id in wanted]


def training_cases(run: Run) -> list[Case]:
    """The training cases of a run, as they are on disk now; DataError if any is missing."""
    root = run.settings()["data"]["root"]
    found = _with_masks(run, root)
    wanted = _division(run)["train"]
    missing = [case_id for case_id in wanted if case_id not in found]
    if missing:
        raise DataError(
            f"{root}: {len(missing)} training cases of {run.folder} are missing (first: {missing[0]}). Restore them."
        )
    return [found[case_id] for case_id in wanted]


def _division(run: Run) -> dict[str, list[str]]:
    return read_json(run.folds_file, what=f"{run.folder} has not started training")


def _with_masks(run: Run, root: str) -> dict[str, Case]:
    settings = run.settings()["data"]
    modalities = [Modality(name) for name in settings["modalities"]]
    dataset = find_cases(root, modalities=modalities, leave_out=settings["leave_out"])
    return {case.id: case for case in dataset.cases if case.mask is not None}


def refuse_overlap(runs: Sequence[Run], cases: Sequence[Sequence[Case]]) -> None:
    """Raise SettingsError if two runs held out the same case."""
    seen: dict[str, Run] = {}
    for run, held_out in zip(runs, cases, strict=True):
        for case in held_out:
            if case.id in seen:
                raise SettingsError(
                    f"{case.id} was held out by {seen[case.id].folder} and by {run.folder}. Expected runs of different "
                    f"folds, so that each case is scored once."
                )
            seen[case.id] = run
