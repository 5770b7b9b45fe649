"""Read one argument as an override; one that is no key=value is refused with what was most likely meant."""

import re
import shlex
from pathlib import Path

from brats_unet.cli.arguments import OVERRIDE, Override, Request, known_names
from brats_unet.errors import SettingsError

# Setting that a bare path was most likely meant for, by command; all other commands take paths as they are.
PATH_SETTING = {
    "train": "data.root",
    "crossval": "data.root",
    "plan": "data.root",
    "doctor": "data.cache",
    "check": "data.root",
    "phantom": "output",
}
FILE_SUFFIXES = (
    ".yaml",
    ".yml",
    ".json",
    ".csv",
    ".nii",
    ".gz",
    ".mgz",
    ".mha",
    ".mhd",
    ".nrrd",
    ".keras",
    ".onnx",
    ".html",
)


def parsed(argument: str, index: int, request: Request) -> Override:
    """One argument as an override.

    Raises:
        SettingsError: It is no key=value: a path, a choice, a stray space, quotes; says what was most likely meant.
    """
    match = OVERRIDE.fullmatch(argument)
    arguments = request.arguments
    if index and arguments[index - 1].endswith("=") and (not match or match["value"] is None):
        raise SettingsError(
            f"There is a space after {arguments[index - 1]} Write {arguments[index - 1]}{argument} as one word."
        )
    if arguments[index + 1 : index + 2] and arguments[index + 1].startswith("="):
        following = "".join(arguments[index + 1 : index + 3] if arguments[index + 1] == "=" else [arguments[index + 1]])
        raise SettingsError(f"There is a space after {argument}. Write {argument}{following} as one word.")
    if not argument.strip():
        raise SettingsError("There is an empty argument between quotes. Leave it out.")
    if match and (match["value"] is not None or match["prefix"] == "~"):
        return Override(match["prefix"] or "", match["key"], match["package"], match["value"])
    raise SettingsError(f"Expected key=value, but found {argument}. {_meant(argument, request)}")


def _meant(argument: str, request: Request) -> str:
    """What an argument that is no key=value was most likely meant to be."""
    command, conf = request.command or "", request.conf
    if argument.startswith("="):
        return "The key before the equals sign is missing: write seed=1, for example."
    bare = argument.strip("'\"\u2018\u2019\u201c\u201d")
    known = known_names(conf)
    if bare != argument and (match := OVERRIDE.fullmatch(bare)) and match["value"] is not None:
        return f"Leave out the quotes: {bare}"
    key, colon, value = argument.partition(":")
    if colon and key in known and not Path(argument).exists():
        return f"Write an equals sign instead of the colon: {key}={value.strip() or '…'}"
    if not re.search(r"[^\W\d]", argument):  # no letter: no path
        return f"See `brats-unet {command} --help`."
    is_path = Path(argument).exists() or Path(argument).suffix in FILE_SUFFIXES or "/" in argument or "\\" in argument
    if command in PATH_SETTING and (is_path or not OVERRIDE.fullmatch(argument)):
        return f"Did you mean {_path_setting(argument, request)}?"
    for group in conf.defaults:
        if argument in conf.choices(group):
            return f"Did you mean {group}={argument}?"
    if argument.lstrip("+") in known:
        following = request.arguments[request.arguments.index(argument) + 1 :][:1]
        value = following[0] if following and "=" not in following[0] else "…"
        return f"Give it a value: {argument}={value}"
    return f"See `brats-unet {command} --help`."


def _path_setting(argument: str, request: Request) -> str:
    """`setting=path` for a bare path, quoted for the shell."""
    command, path = request.command or "", Path(argument)
    setting = PATH_SETTING[command]
    if command in ("train", "doctor", "plan") and path.suffix in (".yaml", ".yml"):
        setting = "plan" if command == "train" else "experiment"
    if command == "train" and (path / "settings.json").is_file():
        setting = "init"
    return shlex.quote(f"{setting}={argument}")
