"""`check` reads every naming that a data set of the BraTS family is known to have.

Two cases each, of small made volumes. Sources: the series' own releases, their mirrors, MSD, nnU-Net; docs/DATA.md.
"""

import json

import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.cli.main import main
from brats_unet.volume import Volume

OLD, NEW = ("flair", "t1", "t1ce", "t2", "seg"), ("t2f", "t1n", "t1c", "t2w", "seg")
EDGE_MM = 9.0
RADIUS = np.sqrt(sum((np.indices((16, 16, 16)) - 7.5) ** 2))
OF_2017, OF_2023, OF_MSD = (1, 2, 4), (1, 2, 3), (2, 1, 3)  # integers of NCR, ED, ET

# ids, last parts of the names, what stands before them, ending, integers
FOLDERS = {
    "2018": ("Brats18_CBICA_AAM_1 Brats18_TCIA01_147_1", OLD, "_", ".nii.gz", OF_2017),
    "2019": ("BraTS19_CBICA_AAB_1 BraTS19_TCIA10_408_1", OLD, "_", ".nii.gz", OF_2017),
    "2020": ("BraTS20_Training_001 BraTS20_Training_002", OLD, "_", ".nii", OF_2017),
    "2021": ("BraTS2021_00000 BraTS2021_00002", OLD, "_", ".nii.gz", OF_2017),
    "2015": ("HGG/brats_2013_pat0001_1 LGG/brats_tcia_pat153_0002", OLD, "_", ".nii.gz", (1, 2, 4, 3)),
    "GLI 2023": ("BraTS-GLI-00000-000 BraTS-GLI-00002-000", NEW, "-", ".nii.gz", OF_2023),
    "t2W": ("BraTS-GLI-00000-000 BraTS-GLI-00002-000", ("t2f", "t1n", "t1c", "t2W", "seg"), "-", ".nii.gz", OF_2023),
    "SSA": ("BraTS-SSA-00002-000 BraTS-SSA-00007-000", NEW, "-", ".nii.gz", OF_2023),
    "MET": ("BraTS-MET-00001-000 BraTS-MET-00002-000", NEW, "-", ".nii.gz", OF_2023),
    "MET_": ("BraTS-MET_01325-000 BraTS-MET_01326-000", NEW, "-", ".nii.gz", OF_2023),
    "MEN": ("BraTS-MEN-00000-000 BraTS-MEN-00002-000", NEW, "-", ".nii.gz", OF_2023),
    "GoAT": ("BraTS-GoAT-00000 BraTS-GoAT-00002", NEW, "-", ".nii.gz", OF_2023),
}
CONVENTIONS = {OF_2017: "brats2017", OF_2023: "brats2023", (1, 2, 4, 3): "brats2015"}


