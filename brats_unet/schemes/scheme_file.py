"""Read a scheme from YAML or JSON: fill in what may be left out, and reject what does not fit, naming the line."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import yaml

from brats_unet.errors import SettingsError
from brats_unet.files import conf_folder
from brats_unet.hand_written import what_is, yaml_text, yaml_values
from brats_unet.modality import Modality
from brats_unet.schemes.region import Outline, Region, Tissue
from brats_unet.schemes.scheme import PROTOCOL_NAMES, Scheme
from brats_unet.schemes.scheme_problems import NAME, Key, problems
from brats_unet.spelling import suggestion

# Okabe and Ito's colours, told apart without full colour vision; the line style changes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
OUTLINES: tuple[Outline, ...] = get_args(Outline)
DEFAULT = "glioma"


@cache
def builtin(name: str = DEFAULT) -> Scheme:
    """A scheme of conf/scheme/; that of runs from before there were schemes is glioma.

    Raises:
        SettingsError: There is no such scheme.
    """
    return read_scheme(conf_folder() / "scheme" / f"{name}.yaml")


def builtin_names() -> list[str]:
    """The names of the schemes in conf/scheme/."""
    return sorted(path.stem for path in (conf_folder() / "scheme").glob("*.yaml"))


def scheme_in(recorded: Mapping[str, Any]) -> Scheme:
    """The scheme in what a run, an export or an evaluation recorded; glioma if it is from before there were schemes."""
    plain = recorded.get("scheme")
    if plain is not None and not isinstance(plain, Mapping):
        raise SettingsError(f"scheme: found {what_is(plain)}. Expected at least the keys labels and regions.")
    return builtin() if plain is None else scheme_of(plain)


def read_scheme(path: Path) -> Scheme:
    """The scheme in a YAML file; its name is that of the file unless it gives one.

    Raises:
        SettingsError: The file is missing, is no YAML, holds a key twice, or does not hold a scheme. All problems are
            listed, each with its line and key.
    """
    if not path.exists():
        if path.parent == conf_folder() / "scheme":
            raise SettingsError(f"There is no scheme={path.stem}. {suggestion(path.stem, builtin_names())}")
        raise SettingsError(f"scheme={path}: no such file. Give a YAML file, or one of {', '.join(builtin_names())}.")
    _, node = yaml_text(path)
    plain = yaml_values(path)
    if not isinstance(plain, Mapping):
        raise SettingsError(f"{path}: found {what_is(plain)}. Expected at least the keys labels and regions.")
    if "name" not in plain:
        plain = {"name": path.stem, **plain}
    lines = {} if node is None else dict(_lines(node))
    return scheme_of(plain, where=lambda key: f"{path}, line {_line(lines, key)}, {'.'.join(key)}")


def scheme_of(plain: Mapping[str, Any], *, where: Any = lambda key: ".".join(("scheme", *map(str, key)))) -> Scheme:
    """A scheme from plain types; see conf/scheme/glioma.yaml for the keys.

    Only `labels` and `regions` must be given. A label may be its integer alone, or nothing; a region the list of its
    labels. All regions are predicted and scored unless `predicted` and `scored` say otherwise, and the files hold the
    integers of the labels unless `integers` lists label conventions.

    Args:
        plain: The keys of the file.
        where: Position of a key in words, for messages.

    Raises:
        SettingsError: It is no scheme; all problems are listed.
    """
    whole = completed(plain)
    if found := problems(whole, written=plain):
        raise SettingsError("\n".join(f"{where(key)}: {text}" for key, text in found))
    return Scheme(
        name=whole["name"],
        source=whole["source"],
        labels={name: Tissue(name, **one) for name, one in whole["labels"].items()},
        regions={
            name: Region(name, **{**one, "labels": tuple(one["labels"])}) for name, one in whole["regions"].items()
        },
        predicted=tuple(whole["predicted"]),
        classes=tuple(whole["classes"]),
        scored=tuple(whole["scored"]),
        small_total=tuple(whole["small_total"]),
        protocol=whole["protocol"],
        integers={
            name: {label: tuple(values) for label, values in table.items()} for name, table in whole["integers"].items()
        },
    )


def completed(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a scheme with those that were left out filled in; what cannot be understood stays for `problems`."""
    whole: dict[str, Any] = {"name": "own", "source": "", "protocol": PROTOCOL_NAMES[0], "small_total": [], **plain}
    labels, regions = whole.get("labels"), whole.get("regions")
    if not isinstance(labels, Mapping) or not isinstance(regions, Mapping):
        return whole
    whole["labels"] = {name: _label(name, number, one) for number, (name, one) in enumerate(labels.items(), 1)}
    whole["regions"] = {name: _region(name, index, one) for index, (name, one) in enumerate(regions.items())}
    whole.setdefault("predicted", list(regions))
    whole.setdefault("scored", list(whole["predicted"]) if isinstance(whole["predicted"], list) else [])
    if "classes" not in whole:
        whole["classes"] = [name for name in labels if name in _predicted_labels(whole)]
    if "integers" not in whole:
        values = {name: one.get("value") for name, one in whole["labels"].items() if isinstance(one, Mapping)}
        whole["integers"] = {whole["name"] if NAME.fullmatch(str(whole["name"])) else "own": values}
    if isinstance(whole["integers"], Mapping):
        whole["integers"] = {
            name: {label: value if isinstance(value, list) else [value] for label, value in table.items()}
            if isinstance(table, Mapping)
            else table
            for name, table in whole["integers"].items()
        }
    return whole


def _label(name: Any, number: int, given: Any) -> Any:
    if given is None or (isinstance(given, int) and not isinstance(given, bool)):
        given = {} if given is None else {"value": given}
    return (
        {"value": number, "words": str(name), "also": _exactly(name), **given} if isinstance(given, Mapping) else given
    )


def _region(name: Any, index: int, given: Any) -> Any:
    if isinstance(given, list):
        given = {"labels": given}
    style = {"colour": COLOURS[index % len(COLOURS)], "outline": OUTLINES[index % len(OUTLINES)]}
    base = {"words": str(name), **style, "seen_on": str(Modality.FLAIR), "also": _exactly(name)}
    return {**base, **given} if isinstance(given, Mapping) else given


def _exactly(name: Any) -> str:
    return f"^{re.escape(str(name))}$"


def _predicted_labels(whole: Mapping[str, Any]) -> set[Any]:
    found: set[Any] = set()
    for name in whole["predicted"] if isinstance(whole["predicted"], list) else []:
        region = whole["regions"].get(name) if isinstance(name, str) else None
        if isinstance(region, Mapping) and isinstance(region.get("labels"), list):
            found |= {label for label in region["labels"] if isinstance(label, str)}
    return found


def _lines(node: yaml.Node, key: Key = ()) -> Iterator[tuple[Key, int]]:
    """The line of every key of a YAML document, from 1."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield (*key, str(name.value)), name.start_mark.line + 1
            yield from _lines(value, (*key, str(name.value)))


def _line(lines: Mapping[Key, int], key: Key) -> int:
    """The line of a key, or of the section that lacks it."""
    for length in range(len(key), 0, -1):
        if (found := lines.get(tuple(map(str, key[:length])))) is not None:
            return found
    return 1
