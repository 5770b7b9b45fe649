"""The way through Hydra: overrides in, plain settings out; several jobs become one fresh process each."""

import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from brats_unet.binding import NEEDED
from brats_unet.cli.arguments import Override, Request
from brats_unet.cli.conf_files import own_folder
from brats_unet.errors import SettingsError, Terminated

# Hydra's own folders and logging are off: a run folder is the program's affair, and a refused command leaves nothing.
QUIET = (
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    "hydra.job.chdir=false",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)
IN_RUN_NAME = ("experiment", "data", "data.name", "data.fold", "seed", "name")
ALREADY_HYDRAS = ("'", '"', "[", "{")


def settings_of(request: Request, overrides: list[Override]) -> dict[str, Any]:
    """What the command is told, as plain nested containers with every reference resolved.

    Raises:
        SettingsError: Hydra or OmegaConf refuses; their first sentence, without traceback.
    """
    found: list[Any] = []

    def keep(conf: DictConfig) -> None:
        found.append(OmegaConf.to_container(conf, resolve=True))

    _run(request, [], _for_hydra(request, overrides), keep)
    return found[0]


def show(request: Request, overrides: list[Override]) -> None:
    """Print what --cfg or --info asks for; values that refer to others are resolved, as the command would see them."""
    flags = []
    for name in ("--cfg", "--package", "--info"):
        if name in request.flags:
            flags += [name, request.flags[name]]
    if "--cfg" in request.flags:
        flags.append("--resolve")
    _run(request, flags, _for_hydra(request, overrides), lambda conf: None)


def sweep(request: Request, overrides: list[Override]) -> int:
    """Run every combination of the values given, each in a fresh process with its own run folder.

    Hydra's sweeper deals out the jobs; a job that fails does not end the others.

    Returns:
        0, or 1 if any job failed; those are listed with their overrides.
    """
    with tempfile.TemporaryDirectory(prefix="brats-unet-sweep-") as folder:
        outcomes = Path(folder)
        where = [] if any(o.key == "hydra.sweep.dir" for o in overrides) else [f"hydra.sweep.dir={folder}"]
        where.append("hydra.sweep.subdir=.")
        own = request.flags.get("--config-dir")
        given = _for_hydra(request, overrides)

        def job(conf: DictConfig) -> int:
            del conf  # the fresh process composes its own
            told = list(HydraConfig.get().overrides.task)
            if "tag" in request.conf.types and (tag := _tag(told, given)):
                told.append(f"tag={_quoted(tag)}")
            command = [sys.executable, "-m", "brats_unet", request.command or "", *told]
            command += ["--config-dir", own] if own else []
            number = HydraConfig.get().job.num
            _print_result(f"\n── job {number + 1}: {_typed(told)}")
            code = _child(command)
            (outcomes / f"{number:06}.json").write_text(json.dumps({"overrides": told, "code": code}))
            return code

        _run(request, ["--multirun"], [*where, *given], job)
        done = [json.loads(path.read_text()) for path in sorted(outcomes.glob("*.json"))]
    failed = [one for one in done if one["code"] != 0]
    _print_result(f"\n{len(done) - len(failed)} of {len(done)} jobs done.")
    for one in failed:
        _print_result(f"failed (exit {one['code']}): brats-unet {request.command} {_typed(one['overrides'])}")
    return 1 if failed else 0


def _tag(told: list[str], given: list[str]) -> str | None:
    """What sets this job apart from its sisters and does not stand in a run's name anyhow; None if nothing does."""
    apart = [text for text in told if text not in given and text.split("=")[0].lstrip("+~") not in IN_RUN_NAME]
    if any(text.startswith("tag=") for text in told):
        return None
    return ",".join(text.lstrip("+") for text in apart) or None


def _child(command: list[str]) -> int:
    process = subprocess.Popen(command)
    try:
        return process.wait()
    except Terminated:
        process.terminate()
        process.wait()
        raise
    except KeyboardInterrupt:
        process.wait()  # it has had the signal too and is putting its affairs in order
        raise


def _print_result(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run(request: Request, flags: list[str], overrides: list[str], task: Callable[[DictConfig], Any]) -> None:
    own = request.flags.get("--config-dir")
    given = ["--config-dir", own] if own else []
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"brats-unet {request.command}", *given, *flags, *QUIET, *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises where it would print and exit
    try:
        with _hydra_errors_as_ours(), _logging_restored():
            hydra.main(version_base="1.3", config_path=str(own_folder()), config_name=request.command)(task)()
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full


@contextmanager
def _hydra_errors_as_ours():
    try:
        yield
    except (HydraException, OmegaConfBaseException) as problem:
        parts = [str(problem)] + ([str(problem.__cause__)] if problem.__cause__ else [])
        lines = [line.strip() for part in parts for line in part.splitlines()[:1] if line.strip()]
        key = getattr(problem, "full_key", None)
        message = ". ".join(dict.fromkeys(line.rstrip(".") for line in lines)) + "."
        raise SettingsError(f"{key}: {message}" if key and key not in message else message) from problem


@contextmanager
def _logging_restored():
    """Hydra sets up logging even where told not to; undo it."""
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
        if override.value is None or override.key in groups or override.key.startswith("hydra"):
            texts.append(override.text)
        else:
            value = hydra_value(override, types.get(override.key), multirun=request.multirun)
            texts.append(Override(override.prefix, override.key, override.package, value).text)
    return texts


def hydra_value(override: Override, kind: Any, *, multirun: bool) -> str:
    """The value of an override in Hydra's grammar, meaning what the user typed.

    Text settings take their value as it stands, spaces, commas and equals signs included; a file or folder that
    exists is always taken as it stands; a leading ~ is the home folder. What is written in Hydra's grammar (quotes,
    lists, references, with -m also several values) stays so.

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
        raise SettingsError(
            f"{override.text} gives several values. Add -m to run each of them, or write {override.key}=[{value}] "
            f"for a list."
        )
    return value


def _is_text(kind: Any) -> bool:
    if get_origin(kind) is Union:
        return any(_is_text(one) for one in get_args(kind))
    return kind is str or get_origin(kind) is Literal


def _typed(overrides: list[str]) -> str:
    """Overrides in Hydra's grammar as one would type them in a shell."""
    words = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1].replace("\\'", "'")
        words.append(shlex.quote(key + equals + value))
    return " ".join(words)


def _quoted(value: str) -> str:
    return QuotedString(text=value, quote=Quote.single).with_quotes()
