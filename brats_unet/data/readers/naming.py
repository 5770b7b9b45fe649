"""How BraTS-family datasets name cases, scans and masks: tables and the functions that read a name with them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from brats_unet.anatomy import Modality

# End of a scan's name, and the modality it stands for; in whatever case ("-t2W" exists).
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
MASK_SUFFIXES = ("seg", "segm")
NAME = re.compile(
    rf"(?:(?P<id>.*[^-_])(?P<separator>[-_]))?(?P<suffix>{'|'.join((*SUFFIXES, *MASK_SUFFIXES))})", re.IGNORECASE
)
# BraTS 2020 was published with one mask under the name of the hospital's file.
MISNAMED_MASKS: Mapping[str, str] = {"W39_1998.09.19_Segm": "BraTS20_Training_355"}

# Channel names that a dataset.json may give, letters and digits only, in lower case.
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
# The 4-D files of MSD Task01_BrainTumour hold them in this order.
MSD_CHANNELS = ("FLAIR", "T1w", "t1gd", "T2w")
NNUNET_NAME = re.compile(r"(?P<id>.+)_(?P<channel>\d{4})")

# Names whose last number counts the sessions of one patient.
SESSIONS = (
    re.compile(r"(?P<patient>BraTS-.+)-\d{3}", re.IGNORECASE),  # BraTS-GLI-00005-100 (BraTS 2023+)
    re.compile(r"(?P<patient>brats_(?:2013|tcia)_pat\d+)_\d+", re.IGNORECASE),  # brats_tcia_pat153_0109 (BRATS 2015)
)
GRADES = ("HGG", "LGG")


@dataclass(frozen=True)
class ScanName:
    """What the name of a file says.

    Attributes:
        id: The case, or "" where the name is the suffix alone (`flair.nii.gz` in the case's folder).
        modality: Of a scan; None for a mask.
        suffix: As written.
        separator: What stands before the suffix: "_", "-" or "".
    """

    id: str
    modality: Modality | None
    suffix: str
    separator: str

    @property
    def is_new(self) -> bool:
        """Whether it is named as BraTS names scans since 2023."""
        return self.suffix.lower() in NEW_SUFFIXES


def scan_name(stem: str) -> ScanName | None:
    """Case and modality of a file by its name without `.nii[.gz]`; None where the name tells neither scan nor mask."""
    match = NAME.fullmatch(stem)
    if match is None:
        return None
    suffix = match["suffix"]
    return ScanName(match["id"] or "", SUFFIXES.get(suffix.lower()), suffix, match["separator"] or "")


def patient_of(case_id: str) -> str:
    """The patient of a case as far as its name tells: `BraTS-GLI-00005-100` and `-101` are one."""
    for pattern in SESSIONS:
        if match := pattern.fullmatch(case_id):
            return match["patient"]
    return case_id


def channel_modality(name: str) -> Modality | None:
    """The modality that a dataset.json calls `name`; None where that is none of the four."""
    return CHANNEL_NAMES.get(re.sub(r"[^a-z0-9]", "", name.lower()))
