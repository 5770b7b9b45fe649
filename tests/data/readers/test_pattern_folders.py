"""Folders of any names, read by patterns and presets; the files in these tests are empty."""

import re
from pathlib import Path

import pytest

from brats_unet.data.readers.discovery import find_cases, survey
from brats_unet.data.readers.file_patterns import data_patterns, patterns_of
from brats_unet.data.readers.file_presets import PRESETS
from brats_unet.data.readers.incomplete import cases_to_predict
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality

ALL = tuple(Modality)
FOUR = {
    "flair": "*_FLAIR.nii.gz",
    "t1": "*_T1.nii.gz",
    "t1ce": "*_T1Gd.nii.gz",
    "t2": "*_T2.nii.gz",
    "mask": "*_GT.nii.gz",
}


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root: Path, files: dict, modalities=ALL, **options):
    return find_cases(root, modalities=modalities, patterns=patterns_of(files), **options)


def names(case) -> dict[str, str]:
    return {str(m): file.path.name for m, file in case.images.items()}


def test_the_files_of_a_folder_are_one_case_without_a_name_in_the_pattern(tmp_path):
    put(tmp_path, *(f"{p}/{p}_{part}.nii.gz" for p in ("p2", "p1") for part in ("FLAIR", "T1", "T1Gd", "T2", "GT")))
    dataset = found(tmp_path, FOUR)
    assert (dataset.layout, [case.id for case in dataset.cases]) == ("files", ["p1", "p2"])
    assert names(dataset.cases[0]) == {
        m: f"p1_{s}.nii.gz" for m, s in zip(ALL, ("FLAIR", "T1", "T1Gd", "T2"), strict=True)
    }
    assert dataset.cases[0].mask == tmp_path / "p1" / "p1_GT.nii.gz"


def test_folders_of_one_name_make_cases_by_their_whole_path(tmp_path):
    put(tmp_path, *(f"{p}/MR/{part}.nii.gz" for p in "ab" for part in ("flair", "t2")))
    dataset = found(tmp_path, {"flair": "flair", "t2": "t2"}, ALL[:1])
    assert [case.id for case in dataset.cases] == ["a_MR", "b_MR"]


def test_a_case_in_the_pattern_reads_a_flat_folder_and_masks_elsewhere(tmp_path):
    put(tmp_path, *(f"scans/{p}-FL.nii.gz" for p in ("x_1", "x_2")), "labels/x_1.nii", "labels/x_2.nii")
    dataset = found(tmp_path, {"flair": "scans/{case}-FL", "mask": "labels/{case}"}, ALL[:1])
    assert [(case.id, case.mask.name) for case in dataset.cases] == [("x_1", "x_1.nii"), ("x_2", "x_2.nii")]


def test_a_case_may_stand_twice_and_must_then_be_the_same(tmp_path):
    put(tmp_path, "a/a_fl.nii", "a/b_fl.nii")
    assert [case.id for case in found(tmp_path, {"flair": "{case}/{case}_fl"}, ALL[:1]).cases] == ["a"]


def test_a_patient_in_the_pattern_keeps_sessions_together(tmp_path):
    put(tmp_path, "p1/before/fl.nii", "p1/after/fl.nii", "p2/before/fl.nii")
    cases = found(tmp_path, {"flair": "{patient}/{case}/fl"}, ALL[:1]).cases
    assert [(case.id, case.patient) for case in cases] == [
        ("p1_after", "p1"),
        ("p1_before", "p1"),
        ("p2_before", "p2"),
    ]


def test_the_pattern_that_spells_out_more_takes_a_file_of_two(tmp_path):
    put(tmp_path, "a/x_T1_pre.nii", "a/x_T1_post.nii")
    (case,) = found(tmp_path, {"t1": "*_T1_*", "t1ce": "*_T1_post*"}, (Modality.T1, Modality.T1CE)).cases
    assert names(case) == {"t1": "x_T1_pre.nii", "t1ce": "x_T1_post.nii"}


