"""Run a command several times, each time with other settings and in a process of its own; then say what came of it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from brats_unet import job_report
from brats_unet.cli import hydra
from brats_unet.cli.arguments import Override, Request
from brats_unet.cli.launchers import ONE_AFTER_ANOTHER, launcher_of, log_folder, sweep_folder
from brats_unet.errors import STOPPED_AT_ONCE, Interrupted, MachineError, Stopped
from brats_unet.report.console import PlainConsole
from brats_unet.report.run_facts import FAILED, STOPPED, RunFacts, facts_of
from brats_unet.report.run_table import print_runs, sentences_about, sorted_runs, write_runs
from brats_unet.run import Run
from brats_unet.safe_text import visible
from brats_unet.stopping import StopRequest

IN_RUN_NAME = ("experiment", "data", "data.name", "data.fold", "seed", "name")


@dataclass(frozen=True)
class Outcome:
    """One job of a sweep.

    Attributes:
        overrides: Its overrides, in Hydra's grammar.
        differs: The values in which the jobs differ, by key.
        code: Exit code.
        told: What the job told of itself: "run", its folder, and "error", the sentence of its failure.
    """

    overrides: Sequence[str]
    differs: Mapping[str, str]
    code: int
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Why the job failed; "" if it did not."""
        if self.code == 0:
            return ""
        ended = f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return self.told.get("error") or f"{ended}."


@dataclass(frozen=True)
class Sweep:
    """What came of all jobs.

    Attributes:
        outcomes: One for each job that was done, in their order.
        lost: The error of a launcher that lost a job; "" if it lost none.
        logs: Folder with the launcher's own logs; None if there are none.
        stopped: Whether a signal came before the last job was done.
    """

    outcomes: Sequence[Outcome]
    lost: str = ""
    logs: Path | None = None
    stopped: bool = False

    @property
    def code(self) -> int:
        """0, or 1 if any job failed or was lost."""
        return 1 if self.lost or any(one.code for one in self.outcomes) else 0


def sweep(request: Request, overrides: list[Override]) -> int:
    """Run every combination of the values given, and print how many were done and which failed.

    A job that fails does not end the others; a job that is stopped does.

    Returns:
        0, or 1 if any job failed or was lost.

    Raises:
        MachineError: The package of the launcher is not installed.
        Stopped: A signal came to this process or to a job. The job has ended, and no other is started.
        KeyboardInterrupt: A second Ctrl-C came.
    """
    done = run_all(request, overrides)
    tell(request, done)
    if request.command == "train":
        folders = [Path(one.told["run"]).parent for one in done.outcomes if "run" in one.told]
        table_of(done, folders[0] / f"sweep-{_digits(overrides)}.csv" if folders else None)
    if done.stopped:
        raise Stopped
    return done.code


def run_all(
    request: Request, overrides: list[Override], also: Callable[[Mapping[str, str]], list[str]] = lambda differs: []
) -> Sweep:
    """Run every combination of the values given, each in a process and a run folder of its own.

    Args:
        request: The command line.
        overrides: Its overrides.
        also: Called with the values in which a job differs from the others; returns further overrides of this job.

    Raises:
        MachineError: The package of the launcher is not installed.
        KeyboardInterrupt: A second Ctrl-C came.
    """
    launcher, lost, stopped = launcher_of(overrides), "", False
    given = hydra.for_hydra(request, overrides)
    swept = hydra.swept_keys(given)
    with sweep_folder(launcher) as outcomes:
        logs = log_folder(launcher, outcomes, datetime.now())
        named = any(override.key == "hydra.sweep.dir" for override in overrides)
        where = [] if named else [f"hydra.sweep.dir={hydra.quoted(str(logs))}"]
        own = request.flags.get("--config-dir")

        def job(number: int, job_overrides: list[str]) -> int:
            differs = _differs(job_overrides, swept)
            job_overrides += also(differs)
            if "tag" in request.conf.types and (tag := _tag(job_overrides, differs)):
                job_overrides.append(f"tag={hydra.quoted(tag)}")
            command = [sys.executable, "-m", "brats_unet", request.command or "", *job_overrides]
            command += ["--config-dir", own] if own else []
            say(f"\n── job {number + 1}: {hydra.typed([f'{key}={value}' for key, value in differs.items()])}")
            report = outcomes / f"{number:06}.report"
            code = Interrupted.exit_code
            try:
                code = child(command, {job_report.VARIABLE: str(report)})
            finally:
                facts = {"overrides": job_overrides, "differs": differs, "code": code, "told": job_report.told(report)}
                (outcomes / f"{number:06}.json").write_text(json.dumps(facts))
            return code

        try:
            hydra.run_jobs(request, [*where, "hydra.sweep.subdir=."], given, job)
        except Stopped:
            stopped = True
        except RuntimeError as problem:  # of joblib and submitit, for a job that was killed
            if launcher == ONE_AFTER_ANOTHER:
                raise
            lost = f"hydra/launcher={launcher} lost a job that was killed or never started ({type(problem).__name__})."
        done = [Outcome(**json.loads(path.read_text())) for path in sorted(outcomes.glob("*.json"))]
    return Sweep(done, lost, logs if logs.is_dir() else None, stopped)


