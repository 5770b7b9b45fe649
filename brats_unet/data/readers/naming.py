"""File and case names of the BraTS family: tables of names and the functions that parse names with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from brats_unet.modality import Modality

# Suffix of a scan's file name -> modality; upper and lower case are equal ("-t2W" exists).
OLD_SUFFIXES: Mapping[str, Modality] = {
    "flair": Modality.FLAIR,
    "t1": Modality.T1,
    "t1ce": Modality.T1CE,
    "t1gd": Modality.T1CE,
    "t2": Modality.T2,
}
NEW_SUFFIXES: Mapping[str, Modality] = {
    "t2f": Modality.FLAIR,
    "t1n": Modality.T1,
    "t1c": Modality.T1CE,
    "t2w": Modality.T2,
}
SUFFIXES: Mapping[str, Modality] = {**OLD_SUFFIXES, **NEW_SUFFIXES}
MASK_SUFFIXES = ("seg", "segm", "gtv")
NAME = re.compile(
    rf"(?:(?P<id>.*[^-_])(?P<separator>[-_]))?(?P<suffix>{'|'.join((*SUFFIXES, *MASK_SUFFIXES))})", re.IGNORECASE
)
# BraTS 2020 was published with one mask under its original hospital file name.
MISNAMED_MASKS: Mapping[str, str] = {"W39_1998.09.19_Segm": "BraTS20_Training_355"}

# Channel name in dataset.json -> modality; names are reduced to lower-case letters and digits before the look-up.
CHANNEL_NAMES: Mapping[str, Modality] = {
    **SUFFIXES,
    "t2flair": Modality.FLAIR,
    "t1w": Modality.T1,
    "t1native": Modality.T1,
    "t1wce": Modality.T1CE,
    "t1cw": Modality.T1CE,
    "t1wgd": Modality.T1CE,
    "t1post": Modality.T1CE,
    "t1contrast": Modality.T1CE,
}
# Channel order of the 4-D files of MSD Task01_BrainTumour.
MSD_CHANNELS = ("FLAIR", "T1w", "t1gd", "T2w")
NNUNET_NAME = re.compile(r"(?P<id>.+)_(?P<channel>\d{4})")

# Case ids that end with the number of the scan session of one patient.
SESSIONS = (
    re.compile(r"(?P<patient>BraTS-MEN-RT-\d+)-\d+", re.IGNORECASE),  # BraTS-MEN-RT-0001-1
    re.compile(r"(?P<patient>(?:BraTS|Phantom)-.+)-\d{3}", re.IGNORECASE),  # BraTS-GLI-00005-100 (BraTS 2023+)
    re.compile(r"(?P<patient>brats_(?:2013|tcia)_pat\d+)_\d+", re.IGNORECASE),  # brats_tcia_pat153_0109 (BRATS 2015)
)
GRADES = ("HGG", "LGG")


@dataclass(frozen=True)
class ScanName:
    """The parts of a scan's or mask's file name.

    Attributes:
        id: Case id, or "" if the name is only a suffix (`flair.nii.gz` in the folder of the case).
        modality: Modality of the scan; None for a mask.
        suffix: Suffix as written in the file name.
        separator: Character before the suffix: "_" or "-"; "" if there is none.
    """

    id: str
    modality: Modality | None
    suffix: str
    separator: str

    @property
    def is_new(self) -> bool:
        """Whether the suffix is one of those that BraTS has used for scans since 2023."""
        return self.suffix.lower() in NEW_SUFFIXES


def scan_name(stem: str) -> ScanName | None:
    """The parts of a file name without `.nii[.gz]`; None if it is not the name of a scan or mask."""
    match = NAME.fullmatch(stem)
    if match is None:
        return None
    suffix = match["suffix"]
    return ScanName(match["id"] or "", SUFFIXES.get(suffix.lower()), suffix, match["separator"] or "")


def patient_of(case_id: str) -> str:
    """Patient id of a case: its id without the session number (`BraTS-GLI-00005-100` and `-101` are one patient)."""
    for pattern in SESSIONS:
        if match := pattern.fullmatch(case_id):
            return match["patient"]
    return case_id


def channel_modality(name: str) -> Modality | None:
    """Modality of a channel name in dataset.json; None if the name is unknown."""
    return CHANNEL_NAMES.get(re.sub(r"[^a-z0-9]", "", name.lower()))
