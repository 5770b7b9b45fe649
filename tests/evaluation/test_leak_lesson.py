"""scripts/leak_lesson.py: how notebooks count Dice, and what the split by slice holds out."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.evaluation.bootstrap import mean_interval
from tests.slices import patient

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(SCRIPTS)
    import leak_lesson
    import leak_scores
    import leak_training
from leak_scores import Slice, measured  # noqa: E402

TINY = (
    "model.features=[4,8]",
    "model.convolutions=1",
    "+model.strides=[1,2]",
    "sampling.patch=[8,8,1]",
    "sampling.batch=2",
    "hardware.device=cpu",
    "hardware.precision=float32",
)


def mask(*rows):
    """A mask drawn by hand: # is marked."""
    return np.array([[sign == "#" for sign in row] for row in rows])


# Two patients. Ann's tumour is found by two thirds in one slice and missed in the next; Bob's single slice with tumour
# is found, and in one of his two empty slices a pixel is marked.
DRAWN = (
    ("ann", 0, mask("##.", "..."), mask("##.", "##.")),  # 2 of 2 found, 2 false: 2 * 2 / (2 + 4) = 2/3
    ("ann", 1, mask("##.", "..."), mask("...", "...")),  # 0
    ("ann", 2, mask("...", "..."), mask("...", "...")),  # empty: 1
    ("bob", 0, mask("###", "###"), mask("###", "###")),  # 1
    ("bob", 1, mask("...", "..."), mask("#..", "...")),  # a false pixel: 0
    ("bob", 2, mask("...", "..."), mask("...", "...")),  # empty: 1
)
SLICES = [measured(name, number, expert, found.astype(np.float32)) for name, number, expert, found in DRAWN]


# Scores


def test_a_slice_is_measured_by_counting_its_pixels():
    found = measured("ann", 7, mask("##.", "..."), np.array([[0.5, 0.25, 0.75], [0, 0, 0.25]], np.float32))
    assert found == Slice("ann", 7, 2, 2, 1, 1.75, 0.75)


def test_the_mean_over_patients_pools_the_slices_of_each():
    assert leak_scores.by_patient(SLICES) == {"ann": 2 * 2 / (4 + 4), "bob": 2 * 6 / (6 + 7)}
    assert leak_scores.per_patient(SLICES) == pytest.approx((1 / 2 + 12 / 13) / 2)


def test_pooled_pixels_favour_the_large_tumour():
    assert leak_scores.pooled(SLICES) == 2 * 8 / (10 + 11)


def test_empty_slices_count_one_in_the_mean_over_slices_unless_a_pixel_is_marked():
    assert leak_scores.per_slice(SLICES) == pytest.approx((2 / 3 + 0 + 1 + 1 + 0 + 1) / 6)


def test_a_batch_is_pooled_and_smoothed():
    # First batch: overlap 2, sizes 4 and 4. Second: overlap 6, sizes 6 and 7.
    assert leak_scores.per_batch(SLICES, 1, size=3) == pytest.approx(((4 + 1) / (8 + 1) + (12 + 1) / (13 + 1)) / 2)
    assert leak_scores.per_batch(SLICES, 100, size=3) == pytest.approx((104 / 108 + 112 / 113) / 2)


def test_the_last_batch_may_be_smaller():
    assert leak_scores.per_batch(SLICES, 1, size=4) == pytest.approx((17 / 21 + 1 / 2) / 2)


def test_batches_count_probabilities_and_masks_count_from_one_half():
    unsure = measured("ann", 0, mask("##"), np.array([[0.5, 0.25]], np.float32))
    assert leak_scores.per_batch([unsure], 1) == pytest.approx((2 * 0.75 + 1) / (2 + 0.75 + 1))
    assert leak_scores.pooled([unsure]) == pytest.approx(2 / 3)


def test_finding_nothing_scores_the_share_of_empty_slices_and_else_nothing():
    nothing = leak_scores.nothing_found(SLICES)
    assert leak_scores.per_slice(nothing) == 3 / 6
    assert leak_scores.per_patient(nothing) == leak_scores.pooled(nothing) == 0
    assert leak_scores.per_batch(nothing, 1, size=3) == pytest.approx((1 / 5 + 1 / 7) / 2)


