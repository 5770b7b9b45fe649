"""Which cases an evaluation of runs scores: those held out, also at a new place, or those of another folder."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest

from brats_unet.assembly.scored_cases import scored_cases
from brats_unet.data.assignment import Subject
from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.json_files import write_json
from brats_unet.modality import Modality
from brats_unet.nifti import read_integers, read_volume, write_volume
from brats_unet.run import PREDICTIONS, PREDICTIONS_MARK, Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Evaluate, OtherData
from brats_unet.volume import Volume
from tests.slices import patient
from tests.whole_recipe import RECIPE

NUMBERS = range(1, 5)


def name(number):
    return f"Phantom20_{number:03d}"


@pytest.fixture
def data(phantom_root, tmp_path):
    """The data of the runs, which a test may move or change."""
    return shutil.copytree(phantom_root, tmp_path / "scans")


@pytest.fixture
def write_record(data, tmp_path):
    """Write what a run recorded, without a network: (name, held-out numbers, recorded hashes) -> Run."""

    def made(called="a", held_out=(1, 2), *, hashes=True, scheme=None):
        run = Run(tmp_path / "runs" / called)
        memo = HashMemo(tmp_path / "memo.json")
        cases = find_cases(data, modalities=list(Modality)).cases
        subjects = [asdict(Subject(c.id, c.patient, "", memo.voxels(c.images[Modality.FLAIR].path))) for c in cases]
        told = {"name": "brats", "root": str(data), "validation_root": None, "modalities": [str(m) for m in Modality]}
        write_json(run.settings_file, {"data": {**told, "leave_out": [], "cache": str(tmp_path / "cache")}})
        write_json(run.recipe_file, RECIPE | ({} if scheme is None else {"scheme": scheme}))
        division = {
            "train": [name(number) for number in NUMBERS if number not in held_out],
            "validation": [name(number) for number in held_out],
        }
        write_json(run.folds_file, division | ({"subjects": subjects} if hashes else {}))
        return run

    return made


def settings(root=None, *, labels=None, leave_out=None, cache=None, spacing_mm=None, **changes) -> Evaluate:
    values = dict.fromkeys(Evaluate.__dataclass_fields__) | {"checkpoint": "last"}
    return Evaluate(
        **values
        | {"data": OtherData(None if root is None else str(root), labels, leave_out, cache, spacing_mm, None)}
        | changes
    )


def chosen(told, *runs):
    said = []
    return scored_cases(told, runs, said.append), said


def ids(one):
    return [case.id for case in one.cases]


def renamed(source, target, number):
    """Copy a case under another number."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copy(file, target / file.name.replace(source.name, name(number)))


def changed(case_folder):
    """Brighten all scans of a case, so that their content differs."""
    for file in case_folder.glob("*.nii*"):
        if "seg" not in file.name:
            volume = read_volume(file)
            write_volume(file, Volume((volume.array.astype(np.int16) + 1).astype(np.int16), volume.affine))


def test_without_a_root_the_held_out_cases_are_scored_where_they_were(write_record, data):
    run = write_record()
    (one,), said = chosen(settings(), run)
    assert ids(one) == [name(1), name(2)]
    assert (one.folder, one.data, said) == (run.folder / "evaluation", "", [])
    assert all(case.mask.is_relative_to(data) for case in one.cases)


@pytest.mark.parametrize("hashes", [True, False])
def test_of_the_runs_own_cases_at_a_new_place_those_held_out_are_scored(write_record, data, tmp_path, hashes):
    run = write_record(hashes=hashes)
    moved = data.rename(tmp_path / "moved")
    (one,), said = chosen(settings(moved), run)
    assert ids(one) == [name(1), name(2)]
    assert (one.folder, one.trained_on, one.training_root) == (run.folder / "evaluation", None, str(moved))
    assert all(case.mask.is_relative_to(moved) for case in one.cases)
    assert said == ["moved holds the cases of a: the 2 that it held out are scored."]


def test_the_held_out_cases_alone_at_a_new_place_are_the_runs_own(write_record, data, tmp_path):
    for number in (1, 2):
        shutil.copytree(data / name(number), tmp_path / "some" / name(number))
    (one,), _ = chosen(settings(tmp_path / "some"), write_record())
    assert (ids(one), one.data, one.training_root) == ([name(1), name(2)], "", None)


