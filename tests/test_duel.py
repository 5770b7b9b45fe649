"""scripts/duel.py without nnU-Net: its schedule, the cases that it gets, resuming, and the table with its intervals."""

import importlib
import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from brats_unet.data.folds import Split
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import MachineError, SettingsError
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Row
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.scan_files import read_mask
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.volume import Volume
from tests.slices import patient

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
before = list(sys.path)
sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "peers")]
duel, duel_cases, duel_published, duel_schedule, duel_sides, duel_table, duel_terms = map(
    importlib.import_module,
    ("duel", "duel_cases", "duel_published", "duel_schedule", "duel_sides", "duel_table", "duel_terms"),
)
sys.path[:] = before

LESION = conventions(builtin("lesion"))["grey"]
SLICES = [Modality.FLAIR, Modality.T1, Modality.T1CE]


# The length of nnU-Net's training


@pytest.mark.parametrize(
    ("steps", "epochs"), [(1, (1, 1)), (9, (9, 1)), (17, (17, 1)), (59, (29, 2)), (500, (25, 20)), (519, (14, 37))]
)
def test_steps_make_epochs(steps, epochs):
    assert duel_schedule.epochs_of(steps) == epochs


def test_at_most_a_twentieth_of_the_steps_is_lost_to_whole_epochs():
    for steps in range(1, 3000):
        epochs, each = duel_schedule.epochs_of(steps)
        assert 0.95 * steps <= epochs * each <= steps


def test_98_hundredths_of_20_minutes_hold_588_steps_of_2_seconds():
    assert duel_schedule.steps_within(20, 2.0) == 588


def test_a_step_that_is_longer_than_the_minutes_is_done_once():
    assert duel_schedule.steps_within(1, 100.0) == 1


@pytest.mark.parametrize(
    ("timed", "seconds", "enough"), [(19, 119.0, False), (20, 1.0, True), (5, 120.0, True), (4, 500.0, False)]
)
def test_the_warm_up_ends_after_20_steps_or_a_tenth_of_the_minutes(timed, seconds, enough):
    assert duel_schedule.warmed_up(timed, seconds, minutes=20) is enough


# The cases for nnU-Net


