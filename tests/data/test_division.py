"""Which cases are trained on and which are held out: by folders, a split file, folds, or as a run recorded it."""

import json
from pathlib import Path

import pytest

from brats_unet.data.assignment import Subject
from brats_unet.data.division import divide
from brats_unet.data.folds import Split
from brats_unet.data.recorded_cases import RecordedCases
from brats_unet.errors import DataError, SettingsError
from brats_unet.volume import Case

FOUR = {name: Case(name, {}) for name in "dcba"}
RUN = {"train": ["a", "b", "c"], "validation": ["d"], "folds": 2}


def subjects():
    return [Subject(name, name, "", "") for name in FOUR]


def unread():
    raise AssertionError("the content of the cases is not needed")


@pytest.fixture
def divided(tmp_path):
    """`divide` with two folds of four cases, and other settings as given."""

    def call(cases=FOUR, outside=None, subjects=unread, recorded=None, **settings):
        usual = {"root": str(tmp_path / "scans"), "validation_root": None, "splits": None, "cache": tmp_path / "cache"}
        usual |= {"folds": 2, "fold": 0, "fold_seed": 3}
        return divide(cases, outside or {}, subjects, recorded, **(usual | settings))

    return call


def test_folds_hold_out_half_of_four_cases_each(divided):
    first, document = divided(subjects=subjects)
    second, same = divided(subjects=subjects, fold=1)
    assert len(first.train) == len(first.validation) == 2
    assert (second.train, second.validation) == (first.validation, first.train)
    assert document == same and document["folds"] == 2 and document["seed"] == 3


def test_the_fold_file_is_named_by_folder_path_folds_and_seed(divided, tmp_path):
    divided(subjects=subjects)
    divided(subjects=subjects, root=str(tmp_path / "other" / "scans"))
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(names) == 2
    for name in names:
        start, digits, end = name[:12], name[12:20], name[20:]
        assert (start, end) == ("folds-scans-", "-2-3.json") and set(digits) <= set("0123456789abcdef")


@pytest.mark.parametrize("settings", [{"fold": "all"}, {"folds": None}])
def test_without_folds_every_case_is_trained_on(divided, settings):
    division, document = divided(**settings)
    assert division == Split(("a", "b", "c", "d"), ())
    assert document == {"train": ("a", "b", "c", "d"), "validation": ()}


def test_a_folder_of_held_out_cases_is_held_out_whatever_the_folds_are(divided):
    outside = {"z": Case("z", {}), "y": Case("y", {})}
    division, document = divided(outside=outside, validation_root="there", splits="unread.json")
    assert division == Split(("a", "b", "c", "d"), ("y", "z"))
    assert document == {"train": ("a", "b", "c", "d"), "validation": ("y", "z")}


def test_a_split_file_is_followed(divided, tmp_path):
    file = tmp_path / "splits.json"
    file.write_text(json.dumps([{"train": ["b"], "val": ["a", "c", "d"]}, {"train": ["d", "a", "b"], "val": ["c"]}]))
    assert divided(splits=str(file), fold=1)[0] == Split(("a", "b", "d"), ("c",))


def test_a_case_in_both_folders_is_refused(divided):
    outside = {"c": Case("c", {}), "b": Case("b", {}), "z": Case("z", {})}
    with pytest.raises(DataError, match=r"^there: 2 cases are also in data\.root \(first: b\)"):
        divided(outside=outside, validation_root="there")


def test_no_case_to_train_on_is_refused(divided):
    with pytest.raises(DataError, match="no case is left to train on"):
        divided(cases={}, fold="all")


def test_a_resumed_run_keeps_its_own_folds_without_reading_cases(divided, tmp_path):
    recorded = RecordedCases(tmp_path / "run", RUN)
    division, document = divided(recorded=recorded)
    assert division == Split(("a", "b", "c"), ("d",)) and document is RUN
    assert not (tmp_path / "cache").exists()


def test_a_resumed_run_with_held_out_cases_in_their_own_folder_knows_both_folders(divided):
    recorded = RecordedCases(Path("run"), {"train": list("abcd"), "validation": ["z"]})
    division, _ = divided(outside={"z": Case("z", {})}, validation_root="there", recorded=recorded)
    assert division == Split(("a", "b", "c", "d"), ("z",))


@pytest.mark.parametrize("cases", ["abc", "abcde"])
def test_a_resumed_run_with_other_cases_is_refused(divided, cases):
    with pytest.raises(
        DataError, match=r"does not hold the cases that run was trained with: 1 (missing \(d|new \(e)\)"
    ):
        divided(cases={name: Case(name, {}) for name in cases}, recorded=RecordedCases(Path("run"), RUN))


@pytest.mark.parametrize(("settings", "name"), [({"fold": "all"}, "scans"), ({"splits": "s.json"}, "s.json")])
def test_a_resumed_run_that_would_hold_out_other_cases_is_refused(divided, tmp_path, monkeypatch, settings, name):
    monkeypatch.chdir(tmp_path)
    Path("s.json").write_text(json.dumps({"train": ["a", "b", "d"], "validation": ["c"]}))
    with pytest.raises(SettingsError, match=rf"{name} holds out other cases than run \(.*instead of d\)"):
        divided(recorded=RecordedCases(Path("run"), RUN), **settings)