def test_of_a_list_of_patterns_the_first_that_finds_a_file_is_taken(tmp_path):
    put(tmp_path, "a/fl_n4.nii", "a/fl.nii", "b/fl.nii")
    cases = found(tmp_path, {"flair": ["fl_n4", "fl"]}, ALL[:1]).cases
    assert [file.path.name for case in cases for file in case.images.values()] == ["fl_n4.nii", "fl.nii"]


@pytest.mark.parametrize("name", ["a_flair.NII.GZ", "a_FLAIR.mha", "a_Flair.nrrd", "a_flair.mgz", "a_flair.nii"])
def test_a_pattern_without_an_ending_takes_every_format_in_any_case(tmp_path, name):
    put(tmp_path, f"x/{name}")
    assert len(found(tmp_path, {"flair": "*_Flair"}, ALL[:1]).cases) == 1
    assert len(found(tmp_path, {"flair": "*_Flair*"}, ALL[:1]).cases) == 1


PRESET_FILES = {
    "bids": (
        "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_acq-mprage_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_ce-gadolinium_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
        "derivatives/manual/sub-01/ses-1/anat/sub-01_ses-1_dseg.nii.gz",
        "sub-02/anat/sub-02_FLAIR.nii",
        "sub-02/anat/sub-02_T1w.nii",
        "sub-02/anat/sub-02_acq-a_ce-GADOLINIUM_T1w.nii",
        "sub-02/anat/sub-02_T2w.nii",
        "derivatives/manual/sub-02/anat/sub-02_desc-tumor_mask.nii",
        "sub-02/dwi/sub-02_dwi.nii",
    ),
    "brats2015": tuple(
        f"HGG/brats_2013_pat000{n}_1/VSD.Brain{s}.{k}/VSD.Brain{s}.{k}.mha"
        for n in (1, 2)
        for k, s in enumerate(
            (".XX.O.MR_Flair", ".XX.O.MR_T1", ".XX.O.MR_T1c", ".XX.O.MR_T2", "_3more.XX.O.OT"), 10 * n
        )
    ),
    "ucsf-pdgm": tuple(
        f"UCSF-PDGM-{n}_nifti/UCSF-PDGM-{n}_{part}.nii.gz"
        for n in ("0004", "0005_FU001d")
        for part in (
            *("FLAIR", "FLAIR_bias", "T1", "T1_bias", "T1c", "T1c_bias", "T2", "T2_bias"),
            *("tumor_segmentation", "brain_segmentation", "ADC", "SWI_bias"),
        )
    ),
    "upenn-gbm": (
        *(
            f"images_structural/UPENN-GBM-{n}/UPENN-GBM-{n}_{part}.nii.gz"
            for n in ("00001_11", "00001_21")
            for part in ("FLAIR", "T1", "T1GD", "T2")
        ),
        "images_segm/UPENN-GBM-00001_11_segm.nii.gz",
        "automated_segm/UPENN-GBM-00001_11_automated_approx_segm.nii.gz",
        "automated_segm/UPENN-GBM-00001_21_automated_approx_segm.nii.gz",
    ),
    "deepmedic": tuple(
        f"train/brats_2013_pat000{n}_1/{part}.nii.gz"
        for n in (5, 6)
        for part in (
            *("Flair_subtrMeanDivStd", "T1_subtrMeanDivStd", "T1c_subtrMeanDivStd", "T2_subtrMeanDivStd"),
            *("OTMultiClass", "brainmask"),
        )
    ),
    "brats-toolkit": tuple(
        f"{n}/{folder}/{n}_{folder.split('-')[0]}_{part}.nii.gz"
        for n in ("one", "two")
        for folder in ("hdbet_brats-space", "hdbet_native-space")
        for part in ("fla", "t1", "t1c", "t2")
    ),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_the_files_that_its_source_names(tmp_path, preset):
    put(tmp_path, *PRESET_FILES[preset])
    dataset = found(tmp_path, {"preset": preset})
    assert len(dataset.cases) == 2 and all(len(case.images) == 4 for case in dataset.cases)
    with_masks = [case.mask is not None for case in dataset.cases]
    assert with_masks == [preset != "brats-toolkit"] * 2
    if preset == "bids":
        assert [(case.id, case.patient) for case in dataset.cases] == [("sub-01_ses-1", "sub-01"), ("sub-02", "sub-02")]
        assert names(dataset.cases[0])["t1"].endswith("mprage_T1w.nii.gz")
    if preset == "ucsf-pdgm":
        assert names(dataset.cases[0])["t1ce"] == "UCSF-PDGM-0004_T1c_bias.nii.gz"
        assert dataset.cases[1].patient == "UCSF-PDGM-0005"
    if preset == "upenn-gbm":
        assert [case.mask.parent.name for case in dataset.cases] == ["images_segm", "automated_segm"]
        assert {case.patient for case in dataset.cases} == {"UPENN-GBM-00001"}
    if preset == "brats2015":
        assert dataset.cases[0].id == "brats_2013_pat0001_1" and dataset.cases[0].stratum == "HGG"


def test_the_folder_of_one_case_is_read_with_the_case_in_the_pattern(tmp_path):
    put(tmp_path, *PRESET_FILES["brats2015"])
    root = tmp_path / "HGG" / "brats_2013_pat0002_1"
    assert [case.id for case in found(root, {"preset": "brats2015"}).cases] == ["brats_2013_pat0002_1"]


def test_a_pattern_replaces_that_of_the_preset(tmp_path):
    put(tmp_path, *PRESET_FILES["upenn-gbm"])
    files = {"preset": "upenn-gbm", "mask": "automated_segm/{patient=UPENN-GBM-?????}_{case=??}_*"}
    assert {case.mask.parent.name for case in found(tmp_path, files).cases} == {"automated_segm"}


# Refusals


def refusal(root, files, modalities=ALL) -> str:
    with pytest.raises(DataError) as caught:
        found(root, files, modalities)
    return str(caught.value)


def test_patterns_that_match_nothing_are_all_named_with_what_is_there(tmp_path):
    put(tmp_path, "a/x_fl.nii", "a/x_t2.nii")
    text = refusal(tmp_path, {"flair": "*_fl", "t2": "*-T2", "mask": "*_seg"}, (Modality.FLAIR, Modality.T2))
    assert text.splitlines()[1:] == [
        "  data.files.t2='*-T2' takes none of the 2 files (a/x_fl.nii, a/x_t2.nii). Correct the pattern.",
        "  data.files.mask='*_seg' takes none of the 2 files (a/x_fl.nii, a/x_t2.nii). Correct the pattern.",
    ]


def test_two_files_for_one_scan_are_refused_with_the_way_to_a_flat_folder(tmp_path):
    put(tmp_path, "a_fl.nii", "b_fl.nii")
    text = refusal(tmp_path, {"flair": "*_fl"}, ALL[:1])
    assert text == (
        f"{tmp_path.name}: 2 files for its flair scan: {tmp_path}/a_fl.nii and {tmp_path}/b_fl.nii. Expected one. If "
        "several cases lie in one folder, put {case} where their ids stand, such as "
        "data.files.flair='{case}_flair.nii.gz'."
    )
    put(tmp_path, "c_1_fl.nii", "c_2_fl.nii")
    text = refusal(tmp_path, {"flair": "{case}_*fl"}, ALL[:1])
    assert "c: 2 files for its flair scan: " in text and "Make data.files.flair='{case}_*fl' narrower." in text


def test_a_mask_pattern_that_takes_a_scan_is_refused(tmp_path):
    put(tmp_path, "a/x_fl.nii", "a/x_seg.nii")
    assert refusal(tmp_path, {"flair": "*_fl", "mask": "x_*"}, ALL[:1]).splitlines()[1] == (
        "  data.files.mask='x_*' takes 1 files that data.files.flair='*_fl' takes too "
        f"(first: {tmp_path.name}/a/x_fl.nii). A mask is no scan: make one of the patterns narrower."
    )


def test_two_patterns_that_spell_out_as_much_are_refused(tmp_path):
    put(tmp_path, "a/x_T1.nii")
    text = refusal(tmp_path, {"t1": "*_T1", "t2": "x_T?"}, (Modality.T1, Modality.T2))
    assert "data.files.t1='*_T1' and data.files.t2='x_T?' take the same 1 files" in text


def test_a_missing_scan_a_lonely_mask_and_a_scan_without_a_pattern_are_named(tmp_path):
    put(tmp_path, "a/fl.nii", "a/t2.nii", "b/fl.nii", "c/gt.nii")
    text = refusal(tmp_path, {"flair": "fl", "t2": "t2", "mask": "gt"})
    assert text.splitlines()[1:] == [
        "  data.files has no pattern for t1. Add data.files.t1=…, or set data.modalities=[flair,t2].",
        "  data.files has no pattern for t1ce. Add data.files.t1ce=…, or set data.modalities=[flair,t2].",
        "  b: no t2 scan. Expected a file 't2'. Add it, or list the case under data.leave_out.",
        f"  c: a mask without scans ({tmp_path}/c/gt.nii). Add the scans, or remove the mask.",
    ]
    assert len(survey(tmp_path, modalities=ALL[:1], patterns=patterns_of({"flair": "fl"})).dataset.cases) == 2


def test_prediction_needs_no_mask_and_takes_zeros_for_a_scan_without_a_pattern(tmp_path):
    put(tmp_path, "a/fl.nii")
    patterns = patterns_of({"flair": "fl", "mask": "gt"}, key="files")
    assert len(cases_to_predict(tmp_path, ALL[:1], fill_missing=False, patterns=patterns).cases) == 1
    (case,) = cases_to_predict(tmp_path, ALL[:2], fill_missing=True, patterns=patterns).cases
    assert list(case.images) == [Modality.FLAIR]
    with pytest.raises(DataError, match=r"files has no pattern for t1\."):
        cases_to_predict(tmp_path, ALL[:2], fill_missing=False, patterns=patterns)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"preset": "bid"}, "There is no data.files=bid. Did you mean bids?"),
        ({"T1C": "*"}, "data.files.T1C: this scan is named t1ce. Write data.files.t1ce."),
        (
            {"2d": "*"},
            "data.files.2d: '2d' is no name of a scan. Expected letters, digits, _ and -, with a letter first.",
        ),
        ({"seg": "*"}, "data.files.seg: 'seg' is no name of a scan."),
        ({"mask": "*_seg"}, "data.files has no pattern for a scan. Give one, such as"),
        ({"flair": ""}, "data.files.flair= is no pattern."),
        ({"flair": []}, "data.files.flair=[] is no pattern."),
        (
            {"flair": "{id}_fl"},
            "data.files.flair={id}_fl: {id} is unknown. In braces a pattern has {case} or {patient}",
        ),
        ({"flair": "{case_fl"}, "data.files.flair={case_fl: { is unknown."),
        ({"flair": "/data/*"}, "data.files.flair=/data/* leaves the data folder."),
        ({"flair": "a/../b"}, "data.files.flair=a/../b leaves the data folder."),
    ],
)
def test_patterns_that_cannot_be_read_are_refused(files, message):
    with pytest.raises(SettingsError, match=re.escape(message)):
        patterns_of(files)


