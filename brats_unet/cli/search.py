"""`brats-unet train sweep=random` and `sweep=halving`: trainings with settings that are drawn from ranges."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from brats_unet.cli import checks, sweep, sweep_table
from brats_unet.cli.arguments import OVERRIDE, Override, Request
from brats_unet.cli.search_space import FORMS, better_half, draw_trials, is_range, read_range, rungs_of
from brats_unet.errors import SettingsError, Stopped
from brats_unet.report.run_facts import dice_at, mean
from brats_unet.run import Run
from brats_unet.settings import Train

OWN = ("sweep", "trials", "sweep_seed", "rungs", "over")  # settings of the sweep itself, which no trial has
HALVING = "halving"
Trial = dict[str, str]


def search(request: Request, settings_of: Callable[[Request, list[Override]], Any]) -> int:
    """Draw the trials, train each as a run of its own, and print a table of all.

    Args:
        request: The command line.
        settings_of: Returns the settings that a command line makes.

    Returns:
        0, or 1 if a trial failed.

    Raises:
        SettingsError: No range is given, or a range, a drawn value or a rung does not fit.
        MachineError: The table of the trials cannot be written.
        Stopped: A signal came; the same command goes on.
    """
    if request.multirun:
        raise SettingsError("sweep= draws the settings itself. Leave out -m, which trains every combination.")
    fixed, ranges = _divided(request)
    plain = Request("train", request.flags, fixed)
    settings: Train = settings_of(plain, checks.checked(plain))
    if settings.sweep is None:
        raise SettingsError("sweep=null is no sweep. Leave it out, or give sweep=random or sweep=halving.")
    space = {key: read_range(key, value) for key, value in {**(settings.over or {}), **ranges}.items()}
    if not space:
        raise SettingsError(f"sweep={settings.sweep}: no setting has a range. Give {FORMS}, or over={{…}}.")
    trials = draw_trials(space, settings.trials, settings.sweep_seed)
    if len(trials) < settings.trials:
        sweep.say(f"The ranges hold {len(trials)} different settings; trials={settings.trials} were asked for.")
    kept = [word for word in fixed if word.lstrip("+~").partition("=")[0] not in OWN]
    for trial in trials:
        one = Request("train", request.flags, [*kept, *(f"{key}={value}" for key, value in trial.items())])
        settings_of(one, checks.checked(one))  # refused before any training
    rungs = _rungs(settings, len(trials)) if settings.sweep == HALVING else []
    return _trained(Request("train", request.flags, kept), settings, trials, rungs)


def _divided(request: Request) -> tuple[list[str], dict[str, str]]:
    """The words of a command line without a range, and the ranges by setting."""
    types = request.conf.types
    fixed, ranges = [], {}
    for word in request.arguments:
        found = OVERRIDE.fullmatch(word)
        key, value = (found["key"], found["value"] or "") if found else ("", "")
        text = value.strip("'\"") if value[:1] in ("'", '"') else value
        if key and key not in OWN and is_range(text) and not Path(value).exists() and types.get(key) is not str:
            ranges[key] = text
        else:
            fixed.append(word)
    return fixed, ranges


def _rungs(settings: Train, trials: int) -> list[int]:
    if settings.steps is None or settings.minutes is not None:
        raise SettingsError("sweep=halving compares trials after the same steps. Give steps=…, without minutes.")
    if settings.validation.cases == 0 or settings.data.fold == "all":
        raise SettingsError("sweep=halving compares Dice on held-out cases, and there are none. Hold a fold out.")
    rungs = sorted(set(settings.rungs)) if settings.rungs else rungs_of(settings.steps, trials)
    if rungs[-1] >= settings.steps:
        raise SettingsError(f"rungs={settings.rungs}: expected fewer than steps={settings.steps}.")
    return rungs


def _trained(request: Request, settings: Train, trials: Sequence[Trial], rungs: Sequence[int]) -> int:
    """Train all trials, of which the worse half ends at each rung."""
    left = list(range(len(trials)))
    last: dict[int, sweep_table.Outcome] = {}
    for rung in [*rungs, None]:
        pause = [] if rung is None else [f"until={rung}"]
        what = f"to step {rung}" if rung is not None else "to the end"
        sweep.say(f"\n{len(left)} of {len(trials)} trials, {what}.")
        done = sweep.run_all(request, checks.checked(request), [trials[index] for index in left], pause)
        last |= dict(zip(left, done.outcomes, strict=False))
        if rung is not None and not done.stopped:
            scores = [_dice(one, rung) for one in done.outcomes]
            left = [left[place] for place in better_half(scores)]
        if done.stopped or not left:
            break
    whole = replace(done, outcomes=[last[index] for index in sorted(last)])
    named = f"{settings.sweep} {sorted(trials[0])} {settings.sweep_seed}"
    sweep_table.table_of(whole, sweep_table.table_file(whole, named))
    if done.stopped:
        raise Stopped
    return whole.code


def _dice(one: sweep_table.Outcome, step: int) -> float | None:
    """Mean Dice of a trial after the steps of a rung; None if it failed."""
    return mean(dice_at(Run(Path(one.told["run"])), step)) if one.code == 0 and "run" in one.told else None
