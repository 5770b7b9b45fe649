"""Schemes in YAML and JSON: short forms, and what is rejected, with its line."""

import copy
import json
import re
from pathlib import Path

import pytest

from brats_unet.errors import SettingsError
from brats_unet.schemes.scheme_file import builtin, builtin_names, read_scheme, scheme_in, scheme_of

SHORT = {"labels": {"core": None, "rim": None}, "regions": {"all": ["core", "rim"], "core": ["core"]}}


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        read_scheme(path)
    return str(refusal.value).replace(f"{path}", "mine.yaml")


def without_keys(refusal: str) -> str:
    """A refusal with the lines but not the keys of its problems."""
    return re.sub(r"(line \d+), [^ ]+: ", r"\1: ", refusal)


@pytest.mark.parametrize("name", builtin_names())
def test_a_scheme_survives_json(name: str) -> None:
    scheme = builtin(name)
    assert scheme_of(json.loads(json.dumps(scheme.as_dict()))) == scheme
    assert scheme.source and all(region.words for region in scheme.regions.values())


def test_labels_and_regions_are_enough() -> None:
    scheme = scheme_of(SHORT)
    assert {name: label.value for name, label in scheme.labels.items()} == {"core": 1, "rim": 2}
    assert scheme.predicted == scheme.scored == ("all", "core") and scheme.classes == ("core", "rim")
    assert scheme.integers == {"own": {"core": (1,), "rim": (2,)}}
    looks = {(region.colour, region.outline) for region in scheme.regions.values()}
    assert len(looks) == 2


def test_a_scheme_without_a_protocol_is_scored_as_before_there_was_one() -> None:
    assert scheme_of(SHORT).protocol == "brats2020"
    recorded = {key: value for key, value in builtin("glioma_post").as_dict().items() if key != "protocol"}
    assert builtin("glioma_post").protocol == "brats2026" and scheme_of(recorded).protocol == "brats2020"
    assert scheme_of(recorded).meaning == builtin("glioma_post").meaning


def test_a_label_may_be_its_integer_and_the_name_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("labels: {A: 3, B: 7}\nregions: {both: [A, B], A: [A]}\n")
    scheme = read_scheme(path)
    assert scheme.name == "mine" and scheme.values("both") == (3, 7)
    assert scheme.integers == {"mine": {"A": (3,), "B": (7,)}}


def test_what_recorded_no_scheme_is_glioma() -> None:
    assert scheme_in({}) == builtin("glioma")
    assert scheme_in({"scheme": builtin("lesion").as_dict()}) == builtin("lesion")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("labels: {A: 1}\nregons: {R: [A]}\n", ["line 2: There is no key regons. Did you mean regions?"]),
        ("labels: {A: 1}\nregions: {R: [A]}\nscored: [Q]\n", ["line 3: There is no region Q. Known: R."]),
        ("labels:\n  A: 1\n  B: 1\nregions:\n  R: [A]\n", ["line 3: A and B share the value 1."]),
        (
            "labels:\n  A: {words: rim}\n  B: {words: rim}\nregions:\n  R: [A]\n",
            ["line 3: A and B share the words “rim”. Give each its own."],
        ),
        (
            "labels:\n  A: 255\nregions:\n  R: [A]\n",
            ["line 2: A: expected an integer from 1 to 254, found the number 255."],
        ),
        ("labels: {A: 1, B: 2}\nregions:\n  in: [A]\n  all: [A, B]\n", ["List all before in, which lies inside it."]),
        (
            "labels: {A: 1, B: 2}\nregions: {all: [A, B], in: [A]}\npredicted: [in, all]\n",
            ["line 3: List all before in, which lies inside it."],
        ),
        (
            "labels: {A: {words: background}}\nregions: {R: [A]}\n",
            ["line 1: the background and A share the words “background”. Give each its own."],
        ),
        ("labels: {A: 1, B: 2}\nregions:\n  R: [A, B]\n", ["B and A lie in the same predicted regions (R)"]),
        ("labels: {A: 1}\nregions:\n  R: [A]\n  Q: [A]\n", ["R and Q have the same labels. Predict one of them."]),
        (
            "labels: {A: 1, B: 2}\nregions: {R: [A], Q: [B]}\npredicted: [R]\nscored: [Q]\n",
            ["line 4: Q is scored, but its label B lies in no predicted region. Predict Q too."],
        ),
        (
            "labels: {a: 1, b: 2, c: 3}\nregions: {R: [a, b], Q: [b, c], S: [b]}\npredicted: [R, Q]\nscored: [S]\n",
            ["line 4: S is scored but not predicted, and its probability is not defined, because the predicted"],
        ),
        (
            "labels:\n  A: 1\nregions:\n  R: {labels: [A, B], colour: red, outline: wavy, seen_on: pd}\n",
            [
                "line 4: There is no label B.",
                "line 4: Expected a colour such as '#0072B2', found the text red.",
                "line 4: There is no outline wavy.",
                "line 4: There is no seen_on pd.",
            ],
        ),
        (
            "labels: {A: 1}\nregions: {R: [A]}\nintegers:\n  auto: {A: 1}\n  x: {A: [1, 300], B: 2}\n",
            [
                "line 4: auto is no name",
                "line 5: A: expected an integer from 1 to 255, found the number 300.",
                "line 5: There is no label B",
            ],
        ),
        (
            "labels: {A: 1, B: 2}\nregions: {R: [A], Q: [B]}\nintegers: {x: {A: 1, B: 1}}\n",
            ["line 3: 1 means A already."],
        ),
        (
            "labels: {A: 1}\nregions: {R: [A]}\nintegers: {x: {A: []}}\n",
            ["line 3: A: expected an integer or a list of some, found an empty list."],
        ),
        ("labels: {A: {value: 1, also: '('}}\nregions: {R: [A]}\n", ["line 1: ( is no regular expression"]),
        ("labels: {A: 1}\nregions: {R: [A]}\nsmall_total: [Q]\n", ["line 3: There is no predicted region Q."]),
        (
            "labels: {A: 1}\nregions: {R: [A]}\nprotocol: brats2025\n",
            ["line 3: There is no protocol brats2025. Did you mean brats2026?"],
        ),
        ("labels: {A: 1}\nregions: {R: [A]}\nprotocol: [nnunet]\n", ["line 3: There is no protocol ['nnunet']."]),
        ("- A\n", ["found a list (A). Expected at least the keys labels and regions."]),
        ("labels: [\n", ["line 2: not valid YAML: did not find expected node content."]),
        ("labels: {A: 1}\n", ["Expected at least one of the regions, as NAME: …; found nothing."]),
        ("labels: {}\nregions: {R: [A]}\n", ["Expected at least one of the labels, as NAME: …; found no key."]),
        (
            "labels: {A: yes}\nregions: {R: 1}\n",
            ["line 1: Expected an integer, or keys of", "line 2: Expected a list of labels"],
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, messages: list[str]) -> None:
    refusal = without_keys(refused(tmp_path, text))
    for message in messages:
        assert message in refusal
    assert refusal.startswith("mine.yaml")


