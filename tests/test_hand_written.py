"""YAML and JSON files written by hand: what is refused, and with which words and lines."""

from pathlib import Path

import pytest

from brats_unet.errors import SettingsError
from brats_unet.hand_written import json_values, what_is, yaml_text, yaml_values

ALIASES = "mine.yaml: its aliases refer to themselves, or stand for more than 100,000 values. Write the values out."
LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{one}: &{one} [{', '.join(9 * [f'*{before}'])}]\n" for before, one in zip("abcdef", "bcdefg", strict=True)
)


def refused(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SettingsError) as refusal:
        yaml_values(path)
    return str(refusal.value).replace(str(path), "mine.yaml")


def test_a_sound_file_gives_its_values_and_nodes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: {x: 1}\nb: {x: 2}\nc: [{x: 1}, {x: 2}]\n")
    assert yaml_values(path) == {"a": {"x": 1}, "b": {"x": 2}, "c": [{"x": 1}, {"x": 2}]}
    text, root = yaml_text(path)
    assert text.startswith("a: {x") and root is not None
    path.write_text("# nothing\n")
    assert yaml_values(path) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a: 1\nb:\n  - {x: 1}\n  - {x: 1, y: 2, x: 3}\n",
            "mine.yaml, line 4: x stands in line 4 already.\nExpected each key once. Keep one of them.",
        ),
        ("a: 1\n'a': 2\n", "mine.yaml, line 2: a stands in line 1 already.\nExpected each key once. Keep one of them."),
        ("a:\n\tb: 1\n", "mine.yaml, line 2: is indented with a tab. Indent with spaces."),
        ("a: b: 1\n", "mine.yaml, line 1: not valid YAML: mapping values are not allowed in this context."),
        ("a: 1\nb: \x07\n", "mine.yaml: not valid YAML: control characters are not allowed. Correct the file."),
        (b"a: 1\nb: " + b"\xe4\n", "mine.yaml, line 2: is not UTF-8 text. Save the file in UTF-8."),
        ("a: &x [*x]\n", ALIASES),
        ("a: " + "[" * 100_000, "mine.yaml: is nested more than 100 levels deep. Write it flatter."),
        ("? [1, 2]\n: 3\n", "mine.yaml, line 1: a key is a list or a section. Expected a word as key."),
        (LAUGHS, ALIASES),
    ],
)
def test_what_is_no_sound_yaml_is_refused_in_plain_words(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert refused(tmp_path, content) == message


def test_a_date_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "a: 2020-13-45\n").startswith("mine.yaml: not valid YAML: month must be in 1..12")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is a folder\. Give a YAML file\."):
        yaml_text(tmp_path)


def test_json_with_a_key_that_stands_twice_is_refused() -> None:
    assert json_values('{"train": [{"a": 1}, {"a": 2}]}') == {"train": [{"a": 1}, {"a": 2}]}
    with pytest.raises(ValueError, match="it holds the key “a” twice"):
        json_values('{"train": [{"a": 1, "b": 3, "a": 2}]}')


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "the value true"),
        (3, "the number 3"),
        ("A", "the text A"),
        ([], "an empty list"),
        (list("ABCDEFG"), "a list (A, B, C, D, E, …)"),
        ({}, "no key"),
        ({"a": 1, "b": 2}, "keys (a, b)"),
    ],
)
def test_values_are_said_in_words(value: object, words: str) -> None:
    assert what_is(value) == words


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 200 + "1" + "}" * 200, "[" * 200 + "]" * 200])
def test_json_that_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        json_values(text)


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', b"\xff", b"\xe4"])
def test_json_of_what_is_no_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        json_values(text)


def test_both_halves_of_a_pair_are_text() -> None:
    assert json_values('"\\ud83d\\ude00"') == "\U0001f600"