def test_one_region_of_one_label_becomes_a_plain_label():
    assert duel_cases.dataset_json(builtin("lesion"), ["flair", "t1", "t1ce"], 45) == {
        "channel_names": {"0": "flair", "1": "t1", "2": "t1ce"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": 45,
        "file_ending": ".nii.gz",
    }


def test_nested_regions_become_regions_as_in_the_brats_recipes_of_nnunet():
    written = duel_cases.dataset_json(builtin(), ["flair", "t1", "t1ce", "t2"], 8)
    assert written["labels"] == {"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": 3}
    assert written["regions_class_order"] == [1, 2, 3]


def test_a_region_beside_the_others_has_an_integer_of_its_own():
    written = duel_cases.dataset_json(builtin("glioma_post"), ["flair"], 1)
    assert written["labels"] == {"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": 3, "RC": 4}
    assert written["regions_class_order"] == [1, 2, 3, 4]


def test_regions_that_overlap_without_being_nested_are_refused():
    plain = builtin().as_dict()
    plain["regions"]["NE"] = {**plain["regions"]["WT"], "labels": ["NCR", "ED"]}
    plain |= {"predicted": ["WT", "TC", "NE"], "scored": ["WT"], "small_total": []}
    with pytest.raises(SettingsError, match="predicts WT, TC, NE. Expected one label for each region"):
        duel_cases.integers_of(scheme_of(plain))


def test_fold_k_of_nnunet_is_our_fold_k():
    splits = [Split(("b", "c"), ("a",)), Split(("a",), ("b", "c"))]
    assert duel_cases.splits_json(splits) == [
        {"train": ["b", "c"], "val": ["a"]},
        {"train": ["a"], "val": ["b", "c"]},
    ]


@pytest.fixture
def slices(tmp_path):
    """Two patients in TIFF slices; the second lacks t1ce, so that a copy of FLAIR stands in its place."""
    patient(tmp_path / "data")
    patient(tmp_path / "data", "TCGA_CS_4942_19970222", copied=(2,))
    return list(find_cases(tmp_path / "data", modalities=SLICES).cases)


def test_slices_become_volumes_with_coarse_voxels_along_z_and_a_missing_sequence_is_the_copy(slices, tmp_path):
    raw = tmp_path / "raw"
    duel_cases.write_raw(raw, slices, SLICES, LESION)
    assert [slices[1].absent, json.loads((raw / "dataset.json").read_text())["numTraining"]] == [(Modality.T1CE,), 2]
    flair, _, t1ce = (nibabel.load(raw / "imagesTr" / f"TCGA_CS_4942_19970222_{i:04}.nii.gz") for i in range(3))
    assert (flair.shape, flair.header.get_zooms()) == ((8, 8, 3), (1, 1, 6))
    assert np.array_equal(flair.get_fdata(), t1ce.get_fdata())
    mask = nibabel.load(raw / "labelsTr" / "TCGA_CS_4941_19960909.nii.gz")
    assert np.array_equal(mask.affine, flair.affine)
    assert (np.unique(mask.get_fdata()).tolist(), mask.get_fdata().sum()) == ([0, 1], 6)


def test_a_spacing_that_is_known_is_kept(tmp_path):
    patient(tmp_path / "data")
    cases = find_cases(tmp_path / "data", modalities=SLICES, spacing_mm=(0.9, 0.9, 5)).cases
    duel_cases.write_raw(tmp_path / "raw", cases, SLICES, LESION)
    written = nibabel.load(tmp_path / "raw" / "imagesTr" / "TCGA_CS_4941_19960909_0000.nii.gz")
    assert written.header.get_zooms() == pytest.approx((0.9, 0.9, 5))


def test_masks_of_slices_that_nnunet_gives_back_unchanged_are_the_references(slices, tmp_path):
    duel_cases.write_raw(tmp_path / "raw", slices, SLICES, LESION)
    masks = duel_cases.take_back(tmp_path / "raw" / "labelsTr", tmp_path / "masks", slices, LESION)
    for case in slices:
        back, reference = read_mask(masks[case.id]), read_mask(case.mask)
        assert np.array_equal(back.array, reference.array)
        assert np.array_equal(back.affine, reference.affine)
        assert set(np.unique(back.array)) == {0, 255}


def test_masks_of_volumes_that_nnunet_gives_back_unchanged_are_the_references(phantom_root, tmp_path):
    cases = find_cases(phantom_root, modalities=list(Modality)).cases[:2]
    convention = conventions(builtin())["brats2017"]
    duel_cases.write_raw(tmp_path / "raw", cases, list(Modality), convention)
    integers = read_mask(tmp_path / "raw" / "labelsTr" / f"{cases[0].id}.nii.gz").array
    reference = read_mask(cases[0].mask)
    assert [(integers == 2).sum(), (integers == 1).sum()] == [(reference.array == n).sum() for n in (1, 2)]
    masks = duel_cases.take_back(tmp_path / "raw" / "labelsTr", tmp_path / "masks", cases, convention)
    for case in cases:
        assert np.array_equal(read_mask(masks[case.id]).array, read_mask(case.mask).array)


def test_a_mask_that_was_cut_short_is_removed_and_the_others_stay(slices, tmp_path):
    for case in slices:
        noise = np.random.default_rng(0).integers(0, 2, (32, 32, 32), dtype=np.uint8)
        write_volume(tmp_path / f"{case.id}.nii.gz", Volume(noise))
    cut = tmp_path / f"{slices[0].id}.nii.gz"
    cut.write_bytes(cut.read_bytes()[:1000])
    assert duel_cases.remove_unreadable(tmp_path, slices) == [slices[0].id]
    assert [path.name for path in tmp_path.glob("*.nii.gz")] == [f"{slices[1].id}.nii.gz"]


# Settings, and going on


def test_batches_are_read_in_order():
    assert duel.batch_of("planned,8,4") == [None, 8, 4]


def test_the_published_network_is_a_command_of_ours(tmp_path):
    settings = duel_terms.train_settings(
        [*duel_published.PUBLISHED, f"data.root={tmp_path}", "minutes=20", "steps=null"]
    )
    assert settings.model["norm"] == "batch"
    assert settings.model["features"] == [32, 64, 128, 256, 512]
    assert (settings.data.name, settings.sampling.batch, settings.loss["smooth"]) == ("lgg", 16, 1)
    assert settings.augmentation["rotation"] == {"probability": 1, "degrees": [-15, 15]}


@pytest.fixture
def terms(tmp_path):
    return duel_terms.Terms(tmp_path, 20.0, 2, "cpu", "2d", None, Path(sys.executable))


def test_both_sides_get_the_same_threads_and_nnunet_as_many_loaders(terms):
    environment = terms.environment()
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "nnUNet_n_proc_DA", "nnUNet_def_n_proc")
    assert [environment[name] for name in names] == ["2"] * 5


def test_finished_work_is_not_done_again(terms):
    calls = []
    work = lambda log: calls.append(log) or {"steps": 5}  # noqa: E731
    assert terms.once("train", work)["steps"] == terms.once("train", work)["steps"] == 5
    assert calls == [terms.output / "logs" / "train.txt"]


def test_work_that_fails_says_why_and_is_done_again(terms):
    fail = [sys.executable, "-c", "import sys; print('no memory'); sys.exit(3)"]
    with pytest.raises(MachineError, match=r"train failed with exit code 3. The end of .*train.txt:\nno memory"):
        terms.once("train", lambda log: terms.run(fail, log))
    assert terms.once("train", lambda log: {"steps": 5})["steps"] == 5


def test_a_process_is_stopped_with_the_script(terms, monkeypatch):
    def interrupted(process):
        raise KeyboardInterrupt

    (terms.output / "logs").mkdir()
    wait, processes = duel_terms.subprocess.Popen.wait, []
    monkeypatch.setattr(
        duel_terms.subprocess.Popen,
        "wait",
        lambda p: processes.append(p) or (interrupted(p) if len(processes) == 1 else wait(p)),
    )
    with pytest.raises(KeyboardInterrupt):
        terms.run([sys.executable, "-c", "import time; time.sleep(600)"], terms.output / "logs" / "train.txt")
    assert processes[0].returncode == -15


