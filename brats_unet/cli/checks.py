"""The settings of a command line held against conf/ before Hydra sees them: typos end here, and nothing is made."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from brats_unet.binding import NEEDED
from brats_unet.cli.arguments import Override, Request, parsed
from brats_unet.cli.conf_files import Conf, read_plan
from brats_unet.errors import SettingsError
from brats_unet.hardware import gpu_count
from brats_unet.spelling import nearest, suggestion

PLAN_FIRST = "auto"  # plan=auto: make the plan, then take it


def checked(request: Request) -> list[Override]:
    """The overrides of a command, each known to conf/, with the defaults that depend on the machine added.

    `+key` of a known key becomes `++key`, so that a superfluous plus does no harm.

    Raises:
        SettingsError: A key, a group or a choice does not exist; names the nearest.
    """
    conf = request.conf
    overrides = [parsed(argument, index, request) for index, argument in enumerate(request.arguments)]
    overrides = with_machine_defaults(conf, with_plan(conf, overrides))
    asked = asked_choices(conf, overrides, multirun=request.multirun)
    known = conf.settings(asked)
    return [_known(conf, asked, known, override) for override in overrides]


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


def with_plan(conf: Conf, overrides: list[Override]) -> list[Override]:
    """The settings of a plan's file in front of the user's own, which have the last word.

    Raises:
        SettingsError: The file cannot be read, or holds a key that is no setting.
    """
    file = next((o.value for o in overrides if o.key == "plan" and o.value not in (None, "", "null", PLAN_FIRST)), None)
    if file is None or "plan" not in conf.types:
        return overrides
    path = Path(file.strip("'\"")).expanduser()
    given = {override.key for override in overrides}
    planned = []
    for key, value in read_plan(path).items():
        if key == "plan" or (key not in conf.types and key not in conf.defaults and "." not in key):
            raise SettingsError(f"{path}: there is no setting {key}. {suggestion(key, [*conf.types, *conf.defaults])}")
        if key in given:
            continue
        text = value if isinstance(value, str) else _in_hydras_grammar(value)
        planned.append(Override("++" if key not in conf.defaults else "", key, None, text))
    return planned + overrides


def _in_hydras_grammar(value: Any) -> str:
    if isinstance(value, Mapping):  # its keys stand without quotes
        return "{" + ",".join(f"{key}:{_in_hydras_grammar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_in_hydras_grammar(item) for item in value) + "]"
    return json.dumps(value)


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
    whole = {} if siblings else {name: name for name in (*leaves, *conf.defaults)}
    for name, candidates in ((own, siblings), (key, whole), (own, last)):
        if near := nearest(name, candidates):
            return f"{message} Did you mean {candidates[near]}?"
    if siblings:
        return f"{message} Known: {', '.join(siblings.values())}."
    return f"{message} `brats-unet {conf.command} --help` lists them all."


def _sections(conf: Conf) -> set[str]:
    return {name for name, kind in conf.types.items() if getattr(kind, "__origin__", kind) is dict}
