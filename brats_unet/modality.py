"""The MR contrasts of a case."""

from enum import StrEnum


class Modality(StrEnum):
    """The four MR contrasts of a BraTS case, in the channel order of every array."""

    FLAIR = "flair"
    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"


SCANS = {Modality.FLAIR: "FLAIR", Modality.T1: "T1", Modality.T1CE: "T1ce", Modality.T2: "T2"}  # in words
