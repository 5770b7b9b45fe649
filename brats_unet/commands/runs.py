"""`brats-unet runs`: list the trainings in a folder with their state and Dice."""

import json
from pathlib import Path

from brats_unet.errors import DataError, SettingsError
from brats_unet.report.console import PlainConsole
from brats_unet.report.run_facts import STATES, facts_of, runs_in
from brats_unet.report.run_table import SORTS, as_json, print_runs, sentences_about, sorted_runs, write_runs
from brats_unet.settings import Runs
from brats_unet.spelling import suggestion


def main(settings: Runs) -> int:
    """List runs; always exit code 0.

    Raises:
        DataError: There is no such folder, or no run in it.
        SettingsError: An unknown order or state, or `output` is not a CSV file.
    """
    for setting, value, known in (("sort", settings.sort, SORTS), ("state", settings.state, STATES)):
        if value is not None and value not in known:
            raise SettingsError(f"There is no {setting}={value}. {suggestion(value, known)}")
    output = Path(settings.output) if settings.output is not None else None
    if output is not None and (output.suffix != ".csv" or output.is_dir()):
        raise SettingsError(f"output={output}: give the name of a CSV file, such as runs.csv.")
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder. Give one that holds runs: brats-unet runs FOLDER.")
    every = [facts_of(run, run.folder.relative_to(folder).as_posix()) for run in runs_in(folder)]
    if not every:
        raise DataError(f"{folder} holds no runs. `brats-unet train runs={folder}` puts one there.")
    found = [one for one in every if settings.state in (None, one.state) and (settings.match or "") in _searched(one)]
    found = sorted_runs(found, settings.sort)
    if output is not None:
        write_runs(output, found)
    if settings.json:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False))
        return 0
    console = PlainConsole()
    shown = f"{len(found)} of {len(every)}" if len(found) < len(every) else str(len(every))
    print_runs(console, found, f"{folder} · {shown} {'run' if shown == '1' else 'runs'}")
    for sentence in sentences_about(found):
        console.print(sentence, soft_wrap=True)
    if output is not None:
        console.print(f"Written to {output}.", soft_wrap=True)
    return 0


def _searched(one) -> str:
    """The name of a run and all of its settings, as they are typed."""
    return " ".join([one.name, *(f"{key}={value}" for key, value in one.settings.items())])
