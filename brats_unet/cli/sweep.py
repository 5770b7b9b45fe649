"""Run a command several times, each time with other settings and in a process of its own; then say what came of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from brats_unet import job_report
from brats_unet.cli import hydra
from brats_unet.cli.arguments import Override, Request
from brats_unet.cli.launchers import ONE_AFTER_ANOTHER, launcher_of, log_folder, sweep_folder
from brats_unet.cli.sweep_table import Outcome, Sweep, table_file, table_of
from brats_unet.errors import STOPPED_AT_ONCE, Interrupted, Stopped
from brats_unet.safe_text import visible
from brats_unet.stopping import StopRequest

IN_RUN_NAME = ("experiment", "data", "data.name", "data.fold", "seed", "name")


def sweep(request: Request, overrides: list[Override]) -> int:
    """Run every combination of the values given, and print how many were done and which failed.

    A job that fails does not end the others; a job that is stopped does.

    Returns:
        0, or 1 if any job failed or was lost.

    Raises:
        MachineError: The package of the launcher is not installed, or the table of the trainings cannot be written.
        Stopped: A signal came to this process or to a job. The job has ended, and no other is started.
        KeyboardInterrupt: A second Ctrl-C came.
    """
    done = run_all(request, overrides)
    tell(request, done)
    if request.command == "train":
        varied = {key for one in done.outcomes for key in one.differs}
        own = (override.text for override in overrides if override.key in varied)
        table_of(done, table_file(done, "\n".join(sorted(own))))
    if done.stopped:
        raise Stopped
    return done.code


def run_all(
    request: Request,
    overrides: list[Override],
    trials: Sequence[Mapping[str, str]] = (),
    also: Sequence[str] = (),
    named: Callable[[Mapping[str, str]], str] | None = None,
) -> Sweep:
    """Run every combination of the values given, each in a process and a run folder of its own.

    Args:
        request: The command line.
        overrides: Its overrides.
        trials: The values of each job by key, instead of every combination of those in `overrides`.
        also: Further overrides of every job, as typed.
        named: Returns the name of a job from the values in which it differs; None: its tag tells it apart.

    Raises:
        MachineError: The package of the launcher is not installed.
        KeyboardInterrupt: A second Ctrl-C came.
    """
    launcher, lost, stopped = launcher_of(overrides), "", False
    given = hydra.for_hydra(request, overrides)
    user_tag = next((override.value for override in overrides if override.key == "tag"), None)
    if trials:
        given = [text for text in given if not text.startswith("tag=")]
        given.append(f"tag={','.join(map(str, range(len(trials))))}")  # only to number the jobs
    swept = hydra.swept_keys(given)
    with sweep_folder(launcher) as outcomes:
        logs = log_folder(launcher, outcomes, datetime.now())
        placed = any(override.key == "hydra.sweep.dir" for override in overrides)
        where = [] if placed else [f"hydra.sweep.dir={hydra.quoted(str(logs))}"]
        own = request.flags.get("--config-dir")

        def job(number: int, job_overrides: list[str]) -> int:
            differs = dict(trials[number]) if trials else _differs(job_overrides, swept)
            if trials:
                job_overrides = [text for text in job_overrides if not text.startswith("tag=")]
                job_overrides += [f"{key}={hydra.for_job(key, value, request)}" for key, value in differs.items()]
            job_overrides += also
            if named is not None:
                job_overrides.append(f"name={hydra.quoted(named(differs))}")
            elif "tag" in request.conf.types and (trials or user_tag is None):
                job_overrides += [f"tag={hydra.quoted(tag)}"] if (tag := _tag(differs, user_tag)) else []
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
    jobs = f"{'started ' if done.stopped else ''}job{'s' if len(done.outcomes) != 1 else ''}"
    say(f"\n{finished} of {len(done.outcomes)} {jobs} done.")
    for one in failed:
        say(f"failed (exit {one.code}): brats-unet {request.command} {hydra.typed(list(one.overrides))}")
    if done.lost:
        say(f"{done.lost} Run the same command again to continue.")
    if done.logs is not None:
        say(f"Logs of the jobs: {done.logs}/.submitit")


def _differs(job_overrides: Sequence[str], swept: Sequence[str]) -> dict[str, str]:
    """The values of a job by key, for the keys that were given several."""
    found = {}
    for text in job_overrides:
        key, _, value = text.partition("=")
        if key.lstrip("+~") in swept:
            found[key.lstrip("+~")] = value
    return found


def _tag(differs: Mapping[str, str], typed: str | None) -> str | None:
    """What was typed as tag, and the values in which the jobs differ and that a run's name does not already hold."""
    own = [f"{key}={value}" for key, value in differs.items() if key not in IN_RUN_NAME]
    return ",".join([*([typed] if typed else []), *own]) or None


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
