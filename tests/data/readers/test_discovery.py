"""Finding cases in every layout of the BraTS family by file names; the files in these tests are empty."""

import csv
import json
from pathlib import Path

import pytest

from brats_unet.data.readers.discovery import find_cases, survey
from brats_unet.errors import DataError
from brats_unet.modality import Modality

ALL = tuple(Modality)
OLD = ("flair", "t1", "t1ce", "t2", "seg")
NEW = ("t1n", "t1c", "t2w", "t2f", "seg")


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def old_case(folder: Path, case_id: str, suffixes: tuple[str, ...] = OLD, ending: str = ".nii.gz") -> None:
    for suffix in suffixes:
        put(folder / f"{case_id}_{suffix}{ending}")


def new_case(folder: Path, case_id: str) -> None:
    for suffix in NEW:
        put(folder / f"{case_id}-{suffix}.nii.gz")


def test_brats_2020_cases_are_found_in_one_folder_per_case(tmp_path: Path) -> None:
    for number in (2, 1):
        old_case(tmp_path / f"BraTS20_Training_00{number}", f"BraTS20_Training_00{number}")
    dataset = find_cases(tmp_path, modalities=ALL)
    assert dataset.layout == "brats2018-2021"
    assert [case.id for case in dataset.cases] == ["BraTS20_Training_001", "BraTS20_Training_002"]
    case = dataset.cases[0]
    folder = tmp_path / case.id
    assert {str(m): file.path.name for m, file in case.images.items()} == {
        m: f"{case.id}_{m}.nii.gz" for m in ("flair", "t1", "t1ce", "t2")
    }
    assert list(case.images) == list(Modality)
    assert case.mask == folder / f"{case.id}_seg.nii.gz"
    assert (case.patient, case.stratum, dataset.notes) == (case.id, None, ())


def test_the_folder_of_a_single_case_is_a_dataset(tmp_path: Path) -> None:
    old_case(tmp_path / "BraTS20_Training_001", "BraTS20_Training_001")
    (case,) = find_cases(tmp_path / "BraTS20_Training_001", modalities=ALL).cases
    assert case.id == "BraTS20_Training_001"


def test_cases_may_lie_flat_in_one_folder(tmp_path: Path) -> None:
    for case_id in ("a", "b"):
        old_case(tmp_path, case_id)
    assert [case.id for case in find_cases(tmp_path, modalities=ALL).cases] == ["a", "b"]


def test_scans_named_by_suffix_only_take_the_case_id_from_their_folder(tmp_path: Path) -> None:
    for suffix in OLD:
        put(tmp_path / "patient 7" / f"{suffix}.nii.gz")
    (case,) = find_cases(tmp_path, modalities=ALL).cases
    assert case.id == "patient 7"
    assert case.mask is not None


def test_files_inside_folders_named_like_files_are_found(tmp_path: Path) -> None:
    for suffix in OLD:
        put(tmp_path / "x" / f"x_{suffix}.nii" / f"00000057_{suffix}.nii")
    (case,) = find_cases(tmp_path, modalities=ALL).cases
    assert case.id == "x"
    assert case.images[Modality.T1].path == tmp_path / "x" / "x_t1.nii" / "00000057_t1.nii"
    assert case.mask is not None


def test_grades_come_from_folders_named_hgg_and_lgg(tmp_path: Path) -> None:
    old_case(tmp_path / "MICCAI_BraTS_2018" / "HGG" / "Brats18_A_1", "Brats18_A_1")
    old_case(tmp_path / "MICCAI_BraTS_2018" / "LGG" / "Brats18_B_1", "Brats18_B_1")
    assert [case.stratum for case in find_cases(tmp_path, modalities=ALL).cases] == ["HGG", "LGG"]
    (only,) = find_cases(tmp_path / "MICCAI_BraTS_2018" / "LGG", modalities=ALL).cases
    assert only.stratum == "LGG"


