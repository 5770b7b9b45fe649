"""Plain mappings become settings, or a sentence says why not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import pytest

from brats_unet.binding import Range, bind, type_text, value_of
from brats_unet.errors import SettingsError

AboveZero = Annotated[float, Range(0, above_least=True)]


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
        (Sequence[int], (1, 2.0), [1, 2]),
        (int | Sequence[int], 2, 2),
        (int | Sequence[int], [2, 3.0], [2, 3]),
        (bool | int, True, True),
        (bool | int, 2, 2),
        (Sequence[int | Sequence[int]] | None, [1, [2, 2]], [1, [2, 2]]),
        (Mapping[str, Any], {"a": [1]}, {"a": [1]}),
        (dict[str, Annotated[float, Range(0)]], {"WT": 1}, {"WT": 1.0}),
        (Annotated[int, Range(1)], 1.0, 1),
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
        ({"name": [1]}, r"name=\[1\] does not fit. Expected text, or null."),
        ({"switch": [1]}, r"switch=\[1\] is not a choice. Known: auto, off, on."),
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


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Annotated[int, Range(1)], 0, "key=0 does not fit. Expected a whole number, 1 or more."),
        (Annotated[int, Range(1)], 2.5, "key=2.5 does not fit. Expected a whole number, 1 or more."),
        (Optional[Annotated[int, Range(1)]], 0, "key=0 does not fit. Expected a whole number, 1 or more, or null."),
        (Annotated[float, Range(0, above_least=True)], 0, "key=0 does not fit. Expected a number above 0."),
        (Annotated[float, Range(0, 1)], 1.5, "key=1.5 does not fit. Expected a number from 0 to 1."),
        (Annotated[float, Range(0, 1, below_most=True)], 1, "key=1 does not fit. Expected a number from 0 to below 1."),
        (Annotated[float, Range(0, 1, True)], 0, "key=0 does not fit. Expected a number above 0 and up to 1."),
        (Annotated[float, Range(0, 1, True, True)], 1, "key=1 does not fit. Expected a number above 0 and below 1."),
        (Annotated[int, Range(0, 2**31 - 1)], 2**31, "Expected a whole number from 0 to 2147483647."),
        (Annotated[int, Range(1)], 10**18, "Expected a whole number of at most 18 digits, 1 or more."),
        (int, -1e300, "key=-1e+300 does not fit. Expected a whole number of at most 18 digits."),
        (float, math.nan, "key=nan does not fit. Expected a finite number."),
        (Optional[AboveZero], math.inf, "key=inf does not fit. Expected a finite number above 0, or null."),
        (float, -math.inf, "key=-inf does not fit. Expected a finite number."),
        (float, 10**400, "does not fit. Expected a finite number."),
        (Sequence[int], 2, r"key=2 does not fit. Expected a list such as [1,2]."),
        (Sequence[int], "12", r"key=12 does not fit. Expected a list such as [1,2]."),
        (Sequence[int], {"a": 1}, r"key={a:1} does not fit. Expected a list such as [1,2]."),
        (Sequence[float] | None, 2, r"key=2 does not fit. Expected a list such as [0.5,1], or null."),
        (int | Sequence[int], "a", r"key=a does not fit. Expected a whole number, or a list such as [1,2]."),
        (int | Sequence[int], [1, "a"], r"key[1]=a does not fit. Expected a whole number."),
        (bool | int, "yes", "key=yes does not fit. Expected true or false, or a whole number."),
        (Mapping[str, Any], 3, "key=3 does not fit. Expected a section of settings."),
        (dict[str, Annotated[float, Range(0)]], {"WT": "a"}, "key.WT=a does not fit. Expected a number, 0 or more."),
        (dict[str, Annotated[float, Range(0)]], {"WT": -1}, "key.WT=-1 does not fit. Expected a number, 0 or more."),
    ],
)
def test_a_value_out_of_range_or_of_another_kind_is_refused_with_what_was_expected(kind, value, message):
    with pytest.raises(SettingsError) as caught:
        value_of(kind, value, "key")
    assert str(caught.value).endswith(message)


def test_types_are_described_in_a_reader_s_words():
    assert type_text(Optional[list[int]]) == "a list such as [1,2], or null"
    assert type_text(Literal["a", "b"]) == "one of a, b"


class Names(TypedDict):
    names: list[str]


class Kept(TypedDict):
    step: Annotated[int, Range(0)]
    inner: Names
    note: NotRequired[str]


def test_a_typed_dict_keeps_other_keys_and_may_lack_what_is_not_required():
    found = value_of(Kept, {"step": 2.0, "inner": {"names": ["a"], "more": 1}, "other": None}, "")
    assert found == {"step": 2, "inner": {"names": ["a"], "more": 1}, "other": None}
    assert isinstance(found["step"], int)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"inner": {"names": []}}, r"^step is missing\. Expected a whole number, 0 or more\.$"),
        ({"step": 1, "inner": {}}, r"^inner\.names is missing\. Expected a list such as \[a,b\]\.$"),
        ({"step": 1, "inner": []}, r"^inner=\[\] does not fit\. Expected a section of settings\.$"),
        ({"step": 1, "inner": {"names": []}, "note": True}, r"^note=true does not fit\. Expected text\.$"),
        (["x" * 5000], r"^\[x{199}… does not fit\. Expected a section of settings\.$"),
    ],
)
def test_what_does_not_fit_a_typed_dict_is_named(value, words):
    with pytest.raises(SettingsError, match=words):
        value_of(Kept, value, "")
