"""Split a command line into the command, the flags and each key=value; name what an unknown flag was meant to be."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from brats_unet.cli import plain_paths, synonyms
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.errors import SettingsError
from brats_unet.spelling import nearest, suggestion

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
    "--json": ("", False),
}
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
OWN_FILES = "Put files of your own into a folder, such as DIR/experiment/mine.yaml: --config-dir DIR experiment=mine."
HYDRAS_FLAGS = {
    "--config-name": f"Each command has its own settings file. {OWN_FILES}",
    "-cn": f"Each command has its own settings file. {OWN_FILES}",
    "--config-path": f"The settings files belong to brats-unet. {OWN_FILES}",
    "-cp": f"The settings files belong to brats-unet. {OWN_FILES}",
    "--resolve": "`--cfg job` always resolves references.",
    "--run": "A command runs without a flag; -m runs several jobs.",
    "-r": "A command runs without a flag; -m runs several jobs.",
    "--hydra-help": "`brats-unet --help` lists the flags.",
    "--experimental-rerun": "Give the same command again: it resumes the run.",
}
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"  # hyphens, dashes and the minus sign that text programs put in


@dataclass(frozen=True)
class Override:
    """One `key=value` as typed: its prefix ("", "+", "++" or "~"), key, `@package` or None, value or None."""

    prefix: str
    key: str
    package: str | None
    value: str | None

    @property
    def text(self) -> str:
        """The override as it is typed."""
        package = "" if self.package is None else f"@{self.package}"
        return f"{self.prefix}{self.key}{package}" + ("" if self.value is None else f"={self.value}")

    @property
    def choices(self) -> list[str]:
        """The value as names of choices, several where it is a list or a sweep; [""] without a value."""
        return [name.strip().strip("'\"") for name in (self.value or "").strip().strip("[]").split(",")]


@dataclass
class Request:
    """A command line, split: the command (or None), the flags by long name, and the other arguments as typed."""

    command: str | None = None
    flags: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)

    @property
    def multirun(self) -> bool:
        """Whether the command is to run once for every combination of values."""
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
    """Command, flags and overrides of a command line; flags may stand anywhere, and `help` is --help.

    Raises:
        SettingsError: There is no such flag or command.
    """
    request = Request()
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        if argument[:1] and argument[0] in DASHES:
            word = argument.lstrip(DASHES + "-")
            plain = f"-{word}" if len(word) == 1 else f"--{word}"
            raise SettingsError(f"{argument} begins with a typographic dash. Write {plain}, with hyphens.")
        if argument.startswith("-") and len(argument) > 1:
            name, equals, value = argument.partition("=")
            name = next((long for long, (short, _) in FLAGS.items() if name in (long, short)), name)
            if name not in FLAGS:
                raise SettingsError(_no_flag(argument, rest[0] if rest else None, request))
            if FLAGS[name][1] and not equals:
                value = rest.pop(0) if rest else ""
            if FLAGS[name][1] and not value:
                raise SettingsError(f"{argument} needs a value after it. See `brats-unet --help`.")
            if equals and name == "--json":
                request.arguments.append(f"json={value}")
                continue
            if equals and not FLAGS[name][1]:
                raise SettingsError(f"{argument}: {name} takes no value. Write {name} alone.")
            request.flags[name] = value
        elif request.command is None and argument == "help":
            request.flags["--help"] = ""
        elif request.command is None:
            request.command = _command(argument)
        else:
            request.arguments.append(argument)
    if request.flags.pop("--json", None) is not None:
        request.arguments.append("json=true")
    _refuse_unknown_flag_values(request)
    return request


def _refuse_unknown_flag_values(request: Request) -> None:
    if (wanted := request.flags.get("--cfg", "job")) not in ("job", "hydra", "all"):
        raise SettingsError(f"--cfg {wanted}: expected --cfg job, which prints the settings and stops.")
    if (wanted := request.flags.get("--info", INFO[0])) not in INFO:
        raise SettingsError(f"--info {wanted}: expected one of {', '.join(INFO)}.")
    if "--package" in request.flags and "--cfg" not in request.flags:
        raise SettingsError("--package shows one section of what --cfg job prints. Add --cfg job.")
    if "--shell-completion" in request.flags:
        raise SettingsError("-sc stands alone: brats-unet -sc install=bash")


def gather_paths(request: Request) -> None:
    """Make the plain paths of a command line values of the settings that they are meant for; see `plain_paths`."""
    if request.command in plain_paths.SETTINGS:
        conf = request.conf
        names = known_names(conf).union(*(conf.choices(group) for group in conf.defaults))
        request.arguments = plain_paths.gathered(request.command, request.arguments, names)


def _no_flag(argument: str, following: str | None, request: Request) -> str:
    """What to say about an unknown flag: a setting written with dashes, a flag of Hydra, or a typo."""
    name, equals, value = argument.partition("=")
    if name in HYDRAS_FLAGS:
        return f"There is no option {name}. {HYDRAS_FLAGS[name]}"
    match = OVERRIDE.fullmatch(argument.lstrip("-"))
    if match is None:
        return f"There is no option {argument}. {suggestion(argument, FLAGS)}"
    known = known_names(Conf(request.command or "train"))
    key = match["key"].replace("-", "_")
    key = key if key in known else synonyms.setting_meant(key, known) or match["key"]
    if not equals and following is not None and not following.startswith("-") and "=" not in following:
        value = following
    if key in known or (not nearest(name, FLAGS) and (equals or "." in key)):
        return f"Settings are written without dashes: {shlex.quote(f'{key}={value}') if value else f'{key}=…'}"
    if sentence := synonyms.sentence_for(key):
        return f"There is no option {argument}. {sentence}"
    return f"There is no option {argument}. {suggestion(name, FLAGS)} Settings are written without dashes, as seed=1."


def known_names(conf: Conf) -> set[str]:
    """Settings and groups of a command."""
    return {*conf.types, *conf.defaults, *conf.settings({})} - conf.sections | set(conf.defaults)


def _command(argument: str) -> str:
    if argument in COMMANDS:
        return argument
    if "=" in argument:
        raise SettingsError(f"A command comes first: brats-unet train {argument}. Known: {', '.join(COMMANDS)}.")
    meant = argument.lower() if argument.lower() in COMMANDS else synonyms.COMMANDS.get(argument.lower())
    hint = f"Did you mean {meant}?" if meant else suggestion(argument, COMMANDS)
    raise SettingsError(f"There is no command {argument}. {hint} See `brats-unet --help`.")