@pytest.mark.parametrize(
    ("encoding", "separator", "notes"),
    [
        ("utf-8", ";", ()),
        ("utf-16", "\t", ()),
        ("latin-1", ";", ("name_mapping.csv is not UTF-8: it is read as Windows text (cp1252).",)),
    ],
)
def test_a_table_of_grades_as_spreadsheets_write_it_is_read(
    tmp_path: Path, encoding: str, separator: str, notes: tuple[str, ...]
) -> None:
    old_case(tmp_path / "BraTS20_Training_001", "BraTS20_Training_001")
    rows = ["Grade,BraTS_2020_subject_ID,Klinik", "LGG,BraTS20_Training_001,Köln"]
    text = "\n".join(rows).replace(",", separator)
    (tmp_path / "name_mapping.csv").write_bytes(text.encode(encoding))
    dataset = find_cases(tmp_path, modalities=ALL)
    assert [case.stratum for case in dataset.cases] == ["LGG"]
    assert dataset.notes == notes


def test_a_table_of_grades_without_their_columns_is_noted(tmp_path: Path) -> None:
    old_case(tmp_path / "BraTS20_Training_001", "BraTS20_Training_001")
    (tmp_path / "name_mapping.csv").write_text("WHO|id\n4|BraTS20_Training_001\n")
    (told,) = find_cases(tmp_path, modalities=ALL).notes
    assert told.startswith("name_mapping.csv gives no grades: expected a column Grade")
    assert told.endswith("found WHO|id.")


def test_grades_come_from_name_mapping_csv_and_the_id_na_is_ignored(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        old_case(tmp_path / f"BraTS20_Training_00{number}", f"BraTS20_Training_00{number}")
    old_case(tmp_path / "NA", "NA")
    years = ("2017", "2018", "2019", "2020")
    columns = ["Grade", *(f"BraTS_{y}_subject_ID" for y in years), "TCGA_TCIA_subject_ID"]
    with open(tmp_path / "name_mapping.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [
                columns,
                ["HGG", "NA", "NA", "Brats19_X_1", "BraTS20_Training_001", "NA"],
                ["LGG", "NA", "NA", "NA", "BraTS20_Training_002", "TCGA-1"],
            ]
        )
    put(tmp_path / "survival_info.csv", "Brats20ID,Age,Survival_days\nBraTS20_Training_001,NA,ALIVE (361 days later)\n")
    dataset = find_cases(tmp_path, modalities=ALL)
    assert {case.id: case.stratum for case in dataset.cases} == {
        "BraTS20_Training_001": "HGG",
        "BraTS20_Training_002": "LGG",
        "BraTS20_Training_003": None,
        "NA": None,
    }
    assert dataset.notes == ("The grade is known for 2 of 4 cases.",)


def test_the_misnamed_mask_of_case_355_is_used_with_a_note(tmp_path: Path) -> None:
    folder = tmp_path / "BraTS20_Training_355"
    old_case(folder, "BraTS20_Training_355", OLD[:4], ".nii")
    put(folder / "W39_1998.09.19_Segm.nii")
    dataset = find_cases(tmp_path, modalities=ALL, masks_required=True)
    assert dataset.cases[0].mask == folder / "W39_1998.09.19_Segm.nii"
    assert dataset.notes == ("BraTS20_Training_355: W39_1998.09.19_Segm.nii is used as its mask.",)


def test_the_misnamed_mask_is_used_in_a_flat_folder_too(tmp_path: Path) -> None:
    old_case(tmp_path, "BraTS20_Training_354")
    old_case(tmp_path, "BraTS20_Training_355", OLD[:4])
    put(tmp_path / "W39_1998.09.19_Segm.nii")
    assert all(case.mask for case in find_cases(tmp_path, modalities=ALL).cases)


def test_brats_2023_names_are_read_in_upper_and_lower_case(tmp_path: Path) -> None:
    for session in ("100", "101"):
        new_case(tmp_path / f"BraTS-GLI-00005-{session}", f"BraTS-GLI-00005-{session}")
    (tmp_path / "BraTS-GLI-00005-100" / "BraTS-GLI-00005-100-t2w.nii.gz").rename(
        tmp_path / "BraTS-GLI-00005-100" / "BraTS-GLI-00005-100-t2W.nii.gz"
    )
    dataset = find_cases(tmp_path, modalities=ALL)
    assert dataset.layout == "brats2023+"
    assert [case.patient for case in dataset.cases] == ["BraTS-GLI-00005"] * 2


