"""Findings (errors, warnings and notes) about a case or a data folder, as reported by discovery and check."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from brats_unet.errors import DataError

SHOWN = 20  # number of findings that one message lists


class Severity(StrEnum):
    """Severity of a finding: an error stops training, a warning may harm it, a note only informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Kind(StrEnum):
    """What a finding is about."""

    FILES = "files"  # missing, unreadable, misnamed; grids that differ
    INTENSITIES = "intensities"  # not finite, constant, saturated, few grey levels
    BRAIN = "brain"  # skull, size, or a brain that differs between the scans
    MIRRORED = "mirrored"  # one scan or the mask against the others
    ORIENTATION = "orientation"  # the axes that the header declares
    REGISTRATION = "registration"  # scans shifted or turned against one another
    SEQUENCES = "sequences"  # identical or swapped scans
    MASK = "mask"  # empty, off the brain, off the tumour
    LABELS = "labels"  # integers and what they mark
    DUPLICATE = "duplicate"  # scans of another case
    DATASET = "dataset"  # what differs between cases, folds


@dataclass(frozen=True)
class Finding:
    """One error, warning or note.

    Attributes:
        case: Case id, or "" for the folder as a whole.
        severity: Error, warning or note.
        found: What was found and what was expected, in sentences.
        remedy: What to do, in one sentence; "" if there is nothing to do.
        kind: What it is about.
        scan: Modality of the scan that it is about, "mask", or "" for the whole case.
    """

    case: str
    severity: Severity
    found: str
    remedy: str = ""
    kind: Kind = Kind.FILES
    scan: str = ""

    @property
    def sentence(self) -> str:
        return " ".join(part for part in (f"{self.case}:" if self.case else "", self.found, self.remedy) if part)


def error(case: str, found: str, remedy: str = "", *, kind: Kind = Kind.FILES, scan: str = "") -> Finding:
    """A finding that stops training."""
    return Finding(case, Severity.ERROR, found, remedy, kind, scan)


def error_of(case: str, message: str, *, kind: Kind = Kind.FILES) -> Finding:
    """An error made from the message of a DataError; the last sentence of the message becomes the remedy."""
    found, _, remedy = message.removeprefix(f"{case}: ").rpartition(". ")
    return error(case, f"{found}.", remedy, kind=kind) if found else error(case, remedy, kind=kind)


def warning(case: str, found: str, remedy: str = "", *, kind: Kind = Kind.FILES, scan: str = "") -> Finding:
    """A finding that may harm training."""
    return Finding(case, Severity.WARNING, found, remedy, kind, scan)


def note(case: str, found: str, remedy: str = "", *, kind: Kind = Kind.FILES, scan: str = "") -> Finding:
    """A finding that only informs."""
    return Finding(case, Severity.NOTE, found, remedy, kind, scan)


def refuse(root: Path, findings: Sequence[Finding]) -> None:
    """Raise one DataError that lists the first 20 findings and the number of others; return if there are none."""
    if not findings:
        return
    if len(findings) == 1:
        raise DataError(findings[0].sentence)
    lines = [f"{root}: {len(findings)} defects."]
    lines += [f"  {finding.sentence}" for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"  … and {len(findings) - SHOWN} more. `brats-unet check data.root={root}` lists all.")
    raise DataError("\n".join(lines))
