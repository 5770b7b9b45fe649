"""Check the settings of a command line against conf/ before Hydra sees them: a typo ends here, and nothing is made."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from brats_unet.binding import NEEDED
from brats_unet.cli.arguments import Override, Request
from brats_unet.cli.conf_files import SCHEME, SCHEME_SUFFIXES, Conf
from brats_unet.cli.implied import own_options, with_implied, with_plus
from brats_unet.cli.overrides import parsed
from brats_unet.cli.synonyms import sentence_for, setting_meant
from brats_unet.cli.yaml_files import Setting
from brats_unet.errors import SettingsError
from brats_unet.spelling import nearest, suggestion


def checked(request: Request) -> list[Override]:
    """The overrides of a command, each known to conf/, with those that follow from them added.

    Raises:
        SettingsError: A key, a group or a choice does not exist; names the nearest.
    """
    conf = request.conf
    overrides = [parsed(argument, index, request) for index, argument in enumerate(request.arguments)]
    overrides = with_implied(conf, overrides, multirun=request.multirun)
    asked = asked_choices(conf, overrides, multirun=request.multirun)
    known = conf.settings(asked)
    overrides = [_known(conf, asked, known, override) for override in overrides]
    if request.multirun:
        return overrides  # each job adds the rest for its own choices
    return [*own_options(conf, overrides, asked), *overrides]


def asked_choices(conf: Conf, overrides: list[Override], *, multirun: bool) -> dict[str, list[str]]:
    """Choices of each group that the overrides name, several where the user sweeps.

    Raises:
        SettingsError: A group has no such choice, or several are given without -m.
    """
    asked: dict[str, list[str]] = {}
    for override in overrides:
        if override.key.startswith("hydra") or override.prefix == "~" or not (names := _choices_of(conf, override)):
            continue
        value = (override.value or "").strip()
        if value in ("", "null"):
            raise SettingsError(f"{override.key}={value} is no choice. {suggestion('', names)}")
        if "(" in value or "*" in value:
            continue  # Hydra's own functions, such as glob(*)
        if value.startswith("["):
            raise SettingsError(f"{override.text}: give one choice, such as {override.key}={next(iter(names))}.")
        for name in override.choices:
            if override.key == SCHEME and (name in names or name.endswith(SCHEME_SUFFIXES)):
                from brats_unet.schemes.scheme_file import read_scheme  # it needs NumPy

                read_scheme(conf.scheme_path(name))  # refuses, with the line
            elif name not in names:
                raise SettingsError(f"There is no {override.key}={name}. {suggestion(name, names)}")
        if len(override.choices) > 1 and not multirun:
            raise SettingsError(f"{override.text} names several. Add -m to run each of them, one after another.")
        asked[override.key] = override.choices
    return asked


def refuse_gaps(conf: Conf, overrides: list[Override], values: Mapping[str, Any]) -> None:
    """Ask at once for all settings that must be given and were not.

    Raises:
        SettingsError: Some are missing; names each with its comment in conf/.
    """
    comments = conf.settings(asked_choices(conf, overrides, multirun=True))
    if gaps := list(_gaps(values)):
        listed = "; ".join(f"{key}=… ({comments[key].comment})" if key in comments else f"{key}=…" for key in gaps)
        raise SettingsError(f"`brats-unet {conf.command}` needs {listed}. See `brats-unet {conf.command} --help`.")


def refuse_long_warmup(overrides: list[Override], values: Mapping[str, Any]) -> None:
    """Refuse a warm-up that the user typed and that is longer than the training.

    That of an experiment may be longer: steps=5 tries a recipe, and its warm-up stays that of the recipe.

    Raises:
        SettingsError: It is longer.
    """
    steps, warmup = values.get("steps"), (values.get("schedule") or {}).get("warmup_steps")
    typed = any(override.key == "schedule.warmup_steps" for override in overrides)
    if typed and isinstance(steps, (int, float)) and isinstance(warmup, (int, float)) and warmup > steps:
        raise SettingsError(
            f"schedule.warmup_steps={warmup} is more than steps={steps}: the learning rate would never reach its full "
            f"value. Give fewer warm-up steps, or more steps."
        )


def _gaps(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _gaps(value, f"{prefix}{name}.")
        elif isinstance(value, str) and value == NEEDED:
            yield prefix + name


def _choices_of(conf: Conf, override: Override) -> dict[str, str]:
    if override.key in conf.defaults or override.prefix in ("+", "++"):
        return conf.choices(override.key)
    return {}


def _known(conf: Conf, asked: dict[str, list[str]], known: dict[str, Setting], override: Override) -> Override:
    key = override.key
    if key.split(".")[0].split("/")[0] == "hydra":
        return override  # Hydra's own settings, for those who know them
    if key in conf.defaults:
        if override.prefix == "~":
            raise SettingsError(f"{override.text}: {key} cannot be left out. {suggestion('', conf.choices(key))}")
        if override.package not in (None, key):
            raise SettingsError(f"{override.text}: write {key}={override.value}, without @{override.package}.")
        return replace(override, prefix="", package=None)
    if override.prefix in ("+", "++") and conf.choices(key):
        return override
    free = next((section for section in conf.sections if key.startswith(section + ".")), None)
    if key in conf.types or key in known or any(name.startswith(key + ".") for name in (*known, *conf.types)):
        if override.value == "" and override.prefix != "~":
            raise SettingsError(f"{key}= has no value. Write {key}=VALUE, or {key}=null to leave it unset.")
        return with_plus(override)
    if free and override.prefix in ("+", "++"):
        return override  # the signature of the part decides
    if free and free in known and known[free].value == "null":
        return replace(override, prefix="++")  # no file says which keys there are; the command decides
    raise SettingsError(_no_setting(conf, asked, known, override, free))


def _no_setting(
    conf: Conf, asked: dict[str, list[str]], known: dict[str, Setting], override: Override, free: str | None
) -> str:
    key = override.key
    leaves = sorted({*known, *(name for name in conf.types if name not in conf.sections)})
    where = "" if conf.command == "train" else f" in `brats-unet {conf.command}`"
    message = f"There is no setting {key}{where}."
    if free:
        section = free.split(".")[0]
        others = [name for name in conf.choices(section) if key in conf.settings({**asked, section: [name]})]
        if others:
            chosen = conf.chosen(asked).get(section, ["?"])[0]
            return f"{section}={chosen} has no setting {key}; {section}={others[0]} has one."
    if meant := setting_meant(key, {*leaves, *conf.defaults}):
        choices = f"={'|'.join(conf.choices(meant))}" if meant in conf.defaults else ""
        return f"{message} Did you mean {meant}{choices}?"
    if "sampling.batch" in leaves and (sentence := sentence_for(key)):
        return f"{message} {sentence}"
    if free:
        options = [name for name in leaves if name.startswith(free + ".")]
        plus = f" An option that its YAML file leaves out is given with a plus: +{override.text.lstrip('+')}"
        hint = f" {suggestion(key, options)}" if options else ""
        return message + hint + (plus if free in conf.parts else "")
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