def test_patterns_go_with_their_reader_alone():
    assert patterns_of(None) is None and patterns_of({"flair": None}) is None
    assert data_patterns("brats", None) is None
    with pytest.raises(SettingsError, match=r"data=files needs patterns\. Give a preset, data\.files=bids\|"):
        data_patterns("files", None)
    with pytest.raises(SettingsError, match="data.files is set, but data=brats knows the file names"):
        data_patterns("brats", {"preset": "bids"})


# Own names


def test_scans_have_any_names_and_follow_the_contrasts_of_brats(tmp_path):
    put(tmp_path, *(f"{p}/{part}.nii.gz" for p in "ab" for part in ("ct", "adc", "t2star", "fl", "truth")))
    files = {"T2star": "t2star", "CT": "ct", "flair": "fl", "ADC": "adc", "mask": "truth"}
    for modalities in (("CT", "ADC", "flair", "T2star"), ("flair", "T2star", "CT", "ADC")):
        (case, _) = found(tmp_path, files, modalities).cases
        assert list(names(case).items()) == [
            ("flair", "fl.nii.gz"),
            ("ADC", "adc.nii.gz"),
            ("CT", "ct.nii.gz"),
            ("T2star", "t2star.nii.gz"),
        ]
    (tmp_path / "b" / "adc.nii.gz").unlink()
    assert refusal(tmp_path, files, ("flair", "ADC", "CT", "T2star")) == (
        "b: no ADC scan. Expected a file 'adc'. Add it, or list the case under data.leave_out."
    )


