"""The MR contrasts of a case."""

from enum import StrEnum


class Modality(StrEnum):
    """The four MR contrasts of a BraTS case, in the channel order of every array."""

    FLAIR = "flair"
    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"