def test_other_cases_are_all_scored_into_a_folder_of_their_own(write_record, data, tmp_path):
    run = write_record()
    renamed(data / name(3), tmp_path / "other" / name(7), 7)
    changed(tmp_path / "other" / name(7))
    (one,), said = chosen(settings(tmp_path / "other"), run)
    assert (ids(one), one.trained_on, one.held_out) == ([name(7)], {}, False)
    assert (one.folder, one.name) == (run.folder / "evaluation-other", "other")
    assert said[-1].startswith("Labels: brats2017 (case ids such as")
    (best,), _ = chosen(settings(tmp_path / "other", checkpoint="best"), run)
    assert best.folder == run.folder / "evaluation_best-other"
    (own,), _ = chosen(settings(tmp_path / "other", output=str(tmp_path / "mine")), run)
    assert own.folder == tmp_path / "mine"


def test_cases_that_were_trained_on_are_found_by_scan_and_by_id_and_named(write_record, data, tmp_path):
    run, other = write_record(), tmp_path / "other"
    shutil.copytree(data / name(1), other / name(1))  # held out
    renamed(data / name(3), other / name(8), 8)  # the scan of a training case
    renamed(data / name(1), other / name(4), 4)  # the id of another
    changed(other / name(4))
    (one,), said = chosen(settings(other), run)
    assert ids(one) == [name(1), name(4), name(8)]
    assert one.trained_on == {name(4): "same case id, other scan", name(8): "same scan"}
    assert one.held_out
    assert said[-1] == (
        f"2 of 3 cases were trained on, so the scores are too good: {name(4)} (same case id, other scan); {name(8)} "
        f"(same scan). Leave out such cases with data.leave_out=[…]."
    )
    (left,), _ = chosen(settings(other, leave_out=[name(4), name(8)]), run)
    assert (ids(left), left.trained_on) == ([name(1)], {})


def test_a_run_that_recorded_no_hashes_knows_its_cases_by_id_and_patient(write_record, data, tmp_path):
    run, other = write_record(hashes=False), tmp_path / "other"
    renamed(data / name(1), other / name(3), 3)
    for session in ("100", "101"):
        (other / f"BraTS-GLI-00005-{session}").mkdir()
        for file in (data / name(2)).iterdir():
            shutil.copy(
                file, other / f"BraTS-GLI-00005-{session}" / file.name.replace(name(2), f"BraTS-GLI-00005-{session}")
            )
    folds = json.loads(run.folds_file.read_text())
    write_json(run.folds_file, {**folds, "train": [*folds["train"], "BraTS-GLI-00005-100"]})
    (one,), _ = chosen(settings(other, labels="brats2017"), run)
    assert one.trained_on == {
        name(3): "same case id",
        "BraTS-GLI-00005-100": "same case id",
        "BraTS-GLI-00005-101": "same patient",
    }


def test_known_ids_with_other_scans_are_not_the_runs_own_cases(write_record, data):
    run = write_record()
    changed(data / name(1))
    (one,), _ = chosen(settings(data), run)
    assert (len(one.cases), one.folder.name) == (4, "evaluation-scans")


def test_the_convention_of_another_folder_is_detected_or_set(write_record, data, tmp_path):
    run, other = write_record(), tmp_path / "other"
    renamed(data / name(1), other / name(9), 9)
    mask = next((other / name(9)).glob("*seg*"))
    volume = read_integers(mask)
    write_volume(mask, Volume(np.where(volume.array == 4, 3, volume.array).astype(np.uint8), volume.affine))
    (one,), _ = chosen(settings(other, labels="brats2023"), run)
    assert one.convention.name == "brats2023"
    with pytest.raises(SettingsError, match=r"the masks follow brats2017 .* but Phantom20_009 holds 3"):
        chosen(settings(other), run)
    with pytest.raises(SettingsError, match=r"There is no data\.labels=brats1999 in the scheme glioma"):
        chosen(settings(other, labels="brats1999"), run)


def test_masks_with_labels_outside_the_scheme_of_the_run_are_refused(write_record, data, tmp_path):
    run, other = write_record(), tmp_path / "other"
    renamed(data / name(1), other / name(9), 9)
    mask = next((other / name(9)).glob("*seg*"))
    volume = read_integers(mask)
    write_volume(mask, Volume(np.where(volume.array > 0, 255, 0).astype(np.uint8), volume.affine))
    with pytest.raises(
        DataError,
        match=r"scheme glioma, in which the run was trained, defines \(.*or list the cases under data\.leave_out\.$",
    ):
        chosen(settings(other), run)