def put(path, part, integers=OF_2023):
    """A scan with noise, or a mask with three layers; a fourth integer has one voxel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if part in ("seg", "gtv"):
        array = np.select([RADIUS < 2, RADIUS < 3, RADIUS < 5], [integers[0], integers[2], integers[1]]).astype(
            np.uint8
        )
        if len(integers) > 3:
            array[7, 7, 7] = integers[3]
    else:
        noise = np.random.default_rng(len(str(path)) + sum(map(ord, path.name))).integers(100, 300, RADIUS.shape)
        array = np.where(RADIUS < 7.5, noise, 0).astype(np.int16)
    nifti.write_volume(path, Volume(array, np.diag([-EDGE_MM, -EDGE_MM, EDGE_MM, 1.0])))


def checked(root, capsys, *more):
    """What check says of a folder: layout, convention, number of cases with masks, and its errors."""
    capsys.readouterr()
    main(["check", f"data.root={root}", "data.folds=2", "json=true", *more])
    told = json.loads(capsys.readouterr().out)
    errors = [finding["found"] for finding in told["findings"] if finding["severity"] == "error"]
    return told["layout"], told["labels"], told["with_masks"], errors


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("flat", [False, True], ids=["folders", "flat"])
def test_a_series_is_read_in_folders_and_flat(tmp_path, capsys, name, flat):
    ids, parts, separator, ending, integers = FOLDERS[name]
    for case_id in ids.split():
        folder, _, stem = case_id.rpartition("/")
        for part in parts:
            inside = folder if flat else f"{folder}/{stem}" if folder else stem
            put(tmp_path / inside / f"{stem}{separator}{part}{ending}", part, integers)
    layout = "brats2018-2021" if parts is OLD else "brats2023+"
    assert checked(tmp_path, capsys) == (layout, CONVENTIONS[integers], 2, [])


def test_paediatric_cases_are_read_with_their_scheme_in_either_numbering(tmp_path, capsys):
    for case_id in ("BraTS-PED-00001-000", "BraTS-PED-00002-000"):
        for part in NEW:
            put(tmp_path / case_id / f"{case_id}-{part}.nii.gz", part, (2, 4, 1))
    *_, (error,) = checked(tmp_path, capsys)
    assert "the masks follow ped2023 or ped2024, which the scheme glioma does not have. Set scheme=paediatric" in error
    found = checked(tmp_path, capsys, "scheme=paediatric")
    assert found == ("brats2023+", "ped2024", 2, [])


def test_radiotherapy_cases_are_read_with_their_scheme(tmp_path, capsys):
    for case_id in ("BraTS-MEN-RT-0000-1", "BraTS-MEN-RT-0002-1"):
        for part in ("t1c", "gtv"):
            put(tmp_path / case_id / f"{case_id}_{part}.nii.gz", part, (1, 1, 1))
    found = checked(tmp_path, capsys, "scheme=meningioma_rt", "data.modalities=[t1ce]")
    assert found == ("brats2023+", "gtv", 2, [])


def test_the_mirrors_of_2020_are_read_with_their_misnamed_mask_tables_and_nested_files(tmp_path, capsys):
    for case_id in ("BraTS20_Training_354", "BraTS20_Training_355"):
        for part in OLD:
            name = f"{case_id}_{part}.nii"
            if case_id.endswith("355") and part == "seg":
                name = "W39_1998.09.19_Segm.nii"
            put(tmp_path / case_id / name / name, part, OF_2017)
    header = "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID"
    rows = "HGG,NA,NA,NA,NA,BraTS20_Training_354\nLGG,NA,NA,NA,NA,BraTS20_Training_355"
    (tmp_path / "name_mapping.csv").write_text(f"{header},BraTS_2020_subject_ID\n{rows}\n")
    survival = "BraTS20_Training_354,60.4,ALIVE (361 days later),NA"
    (tmp_path / "survival_info.csv").write_text(f"Brats20ID,Age,Survival_days,Extent_of_Resection\n{survival}\n")
    assert checked(tmp_path, capsys) == ("brats2018-2021", "brats2017", 2, [])


@pytest.mark.parametrize("layout", ["msd", "nnunet"])
def test_msd_and_nnunet_tasks_are_read(tmp_path, capsys, layout):
    names = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    for case_id in ("BRATS_001", "BRATS_002"):
        for channel in range(4):
            put(tmp_path / f"imagesTr/{case_id}_000{channel}.nii.gz", f"scan{channel}")
        put(tmp_path / f"labelsTr/{case_id}.nii.gz", "seg", OF_MSD)
        if layout == "msd":
            files = [tmp_path / f"imagesTr/{case_id}_000{channel}.nii.gz" for channel in range(4)]
            scans = [nifti.read_volume(path) for path in files]
            four = Volume(np.stack([scan.array for scan in scans], axis=-1), scans[0].affine)
            nifti.write_volume(tmp_path / f"imagesTr/{case_id}.nii.gz", four)
            for path in files:
                path.unlink()
    told = {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}
    content = {"channel_names": names, "labels": told, "file_ending": ".nii.gz", "numTraining": 2}
    if layout == "msd":
        content = {"modality": names, "labels": {str(value): name for name, value in told.items()}}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    assert checked(tmp_path, capsys) == (layout, layout, 2, [])
