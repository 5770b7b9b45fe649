"""Plain mappings become settings, or a sentence says why not."""

from dataclasses import dataclass
from typing import Any, Literal, Optional

import pytest

from brats_unet.binding import bind, type_text, value_of
from brats_unet.errors import SettingsError


@dataclass
class Inner:
    """A section."""

    patch: list[int]
    share: float


@dataclass
class Outer:
    """Settings."""

    name: Optional[str]
    steps: int
    switch: Literal["auto", "on", "off"]
    free: dict[str, Any]
    inner: Inner


GOOD = {"name": None, "steps": 3, "switch": "on", "free": {"name": "x"}, "inner": {"patch": [1, 2], "share": 1}}


def test_nested_containers_become_nested_dataclasses():
    assert bind(Outer, GOOD) == Outer(None, 3, "on", {"name": "x"}, Inner([1, 2], 1.0))


@pytest.mark.parametrize(
    ("kind", "value", "bound"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (str, 2020, "2020"),
        (Optional[int], None, None),
        (Literal["auto", "on", "off"], True, "on"),
        (Any, [1, "a"], [1, "a"]),
    ],
)
def test_what_yaml_reads_too_narrowly_is_widened(kind, value, bound):
    result = value_of(kind, value, "key")
    assert result == bound and type(result) is type(bound)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepps": 3}, "There is no setting stepps. Did you mean steps?"),
        ({"steps": 3.5}, "steps=3.5 does not fit. Expected a whole number."),
        ({"steps": True}, "steps=true does not fit. Expected a whole number."),
        ({"steps": None}, "steps=null does not fit. Expected a whole number."),
        ({"name": [1]}, r"name=\[1\] does not fit. Expected text."),
        ({"switch": "onn"}, "switch=onn is not a choice. Did you mean on?"),
        ({"inner": 3}, "inner=3 does not fit. Expected a section of settings."),
        ({"inner": {"patch": [1, "b"], "share": 1}}, r"inner.patch\[1\]=b does not fit. Expected a whole number."),
        ({"inner": {"patch": [1]}}, "The setting inner.share is missing. Expected a number."),
        ({"free": {"root": "???"}}, "free.root is not set. Give free.root=…."),
        ({"steps": "???"}, "steps is not set. Give steps=… .a whole number.."),
    ],
)
def test_a_misfit_is_told_with_key_value_and_expected_type(change, message):
    with pytest.raises(SettingsError, match=message):
        bind(Outer, GOOD | change)


def test_types_are_described_in_a_reader_s_words():
    assert type_text(Optional[list[int]]) == "a list such as [1,2], or null"
    assert type_text(Literal["a", "b"]) == "one of a, b"
