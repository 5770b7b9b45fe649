"""Overrides that follow from those typed: the settings of a plan, defaults of the machine, options of other parts."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from brats_unet.cli.arguments import Override
from brats_unet.cli.conf_files import SCHEME, Conf
from brats_unet.cli.yaml_files import plain_value, read_plan
from brats_unet.errors import SettingsError
from brats_unet.hardware import gpu_count
from brats_unet.spelling import suggestion

GLIOMA = "glioma"  # the default, whose phantoms lie in phantoms/
OWN_EXPERIMENT = {"lgg": "lgg2d"}  # data that the general recipes do not suit, and the experiment made for it
FILES = "files"  # data set of any file names, and the setting that gives their patterns
PLAN_FIRST = "auto"  # plan=auto: make the plan, then take it


def with_implied(conf: Conf, overrides: list[Override], *, multirun: bool) -> list[Override]:
    """The overrides with the settings of a plan and the defaults of the machine in front; what was typed wins.

    Raises:
        SettingsError: The plan's file cannot be read, or holds a key that is no setting.
    """
    overrides = with_patterns(conf, overrides)
    return with_machine_defaults(conf, with_plan(conf, overrides, multirun=multirun))


def with_patterns(conf: Conf, overrides: list[Override]) -> list[Override]:
    """The overrides with patterns of file names as quoted text, for their braces, and `files=bids` as its preset."""
    section = next((name for name in conf.sections if name.split(".")[-1] == FILES), None)
    if section is None:
        return overrides
    found = []
    for override in overrides:
        value = (override.value or "").strip()
        if value in ("", "null") or value[0] in "'\"":
            found.append(override)
        elif override.key == section and not value.startswith("{"):
            found.append(replace(override, prefix="++", key=f"{section}.preset"))
        elif override.key.startswith(f"{section}."):
            given = value[1:-1].split(",") if value.startswith("[") and value.endswith("]") else value
            text = [one.strip().strip("'\"") for one in given] if isinstance(given, list) else given
            found.append(replace(override, prefix="++", value=in_hydras_grammar(text)))
        else:
            found.append(override)
    return found


def with_machine_defaults(conf: Conf, overrides: list[Override]) -> list[Override]:
    """Choices that follow from the machine and from other settings, where the user made none.

    The experiment is that of the data (OWN_EXPERIMENT), or nnunet if there is a GPU, else quick. A data.root without
    data= means the user's own scans (data=brats, or data=files with data.files), unless the experiment names its data
    set itself.
    """
    keys = {override.key for override in overrides}
    data = next((o.choices for o in overrides if o.key == "data"), [])
    added = []
    if "experiment" in conf.defaults and "experiment" not in keys:
        general = "nnunet" if gpu_count() else "quick"
        own = OWN_EXPERIMENT.get(data[0], general) if len(data) == 1 else general
        added.append(Override("", "experiment", None, own))
    experiments = [name for o in (*added, *overrides) if o.key == "experiment" for name in o.choices]
    named = any("data" in conf.choices_of("experiment", experiment) for experiment in experiments)
    if "data" in conf.defaults and "data" not in keys and not named:
        if any(key.startswith(f"data.{FILES}.") for key in keys):
            added.append(Override("", "data", None, FILES))
        elif conf.defaults["data"] == "phantom" and "data.root" in keys:
            added.append(Override("", "data", None, "brats"))
    return [*added, *_phantoms_of_scheme(conf, overrides), *overrides]


def _phantoms_of_scheme(conf: Conf, overrides: list[Override]) -> list[Override]:
    """A folder of their own for the phantoms of another scheme than glioma, unless the user gives one."""
    given = {override.key: override for override in overrides}
    key = "output" if conf.command == "phantom" else "data.root"
    makes_phantoms = conf.command == "phantom" or (
        given["data"].choices if "data" in given else [conf.defaults.get("data")]
    ) == ["phantom"]
    schemes = given[SCHEME].choices if SCHEME in given else [GLIOMA]
    if key in given or not makes_phantoms or len(schemes) > 1 or schemes == [GLIOMA]:
        return []
    return [Override("", key, None, f"phantoms-{Path(schemes[0]).stem}")]


def with_plan(conf: Conf, overrides: list[Override], *, multirun: bool = False) -> list[Override]:
    """The settings of a plan's file in front of those typed, which win.

    If another part is typed than the plan's (model=unet2d), the plan's options of that part do not apply. Of several
    jobs each reads the plan itself; only its choices of groups are added here.

    Raises:
        SettingsError: The file cannot be read, or holds a key that is no setting.
    """
    file = next((o.value for o in overrides if o.key == "plan" and o.value not in (None, "", "null", PLAN_FIRST)), None)
    if file is None or "plan" not in conf.types:
        return overrides
    path = Path(file.strip("'\"")).expanduser()
    plan = read_plan(path)
    given = {override.key for override in overrides}
    others = {o.key for o in overrides if o.key in conf.parts and o.key in plan and o.choices != [plan[o.key]]}
    planned = []
    for key, value in plan.items():
        if key == "plan" or (key not in conf.types and key not in conf.defaults and "." not in key):
            raise SettingsError(f"{path}: there is no setting {key}. {suggestion(key, [*conf.types, *conf.defaults])}")
        is_group = key in conf.defaults
        if key in given or key.split(".")[0] in others or (multirun and not is_group):
            continue
        text = value if isinstance(value, str) else in_hydras_grammar(value)
        planned.append(Override("" if is_group else "++", key, None, text))
    return planned + overrides


def own_options(conf: Conf, overrides: list[Override], asked: Mapping[str, list[str]]) -> list[Override]:
    """Overrides that undo what an experiment sets for its own model, loss, … where the user chose another one.

    They give back the values of the chosen part's own file, and remove options that this file does not have. Settings
    typed by the user are left alone.
    """
    given = {override.key for override in overrides}
    settings = conf.settings(asked)
    found: dict[str, Override] = {}
    for experiment in asked.get("experiment", []):
        for key in conf.settings_of_other_parts(experiment, asked):
            if key in given:
                continue
            if key in settings:
                text = settings[key].value
                value = text if "${" in text else in_hydras_grammar(plain_value(text))
                found[key] = Override("++", key, None, value)
            else:
                missing = _outermost_missing(key, [*settings, *given])
                found[missing] = Override("~", missing, None, None)
    return list(found.values())


def _outermost_missing(key: str, known: list[str]) -> str:
    """The shortest start of a dotted key, two words or more, under which nothing is known."""
    words = key.split(".")
    starts = (".".join(words[:count]) for count in range(2, len(words)))
    return next((start for start in starts if not any(f"{name}.".startswith(f"{start}.") for name in known)), key)


def in_hydras_grammar(value: Any) -> str:
    """A plain value as Hydra's override grammar writes it."""
    if isinstance(value, Mapping):  # its keys stand without quotes
        return "{" + ",".join(f"{key}:{in_hydras_grammar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(in_hydras_grammar(item) for item in value) + "]"
    return json.dumps(value)


def with_plus(override: Override) -> Override:
    """`+key` of a known key as `++key`, so that a superfluous plus does no harm."""
    return replace(override, prefix="++") if override.prefix == "+" else override