def test_cases_without_masks_are_accepted_unless_masks_are_required(tmp_path: Path) -> None:
    old_case(tmp_path, "a")
    old_case(tmp_path, "b", OLD[:4])
    dataset = find_cases(tmp_path, modalities=ALL)
    assert [case.mask is None for case in dataset.cases] == [False, True]
    assert dataset.notes == ("1 of 2 cases have no mask: they can only be used for prediction.",)
    with pytest.raises(DataError, match=r"^b: no mask\."):
        find_cases(tmp_path, modalities=ALL, masks_required=True)


def test_only_scans_of_the_requested_modalities_are_needed(tmp_path: Path) -> None:
    old_case(tmp_path, "a", ("flair", "t1ce", "seg"))
    (case,) = find_cases(tmp_path, modalities=[Modality.T1CE, Modality.FLAIR]).cases
    assert list(case.images) == [Modality.FLAIR, Modality.T1CE]


def test_a_scan_of_an_own_name_is_not_looked_for_under_names_of_brats(tmp_path: Path) -> None:
    old_case(tmp_path, "a")
    with pytest.raises(DataError) as refusal:
        find_cases(tmp_path, modalities=[Modality.FLAIR, Modality("ADC")])
    assert str(refusal.value) == (
        "a: no ADC scan: file names of BraTS have no such sequence, only flair, t1, t1ce, t2. Name its files by "
        "patterns: data=files data.files=…."
    )


def test_the_message_for_a_missing_scan_says_what_to_do(tmp_path: Path) -> None:
    old_case(tmp_path, "BraTS20_Training_006")
    old_case(tmp_path, "BraTS20_Training_007", ("flair", "t1", "t2", "seg"))
    with pytest.raises(DataError) as refusal:
        find_cases(tmp_path, modalities=ALL)
    assert str(refusal.value) == (
        "BraTS20_Training_007: no t1ce scan. Expected BraTS20_Training_007_t1ce.nii.gz beside the other three. "
        "Download the case again, or list it under data.leave_out."
    )
    assert len(find_cases(tmp_path, modalities=ALL, leave_out=["BraTS20_Training_007"]).cases) == 1


def test_the_first_twenty_defects_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    old_case(tmp_path, "whole")
    for number in range(25):
        old_case(tmp_path, f"c{number:02}", ("flair", "t1", "t2"))
    with pytest.raises(DataError) as refusal:
        find_cases(tmp_path, modalities=ALL)
    lines = str(refusal.value).splitlines()
    assert lines[0] == f"{tmp_path}: 25 defects."
    assert len(lines) == 22
    assert lines[-1].strip().startswith("… and 5 more.")


def test_a_modality_that_no_case_has_is_reported_once(tmp_path: Path) -> None:
    for case_id in "abc":
        old_case(tmp_path, case_id, ("flair", "t1ce", "t2"))
    with pytest.raises(
        DataError, match=r"^None of the 3 cases has a t1 scan\. Set data\.modalities=\[flair,t1ce,t2\]\.$"
    ):
        find_cases(tmp_path, modalities=ALL)


def test_two_copies_of_a_case_are_refused(tmp_path: Path) -> None:
    old_case(tmp_path / "train", "a")
    old_case(tmp_path / "copy", "a")
    with pytest.raises(DataError, match=r"a: two files for its flair: .*copy.* and .*train"):
        find_cases(tmp_path, modalities=ALL)


def test_a_mask_without_scans_is_refused(tmp_path: Path) -> None:
    old_case(tmp_path / "a", "a")
    put(tmp_path / "b" / "b_seg.nii.gz")
    with pytest.raises(DataError, match=r"b: a mask without scans"):
        find_cases(tmp_path, modalities=ALL)


def test_old_and_new_names_in_one_folder_are_refused(tmp_path: Path) -> None:
    old_case(tmp_path, "BraTS20_Training_001")
    new_case(tmp_path, "BraTS-GLI-00005-100")
    with pytest.raises(DataError, match="their labels mean different things"):
        find_cases(tmp_path, modalities=ALL)


def test_an_unknown_case_in_leave_out_is_noted_and_leaving_out_all_is_refused(tmp_path: Path) -> None:
    old_case(tmp_path, "a")
    assert find_cases(tmp_path, modalities=ALL, leave_out=["z"]).notes == (
        "data.leave_out names z, which is not in this folder.",
    )
    with pytest.raises(DataError, match="names all 1 cases"):
        find_cases(tmp_path, modalities=ALL, leave_out=["a"])