def test_a_perfect_predictor_scores_one_in_every_way():
    perfect = [measured(name, number, expert, expert.astype(np.float32)) for name, number, expert, _ in DRAWN]
    assert [scoring(perfect) for scoring in leak_scores.SCORINGS.values()] == [1] * 5


def test_no_score_depends_on_the_order_of_the_slices():
    for scoring in leak_scores.SCORINGS.values():
        assert scoring(SLICES[::-1]) == pytest.approx(scoring(SLICES), rel=1e-12)


def test_slices_are_read_back_as_written(tmp_path):
    odd = SLICES[0]._replace(patient="=1+1", soft_overlap=0.1 + 0.2)
    leak_scores.write_slices(tmp_path / "slices.csv", [*SLICES, odd])
    assert leak_scores.read_slices(tmp_path / "slices.csv") == [*SLICES, odd]


# The table


def test_the_table_has_one_row_for_finding_nothing_where_both_splits_hold_out_the_same_slices():
    lines = leak_scores.table({"slice": [SLICES], "patient": [SLICES[::-1]]}).splitlines()
    assert [line.split(" | ")[0] for line in lines] == [
        "| Dice",
        "|---|---|---|---|---|---|",
        "| split by slice",
        "| split by patient",
        "| no tumour found",
    ]
    assert lines[2].startswith("| split by slice | 0.712 | 0.762 | 0.611 | 0.773 | ")
    assert lines[4].startswith("| no tumour found | 0.000 | 0.000 | 0.500 | ")


def test_the_table_has_a_row_for_each_split_where_they_hold_out_other_slices():
    lines = leak_scores.table({"slice": [SLICES[:4]], "patient": [SLICES]}).splitlines()
    assert lines[4].startswith("| no tumour found, slices of the split by slice | 0.000 | 0.000 | 0.250 | ")
    assert lines[5].startswith("| no tumour found, slices of the split by patient | 0.000 | 0.000 | 0.500 | ")


def test_scores_are_the_mean_over_seeds():
    nothing = leak_scores.nothing_found(SLICES)
    line = leak_scores.table({"slice": [SLICES, nothing]}).splitlines()[2]
    assert line.startswith("| split by slice | 0.356 | 0.381 | 0.556 | ")


def test_what_was_held_out_is_counted():
    assert leak_scores.counted("slice", SLICES) == (
        "Split by slice: 2 patients, 6 slices held out, 3 of them with tumour."
    )


def test_the_gap_is_paired_over_the_patients_of_both_splits():
    nothing = leak_scores.nothing_found(SLICES[:3])
    assert leak_scores.gap([SLICES], [nothing]) == (
        "Split by slice minus split by patient, mean over 1 patients: +0.500."
    )
    assert leak_scores.gap([SLICES[:3]], [SLICES[3:]]) == "No patient was held out in both splits."


def test_the_gap_has_an_interval_from_five_patients_on():
    many = [one._replace(patient=f"{one.patient}{i}") for i in range(3) for one in SLICES]
    low, high = mean_interval([1 / 2] * 3 + [12 / 13] * 3)
    assert leak_scores.gap([many], [leak_scores.nothing_found(many)]).endswith(
        f"mean over 6 patients: +0.712 (95% interval {low:+.3f} to {high:+.3f})."
    )


# The splits

COUNTS = {"a": 9, "b": 8, "c": 7, "d": 6, "e": 5, "f": 5}
OF_PATIENT = {name: [f"{name}/{number}" for number in range(count)] for name, count in COUNTS.items()}
BY_PATIENT = leak_lesson.held_out_by_patient(OF_PATIENT, {"a": 0, "b": 1, "c": 2, "d": 2, "e": 1, "f": 0}, 3)
BY_SLICE = leak_lesson.held_out_by_slice(BY_PATIENT, seed=1)
EVERY = {one for slices in OF_PATIENT.values() for one in slices}


@pytest.mark.parametrize("held_out", [BY_PATIENT, BY_SLICE], ids=["patient", "slice"])
def test_each_slice_is_held_out_in_exactly_one_fold(held_out):
    assert sorted(one for fold in held_out for one in fold) == sorted(EVERY)


