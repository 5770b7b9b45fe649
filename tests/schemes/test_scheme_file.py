"""Schemes in YAML and JSON: short forms, and what is rejected, with its line."""

import json
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
        ("labels:\n  A: 255\nregions:\n  R: [A]\n", ["line 2: Expected an integer from 1 to 254, found 255."]),
        ("labels: {A: 1, B: 2}\nregions:\n  in: [A]\n  all: [A, B]\n", ["List all before in, which lies inside it."]),
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
                "line 4: Expected a colour such as '#0072B2', found red.",
                "line 4: There is no outline wavy.",
                "line 4: There is no seen_on pd.",
            ],
        ),
        (
            "labels: {A: 1}\nregions: {R: [A]}\nintegers:\n  auto: {A: 1}\n  x: {A: [1, 300], B: 2}\n",
            [
                "line 4: auto is no name",
                "line 5: Expected an integer from 1 to 255, found 300.",
                "line 5: There is no label B",
            ],
        ),
        (
            "labels: {A: 1, B: 2}\nregions: {R: [A], Q: [B]}\nintegers: {x: {A: 1, B: 1}}\n",
            ["line 3: 1 means A already."],
        ),
        ("labels: {A: {value: 1, also: '('}}\nregions: {R: [A]}\n", ["line 1: ( is no regular expression"]),
        ("labels: {A: 1}\nregions: {R: [A]}\nsmall_total: [Q]\n", ["line 3: There is no predicted region Q."]),
        ("- A\n", ["holds no scheme. Expected at least the keys labels and regions."]),
        ("labels: [\n", ["is no YAML file"]),
        ("labels: {A: 1}\n", ["Expected at least one of the regions, as NAME: …."]),
        ("labels: {}\nregions: {R: [A]}\n", ["Expected at least one of the labels"]),
        (
            "labels: {A: yes}\nregions: {R: 1}\n",
            ["line 1: Expected an integer, or keys of", "line 2: Expected a list of labels"],
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, messages: list[str]) -> None:
    refusal = refused(tmp_path, text)
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