def test_files_with_other_names_are_skipped_with_a_note(tmp_path: Path) -> None:
    old_case(tmp_path, "a")
    put(tmp_path / "a_brainmask.nii.gz")
    notes = find_cases(tmp_path, modalities=ALL).notes
    assert notes == ("1 NIfTI files with other names were skipped (first: a_brainmask.nii.gz).",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("VSD.Brain.XX.O.MR_Flair.54512.mha", "none named like a scan of a case"),
        ("slice1.dcm", r"no NIfTI file, but 1 DICOM files \(\.dcm\)\. Convert the series with dcm2niix"),
        ("volume_1_slice_2.h5", r"1 HDF5 files \(\.h5\)\. Convert the arrays with nibabel"),
        ("volume.npy", "1 NumPy arrays"),
        ("scan.img", "1 Analyze or NIfTI pairs"),
        ("BraTS2020.zip", r"archives \(\.zip\)\. Unpack it first"),
        ("scan.nii.gz", "none named like a scan of a case"),
        ("readme.txt", "no NIfTI file"),
    ],
)
def test_the_message_for_a_folder_without_cases_says_what_it_holds(tmp_path: Path, name: str, words: str) -> None:
    put(tmp_path / name)
    with pytest.raises(DataError, match=words):
        find_cases(tmp_path, modalities=ALL)


def test_survey_returns_the_defects_that_find_cases_raises(tmp_path: Path) -> None:
    old_case(tmp_path, "a")
    old_case(tmp_path, "b", ("flair",))
    found = survey(tmp_path, modalities=ALL)
    assert [case.id for case in found.dataset.cases] == ["a"]
    assert [case.id for case in found.incomplete] == ["b"]
    assert [defect.case for defect in found.defects] == ["b"] * 3


def test_the_folder_is_never_written_to(tmp_path: Path) -> None:
    old_case(tmp_path, "a")
    before = sorted(tmp_path.rglob("*"))
    find_cases(tmp_path, modalities=ALL)
    assert sorted(tmp_path.rglob("*")) == before


def msd(folder: Path, description: dict[str, object] | None = None) -> Path:
    for case_id in ("BRATS_001", "BRATS_002"):
        put(folder / "imagesTr" / f"{case_id}.nii.gz")
        put(folder / "labelsTr" / f"{case_id}.nii.gz")
    put(folder / "imagesTr" / "._BRATS_001.nii.gz")
    put(folder / "imagesTs" / "BRATS_485.nii.gz")
    standard = {
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
    }
    put(folder / "dataset.json", json.dumps(standard if description is None else description))
    return folder


def test_msd_task01_has_four_channels_in_one_file(tmp_path: Path) -> None:
    msd(tmp_path / "Task01_BrainTumour")
    for root in (tmp_path, tmp_path / "Task01_BrainTumour"):
        dataset = find_cases(root, modalities=ALL)
        assert dataset.layout == "msd"
        assert [case.id for case in dataset.cases] == ["BRATS_001", "BRATS_002", "BRATS_485"]
        assert [case.mask is None for case in dataset.cases] == [False, False, True]
        assert [file.channel for file in dataset.cases[0].images.values()] == [0, 1, 2, 3]
        assert dataset.declared_labels == {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}


def test_msd_channels_are_selected_by_name(tmp_path: Path) -> None:
    msd(tmp_path, {"channel_names": {"0": "T2w", "1": "t1gd", "2": "T1w", "3": "FLAIR"}})
    case = find_cases(tmp_path, modalities=ALL).cases[0]
    assert {str(m): file.channel for m, file in case.images.items()} == {"flair": 3, "t1": 2, "t1ce": 1, "t2": 0}


def test_msd_without_channel_names_is_read_in_msd_order_with_a_note(tmp_path: Path) -> None:
    dataset = find_cases(msd(tmp_path, {}), modalities=ALL)
    assert [file.channel for file in dataset.cases[0].images.values()] == [0, 1, 2, 3]
    assert "MSD's order is used" in dataset.notes[0]


def test_imagests_given_alone_has_no_masks_and_imagestr_has(tmp_path: Path) -> None:
    msd(tmp_path)
    (case,) = find_cases(tmp_path / "imagesTs", modalities=ALL).cases
    assert (case.id, case.mask) == ("BRATS_485", None)
    assert all(case.mask for case in find_cases(tmp_path / "imagesTr", modalities=ALL).cases)