def test_both_splits_hold_out_and_train_on_the_same_number_of_slices():
    assert [len(fold) for fold in BY_SLICE] == [len(fold) for fold in BY_PATIENT] == [14, 13, 13]


def patients_of(slices):
    return {one.split("/")[0] for one in slices}


def test_the_split_by_slice_has_patients_on_both_sides_and_the_split_by_patient_none():
    for fold in BY_SLICE:
        assert len(patients_of(fold) & patients_of(EVERY - set(fold))) >= 5
    for fold in BY_PATIENT:
        assert not patients_of(fold) & patients_of(EVERY - set(fold))


def test_the_split_by_slice_depends_on_its_seed_alone():
    assert leak_lesson.held_out_by_slice(BY_PATIENT, seed=1) == BY_SLICE
    assert leak_lesson.held_out_by_slice(BY_PATIENT, seed=2) != BY_SLICE


def test_data_that_are_not_divided_into_folds_are_refused():
    study = SimpleNamespace(folds={"train": [], "validation": []})
    with pytest.raises(SettingsError, match=r"Leave out --set data\.splits"):
        leak_lesson.held_out_slices(study, OF_PATIENT, SimpleNamespace(data=SimpleNamespace(folds=3, fold_seed=1)))


# The script


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Words of a finished call on four patients of three small slices, and its folder."""
    folder = tmp_path_factory.mktemp("leak")
    for index in range(4):
        patient(folder / "data", f"TCGA_CS_494{index}_19960909", brighter=3 * index)
    words = ["--data", str(folder / "data"), "--output", str(folder / "out"), "--folds", "2"]
    words += [word for setting in TINY for word in ("--set", setting)]
    assert leak_lesson.main([*words, "--steps", "2"]) == 0
    return words, folder


def test_the_lesson_trains_and_scores_both_splits_and_can_be_printed_again(taught, capsys, monkeypatch):
    words, folder = taught
    assert sorted(path.name for path in (folder / "out").iterdir() if path.name != "cache") == [
        "patient-fold0-seed0-steps2",
        "slice-fold0-seed0-steps2",
    ]

    def refuse(*arguments):
        raise AssertionError("trained or predicted again")

    monkeypatch.setattr(leak_training, "train_on_slices", refuse)
    monkeypatch.setattr(leak_training, "measured_slices", refuse)
    assert leak_lesson.main([*words, "--steps", "2"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"\| no tumour found, slices of the split by patient \| 0\.000 \| 0\.000 \| 0\.667 \| ", text)
    assert re.search(r"Split by slice: \d patients, 6 slices held out, \d of them with tumour\.", text)
    assert "Split by patient: 2 patients, 6 slices held out, 2 of them with tumour." in text
    assert "Split by slice minus split by patient, mean over " in text


def test_a_training_is_not_repeated_when_only_its_scores_are_missing(taught, monkeypatch):
    words, folder = taught
    run = folder / "out" / "slice-fold0-seed0-steps2"
    scores = (run / "slices.csv").read_bytes()
    weights = (run / "checkpoints" / "last.safetensors").read_bytes()
    (run / "slices.csv").unlink()
    assert leak_lesson.main([*words, "--steps", "2"]) == 0
    assert (run / "slices.csv").read_bytes() == scores
    assert (run / "checkpoints" / "last.safetensors").read_bytes() == weights


def test_a_folder_with_other_settings_is_refused(taught, capsys):
    words, _ = taught
    assert leak_lesson.main([*words, "--steps", "2", "--set", "optimizer.ema=0.5"]) == 2
    assert "optimizer.ema: 0.99 in the run, 0.5 now" in capsys.readouterr().err


def test_a_folder_with_other_slices_is_refused(taught, capsys):
    words, folder = taught
    file = folder / "out" / "patient-fold0-seed0-steps2" / "folds.json"
    before = file.read_text()
    file.write_text('{"train": [], "validation": []}')
    assert leak_lesson.main([*words, "--steps", "2"]) == 2
    file.write_text(before)
    assert "was trained on other slices" in capsys.readouterr().err


def test_a_fold_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        leak_lesson.main(["--data", "data", "--folds", "3", "--fold", "0", "3"])
    assert "--fold 0 3: expected numbers from 0 to 2." in capsys.readouterr().err
