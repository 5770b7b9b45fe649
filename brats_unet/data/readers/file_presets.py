"""Patterns of data sets whose file names are known, by name, each with the place where the names were looked up."""

from collections.abc import Mapping
from dataclasses import dataclass

MASK = "mask"


@dataclass(frozen=True)
class Preset:
    """Patterns for one way of naming files; see `file_patterns` for what a pattern can hold.

    Attributes:
        about: What it reads, in words.
        files: Patterns by scan, and for the mask by "mask"; the first that finds a file in a case is taken.
        source: Where the names are given.
    """

    about: str
    files: Mapping[str, tuple[str, ...]]
    source: str


def _bids(ending: str) -> tuple[str, ...]:
    """A file of `anat`, with and without sessions and other entities before its ending."""
    return (f"anat/{{patient=sub-*}}_{{case=ses-*}}_*{ending}", f"anat/{{patient=sub-*}}_*{ending}")


def _ucsf(ending: str) -> tuple[str, ...]:
    """A file of a patient, with and without a word for the session."""
    patient = "{patient=UCSF-PDGM-????}"
    return (f"{patient}_{ending}", f"{patient}_{{case}}_{ending}")


def _upenn(ending: str) -> str:
    return f"{{patient=UPENN-GBM-?????}}_{{case=??}}_{ending}"


PRESETS: Mapping[str, Preset] = {
    "bids": Preset(
        "BIDS: sub-01/anat/sub-01_T1w.nii.gz or sub-01/ses-1/anat/sub-01_ses-1_ce-gadolinium_T1w.nii.gz; masks end in "
        "_dseg or _desc-tumor_mask",
        {
            "flair": _bids("FLAIR"),
            "t1": _bids("T1w"),
            "t1ce": _bids("ce-*_T1w"),
            "t2": _bids("T2w"),
            MASK: (*_bids("dseg"), *_bids("desc-tumor_mask")),
        },
        "BIDS specification 1.10, Magnetic Resonance Imaging: anatomy (suffixes, entity ce), and Derivatives: imaging "
        "(dseg, desc-tumor_mask); https://bids-specification.readthedocs.io",
    ),
    "brats2015": Preset(
        "BRATS 2012-2015: <case>/VSD.Brain.XX.O.MR_Flair.54512/VSD.Brain.XX.O.MR_Flair.54512.mha",
        {
            "flair": ("{case}/*/VSD.*.MR_Flair.*",),
            "t1": ("{case}/*/VSD.*.MR_T1.*",),
            "t1ce": ("{case}/*/VSD.*.MR_T1c.*",),
            "t2": ("{case}/*/VSD.*.MR_T2.*",),
            MASK: ("{case}/*/VSD.*.OT.*",),
        },
        "the data set as it was handed out by the SICAS Medical Image Repository",
    ),
    "ucsf-pdgm": Preset(
        "UCSF-PDGM: UCSF-PDGM-0004_nifti/UCSF-PDGM-0004_T1c_bias.nii.gz (bias-corrected scans where they are there)",
        {
            "flair": (*_ucsf("FLAIR_bias"), *_ucsf("FLAIR")),
            "t1": (*_ucsf("T1_bias"), *_ucsf("T1")),
            "t1ce": (*_ucsf("T1c_bias"), *_ucsf("T1c")),
            "t2": (*_ucsf("T2_bias"), *_ucsf("T2")),
            MASK: _ucsf("tumor_segmentation"),
        },
        "Calabrese et al. 2022, The Cancer Imaging Archive, doi:10.7937/tcia.bdgf-8v37",
    ),
    "upenn-gbm": Preset(
        "UPENN-GBM: images_structural/UPENN-GBM-00001_11/UPENN-GBM-00001_11_T1GD.nii.gz; the mask of images_segm, else "
        "that of automated_segm",
        {
            "flair": (_upenn("FLAIR"),),
            "t1": (_upenn("T1"),),
            "t1ce": (_upenn("T1GD"),),
            "t2": (_upenn("T2"),),
            MASK: (_upenn("segm"), _upenn("automated_approx_segm")),
        },
        "Bakas et al. 2021, The Cancer Imaging Archive, doi:10.7937/TCIA.709X-DN49",
    ),
    "deepmedic": Preset(
        "deepmedic's examples: brats_2013_pat0005_1/Flair_subtrMeanDivStd.nii.gz and OTMultiClass.nii.gz",
        {
            "flair": ("Flair_subtrMeanDivStd",),
            "t1": ("T1_subtrMeanDivStd",),
            "t1ce": ("T1c_subtrMeanDivStd",),
            "t2": ("T2_subtrMeanDivStd",),
            MASK: ("OTMultiClass",),
        },
        "https://github.com/deepmedic/deepmedic, examples/dataForExamples (FLAIR and T1c; T1 and T2 by the same form)",
    ),
    "brats-toolkit": Preset(
        "BraTS-Toolkit's output in BraTS space: <case>/hdbet_brats-space/<case>_hdbet_brats_fla.nii.gz",
        {
            "flair": ("hdbet_brats-space/{case}_hdbet_brats_fla",),
            "t1": ("hdbet_brats-space/{case}_hdbet_brats_t1",),
            "t1ce": ("hdbet_brats-space/{case}_hdbet_brats_t1c",),
            "t2": ("hdbet_brats-space/{case}_hdbet_brats_t2",),
        },
        "https://github.com/neuronflow/BraTS-Toolkit, example_data/output_preprocessor_batch and 1_segmentation.py",
    ),
}
