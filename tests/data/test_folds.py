"""The fold file of a dataset, and split files of the user."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from brats_unet.data.folds import (
    Split,
    Subject,
    fold_count,
    fold_number,
    read_split_file,
    refuse_invalid_fold,
    split,
    write_or_verify,
)
from brats_unet.errors import SettingsError
from brats_unet.json_files import read_json

SUBJECTS = [Subject(f"c{n:02}", f"p{n // 2}", "HGG" if n % 3 else "LGG", f"h{n}") for n in range(20)]
CASES = [subject.case for subject in SUBJECTS]


def test_the_fold_file_is_written_once_and_then_only_read(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "folds.json"
    first = write_or_verify(file, SUBJECTS, folds=5, seed=1)
    written = file.read_bytes()
    assert write_or_verify(file, SUBJECTS[::-1], folds=5, seed=1) == first
    assert file.read_bytes() == written
    assert read_json(file, what="folds") == first


def test_folds_hold_out_every_case_exactly_once(tmp_path: Path) -> None:
    document = write_or_verify(tmp_path / "folds.json", SUBJECTS, folds=5, seed=1)
    held_out = [case for fold in range(5) for case in split(document, fold).validation]
    assert sorted(held_out) == CASES
    for fold in range(5):
        division = split(document, fold)
        assert sorted(division.train + division.validation) == CASES
    assert split(document, "2") == split(document, 2)


def test_fold_all_trains_on_everything(tmp_path: Path) -> None:
    assert split(write_or_verify(tmp_path / "f.json", SUBJECTS, folds=5, seed=1), "all") == Split(tuple(CASES), ())


@pytest.mark.parametrize("fold", [5, -1, "five", 1.5, None, True])
def test_an_unknown_fold_is_refused(tmp_path: Path, fold: object) -> None:
    document = write_or_verify(tmp_path / "f.json", SUBJECTS, folds=5, seed=1)
    with pytest.raises(SettingsError, match="Expected a number from 0 to 4, or all"):
        split(document, fold)  # type: ignore[arg-type]


def test_added_and_removed_cases_are_named(tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    write_or_verify(file, SUBJECTS, folds=5, seed=1)
    changed = [*SUBJECTS[1:], replace(SUBJECTS[0], case="new")]
    with pytest.raises(SettingsError, match=r"1 added \(new\) and 1 removed \(c00\).*remove .*folds\.json"):
        write_or_verify(file, changed, folds=5, seed=1)


def test_new_duplicates_in_different_folds_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    document = write_or_verify(file, SUBJECTS, folds=5, seed=1)
    other = next(s for s in SUBJECTS if document["assignment"][s.case] != document["assignment"]["c00"])
    leaking = [replace(s, duplicates="h0") if s is other else s for s in SUBJECTS]
    with pytest.raises(SettingsError, match=f"c00 and {other.case}.*different folds|c00 and c.. .*different folds"):
        write_or_verify(file, leaking, folds=5, seed=1)


def test_a_changed_stratum_does_not_change_the_folds(tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    first = write_or_verify(file, SUBJECTS, folds=5, seed=1)
    assert write_or_verify(file, [replace(s, stratum="ET") for s in SUBJECTS], folds=5, seed=1) == first


def test_another_number_of_folds_than_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    write_or_verify(file, SUBJECTS, folds=5, seed=1)
    with pytest.raises(SettingsError, match=r"5 folds with seed 1, but data\.folds=4 and data\.fold_seed=1"):
        write_or_verify(file, SUBJECTS, folds=4, seed=1)


def test_a_broken_or_edited_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "folds.json"
    document = write_or_verify(file, SUBJECTS, folds=5, seed=1)
    document["subjects"][0]["patient"] = "another"
    file.write_text(json.dumps(document))
    with pytest.raises(SettingsError, match="was edited or damaged"):
        write_or_verify(file, SUBJECTS, folds=5, seed=1)
    file.write_text("{")
    with pytest.raises(SettingsError, match="cannot be read as JSON"):
        write_or_verify(file, SUBJECTS, folds=5, seed=1)


def given(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_split_file_with_train_and_validation_ids(tmp_path: Path) -> None:
    file = given(tmp_path / "s.json", {"train": ["b", "a"], "validation": ["c"]})
    assert read_split_file(file, ["a", "b", "c"], 0) == Split(("a", "b"), ("c",))
    assert read_split_file(file, ["a", "b", "c"], "all") == Split(("a", "b", "c"), ())


def test_fold_selects_an_entry_of_nnunet_s_splits_final(tmp_path: Path) -> None:
    file = given(tmp_path / "splits_final.json", [{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}])
    assert read_split_file(file, ["a", "b"], 1) == Split(("b",), ("a",))
    with pytest.raises(SettingsError, match="Expected a number from 0 to 1"):
        read_split_file(file, ["a", "b"], 2)


def test_the_fold_file_of_a_run_can_be_used_as_a_split_file(tmp_path: Path) -> None:
    document = write_or_verify(tmp_path / "folds.json", SUBJECTS, folds=5, seed=1)
    assert read_split_file(tmp_path / "folds.json", CASES, 3) == split(document, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"train": ["a", "z"], "validation": ["b"]}, "unknown cases or cases without a mask: z"),
        ({"train": ["a", "b"], "validation": ["b"]}, "names cases twice: b"),
        ({"train": ["a"], "validation": []}, "leaves cases out .*: b"),
        ({"train": [], "validation": ["a", "b"]}, "no case to train on"),
        ({"training": ["a"]}, 'expected {"train"'),
        ([], 'expected {"train"'),
        ({"train": "ab"}, 'expected {"train"'),
    ],
)
def test_a_split_that_does_not_fit_is_refused(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_split_file(given(tmp_path / "s.json", content), ["a", "b"], 0)


def test_a_missing_split_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        read_split_file(tmp_path / "s.json", ["a"], 0)


def test_a_split_file_without_the_fold_is_refused_before_any_case_is_read(tmp_path: Path) -> None:
    file = tmp_path / "splits.json"
    file.write_text(json.dumps([{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]))
    given = {"folds": None, "splits": str(file), "validation_root": None}
    refuse_invalid_fold(fold=1, **given)
    refuse_invalid_fold(fold="all", **given)
    with pytest.raises(SettingsError, match=r"There is no data.fold=2. Expected a number from 0 to 1, or all"):
        refuse_invalid_fold(fold=2, **given)


def test_a_split_file_with_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text('{"train": ["a"], "validation": ["b"], "train": ["c"]}')
    with pytest.raises(SettingsError, match=r"cannot be read as JSON \(it holds the key “train” twice\)"):
        read_split_file(path, ["a", "b", "c"], 0)


def test_the_order_of_the_keys_in_the_fold_file_does_not_matter(tmp_path):
    file = tmp_path / "folds.json"
    document = write_or_verify(file, SUBJECTS, folds=5, seed=1)
    document["subjects"] = [dict(reversed(subject.items())) for subject in document["subjects"]]
    file.write_text(json.dumps(document))
    assert write_or_verify(file, SUBJECTS, folds=5, seed=1) == document


def test_the_digest_of_the_cases_is_the_same_in_every_version(tmp_path):
    document = write_or_verify(tmp_path / "folds.json", SUBJECTS[:4], folds=2, seed=1)
    assert document["digest"] == "b83851e0f6ec0d30a0650f1c8ae01b30"
    assert document["assignment"] == {"c00": 1, "c01": 1, "c02": 0, "c03": 0}


def test_a_fold_file_with_the_fold_of_a_case_too_few_is_refused(tmp_path):
    file = tmp_path / "folds.json"
    document = write_or_verify(file, SUBJECTS, folds=5, seed=1)
    del document["assignment"]["c00"]
    file.write_text(json.dumps(document))
    with pytest.raises(SettingsError, match="was edited or damaged. Remove it to assign the cases to folds again"):
        write_or_verify(file, SUBJECTS, folds=5, seed=1)


@pytest.mark.parametrize(
    ("added", "words"), [(5, r"5 added \(n0, n1, n2, n3, n4\)"), (6, r"6 added \(n0, .*, n4, …\)")]
)
def test_at_most_five_changed_cases_are_named(tmp_path, added, words):
    file = tmp_path / "folds.json"
    write_or_verify(file, SUBJECTS, folds=5, seed=1)
    new = [Subject(f"n{number}", f"n{number}", "HGG", "") for number in range(added)]
    with pytest.raises(SettingsError, match=rf"assigned to folds: {words}\. Restore"):
        write_or_verify(file, [*SUBJECTS, *new], folds=5, seed=1)


NO_FILES = {"splits": None, "validation_root": None}


@pytest.mark.parametrize(("folds", "shown"), [(None, "null"), (1, "1"), (0, "0")])
def test_fewer_than_two_folds_are_refused(folds, shown):
    with pytest.raises(SettingsError, match=rf"data\.folds={shown}: expected 2 or more, or data\.fold=all"):
        refuse_invalid_fold(fold=0, folds=folds, **NO_FILES)


def test_the_fold_is_not_asked_for_where_nothing_or_a_folder_is_held_out():
    refuse_invalid_fold(fold=9, folds=None, splits=None, validation_root="there")
    refuse_invalid_fold(fold="all", folds=None, **NO_FILES)
    refuse_invalid_fold(fold=1, folds=2, **NO_FILES)
    with pytest.raises(SettingsError, match=r"There is no data\.fold=2\. Expected a number from 0 to 1, or all"):
        refuse_invalid_fold(fold=2, folds=2, **NO_FILES)


@pytest.mark.parametrize(("fold", "number"), [(0, 0), ("0", 0), (4, 4), ("04", 4)])
def test_a_fold_is_a_whole_number_also_as_text(fold, number):
    assert fold_number(fold, 5) == number


@pytest.mark.parametrize(
    ("content", "count"), [({"train": ["a"], "validation": []}, 1), ([{}, {}, {}], 3), ([], 0), ("text", 1)]
)
def test_the_folds_of_a_split_file_are_counted(tmp_path, content, count):
    assert fold_count(given(tmp_path / "s.json", content)) == count


def test_the_folds_of_the_fold_file_of_a_run_are_counted(tmp_path):
    write_or_verify(tmp_path / "folds.json", SUBJECTS, folds=4, seed=1)
    assert fold_count(tmp_path / "folds.json") == 4
    with pytest.raises(SettingsError, match=r"there is no such file\. Give the file of the folds with data\.splits=…"):
        fold_count(tmp_path / "none.json")


def test_all_folds_of_the_fold_file_of_a_run_train_on_every_case(tmp_path):
    write_or_verify(tmp_path / "folds.json", SUBJECTS, folds=5, seed=1)
    assert read_split_file(tmp_path / "folds.json", CASES, "all") == Split(tuple(CASES), ())


def test_a_split_without_validation_holds_nothing_out_and_numbers_are_ids(tmp_path):
    assert read_split_file(given(tmp_path / "s.json", {"train": [2, 1]}), ["1", "2"], 0) == Split(("1", "2"), ())


def test_every_defect_of_a_split_file_is_named_at_once(tmp_path):
    file = given(tmp_path / "s.json", {"train": ["z"], "validation": ["a", "a"]})
    with pytest.raises(
        SettingsError, match=r"mask: z; names cases twice: a; leaves cases out .*: b\. Correct the file"
    ):
        read_split_file(file, ["a", "b"], 0)


def test_a_split_file_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "s.json").write_bytes(b'\xef\xbb\xbf{"train": ["a"], "val": ["b"]}')
    assert read_split_file(tmp_path / "s.json", ["a", "b"], 0) == Split(("a",), ("b",))


def test_a_fold_file_with_a_value_of_another_type_is_refused_with_its_path(tmp_path):
    file = given(tmp_path / "folds.json", {"folds": "five", "seed": 1, "assignment": {}, "subjects": [], "digest": ""})
    with pytest.raises(SettingsError, match=r"folds\.json: .*folds.*five.* Give the folds\.json of a run\."):
        fold_count(file)