def test_more_regions_than_fit_are_rejected() -> None:
    labels = {f"L{i}": i for i in range(1, 10)}
    with pytest.raises(SettingsError, match="Names 9 regions. A network predicts 8 at most"):
        scheme_of({"labels": labels, "regions": {f"R{i}": [f"L{i}"] for i in range(1, 10)}})


def test_two_regions_that_look_the_same_are_rejected() -> None:
    looks = {"colour": "#0072B2", "outline": "solid"}
    regions = {"R": {"labels": ["A"], **looks}, "Q": {"labels": ["B"], **looks}}
    with pytest.raises(SettingsError, match=r"regions\.Q\.colour: R and Q have the same colour and outline"):
        scheme_of({"labels": {"A": 1, "B": 2}, "regions": regions})


def test_a_missing_file_and_an_unknown_name_say_what_exists(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no such file. Give a YAML file, or one of glioma, glioma_post, lesion"):
        read_scheme(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match=r"There is no scheme=gliom. Did you mean glioma\?"):
        builtin("gliom")


def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    text = "labels:\n  A: 1\n  B: 2\n  A: 3\nregions:\n  R: {labels: [A], words: r, words: s}\nregions: {}\n"
    assert refused(tmp_path, text).splitlines() == [
        "mine.yaml, line 4: A stands in line 2 already.",
        "mine.yaml, line 6: words stands in line 6 already.",
        "mine.yaml, line 7: regions stands in line 5 already.",
        "Expected each key once. Keep one of them.",
    ]


def test_a_problem_names_the_key_and_each_is_told_once(tmp_path: Path) -> None:
    assert refused(tmp_path, "labels: {A: 300, B: 2}\nregions: {R: [A], Q: [B]}\n") == (
        "mine.yaml, line 1, labels.A.value: A: expected an integer from 1 to 254, found the number 300."
    )
    assert refused(tmp_path, "labels: {A: 1, B: 1}\nregions: {R: [A], Q: [B]}\n") == (
        "mine.yaml, line 1, labels.B: A and B share the value 1. Give each its own."
    )
    assert refused(tmp_path, "labels: {A: 1}\nregions: {R: [A]}\npredicted: [Q]\n") == (
        "mine.yaml, line 3, predicted: There is no region Q. Known: R."
    )


def test_a_problem_of_derived_keys_stands_where_they_come_from(tmp_path: Path) -> None:
    text = "source: mine\nlabels: {A: 1, B: 2}\nregions:\n  inner: [A]\n  all: [A, B]\n"
    assert refused(tmp_path, text) == ("mine.yaml, line 5, regions.all: List all before inner, which lies inside it.")
    lists = "".join(f"  R{i}: [L{i}]\n" for i in range(1, 10))
    labels = ", ".join(f"L{i}: {i}" for i in range(1, 10))
    assert refused(tmp_path, f"labels: {{{labels}}}\nregions:\n{lists}") == (
        "mine.yaml, line 2, regions: Names 9 regions. A network predicts 8 at most."
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("labels: [A, B]\nregions: {R: [A]}\n", "found a list (A, B)."),
        ("labels: 3\nregions: {R: [A]}\n", "found the number 3."),
        ("three\n", "found the text three. Expected at least the keys labels and regions."),
        ("", "found nothing. Expected at least the keys labels and regions."),
        ("labels: {A: 1}\nregions: {R: A}\n", "found the text A."),
        ("labels: {A: 1}\nregions: {R: [A]}\nintegers: {x: 3}\n", "found the number 3."),
        ("labels: {A: 1}\nregions: {R: [A]}\nscored:\n", "found nothing."),
    ],
)
def test_what_was_found_is_said(tmp_path: Path, text: str, found: str) -> None:
    assert found in refused(tmp_path, text)