def test_an_own_name_that_is_not_read_is_refused_with_what_was_meant(tmp_path):
    put(tmp_path, "a/fl.nii", "a/seg.nii")
    assert refusal(tmp_path, {"flair": "fl", "msk": "seg"}, ALL[:1]) == (
        "data.files.msk names a scan that data.modalities=[flair] lacks. Add it there, or leave it out. "
        "Did you mean mask?"
    )
    patterns = patterns_of({"flair": "fl", "ADC": "adc"}, key="files")  # of another network
    assert len(cases_to_predict(tmp_path, ALL[:1], fill_missing=False, patterns=patterns).cases) == 1


# Folders that no reader knows


@pytest.mark.parametrize("preset", ["brats2015", "deepmedic"])
def test_the_message_about_an_unknown_folder_names_the_preset_that_reads_it(tmp_path, preset):
    put(tmp_path, *PRESET_FILES[preset])
    with pytest.raises(DataError, match=rf"These settings may read it: data=files data\.files={preset}$"):
        find_cases(tmp_path, modalities=ALL)


def test_a_folder_that_is_half_understood_is_answered_with_the_preset_too(tmp_path):
    put(tmp_path, *PRESET_FILES["bids"])
    with pytest.raises(DataError, match=r"has a t1 or t1ce scan\. .* by patterns: data=files data\.files=bids$"):
        find_cases(tmp_path, modalities=ALL)


