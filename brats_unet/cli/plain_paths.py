"""Paths as people type them: `brats-unet evaluate runs/a`, folders and globs without the name of their setting.

Only commands that open trained networks, scores or masks take them. `train` and `phantom` never do: there a word that
is no setting is a mistake.
"""

import fnmatch
import glob
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from brats_unet.errors import SettingsError, some
from brats_unet.files import exists
from brats_unet.spelling import nearest

SETTINGS = {
    "compare": "runs",
    "evaluate": "run",
    "predict": "run",
    "tune": "run",
    "export": "run",
    "report": "run",
    "fuse": "inputs",
    "runs": "folder",
    "reproduce": "run",
}
ONE = ("export", "report", "runs", "reproduce")  # take one path
NETWORKS = ("tune",)  # take nothing but trained networks
SWEEP_TABLE = "sweep-*.csv"  # table of a sweep beside its runs, which a shell adds to runs/*
NETWORK_FILES = (".keras", ".onnx", ".xml")
NETWORK_MARKS = ("recipe.json", "prediction.json", "ensemble.json", "checkpoints")  # in a folder that holds a network


def gathered(command: str | None, arguments: Sequence[str], names: Collection[str]) -> list[str]:
    """The arguments of a command with its plain paths as values of the settings that they are meant for.

    Args:
        command: Name of the command.
        arguments: Arguments as typed, without flags.
        names: Words that are settings, groups or choices of the command; they are paths only if they exist.

    Raises:
        SettingsError: A path or a glob matches nothing, the paths do not fit the command, or their setting is given
            too.
    """
    setting = SETTINGS.get(command or "")
    if command is None or setting is None:
        return list(arguments)
    words = [one for index, one in enumerate(arguments) if _is_path(arguments, index, names)]
    if not words:
        return list(arguments)
    rest = [one for index, one in enumerate(arguments) if not _is_path(arguments, index, names)]
    paths = [path for word in words for path in _existing(word)]
    if len(paths) > 1:
        paths = [path for path in paths if not fnmatch.fnmatch(Path(path).name, SWEEP_TABLE)]
    given = _settings(command, setting, paths)
    for key in given:
        if twice := next((one for one in rest if re.match(rf"[+]*{re.escape(key)}=", one)), None):
            raise SettingsError(f"{twice} and {some(paths)} name the same. Give one of them.")
    return [*(f"{key}={_text(value)}" for key, value in given.items()), *rest]


def _is_path(arguments: Sequence[str], index: int, names: Collection[str]) -> bool:
    """Whether an argument is a path. A setting typed with a stray space or colon is none."""
    word = arguments[index]
    if not word.strip() or (word.startswith(("=", "~")) and not word.startswith("~/")):
        return False
    if exists(Path(word).expanduser()):
        return "=" not in word or word.partition("=")[0] not in names
    beside = [*arguments[index - 1 : index], *arguments[index + 1 : index + 2]] if index else arguments[1:2]
    stray = any(one == "=" or one.startswith("=") for one in beside) or (index and arguments[index - 1].endswith("="))
    key, colon, _ = word.partition(":")
    return not stray and "=" not in word and word not in names and not (colon and key in names)


def _existing(word: str) -> list[str]:
    """The paths that a word stands for: itself, or what a glob matches, in the order of their names."""
    path = Path(word).expanduser()
    if exists(path):
        return [str(path)]
    if glob.has_magic(word):
        if found := sorted(glob.glob(str(path))):  # noqa: PTH207  (a pattern may be absolute)
            return found
        raise SettingsError(f"{word}: there is nothing of that name.{_beside(path)}")
    raise SettingsError(f"{word}: there is no such file or folder.{_beside(path)}")


def _beside(path: Path) -> str:
    """What there is instead: the nearest names in the folder, or the folder that is missing."""
    folder = path.parent
    if not folder.is_dir():
        return f" There is no folder {folder} either."
    names = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    near = nearest(path.name, names)
    return f" Did you mean {folder / near}?" if near else f" {folder} holds {some(names) or 'nothing'}."


def _settings(command: str, setting: str, paths: list[str]) -> dict[str, str | list[str]]:
    """The paths by the settings that they are meant for."""
    if command in ONE and len(paths) != 1:
        raise SettingsError(f"`brats-unet {command}` takes one path; found {len(paths)}: {some(paths)}.")
    if command in (*ONE, "compare", "fuse"):
        return {setting: paths if command in ("compare", "fuse") else paths[0]}
    networks = [path for path in paths if is_network(Path(path))]
    others = [path for path in paths if path not in networks]
    run: dict[str, str | list[str]] = {"run": networks[0] if len(networks) == 1 else networks} if networks else {}
    if not others:
        return run
    if command == "predict" and networks and len(others) == 1:
        return {**run, "input": others[0]}
    if command == "evaluate" and len(networks) == 1 and len(others) == 1:
        return {**run, "data.root": others[0]}
    if command == "evaluate" and not networks and len(others) == 2:
        return {"predictions": others[0], "references": others[1]}
    wanted = {
        "predict": "one or more runs, and one folder of scans",
        "evaluate": "runs, or a run and a folder of cases, or two folders of masks, the expert masks last",
        "tune": "runs",
    }[command]
    raise SettingsError(f"`brats-unet {command}` takes {wanted}. No runs or networks: {some(others)}.")


def is_network(path: Path) -> bool:
    """Whether a path is that of a run, an ensemble or an exported network."""
    return path.suffix in NETWORK_FILES if path.is_file() else any((path / name).exists() for name in NETWORK_MARKS)


def _text(value: str | list[str]) -> str:
    """A path as typed after a key, or a list of paths in Hydra's grammar, each in quotes."""
    if isinstance(value, str):
        return value
    quoted = ["'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'" for path in value]
    return f"[{','.join(quoted)}]"
