"""What is wrong with a scheme, before it is made: every problem with its key and what was expected."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, get_args
from warnings import catch_warnings

from brats_unet.hand_written import what_is
from brats_unet.modality import Modality
from brats_unet.schemes.region import Outline
from brats_unet.schemes.scheme import PROTOCOL_NAMES
from brats_unet.spelling import suggestion

Key = tuple[str, ...]
KEYS = ("name", "source", "labels", "regions", "predicted", "classes", "scored", "protocol", "small_total", "integers")
LABEL_KEYS = ("value", "words", "also")
REGION_KEYS = ("labels", "words", "colour", "outline", "seen_on", "also")
LARGEST_VALUE, LARGEST_INTEGER = 254, 255
MOST_PREDICTED = 8
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def problems(whole: Mapping[str, Any], *, written: Collection[str]) -> list[tuple[Key, str]]:
    """Every problem of a scheme: its key, and a sentence or two.

    Args:
        whole: The scheme, as `scheme_file.completed` has filled it in.
        written: The keys that were not filled in. A problem of another key stands where that key comes from.
    """
    found = [*_unknown_keys((), whole, KEYS)]
    for name in ("labels", "regions"):
        if not isinstance(whole.get(name), Mapping) or not whole[name]:
            text = f"Expected at least one of the {name}, as NAME: …; found {what_is(whole.get(name))}."
            found.append(((name,), text))
    if found:
        return found
    found = [*_labels(whole["labels"]), *_regions(whole["regions"], whole["labels"])]
    found += _lists(whole, written)
    if "integers" in written:  # else they are those of the labels
        found += _integers(whole)
    return found or [*_overlaps(whole, written), *_looks(whole)]


def _unknown_keys(key: Key, given: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[tuple[Key, str]]:
    for name in given:
        if name not in known:
            yield (*key, str(name)), f"There is no key {name}. {suggestion(str(name), known)}"


def _labels(labels: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    names_of: dict[Any, list[str]] = {}
    sharing: dict[str, list[str]] = {"background": ["the background"]}
    for name, one in labels.items():
        key = ("labels", str(name))
        if not _is_name(name):
            yield key, _no_name(name, "a label")
        if not isinstance(one, Mapping):
            yield key, f"Expected an integer, or keys of {', '.join(LABEL_KEYS)}; found {what_is(one)}."
            continue
        yield from _unknown_keys(key, one, LABEL_KEYS)
        yield from _texts(key, one)
        if not _is_integer(one["value"], LARGEST_VALUE):
            text = f"{name}: expected an integer from 1 to {LARGEST_VALUE}, found {what_is(one['value'])}."
            yield (*key, "value"), text
            continue
        names_of.setdefault(one["value"], []).append(str(name))
        sharing.setdefault(str(one["words"]), []).append(str(name))
    for value, names in names_of.items():
        if len(names) > 1:
            yield ("labels", names[-1]), f"{' and '.join(names)} share the value {value}. Give each its own."
    for words, names in sharing.items():
        if len(names) > 1:
            yield ("labels", names[-1], "words"), f"{' and '.join(names)} share the words “{words}”. Give each its own."


def _regions(regions: Mapping[str, Any], labels: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    for name, one in regions.items():
        key = ("regions", str(name))
        if not _is_name(name):
            yield key, _no_name(name, "a region")
        if not isinstance(one, Mapping):
            yield key, f"Expected a list of labels, or keys of {', '.join(REGION_KEYS)}; found {what_is(one)}."
            continue
        yield from _unknown_keys(key, one, REGION_KEYS)
        yield from _texts(key, one)
        yield from _names((*key, "labels"), one.get("labels"), labels, "label")
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", str(one["colour"])):
            yield (*key, "colour"), f"Expected a colour such as '#0072B2', found {what_is(one['colour'])}."
        for option, known in (("outline", get_args(Outline)), ("seen_on", tuple(map(str, Modality)))):
            if one[option] not in known:
                yield (*key, option), f"There is no {option} {one[option]}. {suggestion(str(one[option]), known)}"


def _texts(key: Key, one: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    for option in ("words", "also"):
        if not isinstance(one[option], str) or not one[option].strip():
            yield (*key, option), f"Expected text, found {what_is(one[option])}."
    try:
        with catch_warnings(action="error"):  # of a set such as [[a], which will mean something else one day
            re.compile(one["also"] if isinstance(one["also"], str) else "")
    except (re.error, FutureWarning) as problem:
        yield (*key, "also"), f"{one['also']} is no regular expression: {problem}."


def _lists(whole: Mapping[str, Any], written: Collection[str]) -> Iterator[tuple[Key, str]]:
    regions, predicted = whole["regions"], whole.get("predicted")
    for name in ("name", "source"):
        if not isinstance(whole[name], str):
            yield (name,), f"Expected text, found {what_is(whole[name])}."
    if whole["protocol"] not in PROTOCOL_NAMES:
        text = f"There is no protocol {whole['protocol']}. {suggestion(str(whole['protocol']), PROTOCOL_NAMES)}"
        yield ("protocol",), text
    for key, known, what in (
        ("predicted", regions, "region"),
        ("scored", regions, "region"),
        ("classes", whole["labels"], "label"),
    ):
        if key in written:
            yield from _names((key,), whole[key], known, what)
    if isinstance(predicted, list):
        if len(predicted) > MOST_PREDICTED:
            key = "predicted" if "predicted" in written else "regions"
            yield (key,), f"Names {len(predicted)} regions. A network predicts {MOST_PREDICTED} at most."
        if whole["small_total"] != []:
            known = [name for name in predicted if isinstance(name, str) and name in regions]
            yield from _names(("small_total",), whole["small_total"], known, "predicted region")


def _names(key: Key, given: Any, among: Iterable[Any], what: str) -> Iterator[tuple[Key, str]]:
    known = [name for name in among if _is_name(name)]
    if not isinstance(given, list) or not given:
        yield key, f"Expected a list with at least one {what}, found {what_is(given)}."
        return
    for name in given:
        if not isinstance(name, str) or name not in known:
            yield key, f"There is no {what} {name}. {suggestion(str(name), known)}"
    if len({str(name) for name in given}) < len(given):
        yield key, f"Names a {what} twice: {', '.join(map(str, given))}."


def _integers(whole: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    tables = whole["integers"]
    if not isinstance(tables, Mapping) or not tables:
        expected = "Expected at least one label convention, as NAME: {LABEL: integer, …}"
        yield ("integers",), f"{expected}; found {what_is(tables)}."
        return
    for name, table in tables.items():
        key = ("integers", str(name))
        if not _is_name(name) or name == "auto":
            yield key, _no_name(name, "a label convention", but=", and not auto")
        if not isinstance(table, Mapping) or not table:
            yield key, f"Expected the integers of at least one label, as {{LABEL: integer, …}}; found {what_is(table)}."
            continue
        label_of: dict[int, str] = {}
        for label, values in table.items():
            if label not in whole["labels"]:
                yield (
                    (*key, str(label)),
                    f"There is no label {label}. {suggestion(str(label), filter(_is_name, whole['labels']))}",
                )
            if not values:
                yield (*key, str(label)), f"{label}: expected an integer or a list of some, found an empty list."
            for value in values:
                if not _is_integer(value, LARGEST_INTEGER):
                    text = f"{label}: expected an integer from 1 to {LARGEST_INTEGER}, found {what_is(value)}."
                    yield (*key, str(label)), text
                elif label_of.setdefault(value, label) != label:
                    yield (*key, str(label)), f"{value} means {label_of[value]} already. Give each label its own."


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def _no_name(name: Any, what: str, but: str = "") -> str:
    """Why something cannot be a name; YAML reads some words, such as no and off, as true or false."""
    quote = " YAML reads this word as true or false: put it in quotes." if isinstance(name, bool) else ""
    return (
        f"{name} is no name of {what}. Expected letters A-Z and a-z, digits, - and _, with a letter first{but}.{quote}"
    )


def _is_integer(value: Any, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest


def _overlaps(whole: Mapping[str, Any], written: Collection[str]) -> Iterator[tuple[Key, str]]:
    """Problems between regions; each part was found to be right by itself."""
    sets = {name: set(one["labels"]) for name, one in whole["regions"].items()}
    predicted = whole["predicted"]
    for index, name in enumerate(predicted):
        key = ("predicted",) if "predicted" in written else ("regions", name)
        for earlier in predicted[:index]:
            if sets[earlier] == sets[name]:
                yield key, f"{earlier} and {name} have the same labels. Predict one of them."
            elif sets[earlier] < sets[name]:
                yield key, f"List {name} before {earlier}, which lies inside it."
    regions_of: dict[tuple[str, ...], str] = {}
    for label in whole["labels"]:
        regions = tuple(name for name in predicted if label in sets[name])
        if regions and regions in regions_of:
            yield (
                ("labels", label),
                f"{label} and {regions_of[regions]} lie in the same predicted regions ({', '.join(regions)}), so that "
                f"no network could tell them apart. Make one label of them that has both integers under integers: "
                f"[1, 2], or predict a region with one of them.",
            )
        regions_of.setdefault(regions, label)
    unpredicted = {label for label in whole["labels"] if not any(label in sets[name] for name in predicted)}
    for name in whole["scored"]:
        if lost := sorted(sets[name] & unpredicted):
            yield (
                ("scored",),
                f"{name} is scored, but its label {', '.join(lost)} lies in no predicted region. Predict {name} too.",
            )
    if set(whole["classes"]) != set(whole["labels"]) - unpredicted or len(whole["classes"]) == 0:
        wanted = [label for label in whole["labels"] if label not in unpredicted]
        yield ("classes",), f"Expected every label of a predicted region, in any order: {', '.join(wanted)}."
    split = [
        (one, other)
        for index, one in enumerate(predicted)
        for other in predicted[index + 1 :]
        if sets[one] & sets[other] and not (sets[one] <= sets[other] or sets[one] >= sets[other])
    ]
    apart = [name for name in whole["scored"] if name not in predicted]
    if split and apart:
        yield (
            ("scored",),
            f"{apart[0]} is scored but not predicted, and its probability is not defined, because the predicted "
            f"regions {split[0][0]} and {split[0][1]} overlap without being nested. Predict {apart[0]} too.",
        )


def _looks(whole: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    seen: dict[tuple[str, str], str] = {}
    for name in whole["scored"]:
        region = whole["regions"][name]
        look = (region["colour"].lower(), region["outline"])
        if look in seen:
            yield ("regions", name, "colour"), f"{seen[look]} and {name} have the same colour and outline."
        seen.setdefault(look, name)
