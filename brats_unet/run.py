"""Long because it names every file of a run folder `runs/<name>`, reads them by their types, and keeps the journal."""

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.binding import value_of
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.file_kinds import json_kinds
from brats_unet.files import explain_write_errors, is_folder
from brats_unet.hand_written import json_values
from brats_unet.json_files import read_json

RECIPE = "recipe.json"  # in a run folder
ENSEMBLE = "ensemble.json"  # in a folder of networks that predict together, and names their folders
FOLDS_TABLE = "folds.csv"  # in the folder of a cross-validation: what became of each training
NAME = re.compile(r"[^/\\]*[^/\\.][^/\\]*")  # of a folder in the same folder

# Names in a folder of predictions, which may lie in a run folder or anywhere else.
PREDICTIONS = "predictions"  # name of that folder inside an evaluation folder
PREDICTIONS_MARK = "predictions.json"  # records which networks made the masks
FUSION_MARK = "fusion.json"  # records from what the masks of a folder were fused, and the weight of each input
PROBABILITIES = "probabilities"  # sub-folder
UNCERTAINTY = "uncertainty"  # sub-folder
VOLUMES = "volumes.csv"
EVALUATION_FOLDERS = "folders"  # key of the settings.json of an evaluation of loose masks


def ensemble_members(path: Path) -> list[Path]:
    """The networks that an ensemble is made of, each a folder in it; the path itself if it is no ensemble.

    Raises:
        CheckpointError: Its ensemble.json cannot be read, or names a folder that is not there.
    """
    file = path / ENSEMBLE
    if not file.is_file():
        return [path]
    content = read_json(file, what=str(path), advice="Run `brats-unet crossval` again.")
    names = content.get("members") if isinstance(content, dict) else None
    sound = isinstance(names, list) and names and all(isinstance(one, str) and NAME.fullmatch(one) for one in names)
    if names is None or not sound:
        raise CheckpointError(
            f"{file}: expected a list of folders beside it, as members. Run `brats-unet crossval` again."
        )
    if lacking := [name for name in names if not is_folder(path / name)]:
        raise CheckpointError(f"{path}: {lacking[0]} is missing, a member of the ensemble. Restore it.")
    return [path / name for name in names]


def mask_file(folder: Path, case_id: str, suffix: str = ".nii.gz") -> Path:
    """Path of the predicted mask of a case; BraTS prescribes the file name in NIfTI."""
    return folder / f"{case_id}{suffix}"


def probability_file(folder: Path, case_id: str, region: str) -> Path:
    """Path of the probability map of one region; `folder` is `<predictions>/probabilities`."""
    return folder / f"{case_id}_probability_{region}.nii.gz"


