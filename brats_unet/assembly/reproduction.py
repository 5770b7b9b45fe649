"""A run and its repetition, side by side: data, losses, weights and Dice, and what differs around them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from safetensors import SafetensorError, safe_open

from brats_unet.assembly.resume import EARLIER
from brats_unet.binding import bind, flat
from brats_unet.data.recorded_cases import CONTENTS
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.json_files import read_json
from brats_unet.report.run_facts import DONE, facts_of
from brats_unet.run import Run
from brats_unet.settings import Train

AROUND = ("brats_unet", "commit", "python", "system", "processor", "cores", "devices", "precision")


@dataclass(frozen=True)
class FirstLoss:
    """The first step whose loss is not the same: its number, counted from 1, and both losses."""

    step: int
    before: float
    now: float


@dataclass(frozen=True)
class Reproduction:
    """What a repetition of a training found.

    Attributes:
        run: Folder of the run.
        again: Folder of its repetition.
        steps: Steps of both.
        first_loss: The first loss that differs; None if none does.
        tensors: Weights, averages and the state of the optimizer: number of tensors.
        differing: How many of them differ.
        largest: Largest difference of one number in them.
        dice: Mean Dice of the last validation by region, of the run and of its repetition.
        cases: Ids of cases that only one of them has, or whose scans or mask are not the same.
        around: Versions and machine that differ: both values by name.
    """

    run: str
    again: str
    steps: tuple[int, int]
    first_loss: FirstLoss | None
    tensors: int
    differing: int
    largest: float
    dice: Mapping[str, tuple[float | None, float | None]]
    cases: tuple[str, ...]
    around: Mapping[str, tuple[Any, Any]]

    @property
    def matched(self) -> bool:
        """Whether all steps, losses, weights and scores are equal to the bit."""
        same_dice = all(before == now for before, now in self.dice.values())
        return self.first_loss is None and not self.differing and self.steps[0] == self.steps[1] and same_dice

    def as_json(self) -> dict[str, Any]:
        return {"matched": self.matched, **asdict(self)}


def settings_to_repeat(run: Run, again: Path, *, root: str | None, cache: str | None, json: bool) -> Train:
    """The settings of a run for a training in another folder.

    Args:
        run: A run that is done.
        again: Folder of the repetition.
        root: Folder of the data now; None: where it was.
        cache: Folder of prepared cases now; None: where it was.
        json: As the setting of every command.

    Raises:
        SettingsError: The run is not done, or its settings are not those of this version.
        CheckpointError: It is not a run folder, or its settings cannot be read.
    """
    recorded = run.settings()
    facts = facts_of(run, run.name)
    if facts.state != DONE:
        raise SettingsError(
            f"{run.folder} is {facts.state} at step {facts.step}. Finish it first: only a whole training can be "
            f"repeated."
        )
    sections = {name: kind for name, kind in get_type_hints(Train).items() if is_dataclass(kind)}
    for key, value in EARLIER.items():  # what a run of an earlier version lacks
        section, _, name = key.rpartition(".")
        if not section or section in sections:
            (recorded.setdefault(section, {}) if section else recorded).setdefault(name, value)
    recorded |= {"name": again.name, "runs": str(again.parent), "overwrite": False, "json": json}
    if root is not None:
        recorded["data"]["root"] = root
    if cache is not None:
        recorded["data"]["cache"] = cache
    try:
        return bind(Train, recorded)
    except SettingsError as problem:
        raise SettingsError(
            f"{run.folder}: its settings are not those of this version of brats-unet ({problem}) Repeat it with the "
            f"version that {run.environment_file.name} names."
        ) from None


def compared(run: Run, again: Run) -> Reproduction:
    """Compare a run with its repetition.

    Raises:
        CheckpointError: A file of either cannot be read.
    """
    losses = [{line["step"]: line["loss"] for line in one.journal("step")} for one in (run, again)]
    first = next(
        (step for step in sorted(losses[0].keys() & losses[1].keys()) if losses[0][step] != losses[1][step]), None
    )
    tensors, differing, largest = _compared_tensors(run.checkpoint_file("last"), again.checkpoint_file("last"))
    before, now = (facts_of(one, one.name) for one in (run, again))
    regions = dict.fromkeys((*before.final, *now.final))
    return Reproduction(
        run=str(run.folder),
        again=str(again.folder),
        steps=(before.step, now.step),
        first_loss=None if first is None else FirstLoss(first, losses[0][first], losses[1][first]),
        tensors=tensors,
        differing=differing,
        largest=largest,
        dice={region: (before.final.get(region), now.final.get(region)) for region in regions},
        cases=_changed_cases(*(_folds(one) for one in (run, again))),
        around=_changed_facts(*(read_json(one.environment_file, what=str(one.folder)) for one in (run, again))),
    )


def _compared_tensors(before: Path, now: Path) -> tuple[int, int, float]:
    """Tensors of two checkpoints: how many there are in either, how many differ, and the largest difference."""
    try:
        with safe_open(before, framework="numpy") as old, safe_open(now, framework="numpy") as new:
            differing, largest = sorted({*old.keys()} ^ {*new.keys()}), 0.0
            shared = sorted({*old.keys()} & {*new.keys()})
            for key in shared:
                one, other = old.get_tensor(key), new.get_tensor(key)
                if one.shape != other.shape or one.dtype != other.dtype:
                    differing.append(key)
                elif one.tobytes() != other.tobytes():
                    differing.append(key)
                    largest = max(largest, float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64)))))
            return len({*old.keys()} | {*new.keys()}), len(differing), largest
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(
            f"{before} and {now} cannot be compared: {problem}. Expected two readable checkpoints."
        ) from None


def _folds(run: Run) -> Mapping[str, Any]:
    return read_json(run.folds_file, what=str(run.folder))


def _changed_cases(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Cases that only one division has, that changed sides, or whose content differs where both recorded it."""
    found = set(before["train"]) ^ set(now["train"]) | set(before["validation"]) ^ set(now["validation"])
    old, new = before.get(CONTENTS, {}), now.get(CONTENTS, {})
    found |= {case for case in old.keys() & new.keys() if old[case] != new[case]}
    return tuple(sorted(found))


def _changed_facts(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    old, new = (flat({key: one.get(key) for key in (*AROUND, "packages", "plugins")}) for one in (before, now))
    return {key: (old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)}
