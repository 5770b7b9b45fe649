"""Long because Hydra and OmegaConf are imported here alone: compose settings, run sweeps, translate their errors.

Overrides go in and plain settings come out. Of several jobs each gets a process of its own.
"""

import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationKeyError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from brats_unet.binding import NEEDED
from brats_unet.cli.arguments import Override, Request
from brats_unet.cli.conf_files import SCHEME, SCHEME_SUFFIXES
from brats_unet.cli.launchers import ONE_AFTER_ANOTHER, launcher_of, log_folder, sweep_folder
from brats_unet.errors import STOPPED_AT_ONCE, Interrupted, SettingsError, Stopped
from brats_unet.files import conf_folder
from brats_unet.safe_text import visible
from brats_unet.schemes.scheme_file import read_scheme, scheme_of
from brats_unet.stopping import StopRequest

# Hydra's own folders and logging are off: brats-unet makes the run folder, and a refused command leaves nothing.
QUIET = (
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    "hydra.job.chdir=false",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)
IN_RUN_NAME = ("experiment", "data", "data.name", "data.fold", "seed", "name")
PLAIN = re.compile(r"[\w./-]+")  # a choice that needs no quotes
ALREADY_HYDRAS = ("'", '"', "[", "{")


def settings_of(request: Request, overrides: list[Override]) -> dict[str, Any]:
    """The settings of the command as plain nested containers, with every reference resolved.

    Raises:
        SettingsError: Hydra or OmegaConf refuses them.
    """
    found: list[Any] = []

    def keep(conf: DictConfig) -> None:
        try:
            found.append(OmegaConf.to_container(conf, resolve=True))
            _whole_scheme(found[0])
        except OmegaConfBaseException as problem:  # raised here, Hydra would print a line of its own
            found.append(problem)

    _run(request, [], _for_hydra(request, overrides), keep)
    with _hydra_errors_as_settings_errors():
        if isinstance(found[0], OmegaConfBaseException):
            raise found[0]
    return found[0]


def show(request: Request, overrides: list[Override]) -> None:
    """Print what --cfg or --info asks for, with references resolved, as the command would see the settings."""
    if request.multirun:
        raise SettingsError("--cfg and --info show one set of settings. Leave out -m, and give one value to each key.")
    settings_of(request, overrides)  # a reference to nothing is refused with the name of its setting
    flags = []
    for name in ("--cfg", "--package", "--info"):
        if name in request.flags:
            flags += [name, request.flags[name]]
    if "--cfg" in request.flags:
        flags.append("--resolve")
    _run(request, flags, _for_hydra(request, overrides), lambda conf: None)


def sweep(request: Request, overrides: list[Override]) -> int:
    """Run every combination of the values given, each in a process and a run folder of its own.

    Hydra's sweeper makes the combinations, and the launcher of `hydra/launcher=` runs them, by default one after
    another. A job that fails does not end the others; a job that is stopped does.

    Returns:
        0, or 1 if any job failed or was lost; the failed jobs are listed with their overrides.

    Raises:
        MachineError: The package of the launcher is not installed.
        Stopped: A signal came to this process or to a job. The job has ended, and no other is started.
        KeyboardInterrupt: A second Ctrl-C came.
    """
    launcher, lost = launcher_of(overrides), ""
    with sweep_folder(launcher) as outcomes:
        logs = log_folder(launcher, outcomes, datetime.now())
        where = [] if any(o.key == "hydra.sweep.dir" for o in overrides) else [f"hydra.sweep.dir={_quoted(str(logs))}"]
        where.append("hydra.sweep.subdir=.")
        own = request.flags.get("--config-dir")
        given = _for_hydra(request, overrides)

        def job(conf: DictConfig) -> int:
            del conf  # the fresh process composes its own
            job_overrides = list(HydraConfig.get().overrides.task)
            if "tag" in request.conf.types and (tag := _tag(job_overrides, given)):
                job_overrides.append(f"tag={_quoted(tag)}")
            command = [sys.executable, "-m", "brats_unet", request.command or "", *job_overrides]
            command += ["--config-dir", own] if own else []
            number = HydraConfig.get().job.num
            _print_result(f"\n── job {number + 1}: {_typed(job_overrides)}")
            code = _child(command)
            (outcomes / f"{number:06}.json").write_text(json.dumps({"overrides": job_overrides, "code": code}))
            return code

        try:
            _run(request, ["--multirun"], [*where, *given], job)
        except RuntimeError as problem:  # of joblib and submitit, for a job that was killed
            if launcher == ONE_AFTER_ANOTHER:
                raise
            lost = type(problem).__name__
        done = [json.loads(path.read_text()) for path in sorted(outcomes.glob("*.json"))]
    failed = [one for one in done if one["code"] != 0]
    _print_result(f"\n{len(done) - len(failed)} of {len(done)} jobs done.")
    for one in failed:
        _print_result(f"failed (exit {one['code']}): brats-unet {request.command} {_typed(one['overrides'])}")
    if lost:
        _print_result(
            f"hydra/launcher={launcher} lost a job that was killed or never started ({lost}). Run the same command "
            f"again to continue."
        )
    if logs.is_dir():
        _print_result(f"Logs of the jobs: {logs}/.submitit")
    return 1 if failed or lost else 0


