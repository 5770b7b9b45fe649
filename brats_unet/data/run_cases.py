"""The cases that a run was trained on and those that it held out, as they lie on disk now."""

from collections.abc import Sequence

from brats_unet.anatomy import Modality
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.files import read_json
from brats_unet.run import Run
from brats_unet.volume import Case


def held_out_cases(run: Run) -> list[Case]:
    """The cases that a run held out, with masks, as they lie on disk now.

    Raises:
        DataError: The run held none out, or some are no longer there.
    """
    settings = run.settings()["data"]
    wanted = _division(run)["validation"]
    if not wanted:
        raise DataError(
            f"{run.folder} was trained on every case (data.fold=all): none is left to evaluate it on. Predict other "
            f"cases with `brats-unet predict`, then `brats-unet evaluate predictions=… references=…`."
        )
    root = settings["validation_root"] or settings["root"]
    found = _with_masks(run, root)
    gone = [case_id for case_id in wanted if case_id not in found]
    if gone:
        raise DataError(f"{root}: {len(gone)} held-out cases of {run.folder} are gone, {gone[0]} first. Put them back.")
    return [found[case_id] for case_id in wanted]


def training_cases(run: Run) -> list[Case]:
    """The cases that a run was trained on, as they lie on disk now; DataError if one is no longer there."""
    root = run.settings()["data"]["root"]
    found = _with_masks(run, root)
    wanted = _division(run)["train"]
    gone = [case_id for case_id in wanted if case_id not in found]
    if gone:
        raise DataError(f"{root}: {len(gone)} training cases of {run.folder} are gone, {gone[0]} first.")
    return [found[case_id] for case_id in wanted]


def _division(run: Run) -> dict[str, list[str]]:
    return read_json(run.folds_file, what=f"{run.folder} has not begun to train")


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