def test_folds_are_scored_together_on_moved_data_but_not_on_other_cases(write_record, data, tmp_path):
    runs = [write_record("a", (1, 2)), write_record("b", (3, 4))]
    moved = data.rename(tmp_path / "moved")
    both, _ = chosen(settings(moved), *runs)
    assert [ids(one) for one in both] == [[name(1), name(2)], [name(3), name(4)]]
    renamed(moved / name(1), moved / name(9), 9)
    with pytest.raises(
        SettingsError, match=r"does not hold just the cases of .*/a\. Several runs .* one run at a time"
    ):
        chosen(settings(moved), *runs)


def test_scores_of_another_folder_of_the_same_name_are_not_replaced(write_record, data, tmp_path):
    run = write_record()
    for place in ("here", "there"):
        renamed(data / name(1), tmp_path / place / "set" / name(9), 9)
    (one,), _ = chosen(settings(tmp_path / "here" / "set"), run)
    write_json(one.folder / PREDICTIONS / PREDICTIONS_MARK, {"data": one.data})
    assert chosen(settings(tmp_path / "here" / "set"), run)[0][0].data == one.data
    with pytest.raises(SettingsError, match=r"holds the scores of another folder named set\. Give output=…"):
        chosen(settings(tmp_path / "there" / "set"), run)


def test_hashes_are_remembered_only_where_there_is_a_cache(write_record, data, tmp_path):
    run = write_record()
    chosen(settings(data), run)
    assert not (tmp_path / "cache").exists()  # that of the machine that trained
    chosen(settings(data, cache=str(tmp_path / "mine")), run)
    assert (tmp_path / "mine" / "hashes.json").exists()


def test_settings_that_need_a_root_and_a_folder_without_masks_are_refused(write_record, data, tmp_path):
    run = write_record()
    with pytest.raises(SettingsError, match=r"data\.leave_out is set, but data\.root is not"):
        chosen(settings(leave_out=[name(1)]), run)
    renamed(data / name(1), tmp_path / "bare" / name(9), 9)
    next((tmp_path / "bare" / name(9)).glob("*seg*")).unlink()
    with pytest.raises(DataError, match="1 cases, none with a mask. Expected expert masks to score against"):
        chosen(settings(tmp_path / "bare"), run)


def test_another_scheme_than_that_of_the_run_and_runs_of_two_schemes_are_refused(write_record):
    glioma, post = write_record("a"), write_record("b", scheme=builtin("glioma_post").as_dict())
    assert len(chosen(settings(scheme=builtin().as_dict()), glioma)[0]) == 1
    with pytest.raises(SettingsError, match=r"trained with the scheme glioma, but scheme=glioma_post"):
        chosen(settings(scheme=builtin("glioma_post").as_dict()), glioma)
    with pytest.raises(SettingsError, match=r"/a was trained with the scheme glioma, .*/b with glioma_post"):
        chosen(settings(), glioma, post)


def test_slices_of_the_run_have_its_spacing_and_other_slices_the_one_that_is_set(tmp_path):
    run, root, more = Run(tmp_path / "runs" / "a"), tmp_path / "slices", "TCGA_DU_5851_19950428"
    held_out, trained = (patient(root, f"TCGA_CS_494{n}_19960909", brighter=n).name for n in (1, 2))
    told = {"name": "lgg", "root": str(root), "validation_root": None, "modalities": ["flair", "t1", "t1ce"]}
    write_json(
        run.settings_file, {"data": {**told, "leave_out": [], "cache": str(tmp_path / "gone"), "spacing_mm": [1, 1, 5]}}
    )
    write_json(run.recipe_file, {**RECIPE, "convention": "grey", "scheme": builtin("lesion").as_dict()})
    write_json(run.folds_file, {"train": [trained], "validation": [held_out]})
    moved = root.rename(tmp_path / "moved")
    (one,), _ = chosen(settings(moved), run)
    assert [(case.id, case.spacing_mm) for case in one.cases] == [(held_out, (1, 1, 5))]
    patient(moved, more)
    for given, expected in ((None, None), ([1, 1, 3], (1, 1, 3))):
        (one,), _ = chosen(settings(moved, spacing_mm=given, cache=str(tmp_path / "cache")), run)
        assert [case.spacing_mm for case in one.cases] == [expected] * 3
        assert one.trained_on == {trained: "same case id"}
