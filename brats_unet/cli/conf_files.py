"""What conf/ offers, read without Hydra in milliseconds: commands, groups, choices, keys, values and their comments."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from brats_unet import settings
from brats_unet.cli.yaml_files import ConfFile, Setting, merge, read
from brats_unet.files import conf_folder, is_file

COMMANDS: dict[str, type] = {
    "train": settings.Train,
    "crossval": settings.Crossval,
    "plan": settings.Plan,
    "doctor": settings.Doctor,
    "evaluate": settings.Evaluate,
    "compare": settings.Compare,
    "runs": settings.Runs,
    "reproduce": settings.Reproduce,
    "report": settings.Report,
    "predict": settings.Predict,
    "tune": settings.Tune,
    "export": settings.Export,
    "fuse": settings.Fuse,
    "check": settings.Check,
    "phantom": settings.Phantom,
}


SCHEME = "scheme"  # a group whose files are data, not settings; a path that ends in one of these is a choice too
SCHEME_SUFFIXES = (".yaml", ".yml")


def typed_keys(cls: type, prefix: str = "") -> dict[str, Any]:
    """Type of each leaf of a settings dataclass, by dotted key; sections of free keys are leaves of type dict.

    A section that may be one value instead, as `Union[str, SideLabels]`, counts as a section.
    """
    hints = get_type_hints(cls)
    keys: dict[str, Any] = {}
    for item in fields(cls):
        kind = hints[item.name]
        section = next((one for one in (kind, *get_args(kind)) if isinstance(one, type) and is_dataclass(one)), None)
        if section is not None:
            keys |= typed_keys(section, f"{prefix}{item.name}.")
        else:
            keys[prefix + item.name] = kind
    return keys


@dataclass(frozen=True)
class Conf:
    """The YAML files that one command is made of.

    Attributes:
        command: One of `COMMANDS`.
        own: A folder of the user's own files, searched first, or None.
    """

    command: str
    own: Path | None = None

    @cached_property
    def file(self) -> ConfFile:
        """The command's own file, merged with those of the commands whose settings it includes."""
        own = self._find("", self.command)
        defaults: list[tuple[str, str]] = []
        found: dict[str, Setting] = {}
        for group, choice in own.defaults:
            if group or choice == "_self_":
                defaults.append((group, choice))
            else:
                other = self._find("", choice)
                defaults += other.defaults
                merge(found, other.settings)
        merge(found, own.settings)
        return replace(own, defaults=tuple(dict.fromkeys(defaults)), settings=found)

    @cached_property
    def types(self) -> dict[str, Any]:
        """Type of each setting by dotted key."""
        return typed_keys(COMMANDS[self.command])

    @cached_property
    def sections(self) -> set[str]:
        """Settings that hold free keys: the options of parts, and those of the preparation."""
        return {
            name for name, kind in self.types.items() if any(get_origin(one) is dict for one in (kind, *get_args(kind)))
        }

    @cached_property
    def defaults(self) -> dict[str, str]:
        """Choice of each group if neither the user nor an experiment chooses."""
        return {group: choice for group, choice in self.file.defaults if group not in ("", "_self_")}

    @cached_property
    def parts(self) -> set[str]:
        """Groups whose options differ from choice to choice: model, loss, augmentation, optimizer, schedule."""
        return self.sections & set(self.defaults) - {SCHEME}

    def choices(self, group: str) -> dict[str, str]:
        """Names in a group, each with its summary; empty if there is no such group."""
        names = {path.stem for folder in self._folders for path in (folder / group).glob("*.yaml")}
        return {name: self._find(group, name).summary for name in sorted(names)}

    def chosen(self, asked: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Choices of every group: what the user asked for, else those of the experiment, else the defaults."""
        chosen = {group: [choice] for group, choice in self.defaults.items()}
        for chooser in ("data", "experiment"):
            for name in asked.get(chooser, chosen.get(chooser, [])):
                for group, choice in self.choices_of(chooser, name).items():
                    chosen[group] = [choice]
        return chosen | dict(asked)

    def choices_of(self, group: str, choice: str) -> dict[str, str]:
        """Other groups that an experiment or a data set chooses for itself, those of its parents included."""
        file = self._find(group, choice)
        found: dict[str, str] = {}
        for parent, name in file.defaults:
            if not parent and name != choice:
                found |= self.choices_of(group, name)
        return found | dict(file.overrides)

    def scheme_path(self, choice: str) -> Path:
        """The file of a scheme: a name in the group, or a path."""
        named = (folder / SCHEME / f"{choice}.yaml" for folder in self._folders)
        return Path(choice) if choice.endswith(SCHEME_SUFFIXES) else next(path for path in named if path.is_file())

    def settings_of_other_parts(self, experiment: str, asked: Mapping[str, list[str]]) -> list[str]:
        """Keys that an experiment sets for a part of its own (model, loss, …) where the user chose another part.

        They do not apply: the strides of one network are not those of another.
        """
        own = self.defaults | self.choices_of("experiment", experiment)
        others = {group for group in self.parts & set(asked) if own[group] not in asked[group]}
        return [key for key in self._group_settings("experiment", experiment) if key.split(".")[0] in others]

    def settings(self, asked: Mapping[str, list[str]]) -> dict[str, Setting]:
        """Every key that the chosen files set, with its last value; a comment holds until another replaces it."""
        chosen = self.chosen(asked)
        order = [group for group, _ in self.file.defaults if group] + [g for g in chosen if g not in self.defaults]
        found: dict[str, Setting] = {}
        for group in order if "_self_" in order else ["_self_", *order]:
            if group == "_self_":
                merge(found, self.file.settings)
            for choice in chosen.get(group, []) if group != SCHEME else []:
                dropped = self.settings_of_other_parts(choice, asked) if group == "experiment" else ()
                own = self._group_settings(group, choice)
                merge(found, {key: setting for key, setting in own.items() if key not in dropped})
        return found

    @property
    def _folders(self) -> list[Path]:
        return [self.own, conf_folder()] if self.own else [conf_folder()]

    def _find(self, group: str, name: str) -> ConfFile:
        for folder in self._folders:
            path = folder / group / f"{name}.yaml"
            if is_file(path):
                return read(path)
        return ConfFile()

    def _group_settings(self, group: str, choice: str) -> dict[str, Setting]:
        file = self._find(group, choice)
        found: dict[str, Setting] = {}
        for parent, name in file.defaults:
            if not parent and name != choice:
                merge(found, self._group_settings(group, name))
        prefix = "" if file.everywhere else group.replace("/", ".") + "."
        merge(found, {prefix + key: setting for key, setting in file.settings.items()})
        return found