def test_other_terms_in_the_same_folder_are_refused(tmp_path):
    duel_terms.refuse_change(tmp_path / "asked.json", {"minutes": 20, "threads": 2})
    duel_terms.refuse_change(tmp_path / "asked.json", {"minutes": 20, "threads": 2})
    with pytest.raises(SettingsError, match="begun with other terms: minutes 20 -> 5. Expected the same"):
        duel_terms.refuse_change(tmp_path / "asked.json", {"minutes": 5, "threads": 2})


def test_a_variant_of_nnunet_is_named_after_its_batch(terms):
    names = [duel_sides.NnunetSide(terms, batch, 3, []).name for batch in (None, 8)]
    assert names == ["nnunet-2d", "nnunet-2d-batch8"]


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["--minutes", "0"], "--minutes 0.0: expected more than 0"),
        (["--threads", "100000"], "--threads 100000: expected 1 to"),
        (["--nnunet-batch", "planned,0"], "--nnunet-batch: expected 1 or more"),
        (["data.fold=1"], "data.fold=1: this script sets it"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(words, refused, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["duel.py", "out", "experiment=quick", *words])
    with pytest.raises(SystemExit):
        duel.parsed()
    assert refused in capsys.readouterr().err


# The table


def evaluation(name, dice):
    rows = tuple(Row(f"case{i}", "WT", "dice", value, "1") for i, value in enumerate(dice))
    summary = {"references": {f"case{i}": "same" for i in range(len(dice))}, "protocol": {"name": "brats2020"}}
    return Evaluation(name, Path(name) / "scores.csv", rows, summary)


def result():
    small, large = [0.5, 0.6, 0.7, 0.8, 0.9], [0.6, 0.6, 0.8, 0.8, 0.7]
    return duel_table.compared(
        {
            "ours": evaluation("ours", [0.7, 0.8, 0.9, 0.8, 0.9]),
            "nnunet-2d": evaluation("nnunet-2d", small),
            "nnunet-2d-batch8": evaluation("nnunet-2d-batch8", large),
        }
    )


def test_scores_and_paired_differences_are_those_made_by_hand():
    found = result()
    assert found["nnunet-2d"]["dice"]["WT"]["mean"] == pytest.approx(0.7)
    assert found["nnunet-2d"]["dice"]["WT"]["median"] == pytest.approx(0.7)
    difference = found["nnunet-2d"]["ours_minus_it"]["WT"]
    assert difference["mean"] == pytest.approx(0.12)  # of 0.2, 0.2, 0.2, 0, 0
    assert [difference[key] for key in ("n", "won", "tied", "lost")] == [5, 3, 2, 0]
    low, high = difference["interval"]
    assert 0 <= low < 0.12 < high < 0.2001
    assert "ours_minus_it" not in found["ours"]


def test_the_verdict_is_against_the_variant_that_scores_best():
    found = result()  # 0.7 and 0.7: the mean of the second is the same, so the first is taken
    assert duel_table.best_of(found, ["nnunet-2d", "nnunet-2d-batch8"]) == "nnunet-2d"
    found["nnunet-2d"]["dice"]["WT"]["mean"] = 0.69
    best = duel_table.best_of(found, ["nnunet-2d", "nnunet-2d-batch8"])
    assert duel_table.sentence(found, best, 2).startswith(
        "Ours against nnunet-2d-batch8, the best of 2 variants of nnU-Net: WT better (+0.1200, 95% interval +0.0"
    )


def test_fewer_than_five_cases_have_no_interval_and_no_verdict():
    found = duel_table.compared({"ours": evaluation("ours", [0.7] * 4), "nnunet-2d": evaluation("a", [0.6] * 4)})
    assert found["nnunet-2d"]["ours_minus_it"]["WT"]["interval"] is None
    assert "WT fewer than 5 cases (+0.1000, 95% interval –, 4 of 4 cases won)" in duel_table.sentence(
        found, "nnunet-2d", 1
    )


def test_a_variant_of_nnunet_with_few_steps_is_named_once():
    rows = [("ours", 5, 4), ("nnunet-2d", 60, 49), ("nnunet-2d", 55, 49), ("nnunet-2d-batch4", 500, 4)]
    notes = duel_table.few_steps([dict(zip(("side", "steps", "batch"), row, strict=True)) for row in rows])
    assert notes == ["nnunet-2d trained 55 steps with batch 49, fewer than 500. Add a smaller batch to --nnunet-batch."]


def test_the_tables_show_every_side(capsys):
    row = {"side": "ours", "fold": 0, "steps": 5, "training s": None}
    duel_table.show(result(), [row])
    printed = capsys.readouterr().out
    assert "| ours | 0    | 5     | –          |" in printed
    assert printed.count("nnunet-2d-batch8") == 2  # scores and differences
