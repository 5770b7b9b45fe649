"""Tab completion of commands, groups, choices and keys in bash and zsh, read from conf/ without Hydra."""

import os

from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.errors import SettingsError

BASH = """\
_brats_unet() {
    local IFS=$'\\n' word
    word="${COMP_LINE:0:$COMP_POINT}"; word="${word##* }"
    COMPREPLY=($(BRATS_UNET_LINE="${COMP_LINE:0:$COMP_POINT}" "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null))
    if [ "${#COMPREPLY[@]}" -eq 0 ]; then COMPREPLY=($(compgen -f -- "${word#*=}"))
    elif [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then COMPREPLY=("${COMPREPLY[@]#*=}"); fi
    [[ "${#COMPREPLY[@]}" -eq 1 && "${COMPREPLY[0]}" != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _brats_unet brats-unet"""
SCRIPTS = {"bash": BASH, "zsh": "autoload -U +X bashcompinit && bashcompinit\n" + BASH}


def answer(arguments: list[str]) -> int:
    """Answer `-sc install=SHELL` with the script to evaluate, `-sc query=SHELL` with the words that may come next."""
    what, _, shell = (arguments or [""])[0].partition("=")
    if what not in ("install", "query") or shell not in SCRIPTS:
        raise SettingsError(
            f"-sc {' '.join(arguments)}: expected install=bash or install=zsh. "
            f'Put eval "$(brats-unet -sc install=bash)" into ~/.bashrc.'
        )
    if what == "install":
        print(SCRIPTS[shell])
    else:
        print("\n".join(candidates(os.environ.get("BRATS_UNET_LINE", ""))))
    return 0


def candidates(line: str) -> list[str]:
    """Whole words that may stand where `line` ends ("data=brats"); none where a path or number must be typed."""
    *before, word = line.split(" ")
    commands = [name for name in before[1:] if name in COMMANDS]
    if not commands:
        return [name for name in COMMANDS if name.startswith(word)]
    conf = Conf(commands[0])
    group, equals, _ = word.partition("=")
    if equals:
        return [text for name in conf.choices(group) if (text := f"{group}={name}").startswith(word)]
    names = [f"{name}=" for name in dict.fromkeys([*conf.defaults, *conf.settings({})])]
    return [name for name in names if name.startswith(word)]
