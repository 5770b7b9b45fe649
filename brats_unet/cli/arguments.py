"""The command line taken apart: the command, the flags, and each key=value; what is none of these is refused."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.errors import SettingsError
from brats_unet.parts import suggestion

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
# Where a bare path was most likely meant to go, by command.
PATH_SETTING = {
    "train": "data.root",
    "plan": "data.root",
    "doctor": "experiment",
    "evaluate": "run",
    "predict": "input",
    "check": "data.root",
    "phantom": "output",
    "compare": "runs",
    "report": "run",
}
LISTS = {"compare": "runs"}  # setting that the bare words of a command are gathered into


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
    if request.flags.pop("--json", None) is not None:
        request.arguments.append("json=true")
    request.arguments = _gathered(request.arguments, LISTS.get(request.command or ""))
    if (shown := request.flags.get("--cfg", "job")) not in ("job", "hydra", "all"):
        raise SettingsError(f"--cfg {shown}: expected --cfg job, which prints the settings and stops.")
    return request


def _gathered(arguments: list[str], setting: str | None) -> list[str]:
    """Bare words become one `setting=[…]`, where a command takes several; the rest stays as typed."""
    bare = [argument for argument in arguments if setting and "=" not in argument and not argument.startswith("~")]
    if not bare:
        return arguments
    quoted = ["'" + argument.replace("\\", "\\\\").replace("'", "\\'") + "'" for argument in bare]
    return [f"{setting}=[{','.join(quoted)}]", *(argument for argument in arguments if argument not in bare)]


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