def _tag(job_overrides: list[str], given: list[str]) -> str | None:
    """The overrides in which the jobs differ and that a run's name does not already hold; None if there are none."""
    if any(text.startswith("tag=") for text in job_overrides):
        return None
    parsed = OverridesParser.create().parse_overrides(given)
    swept = {one.key_or_group for one in parsed if one.is_sweep_override()} - set(IN_RUN_NAME)
    return ",".join(text.lstrip("+") for text in job_overrides if text.split("=")[0].lstrip("+~") in swept) or None


def _child(command: list[str]) -> int:
    """Run a job and return its exit code; raises Stopped once it has ended if it or this process was asked to stop."""
    with StopRequest() as stop, stop.deferred():
        process = subprocess.Popen(command)
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


def _print_result(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)


def _run(request: Request, flags: list[str], overrides: list[str], task: Callable[[DictConfig], Any]) -> None:
    own = request.flags.get("--config-dir")
    given = ["--config-dir", own] if own else []
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"brats-unet {request.command}", *given, *flags, *QUIET, *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises where it would print and exit
    try:
        with _hydra_errors_as_settings_errors(), _logging_restored():
            hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=request.command)(task)()
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full


@contextmanager
def _hydra_errors_as_settings_errors():
    try:
        yield
    except (HydraException, OmegaConfBaseException) as problem:
        raise SettingsError(_sentence(problem)) from problem


def _sentence(problem: HydraException | OmegaConfBaseException) -> str:
    """What Hydra or OmegaConf refused, and what to do about it."""
    key = getattr(problem, "full_key", None)
    who = key or "A setting"
    if isinstance(problem, UnsupportedInterpolationType):
        return (
            f"{who} holds a reference of an unknown kind. Give the name of a setting, as in ${{seed}}, or an "
            f"environment variable, as in ${{oc.env:HOME}}."
        )
    if isinstance(problem, InterpolationKeyError):
        missing = re.search(r"'(.+?)'", str(problem))
        name = missing[1] if missing else ""
        return (
            f"{who} refers to a setting that does not exist: ${{{name}}}. Give a value, or the name of a setting, as "
            f"in ${{seed}}."
        )
    if variable := re.search(r"Environment variable '(.+?)'", str(problem)):
        return (
            f"{who} refers to the environment variable {variable[1]}, which is not set. Set it, or give a value for "
            f"that case: ${{oc.env:{variable[1]},VALUE}}."
        )
    if isinstance(problem, OverrideParseException):
        typed = str(problem.override)
        name, _, value = typed.partition("=")
        return (
            f"{typed} cannot be read. Put a value with special characters into quotes, and all of it into quotes for "
            f"the shell: '{name.lstrip('+')}=\"{value}\"'."
        )
    parts = [_first_line(problem)] + ([_first_line(problem.__cause__)] if problem.__cause__ else [])
    message = ". ".join(dict.fromkeys(part for part in parts if part)) + "."
    return f"{key}: {message}" if key and key not in message else message


