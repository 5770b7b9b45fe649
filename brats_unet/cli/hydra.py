"""Long because Hydra and OmegaConf are imported here alone: compose settings, run several jobs, translate their errors.

Overrides go in and plain settings come out.
"""

import logging
import os
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import contextmanager
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
from brats_unet.errors import SettingsError
from brats_unet.files import conf_folder, exists
from brats_unet.schemes.scheme_file import read_scheme, scheme_of

# Hydra's own folders and logging are off: brats-unet makes the run folder, and a refused command leaves nothing.
QUIET = (
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    "hydra.job.chdir=false",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)
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

    try:
        _run(request, [], for_hydra(request, overrides), keep)
    except (ValueError, TypeError, AttributeError) as problem:  # of defaults that Hydra does not expect in a file
        raise SettingsError(f"A settings file cannot be used: {problem}. Correct it.") from problem
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
    _run(request, flags, for_hydra(request, overrides), lambda conf: None)


def run_jobs(request: Request, settings: list[str], given: list[str], job: Callable[[int, list[str]], Any]) -> None:
    """Run every combination of the values given, by the launcher of `hydra/launcher=`, by default one after another.

    Args:
        request: The command line.
        settings: Settings of Hydra itself, in its grammar.
        given: Overrides in Hydra's grammar; see `for_hydra`.
        job: Called with the number of each job, from 0, and its overrides; maybe in another process.

    Raises:
        SettingsError: Hydra refuses the overrides.
        RuntimeError: joblib or submitit lost a job.
    """

    def task(conf: DictConfig) -> Any:
        del conf  # a job composes its own
        return job(HydraConfig.get().job.num, list(HydraConfig.get().overrides.task))

    _run(request, ["--multirun"], [*settings, *given], task)


def swept_keys(given: list[str]) -> list[str]:
    """The keys to which overrides in Hydra's grammar give several values."""
    return [one.key_or_group for one in OverridesParser.create().parse_overrides(given) if one.is_sweep_override()]


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


def for_hydra(request: Request, overrides: list[Override]) -> list[str]:
    """The overrides in Hydra's grammar, with the meaning that the user typed; schemes outside conf/ become choices."""
    types = request.conf.types
    groups = request.conf.defaults
    texts = []
    for override in overrides:
        if override.key == SCHEME:
            _offer_schemes([choice for choice in override.choices if choice.endswith(SCHEME_SUFFIXES)])
            names = (name if PLAIN.fullmatch(name) else quoted(name) for name in override.choices)
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
    if exists(Path(value)) and not re.fullmatch(r"-?[\d.]+", value):
        return quoted(value)
    if value.startswith(ALREADY_HYDRAS):
        return value
    if _is_text(kind):
        several = multirun and ("," in value or re.fullmatch(r"\w+\(.*\)", value))
        return value if several else quoted(value)
    try:
        read = OverridesParser.create().parse_override(f"{override.prefix}{override.key}={value}")
    except HydraException:
        return quoted(value)
    if read.is_sweep_override() and not multirun:
        listed = f", or write {override.key}=[{value}] for a list" if _takes_list(kind) and "(" not in value else ""
        raise SettingsError(f"{override.text} gives several values. Add -m to run each of them{listed}.")
    return value


def for_job(key: str, value: str, request: Request) -> str:
    """A drawn value of a setting or a choice of a group as an override of a job."""
    if key in request.conf.defaults:
        return value
    return hydra_value(Override("", key, None, value), request.conf.types.get(key), multirun=False)


def _is_text(kind: Any) -> bool:
    """Whether a setting takes text and no list."""
    if get_origin(kind) is Union:
        return any(_is_text(one) for one in get_args(kind)) and not _takes_list(kind)
    return kind is str or get_origin(kind) is Literal


def _takes_list(kind: Any) -> bool:
    return kind in (None, Any) or get_origin(kind) is list or any(get_origin(one) is list for one in get_args(kind))


def typed(overrides: list[str]) -> str:
    """Overrides in Hydra's grammar, as they are typed in a shell."""
    words = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1].replace("\\'", "'")
        words.append(shlex.quote(key + equals + value))
    return " ".join(words)


def quoted(value: str) -> str:
    """A text in Hydra's grammar, in single quotes."""
    return QuotedString(text=value, quote=Quote.single).with_quotes()
