"""Paths of masks and scans in summary.json: relative to folders that only a settings.json names.

A path reads `{folder}/…`. `{evaluation}` is the folder of the summary; `{data.root}` and `{data.validation_root}` stand
in the settings of the run around it; the others stand in the evaluation's own settings.json. Links are not resolved.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brats_unet.errors import DataError
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Pair
from brats_unet.file_kinds.json_kinds import PlacesFile
from brats_unet.json_files import recorded_json, write_json
from brats_unet.modality import named_scans
from brats_unet.private_paths import ROOTS
from brats_unet.run import EVALUATION_FOLDERS, Run
from brats_unet.schemes.convention import Convention, convention_named
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import ImageFile, Spacing

EVALUATION = "evaluation"
NAMED = re.compile(r"\{(?P<folder>[\w.]+)\}/(?P<inside>.*)", re.DOTALL)


def described_files(pairs: Sequence[Pair], output: Path) -> dict[str, Any]:
    """Paths and label conventions of the masks and scans of an evaluation, in plain types, by case.

    Folders that neither the evaluation nor the run around it names are written into `settings.json` in `output`.

    Args:
        pairs: Scored pairs.
        output: Folder of the evaluation.
    """
    output.joinpath(Run(output).settings_file.name).unlink(missing_ok=True)  # of an earlier evaluation
    folders = {EVALUATION: output.absolute(), **_folders_of_run(output)}
    kinds = {
        "references": [pair.reference for pair in pairs],
        "predictions": [pair.prediction for pair in pairs if pair.prediction is not None],
        "images": [file.path for pair in pairs for file in (pair.images or {}).values()],
    }
    own: dict[str, Path] = {}
    for kind, paths in kinds.items():
        outside = [path.parent for path in (path.absolute() for path in paths) if not _inside(path, {**folders, **own})]
        if outside:
            own[kind] = Path(os.path.commonpath(outside))
    if own:
        write_json(Run(output).settings_file, {EVALUATION_FOLDERS: {name: str(path) for name, path in own.items()}})
    folders |= own
    return {
        pair.case_id: {
            "reference": _inside(pair.reference.absolute(), folders),
            "prediction": None if pair.prediction is None else _inside(pair.prediction.absolute(), folders),
            "reference_labels": pair.reference_convention.name,
            "prediction_labels": pair.prediction_convention.name,
            "images": {
                str(modality): {"path": _inside(file.path.absolute(), folders), "channel": file.channel}
                | ({"spacing_mm": file.spacing_mm} if file.spacing_mm else {})
                for modality, file in (pair.images or {}).items()
            },
        }
        for pair in pairs
    }


def pairs_of(evaluation: Evaluation, data_root: Path | None = None) -> dict[str, Pair]:
    """Inverse of `described_files`: pairs by case; empty if the summary does not record the paths.

    Paths in a folder that no settings.json names any more stay as recorded, `{folder}/…`, where no file is found.
    Summaries of earlier versions hold whole paths.

    Args:
        evaluation: The evaluation.
        data_root: Where its scans and expert masks are now; None: where they were.
    """
    folders, scheme = folders_of(evaluation, data_root), evaluation.scheme
    folder = evaluation.file.parent

    def path(recorded: str) -> Path:
        found = NAMED.fullmatch(recorded)
        known = found is not None and found["folder"] in folders
        return folders[found["folder"]] / found["inside"] if found and known else Path(recorded)

    return {
        case_id: Pair(
            case_id,
            path(facts["reference"]),
            None if facts["prediction"] is None else path(facts["prediction"]),
            {
                name: ImageFile(path(one["path"]), one["channel"], _spacing_mm(one.get("spacing_mm")))
                for name, one in zip(named_scans(facts["images"], folder), facts["images"].values(), strict=True)
            }
            or None,
            _convention(scheme, facts["reference_labels"]),
            _convention(scheme, facts["prediction_labels"]),
        )
        for case_id, facts in evaluation.summary.get("files", {}).items()
    }


def _convention(scheme: Scheme, name: str) -> Convention:
    found = convention_named(scheme, name)
    if found is None:
        raise DataError(f"The evaluation names the label convention {name}, which its scheme {scheme.name} lacks.")
    return found


def _spacing_mm(recorded: Sequence[float] | None) -> Spacing | None:
    return None if recorded is None else (recorded[0], recorded[1], recorded[2])


def folders_of(evaluation: Evaluation, data_root: Path | None = None) -> dict[str, Path]:
    """The folders in which the masks and scans of an evaluation lie, as far as they are known, by name.

    `data_root` takes the place of those that hold the scored scans and expert masks.
    """
    output = evaluation.file.parent
    recorded = _settings(output).get(EVALUATION_FOLDERS, {})
    own = {name: Path(folder) for name, folder in recorded.items() if isinstance(folder, str)}
    folders = {EVALUATION: output.absolute(), **_folders_of_run(output), **own}
    if data_root is None:
        return folders
    of_run = "data.validation_root" if "data.validation_root" in folders else "data.root"
    names = [name for name in ("images", "references") if name in own] or [of_run]
    return folders | dict.fromkeys(names, data_root.absolute())


def _folders_of_run(output: Path) -> dict[str, Path]:
    """The data folders in the settings of the run that `output` lies in; none if it does not lie in a run."""
    data = _settings(output.absolute().parent).get("data", {})
    named = {key: data.get(key.removeprefix("data.")) for key in ROOTS}
    return {key: Path(folder).absolute() for key, folder in named.items() if isinstance(folder, str)}


def _settings(folder: Path) -> Mapping[str, Any]:
    # Without readable settings, the scans are not found, which the report says.
    return recorded_json(Run(folder).settings_file, PlacesFile) or {}


def _inside(path: Path, folders: Mapping[str, Path]) -> str:
    """`{folder}/…` for the innermost of the folders that holds `path`; "" if none does."""
    holding = [name for name, folder in folders.items() if path.is_relative_to(folder)]
    if not holding:
        return ""
    name = max(holding, key=lambda name: len(folders[name].parts))
    return f"{{{name}}}/{path.relative_to(folders[name]).as_posix()}"