def test_masks_of_other_names_are_noted_with_the_settings_that_find_them(tmp_path):
    put(tmp_path, *PRESET_FILES["ucsf-pdgm"])
    assert find_cases(tmp_path, modalities=ALL).notes[-1] == (
        "No file is named like a mask of BraTS. These settings may find the masks: data=files data.files=ucsf-pdgm"
    )


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        (
            ["p1/p1_MRI_FLAIR_reg.nii.gz", "p1/p1_MRI_T1_GD_reg.nii.gz", "p1/p1_ROI.nii.gz"],
            "data=files data.files.flair='*_FLAIR_*' data.files.t1ce='*_T1_GD_*' data.files.mask='*_ROI' "
            "data.modalities=[flair,t1ce]",
        ),
        (
            ["s/pat1.FLAIR.reg.nii", "s/pat2.FLAIR.reg.nii", "labels/pat1.nii", "labels/pat2.nii"],
            "data=files data.files.flair='{case}.FLAIR.*' data.files.mask='labels/{case}' data.modalities=[flair]",
        ),
        (
            ["FLAIR-one.nii", "FLAIR-two.nii", "T2-one.nii", "T2-two.nii"],
            "data=files data.files.flair='FLAIR-{case}' data.files.t2='T2-{case}' data.modalities=[flair,t2]",
        ),
    ],
)
def test_the_message_about_an_unknown_folder_shows_patterns_that_read_it(tmp_path, files, settings):
    put(tmp_path, *files)
    with pytest.raises(DataError) as caught:
        find_cases(tmp_path, modalities=ALL)
    text = str(caught.value)
    assert files[0] in text and text.endswith(f"These settings may read it: {settings}")


def test_what_cannot_be_inferred_is_asked_for(tmp_path):
    put(tmp_path, "a/one.nii", "a/two.nii")
    message = r"\(a/one\.nii, a/two\.nii, …\).* Or give patterns: data=files data\.files\.flair='\*_FLAIR\.nii\.gz' …"
    with pytest.raises(DataError, match=message):
        find_cases(tmp_path, modalities=ALL)
    with pytest.raises(DataError, match=r"Or give patterns: files\.flair="):
        cases_to_predict(tmp_path, ALL, fill_missing=False)