def nnunet(folder: Path, names: dict[str, str] | None, labels: object = None) -> Path:
    for channel in range(4):
        put(folder / "imagesTr" / f"BraTS2021_00000_{channel:04}.nii.gz")
        put(folder / "imagesTs" / f"BraTS2021_00009_{channel:04}.nii.gz")
    put(folder / "labelsTr" / "BraTS2021_00000.nii.gz")
    if names is not None:
        put(folder / "dataset.json", json.dumps({"channel_names": names, "labels": labels}))
    return folder


NAMES = {"0": "T1", "1": "T1ce", "2": "T2", "3": "Flair"}


def test_nnunet_channels_are_named_in_dataset_json(tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
    dataset = find_cases(nnunet(tmp_path, NAMES, labels), modalities=ALL)
    assert dataset.layout == "nnunet"
    assert [(case.id, case.mask is None) for case in dataset.cases] == [
        ("BraTS2021_00000", False),
        ("BraTS2021_00009", True),
    ]
    assert dataset.cases[0].images[Modality.FLAIR].path.name == "BraTS2021_00000_0003.nii.gz"
    assert dataset.cases[0].images[Modality.FLAIR].channel is None
    assert dataset.declared_labels == labels


def test_nnunet_folders_without_dataset_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset.json with channel_names"):
        find_cases(nnunet(tmp_path, None), modalities=ALL)


def test_a_requested_modality_without_a_channel_is_refused(tmp_path: Path) -> None:
    names = {**NAMES, "3": "PET"}
    with pytest.raises(DataError, match=r"no channel is named flair \(channels: 0 T1, 1 T1ce, 2 T2, 3 PET\)"):
        find_cases(nnunet(tmp_path, names), modalities=ALL)
    assert find_cases(tmp_path, modalities=[Modality.T1, Modality.T2]).cases


def test_two_channels_of_one_modality_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"channels 0 and 3 \(T1w\) are both t1"):
        find_cases(nnunet(tmp_path, {**NAMES, "3": "T1w"}), modalities=ALL)


def test_a_missing_channel_file_is_a_defect(tmp_path: Path) -> None:
    nnunet(tmp_path, NAMES)
    (tmp_path / "imagesTr" / "BraTS2021_00000_0001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"BraTS2021_00000: no t1ce scan. Expected BraTS2021_00000_0001.nii.gz"):
        find_cases(tmp_path, modalities=ALL)


def test_a_broken_dataset_json_is_refused(tmp_path: Path) -> None:
    nnunet(tmp_path, NAMES)
    put(tmp_path / "dataset.json", "{")
    with pytest.raises(DataError, match=r"dataset.json: cannot be read as JSON"):
        find_cases(tmp_path, modalities=ALL)


def test_a_label_without_images_is_a_defect(tmp_path: Path) -> None:
    put(msd(tmp_path) / "labelsTr" / "BRATS_009.nii.gz")
    with pytest.raises(DataError, match="BRATS_009: a mask without scans"):
        find_cases(tmp_path, modalities=ALL)


def test_several_nnunet_datasets_in_one_folder_are_refused(tmp_path: Path) -> None:
    nnunet(tmp_path / "Dataset001_A", NAMES)
    nnunet(tmp_path / "Dataset002_B", NAMES)
    with pytest.raises(DataError, match=r"holds 2 datasets \(Dataset001_A, Dataset002_B\)"):
        find_cases(tmp_path, modalities=ALL)


def test_a_flat_folder_with_channel_files_and_dataset_json_is_read(tmp_path: Path) -> None:
    for channel in range(4):
        put(tmp_path / f"x_{channel:04}.nii.gz")
    put(tmp_path / "dataset.json", json.dumps({"channel_names": NAMES}))
    (case,) = find_cases(tmp_path, modalities=ALL).cases
    assert (case.id, case.mask) == ("x", None)


@pytest.mark.real
def test_real_folders_are_read(real_scans: Path) -> None:
    assert len(find_cases(real_scans / "BraTS2021", modalities=ALL, masks_required=True).cases) == 8
    assert len(find_cases(real_scans / "BRATS2015", modalities=ALL, masks_required=True).cases) == 1
    assert find_cases(real_scans / "unlabelled", modalities=ALL).cases[0].mask is None
