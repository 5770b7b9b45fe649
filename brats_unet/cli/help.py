"""The help, as plain text made from the comments in conf/; no fact is stated twice."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable

from brats_unet import __version__
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.yaml_files import Setting
from brats_unet.errors import EXIT_CODES

WHAT = (
    "Train, evaluate and run U-Nets that segment brain tumours in MR scans (BraTS regions: whole tumour, tumour core, "
    "enhancing tumour). Research software, not a medical device."
)
FIRST_STEPS = """\
brats-unet train
    Needs no data: makes synthetic scans (phantoms) and trains a small network on them.
brats-unet evaluate run=runs/NAME
    Scores the trained network on cases that it was not trained on.
brats-unet predict run=runs/NAME input=/scans output=/masks
    Segments new scans and writes masks."""
OPTIONS = (
    ("-h, --help", "show this text; after a command, show its settings"),
    ("-m, --multirun", "run all combinations of values given as a,b,c, one after another"),
    ("--cfg job", "print the settings that the command would use, and stop"),
    ("--config-dir DIR", "also use settings files from your own folder, such as DIR/experiment/mine.yaml"),
    ("--json", "same as json=true: print one JSON document instead of tables and progress"),
    ("--version", "print the version"),
    ("-sc install=SHELL", "print the script for tab completion in bash or zsh"),
)


def overview() -> str:
    """What `brats-unet --help` prints."""
    commands = [(name, Conf(name).file.summary) for name in COMMANDS]
    return _joined(
        f"{_bold('brats-unet')} {__version__}\n{_wrapped(WHAT)}",
        f"{_bold('Usage')}\n  brats-unet COMMAND [key=value …] [options]",
        f"{_bold('Commands')}\n{_columns(commands)}",
        f"{_bold('First steps')}\n{textwrap.indent(FIRST_STEPS, '  ')}",
        f"{_bold('Options')}\n{_columns(OPTIONS)}",
        f"{_bold('Exit codes')}\n{_columns((str(code), meaning) for code, meaning in EXIT_CODES.items())}",
        "`brats-unet COMMAND --help` lists the settings of a command; each is written as key=value, without dashes.",
    )


def of_command(conf: Conf, asked: dict[str, list[str]]) -> str:
    """What `brats-unet COMMAND --help` prints; values are those of the choices in `asked`."""
    chosen, name = conf.chosen(asked), f"brats-unet {conf.command}"
    blocks = [
        _wrapped(f"brats-unet {conf.command}: {conf.file.summary}").replace(name, _bold(name), 1),
        f"{_bold('Usage')}\n  brats-unet {conf.command} [key=value …] [options]",
        f"{_bold('Examples')}\n{_examples(conf.file.about)}",
    ]
    if conf.defaults:
        rows = []
        for group in conf.defaults:
            for index, (name, summary) in enumerate(conf.choices(group).items()):
                mark = "*" if name in chosen.get(group, []) else " "
                rows.append((f"{'' if index else group + '='}", f"{mark} {name}", summary))
        blocks.append(f"{_bold('Choices')} of a whole group of settings (* is used by default)\n{_three_columns(rows)}")
    settings = conf.settings(asked)
    heading = f"{_bold('Settings')} with their default values"
    if "experiment" in chosen:
        heading += f" for experiment={','.join(chosen['experiment'])}"
    blocks.append(f"{heading}\n{_settings(settings, chosen)}")
    blocks.append(f"{_bold('Options')}\n{_columns(OPTIONS)}")
    return _joined(*blocks)


def _examples(about: Iterable[str]) -> str:
    lines = []
    for line in about:
        if line.startswith("  brats-unet"):
            command, _, meaning = re.sub(r"\s{2,}", "\n", line.strip(), count=1).partition("\n")
            lines += [f"  {command}", *([f"      {meaning}"] if meaning else [])]
    return "\n".join(lines)


def _settings(settings: dict[str, Setting], chosen: dict[str, list[str]]) -> str:
    sections: dict[str, list[tuple[str, str]]] = {"": []}
    for key, setting in settings.items():
        choice = re.fullmatch(r"\$\{hydra:runtime\.choices\.(\w+)\}", setting.value)
        value = ",".join(chosen.get(choice[1], ["?"])) if choice else setting.value
        value = re.sub(r"\$\{([^}]*)\}", r"(same as \1)", value)
        value = "(required)" if value == "???" else value
        sections.setdefault(key.split(".")[0] if "." in key else "", []).append((f"{key}={value}", setting.comment))
    return "\n\n".join(_columns(rows, least=30) for rows in sections.values() if rows)


def _columns(rows: Iterable[tuple[str, str]], least: int = 0) -> str:
    rows = list(rows)
    width = max(least, *(len(left) for left, _ in rows if len(left) <= 34), 0) + 2
    lines = []
    for left, right in rows:
        text = textwrap.wrap(right, max(30, _terminal_width() - width - 3)) or [""]
        if len(left) + 2 > width:
            lines.append(f"  {left}")
            left = ""
        lines.append(f"  {left:<{width}}{text[0]}".rstrip())
        lines += [f"  {'':<{width}}{more}" for more in text[1:]]
    return "\n".join(lines)


def _three_columns(rows: list[tuple[str, str, str]]) -> str:
    width = max(len(group) for group, _, _ in rows)
    return _columns([(f"{group:<{width}} {name}", summary) for group, name, summary in rows])


def _joined(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _terminal_width()))


def _terminal_width() -> int:
    return min(110, max(60, shutil.get_terminal_size((100, 24)).columns))


def _bold(text: str) -> str:
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[1m{text}\033[0m"