def tell(request: Request, done: Sweep) -> None:
    """Print on stderr how many jobs were done, and each that failed as it is typed alone."""
    failed = [one for one in done.outcomes if one.code not in (0, Interrupted.exit_code, STOPPED_AT_ONCE)]
    finished = sum(one.code == 0 for one in done.outcomes)
    say(f"\n{finished} of {len(done.outcomes)} jobs done.")
    for one in failed:
        say(f"failed (exit {one.code}): brats-unet {request.command} {hydra.typed(list(one.overrides))}")
    if done.lost:
        say(f"{done.lost} Run the same command again to continue.")
    if done.logs is not None:
        say(f"Logs of the jobs: {done.logs}/.submitit")


def table_of(done: Sweep, file: Path | None, *, best: bool = True) -> None:
    """Print what came of each training, and write it as CSV.

    Args:
        done: The jobs.
        file: The CSV file, beside the run folders; None if no job has one.
        best: Whether to sort by Dice and to name the best; not for trainings with other held-out cases.
    """
    runs = [_facts(one) for one in done.outcomes]
    runs = sorted_runs(runs, "best") if best else runs
    console = PlainConsole(stderr=True)
    print_runs(console, runs, f"{len(runs)} trainings")
    for sentence in sentences_about(runs) if best else []:
        console.print(sentence, soft_wrap=True)
    if file is None:
        return
    try:
        write_runs(file, runs)
    except MachineError as problem:  # the runs themselves are there
        console.print(f"The table is not written: {problem}", soft_wrap=True)
    else:
        console.print(f"Written to {file}.", soft_wrap=True)


def _facts(one: Outcome) -> RunFacts:
    """What became of the training of one job, named by the values in which it differs from the others."""
    name = " ".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in one.differs.items())
    run = Run(Path(one.told["run"])) if "run" in one.told else None
    found = facts_of(run, name) if run is not None and run.was_started else RunFacts(name, state=FAILED)
    if one.code in (Interrupted.exit_code, STOPPED_AT_ONCE):
        return replace(found, state=STOPPED, differs=one.differs)
    state = FAILED if one.code else found.state
    return replace(found, state=state, sentence=one.sentence or found.sentence, differs=one.differs)


def _digits(overrides: Sequence[Override]) -> str:
    """Eight hexadecimal digits that identify a sweep: the same for the same settings in any order, by any launcher."""
    own = (override.text for override in overrides if not override.key.startswith("hydra"))
    text = "\n".join(sorted(own))
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _differs(job_overrides: Sequence[str], swept: Sequence[str]) -> dict[str, str]:
    """The values of a job by key, for the keys that were given several."""
    found = {}
    for text in job_overrides:
        key, _, value = text.partition("=")
        if key.lstrip("+~") in swept:
            found[key.lstrip("+~")] = value
    return found


def _tag(job_overrides: Sequence[str], differs: Mapping[str, str]) -> str | None:
    """The values in which the jobs differ and that a run's name does not already hold; None if there are none."""
    if any(text.startswith("tag=") for text in job_overrides):
        return None
    return ",".join(f"{key}={value}" for key, value in differs.items() if key not in IN_RUN_NAME) or None


def child(command: list[str], variables: Mapping[str, str]) -> int:
    """Run a job and return its exit code; raises Stopped once it has ended if it or this process was asked to stop."""
    with StopRequest() as stop, stop.deferred():
        process = subprocess.Popen(command, env={**os.environ, **variables})
        try:
            with stop.raising():
                code = process.wait()
        except Stopped:
            if stop.signal and stop.signal != signal.SIGINT:  # Ctrl-C reaches every process of a terminal
                process.send_signal(stop.signal)
            code = process.wait()
    if stop.requested or code in (Interrupted.exit_code, STOPPED_AT_ONCE):
        raise Stopped
    return code


def say(text: str) -> None:
    """Print a sentence on stderr, for stdout may hold the JSON of a job."""
    print(visible(text), file=sys.stderr, flush=True)