def _first_line(problem: BaseException) -> str:
    return next((line.strip().rstrip(".") for line in str(problem).splitlines() if line.strip()), "")


@contextmanager
def _logging_restored():
    """Undo the logging that Hydra sets up although it is switched off."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _for_hydra(request: Request, overrides: list[Override]) -> list[str]:
    types = request.conf.types
    groups = request.conf.defaults
    texts = []
    for override in overrides:
        if override.key == SCHEME:
            _offer_schemes([choice for choice in override.choices if choice.endswith(SCHEME_SUFFIXES)])
            names = (name if PLAIN.fullmatch(name) else _quoted(name) for name in override.choices)
            texts.append(f"{SCHEME}={','.join(names)}")
        elif override.value is None or override.key in groups or override.key.startswith("hydra"):
            texts.append(override.text)
        else:
            value = hydra_value(override, types.get(override.key), multirun=request.multirun)
            texts.append(Override(override.prefix, override.key, override.package, value).text)
    return texts


def _offer_schemes(paths: list[str]) -> None:
    """Give Hydra the schemes whose files lie outside the group; a path is the name of its choice."""
    for path in paths:
        *folders, name = (word for word in path.split("/") if word)
        node = read_scheme(Path(path)).as_dict()
        ConfigStore.instance().store(group="/".join([SCHEME, *folders]), name=name, node=node, package=SCHEME)


def _whole_scheme(values: dict[str, Any]) -> None:
    """Fill in what the file of the scheme left out, so that the settings say all of it."""
    if values.get(SCHEME) is not None:
        name = Path(HydraConfig.get().runtime.choices[SCHEME]).stem
        values[SCHEME] = scheme_of({"name": name, **values[SCHEME]}).as_dict()


def hydra_value(override: Override, kind: Any, *, multirun: bool) -> str:
    """The value of an override in Hydra's grammar, with the meaning that the user typed.

    Text settings keep their value as typed, with spaces, commas and equals signs; so does the name of a file or folder
    that exists. A leading ~ is the home folder. A value that is already in Hydra's grammar (quotes, lists, references,
    with -m also several values) is passed on.

    Raises:
        SettingsError: Several values without -m.
    """
    value = override.value or ""
    if value == "~" or value.startswith("~/"):
        value = str(Path(value).expanduser())
    if value in ("", "null", NEEDED) or "${" in value:
        return value
    if Path(value).exists() and not re.fullmatch(r"-?[\d.]+", value):
        return _quoted(value)
    if value.startswith(ALREADY_HYDRAS):
        return value
    if _is_text(kind):
        several = multirun and ("," in value or re.fullmatch(r"\w+\(.*\)", value))
        return value if several else _quoted(value)
    try:
        read = OverridesParser.create().parse_override(f"{override.prefix}{override.key}={value}")
    except HydraException:
        return _quoted(value)
    if read.is_sweep_override() and not multirun:
        takes_list = kind in (None, Any) or get_origin(kind) is list
        listed = f", or write {override.key}=[{value}] for a list" if takes_list and "(" not in value else ""
        raise SettingsError(f"{override.text} gives several values. Add -m to run each of them{listed}.")
    return value


def _is_text(kind: Any) -> bool:
    if get_origin(kind) is Union:
        return any(_is_text(one) for one in get_args(kind))
    return kind is str or get_origin(kind) is Literal


def _typed(overrides: list[str]) -> str:
    """Overrides in Hydra's grammar, as they are typed in a shell."""
    words = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1].replace("\\'", "'")
        words.append(shlex.quote(key + equals + value))
    return " ".join(words)


def _quoted(value: str) -> str:
    return QuotedString(text=value, quote=Quote.single).with_quotes()
