"""Cases that lack a scan, and a case whose files are given one by one."""

import shutil

import pytest

from brats_unet.data.readers.incomplete import cases_to_predict, named_case
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality

ALL = list(Modality)


@pytest.fixture
def partial(phantom_root, tmp_path):
    """Two cases, the first without its T1ce."""
    for number in (1, 2):
        shutil.copytree(phantom_root / f"Phantom20_00{number}", tmp_path / f"Phantom20_00{number}")
    next((tmp_path / "Phantom20_001").glob("*_t1ce.nii*")).unlink()
    return tmp_path


def test_with_fill_missing_a_case_that_lacks_a_scan_is_accepted(partial):
    found = cases_to_predict(partial, ALL, fill_missing=True)
    assert [len(case.images) for case in found.cases] == [3, 4]
    assert "Phantom20_001: no t1ce scan; zeros are used instead." in found.notes


def test_with_fill_missing_the_folder_of_a_single_case_may_lack_a_scan(partial):
    found = cases_to_predict(partial / "Phantom20_001", ALL, fill_missing=True)
    assert len(found.cases) == 1 and Modality.T1CE not in found.cases[0].images


def test_without_fill_missing_a_case_that_lacks_a_scan_is_refused(partial):
    with pytest.raises(DataError, match="Phantom20_001: no t1ce scan"):
        cases_to_predict(partial, ALL, fill_missing=False)


def test_with_fill_missing_every_case_may_lack_the_same_scan(partial):
    next((partial / "Phantom20_002").glob("*_t1ce.nii*")).unlink()
    assert len(cases_to_predict(partial, ALL, fill_missing=True).cases) == 2


def scans(folder):
    return {m: str(next(folder.glob(f"*_{m}.nii*"))) for m in Modality}


def test_files_given_one_by_one_make_a_case(phantom_root):
    files = scans(phantom_root / "Phantom20_001")
    case = named_case(files, ALL, name=None, fill_missing=False)
    assert case.id == "Phantom20_001" and list(case.images) == ALL and case.mask is None
    assert named_case(files, ALL, name="me", fill_missing=False).id == "me"
    assert list(named_case(files, [Modality.T1], name=None, fill_missing=False).images) == [Modality.T1]


def test_files_with_unknown_names_make_a_case_named_after_the_first(tmp_path):
    paths = {m: tmp_path / f"scan {i}.nii" for i, m in enumerate(Modality)}
    for path in paths.values():
        path.touch()
    assert named_case({m: str(p) for m, p in paths.items()}, ALL, name=None, fill_missing=False).id == "scan 0"


def test_a_missing_file_is_refused_unless_fill_missing(phantom_root):
    files = scans(phantom_root / "Phantom20_001")
    del files[Modality.T2]
    with pytest.raises(SettingsError, match=r"t2 not set.*was not trained with missing scans"):
        named_case(files, ALL, name=None, fill_missing=False)
    assert len(named_case(files, ALL, name=None, fill_missing=True).images) == 3


def test_a_wrong_path_is_named(phantom_root, tmp_path):
    files = scans(phantom_root / "Phantom20_001") | {Modality.T1: str(tmp_path / "none.nii")}
    with pytest.raises(DataError, match=r"t1=.*none\.nii: expected a file in \.nii\.gz, .*Correct the path"):
        named_case(files, ALL, name=None, fill_missing=False)
    (tmp_path / "none.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(DataError, match=r"none\.dcm: expected .* or \.nrrd\. It is DICOM\. Convert the series"):
        named_case(files | {Modality.T1: str(tmp_path / "none.dcm")}, ALL, name=None, fill_missing=False)


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ""])
def test_a_case_name_that_is_a_path_or_empty_is_refused(phantom_root, name):
    files = scans(phantom_root / "Phantom20_001")
    with pytest.raises(SettingsError, match="cannot be the name of a mask file"):
        named_case(files, ALL, name=name, fill_missing=False)


def test_one_file_for_two_scans_is_refused(phantom_root):
    files = scans(phantom_root / "Phantom20_001")
    with pytest.raises(SettingsError, match="t1 and t2 are the same file"):
        named_case(files | {Modality.T2: files[Modality.T1]}, ALL, name=None, fill_missing=False)
