"""The run folder `runs/<name>`: names every file in it, writes them atomically, keeps the journal."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.anatomy import Region
from brats_unet.errors import CheckpointError
from brats_unet.files import explain_write_errors, read_json

# Names in a folder of predictions, which may lie in a run or anywhere else.
PREDICTIONS = "predictions"  # that folder inside an evaluation
PREDICTIONS_MARK = "predictions.json"  # says which networks the masks come from
PROBABILITIES = "probabilities"  # sub-folder
UNCERTAINTY = "uncertainty"  # sub-folder
VOLUMES = "volumes.csv"


def mask_file(folder: Path, case_id: str) -> Path:
    """Where the mask of a case is, in a folder of predictions; named as BraTS wants it."""
    return folder / f"{case_id}.nii.gz"


def probability_file(folder: Path, case_id: str, region: Region) -> Path:
    """Where the probability of a region is, in the folder `PROBABILITIES` of a folder of predictions."""
    return folder / f"{case_id}_probability_{region}.nii.gz"


@dataclass(frozen=True)
class Run:
    """One training and all that came of it. Nothing here is created until something is written."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings_file(self) -> Path:
        """What the run was told, as plain JSON; evaluate and predict take what is unset from it."""
        return self.folder / "settings.json"

    @property
    def recipe_file(self) -> Path:
        """All that prediction needs beside the weights: preparation, outputs, mode, …; lies beside model.keras."""
        return self.folder / "recipe.json"

    @property
    def model_file(self) -> Path:
        """The network with its last weights in float32, as Keras saves it."""
        return self.folder / "model.keras"

    @property
    def postprocessing_file(self) -> Path:
        """What `brats-unet tune` chose for the masks; lies beside model.keras."""
        return self.folder / "postprocessing.json"

    @property
    def environment_file(self) -> Path:
        """Versions, devices, commit and command: how to repeat it."""
        return self.folder / "environment.json"

    @property
    def folds_file(self) -> Path:
        """The folds that this run was trained with, copied from the dataset's."""
        return self.folder / "folds.json"

    @property
    def journal_file(self) -> Path:
        """One JSON object a line: {"event": "step" | "validation" | …, "step": …, …}."""
        return self.folder / "journal.jsonl"

    @property
    def tensorboard_folder(self) -> Path:
        return self.folder / "tensorboard"

    def evaluation_folder(self, checkpoint: str = "last") -> Path:
        """scores.csv, summary.json, seed_scores.csv, figures/ and predictions/ of the held-out cases.

        Args:
            checkpoint: "best" was selected on the held-out cases, so its scores lie apart, in `evaluation_best/`.
        """
        return self.folder / ("evaluation" if checkpoint == "last" else f"evaluation_{checkpoint}")

    @property
    def mean_shape_file(self) -> Path:
        """The training cases' mean tumour, which an evaluation scores beside the network."""
        return self.folder / "mean_shape.npz"

    @property
    def figures_folder(self) -> Path:
        return self.folder / "figures"

    def checkpoint_file(self, which: str) -> Path:
        """Weights, optimizer and step of the "last" or "best" checkpoint, as safetensors."""
        return self.folder / "checkpoints" / f"{which}.safetensors"

    def settings(self) -> dict[str, Any]:
        """The settings the run was started with.

        Raises:
            CheckpointError: The folder is no run, or its settings cannot be read.
        """
        return self._json(self.settings_file)

    def recipe(self) -> dict[str, Any]:
        """What prediction needs beside the weights; raises CheckpointError for a folder without it."""
        return self._json(self.recipe_file)

    def _json(self, file: Path) -> dict[str, Any]:
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder}: no such run folder. Expected one that `brats-unet train` made.")
        return read_json(file, what=f"{self.folder} is not a run folder")

    def note(self, event: str, **facts: Any) -> None:
        """Append one line to the journal."""
        line = json.dumps({"event": event, **facts}, allow_nan=False) + "\n"
        with explain_write_errors(self.journal_file):
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.journal_file, "ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":  # cut short by a crash: this line shall not be lost with that one
                        line = "\n" + line
                file.write(line.encode())

    def journal(self, event: str | None = None) -> list[dict[str, Any]]:
        """Lines of the journal, of one event or all, oldest first.

        Left out are a line cut short by a crash, and steps that were done again from an earlier checkpoint: each step
        is there once, as it was last done.
        """
        if not self.journal_file.exists():
            return []
        lines: list[dict[str, Any]] = []
        earliest: float = math.inf
        seen: set[tuple[str, int]] = set()
        for text in reversed(self.journal_file.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # written while the power went
            if (step := line.get("step")) is not None:
                if step > earliest or (line["event"], step) in seen:
                    continue
                earliest = step
                seen.add((line["event"], step))
            if event is None or line["event"] == event:
                lines.append(line)
        return lines[::-1]
