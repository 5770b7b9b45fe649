"""What became of a training, read from its run folder: how far it came, its Dice on held-out cases, and its state."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brats_unet.binding import flat
from brats_unet.errors import CheckpointError
from brats_unet.run import Run
from brats_unet.run_lock import is_locked

DONE, PAUSED, STOPPED, FAILED, RUNNING, BROKEN = "done", "paused", "stopped", "failed", "running", "broken"
STATES = (DONE, RUNNING, PAUSED, STOPPED, FAILED, BROKEN)
# Settings that say where a run is or how it was called, not what was tried.
PLACE = ("name", "tag", "runs", "overwrite", "json", "plan", "data.root", "data.cache", "data.validation_root")
LONGEST_VALUE = 40  # characters of a setting in a table


@dataclass(frozen=True)
class RunFacts:
    """One training.

    Attributes:
        name: Name of its folder, below the folder that was listed.
        folder: The run folder; None for a job that failed before it had one.
        state: One of STATES. A stopped run goes on with the same command, one paused by `until` without that, a broken
            one not at all.
        sentence: Why it failed or is broken; "" otherwise.
        step: Steps done.
        steps: Steps that were asked for; None with a time limit alone.
        seconds: Time spent, over all starts; for a start that was killed, its steps and validations alone.
        final: Dice by region in the last validation of held-out cases; {} before the first.
        best: The same of the validation with the highest mean.
        settings: All settings by dotted key.
        differs: Settings in which the listed runs differ, as text by key.
    """

    name: str
    folder: Path | None = None
    state: str = STOPPED
    sentence: str = ""
    step: int = 0
    steps: int | None = None
    seconds: float = 0.0
    final: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def final_mean(self) -> float | None:
        """Mean over the regions of `final`; None without one."""
        return mean(self.final)

    @property
    def best_mean(self) -> float | None:
        """Mean over the regions of `best`; None without one."""
        return mean(self.best)


def mean(dice: Mapping[str, float]) -> float | None:
    """Mean over the regions; None without a region."""
    return sum(dice.values()) / len(dice) if dice else None


def runs_in(folder: Path) -> list[Run]:
    """The runs in a folder, and in its sub-folders if these are no runs, as those of `crossval` are; by name."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        inner = [path] if Run(path).was_started else sorted(one for one in path.iterdir() if one.is_dir())
        found += [run for run in map(Run, inner) if run.was_started]
    return found


def facts_of(run: Run, name: str) -> RunFacts:
    """Read what became of a run; one that cannot be read is broken, and its sentence says why."""
    try:
        return _facts_of(run, name)
    except (CheckpointError, OSError) as problem:
        return RunFacts(name, run.folder, BROKEN, str(problem))
    except (AttributeError, TypeError, KeyError, ValueError) as problem:
        sentence = f"its settings or journal hold something else than a training writes ({problem!r})."
        return RunFacts(name, run.folder, BROKEN, sentence)


def _facts_of(run: Run, name: str) -> RunFacts:
    settings = flat({key: value for key, value in run.settings().items() if key != "scheme"})
    lines = run.journal()
    step = max((line["step"] for line in lines if "step" in line), default=0)
    validations = [line["dice"] for line in lines if line["event"] == "validation" and line["dice"]]
    state, sentence = _state(run, lines, step)
    return RunFacts(
        name,
        run.folder,
        state,
        sentence,
        step,
        settings.get("steps"),
        _seconds(lines, settings.get("sampling.batch") or 1),
        validations[-1] if validations else {},
        max(validations, key=lambda dice: mean(dice) or 0.0, default={}),
        settings,
    )


def dice_at(run: Run, step: int) -> Mapping[str, float]:
    """Dice by region in the validation after a number of steps; {} if there was none."""
    return next((line["dice"] for line in run.journal("validation") if line["step"] == step), {})


def _state(run: Run, lines: Sequence[Mapping[str, Any]], step: int) -> tuple[str, str]:
    """State of a run, and why it failed or is broken. Steps behind the last end are of a start that was killed."""
    if is_locked(run.folder):
        return RUNNING, ""
    told = [line for line in lines if line["event"] in ("end", "step")]
    end = told[-1] if told and told[-1]["event"] == "end" else None
    of_earlier_version = not any(line["event"] == "end" for line in told)
    finished = end["state"] == DONE if end else of_earlier_version and run.model_file.exists()
    if finished:
        lacking = [file.name for file in (run.model_file, run.recipe_file, run.folds_file) if not file.exists()]
        return (BROKEN, f"{', '.join(lacking)} is missing. Start the same command again.") if lacking else (DONE, "")
    if step and not run.last_checkpoints() and not run.checkpoint_file("initial").exists():
        return BROKEN, f"{step} steps, but no checkpoint. Start again with overwrite=true."
    if end and end["state"] == FAILED:
        return FAILED, end["sentence"]
    return (PAUSED if end and end["state"] == PAUSED else STOPPED), ""


def _seconds(lines: Iterable[Mapping[str, Any]], batch: int) -> float:
    ended = worked = 0.0
    for line in lines:
        if line["event"] == "end":
            ended += line["seconds"]
        elif line["event"] == "step" and line.get("patches_per_second"):
            worked += batch / line["patches_per_second"]
        elif line["event"] in ("validation", "patches"):
            worked += line.get("seconds") or 0.0
    return max(ended, worked)


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted keys of the settings in which runs differ, apart from where they are and how they are called.

    A setting that follows from the choice of a part, such as `model.features`, is left out where the part itself
    differs.
    """
    keys = dict.fromkeys(key for one in settings for key in one if key not in PLACE)
    found = [key for key in keys if len({json.dumps(one.get(key), sort_keys=True) for one in settings}) > 1]
    parts = {key.removesuffix(".name") for key in found if key.endswith(".name")}
    if "experiment" in found:
        return ["experiment", *(key for key in found if key in ("data.fold", "seed", "steps"))]
    return [key for key in found if key.endswith(".name") or key.split(".")[0] not in parts]


def value_text(value: Any) -> str:
    """A setting as text for a table."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