@dataclass(frozen=True)
class Run:
    """One training and all of its results. No file or folder is created before something is written.

    Attributes:
        folder: The run folder.
        writes: False for a process that only reads it, as do all workers of a training but the chief.
    """

    folder: Path
    writes: bool = True

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings_file(self) -> Path:
        """All settings of the training, as plain JSON; evaluate and predict take unset settings from it."""
        return self.folder / "settings.json"

    @property
    def was_started(self) -> bool:
        """Whether the folder is that of a training; an evaluation of loose masks has a settings.json too."""
        if not self.settings_file.is_file():
            return False
        try:
            content = json_values(self.settings_file.read_bytes())
        except (OSError, ValueError):  # refused with a message where the settings are read
            return True
        return not (isinstance(content, dict) and EVALUATION_FOLDERS in content)

    @property
    def recipe_file(self) -> Path:
        """All that prediction needs besides the weights (preparation, outputs, mode, …); lies beside model.keras."""
        return self.folder / RECIPE

    @property
    def model_file(self) -> Path:
        """The network with its last weights in float32, in the .keras format."""
        return self.folder / "model.keras"

    @property
    def postprocessing_file(self) -> Path:
        """Thresholds and other post-processing chosen by `brats-unet tune`; lies beside model.keras."""
        return self.folder / "postprocessing.json"

    @property
    def environment_file(self) -> Path:
        """Versions, devices, commit and command: what is needed to repeat the run."""
        return self.folder / "environment.json"

    @property
    def init_file(self) -> Path:
        """Which weights of `init=` were taken, which were not, and why; only in a run that has init=."""
        return self.folder / "init.json"

    @property
    def folds_file(self) -> Path:
        """The folds of this run, copied from those of the dataset."""
        return self.folder / "folds.json"

    @property
    def journal_file(self) -> Path:
        """One JSON object per line: {"event": "step" | "patches" | "validation" | …, "step": …, …}."""
        return self.folder / "journal.jsonl"

    @property
    def tensorboard_folder(self) -> Path:
        return self.folder / "tensorboard"

    @property
    def tracking_file(self) -> Path:
        """What each tracker of `tracking=` called this run, to continue it there; only in a run that had one."""
        return self.folder / "tracking.json"

    def evaluation_folder(self, checkpoint: str = "last", data: str = "") -> Path:
        """The folder for scores.csv, summary.json, seed_scores.csv, figures/ and predictions/ of the held-out cases.

        Args:
            checkpoint: "last" or "best". "best" was selected on the held-out cases, so its scores have a folder of
                their own, `evaluation_best/`.
            data: Name of the folder of other cases that were scored; "" for the held-out cases.
        """
        name = "evaluation" if checkpoint == "last" else f"evaluation_{checkpoint}"
        return self.folder / (f"{name}-{data}" if data else name)

    @property
    def mean_shape_file(self) -> Path:
        """The mean tumour of the training cases, which an evaluation scores as a trivial baseline."""
        return self.folder / "mean_shape.npz"

    @property
    def figures_folder(self) -> Path:
        return self.folder / "figures"

    def training_figure(self, suffix: str = ".png") -> Path:
        """Training curves as PNG, or in the format of another suffix."""
        return self.figures_folder / f"training{suffix}"

    def checkpoint_file(self, which: str) -> Path:
        """Weights, optimizer and step of the "last" or "best" checkpoint, as safetensors.

        "initial" is the state before the first step; it exists only until "last" is saved for the first time. "last-1"
        is the checkpoint before "last", "last-2" the one before that; "damaged" is one that could not be read.
        """
        return self.folder / "checkpoints" / f"{which}.safetensors"

    def last_checkpoints(self) -> list[Path]:
        """The checkpoints to resume from, the newest first: "last", "last-1", …; [] before the first is saved."""
        numbered = []
        for path in self.checkpoint_file("last").parent.glob("last*.safetensors"):
            if found := re.fullmatch(r"last(?:-([1-9]\d*))?", path.stem):
                numbered.append((int(found[1] or 0), path))
        return [path for _, path in sorted(numbered)]

    def settings(self) -> dict[str, Any]:
        """The settings that the run was started with.

        Raises:
            CheckpointError: The folder is not a run folder, or its settings cannot be read.
        """
        return self._json(self.settings_file, json_kinds.SettingsFile)

    def data_settings(self) -> dict[str, Any]:
        """The settings of its data; raises what `settings` does."""
        return self._json(self.settings_file, json_kinds.DataFile)["data"]

    def recipe(self) -> dict[str, Any]:
        """All that prediction needs besides the weights; raises what `settings` does."""
        return self._json(self.recipe_file, json_kinds.RecipeFile)

    def plugins(self) -> dict[str, dict[str, str]]:
        """Parts that installed packages gave to the training, by kind; see `plugins.packages_of`.

        Empty if there were none, as in runs of versions that could not record them.
        """
        return self.environment().get("plugins", {})

    def environment(self) -> dict[str, Any]:
        """Versions, devices, commit and command of the last start; {} if they are not recorded."""
        return self._json(self.environment_file, json_kinds.EnvironmentFile) if self.environment_file.is_file() else {}

    def division(self) -> dict[str, Any]:
        """The cases that the run trained on and held out; raises CheckpointError if it has not come that far."""
        return read_json(self.folds_file, json_kinds.DivisionFile, what=f"{self.folder} has not started training")

    def _json(self, file: Path, kind: Any) -> dict[str, Any]:
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder}: no such run folder. Expected one that `brats-unet train` made.")
        return read_json(file, kind, what=f"{self.folder} is not a run folder")

    def note(self, event: str, **facts: Any) -> None:
        """Append one line to the journal, unless this process only reads the run."""
        if not self.writes:
            return
        line = json.dumps({"event": event, **facts}, allow_nan=False) + "\n"
        with explain_write_errors(self.journal_file):
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.journal_file, "ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":  # a crash cut the last line short: start a new one
                        line = "\n" + line
                file.write(line.encode())

    def journal(self, event: str | None = None) -> list[dict[str, Any]]:
        """Lines of the journal, of one event or of all (None), oldest first; [] if there is no journal.

        A line cut short by a crash is skipped; CheckpointError is raised for one of something else. Steps that were
        repeated from an earlier checkpoint appear once, as they were last done.
        """
        if not self.journal_file.exists():
            return []
        lines: list[dict[str, Any]] = []
        earliest: float = math.inf
        seen: set[tuple[str, int]] = set()
        texts = self.journal_file.read_bytes().split(b"\n")
        for number, text in reversed(list(enumerate(texts, 1))):
            try:
                line = json_values(text)
            except ValueError:
                continue  # cut short by a crash
            try:
                line = value_of(
                    json_kinds.LINES.get(value_of(json_kinds.Line, line, "")["event"], json_kinds.Line), line, ""
                )
            except SettingsError as problem:
                raise CheckpointError(f"{self.journal_file}, line {number}: {problem} Delete it.") from None
            if (step := line.get("step")) is not None:
                if step > earliest or (line["event"], step) in seen:
                    continue
                earliest = step
                seen.add((line["event"], step))
            if event is None or line["event"] == event:
                lines.append(line)
        return lines[::-1]