def test_names_are_made_of_plain_letters(tmp_path: Path) -> None:
    refusal = refused(tmp_path, "labels: {Ödem: 1, no: 2}\nregions: {R: [Ödem, B]}\n")
    assert "Ödem is no name of a label. Expected letters A-Z and a-z, digits, - and _, with a letter first." in refusal
    assert "False is no name of a label. Expected letters A-Z and a-z, digits, - and _" in refusal
    assert "YAML reads this word as true or false: put it in quotes." in refusal


def test_a_name_that_is_wrong_itself_is_not_proposed(tmp_path: Path) -> None:
    refusal = refused(tmp_path, "labels: {1: 1, A: 2}\nregions: {R: [A]}\npredicted: [R, Z]\nsmall_total: [Y]\n")
    assert "small_total: There is no predicted region Y. Known: R." in refusal
    assert "labels.1: 1 is no name of a label." in refusal


def test_a_folder_and_a_file_in_another_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"mine\.yaml: is a folder\. Give a YAML file\."):
        (tmp_path / "mine.yaml").mkdir()
        read_scheme(tmp_path / "mine.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("labels:\n  A: {words: Ödem}\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"latin\.yaml, line 2: is not UTF-8 text\. Save the file in UTF-8\."):
        read_scheme(latin)


JUNK = [None, True, 3, 1.5, "x", [], ["x"], [["x"]], {}, {"x": 1}, {1: ["x"]}, [None, {"y": 2}]]


@pytest.mark.parametrize("name", ["short", "glioma_post"])
def test_junk_in_any_place_is_refused_in_words_or_means_something(name: str) -> None:
    """Every value of a scheme is replaced by each piece of junk: no other error than SettingsError comes."""
    whole = SHORT | {"integers": {"x": {"core": 1, "rim": 2}}} if name == "short" else builtin(name).as_dict()
    refusals = 0
    for path in places(whole):
        for junk in JUNK:
            changed = copy.deepcopy(whole)
            inside = changed
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = junk
            try:
                scheme_of(changed)
            except SettingsError:
                refusals += 1
    assert refusals > 50


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of every value inside a nest of dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in items for place in ((*path, key), *places(one, (*path, key)))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "labels:\n  A:\n    value: 1\n    also: '['\nregions:\n  R: [A]\n",
            "line 4, labels.A.also: [ is no regular expression: unterminated character set at position 0.",
        ),
        (
            "labels: {A: 1}\nregions:\n  R:\n    words: all\n    labels: [B]\n",
            "line 5, regions.R.labels: There is no label B. Known: A.",
        ),
        (
            "labels: {A: 1, B: 2}\nregions:\n  R: {labels: [A], colour: '#ABCDEF', outline: solid}\n"
            "  Q:\n    labels: [B]\n    outline: solid\n    colour: '#abcdef'\n",
            "line 7, regions.Q.colour: R and Q have the same colour and outline.",
        ),
        (
            "labels: {a: 1, b: 2, c: 3, d: 4}\nregions: {T: [d], R: [a, b], Q: [b, c], S: [b]}\n"
            "predicted: [R, Q, T]\nscored: [S]\n",
            "line 4, scored: S is scored but not predicted, and its probability is not defined, because the predicted "
            "regions R and Q overlap without being nested. Predict S too.",
        ),
    ],
)
def test_a_refusal_names_the_line_and_the_key_of_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    assert refused(tmp_path, text).startswith(f"mine.yaml, {expected}")
