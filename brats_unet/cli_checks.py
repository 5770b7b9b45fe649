"""The arguments of the command line held against conf/ before Hydra sees them: typos end here, and nothing is made."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brats_unet.binding import NEEDED
from brats_unet.cli_conf import COMMANDS, Conf
from brats_unet.errors import SettingsError
from brats_unet.hardware import gpu_count
from brats_unet.parts import nearest, suggestion

OVERRIDE = re.compile(
    r"(?P<prefix>\+\+|\+|~)?(?P<key>[A-Za-z_][\w-]*(?:[./][\w-]+)*)(?:@(?P<package>[\w.:]*))?(?:=(?P<value>.*))?",
    re.DOTALL,
)
# Long name, short name, whether a value follows.
FLAGS = {
    "--help": ("-h", False),
    "--version": ("", False),
    "--multirun": ("-m", False),
    "--cfg": ("-c", True),
    "--package": ("-p", True),
    "--config-dir": ("-cd", True),
    "--info": ("-i", True),
    "--shell-completion": ("-sc", False),
}
# Where a bare path was most likely meant to go, by command.
PATH_SETTING = {
    "train": "data.root",
    "evaluate": "run",
    "predict": "input",
    "check": "data.root",
    "phantom": "output",
}


@dataclass(frozen=True)
class Override:
    """One `key=value` as typed: its prefix ("", "+", "++" or "~"), key, `@package` or None, value or None."""

    prefix: str
    key: str
    package: str | None
    value: str | None

    @property
    def text(self) -> str:
        package = "" if self.package is None else f"@{self.package}"
        return f"{self.prefix}{self.key}{package}" + ("" if self.value is None else f"={self.value}")


@dataclass
class Request:
    """A command line taken apart: the command (or None), the flags by long name, and the other arguments as typed."""

    command: str | None = None
    flags: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    @property
    def multirun(self) -> bool:
        return "--multirun" in self.flags

    @property
    def conf(self) -> Conf:
        """The YAML files of the command, the user's own folder first.

        Raises:
            SettingsError: --config-dir names no folder.
        """
        own = self.flags.get("--config-dir")
        if own is not None and not Path(own).is_dir():
            raise SettingsError(f"--config-dir {own}: there is no such folder.")
        assert self.command is not None
        return Conf(self.command, None if own is None else Path(own))


def split(argv: list[str]) -> Request:
    """Commands, flags and overrides of a command line; flags may stand anywhere.

    Raises:
        SettingsError: There is no such flag or command.
    """
    request = Request()
    rest = iter(argv)
    for argument in rest:
        if argument.startswith("-") and len(argument) > 1:
            name, equals, value = argument.partition("=")
            name = next((long for long, (short, _) in FLAGS.items() if name in (long, short)), name)
            if name not in FLAGS:
                raise SettingsError(_no_flag(argument))
            if FLAGS[name][1] and not equals:
                value = next(rest, "")
                if not value:
                    raise SettingsError(f"{argument} needs a value after it. See `brats-unet --help`.")
            request.flags[name] = value
        elif request.command is None:
            request.command = _command(argument)
        else:
            request.arguments.append(argument)
    if (shown := request.flags.get("--cfg", "job")) not in ("job", "hydra", "all"):
        raise SettingsError(f"--cfg {shown}: expected --cfg job, which prints the settings and stops.")
    return request


def _no_flag(argument: str) -> str:
    match = OVERRIDE.fullmatch(argument.lstrip("-"))
    if match and (match["value"] is not None or "." in match["key"]):
        value = "…" if match["value"] is None else match["value"]
        return f"Settings are written without dashes: {match['key']}={value}"
    return f"There is no option {argument}. {suggestion(argument, FLAGS)}"


def _command(argument: str) -> str:
    if argument in COMMANDS:
        return argument
    if "=" in argument:
        raise SettingsError(f"A command comes first: brats-unet train {argument}. Known: {', '.join(COMMANDS)}.")
    raise SettingsError(f"There is no command {argument}. {suggestion(argument, COMMANDS)} See `brats-unet --help`.")


def checked(request: Request) -> list[Override]:
    """The overrides of a command, each known to conf/, with the defaults that depend on the machine added.

    `+key` of a known key becomes `++key`, so that a superfluous plus does no harm.

    Raises:
        SettingsError: A key, a group or a choice does not exist; names the nearest.
    """
    conf = request.conf
    overrides = [parsed(argument, index, request) for index, argument in enumerate(request.arguments)]
    overrides = with_machine_defaults(conf, overrides)
    asked = asked_choices(conf, overrides, multirun=request.multirun)
    known = conf.settings(asked)
    return [_known(conf, asked, known, override) for override in overrides]


def parsed(argument: str, index: int, request: Request) -> Override:
    """One argument taken apart; a path or a stray space where key=value belongs is told from a typo."""
    match = OVERRIDE.fullmatch(argument)
    arguments, command = request.arguments, request.command or ""
    if index and arguments[index - 1].endswith("=") and (not match or match["value"] is None):
        raise SettingsError(
            f"There is a space after {arguments[index - 1]} Write {arguments[index - 1]}{argument} as one word."
        )
    if arguments[index + 1 : index + 2] and arguments[index + 1].startswith("="):
        raise SettingsError(f"There is a space after {argument}. Write {argument}{arguments[index + 1]} as one word.")
    if match and (match["value"] is not None or match["prefix"] == "~"):
        return Override(match["prefix"] or "", match["key"], match["package"], match["value"])
    if not match or Path(argument).exists() or "/" in argument:
        setting = PATH_SETTING[command]
        if (Path(argument) / "settings.json").is_file() and command == "predict":
            setting = "run"
        raise SettingsError(f"Expected key=value, but found {argument}. Did you mean {setting}={argument}?")
    for group in request.conf.defaults:
        if argument in request.conf.choices(group):
            raise SettingsError(f"Expected key=value, but found {argument}. Did you mean {group}={argument}?")
    raise SettingsError(f"Expected key=value, but found {argument}. See `brats-unet {command} --help`.")


def with_machine_defaults(conf: Conf, overrides: list[Override]) -> list[Override]:
    """Choices that follow from the machine and from other settings, where the user made none himself.

    The experiment is unet3d where there is a GPU, else quick. A data.root without data= means the user's own scans,
    never a folder to fill with phantoms.
    """
    keys = {override.key for override in overrides}
    added = []
    if "experiment" in conf.defaults and "experiment" not in keys:
        added.append(Override("", "experiment", None, "unet3d" if gpu_count() else "quick"))
    if conf.defaults.get("data") == "phantom" and "data" not in keys and "data.root" in keys:
        added.append(Override("", "data", None, "brats"))
    return added + overrides


def asked_choices(conf: Conf, overrides: list[Override], *, multirun: bool) -> dict[str, list[str]]:
    """Choices of each group that the user names, several where he sweeps.

    Raises:
        SettingsError: A group has no such choice, or several are given without -m.
    """
    asked: dict[str, list[str]] = {}
    for override in overrides:
        if override.key.startswith("hydra") or override.prefix == "~" or not (names := _choices_of(conf, override)):
            continue
        value = (override.value or "").strip()
        picked = [name.strip().strip("'\"") for name in value.strip("[]").split(",")]
        if "(" in value or "*" in value or value in ("null", ""):
            continue  # Hydra's own functions, and "none of this group"
        for name in picked:
            if name not in names:
                raise SettingsError(f"There is no {override.key}={name}. {suggestion(name, names)}")
        if len(picked) > 1 and not multirun and not value.startswith("["):
            raise SettingsError(f"{override.text} names several. Add -m to run each of them, one after another.")
        asked[override.key] = picked
    return asked


def refuse_gaps(conf: Conf, overrides: list[Override], values: Mapping[str, Any]) -> None:
    """Ask at once for all the settings that have no value of their own and were given none.

    Raises:
        SettingsError: Some are; each with what conf/ says of it.
    """
    comments = conf.settings(asked_choices(conf, overrides, multirun=True))
    if gaps := list(_gaps(values)):
        listed = "; ".join(f"{key}=… ({comments[key].comment})" if key in comments else f"{key}=…" for key in gaps)
        raise SettingsError(f"`brats-unet {conf.command}` needs {listed}. See `brats-unet {conf.command} --help`.")


def _gaps(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _gaps(value, f"{prefix}{name}.")
        elif value == NEEDED:
            yield prefix + name


def _choices_of(conf: Conf, override: Override) -> dict[str, str]:
    if override.key in conf.defaults or override.prefix in ("+", "++"):
        return conf.choices(override.key)
    return {}


def _known(conf: Conf, asked: dict[str, list[str]], known: dict, override: Override) -> Override:
    key = override.key
    if key.split(".")[0].split("/")[0] == "hydra":
        return override  # Hydra's own settings, for those who know them
    if key in conf.defaults or (override.prefix in ("+", "++") and conf.choices(key)):
        return override
    free = next((section for section in _sections(conf) if key.startswith(section + ".")), None)
    is_known = key in conf.types or key in known or any(name.startswith(key + ".") for name in (*known, *conf.types))
    if is_known:
        return replace(override, prefix="++") if override.prefix == "+" else override
    if free and override.prefix in ("+", "++"):
        return override  # the part's own signature has the last word
    raise SettingsError(_no_setting(conf, asked, known, override, free))


def _no_setting(conf: Conf, asked: dict[str, list[str]], known: dict, override: Override, free: str | None) -> str:
    key = override.key
    leaves = sorted({*known, *(name for name in conf.types if name not in _sections(conf))})
    where = "" if conf.command == "train" else f" in `brats-unet {conf.command}`"
    message = f"There is no setting {key}{where}."
    if free:
        section = free.split(".")[0]
        others = [name for name in conf.choices(section) if key in conf.settings({**asked, section: [name]})]
        if others:
            chosen = conf.chosen(asked).get(section, ["?"])[0]
            return f"{section}={chosen} has no setting {key}; {section}={others[0]} has one."
        options = [name for name in leaves if name.startswith(free + ".")]
        plus = f" An option that its YAML file leaves out is given with a plus: +{override.text.lstrip('+')}"
        return f"{message} {suggestion(key, options)}{plus}" if options else message + plus
    last = {name.rsplit(".", 1)[-1]: name for name in reversed(leaves)}
    section, _, own = key.rpartition(".")
    siblings = {name.removeprefix(section + "."): name for name in leaves if name.startswith(section + ".")}
    whole = {name: name for name in (*leaves, *conf.defaults)}
    for name, candidates in ((own, siblings), (key, whole), (own, last)):
        if near := nearest(name, candidates):
            return f"{message} Did you mean {candidates[near]}?"
    if siblings:
        return f"{message} {suggestion(key, siblings.values())}"
    return f"{message} `brats-unet {conf.command} --help` lists them all."


def _sections(conf: Conf) -> set[str]:
    return {name for name, kind in conf.types.items() if getattr(kind, "__origin__", kind) is dict}
