"""What is wrong, or merely worth knowing, about a case or a folder: what discovery and check report."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from brats_unet.errors import DataError

SHOWN = 20  # findings that one message lists


class Severity(StrEnum):
    """How much a finding matters: an error would stop a training, a warning might spoil it."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        case: Case id, or "" for the folder as a whole.
        severity: How much it matters.
        found: What was found and what was expected, in sentences.
        remedy: What to do, in a sentence; "" where there is nothing to do.
    """

    case: str
    severity: Severity
    found: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        return " ".join(part for part in (f"{self.case}:" if self.case else "", self.found, self.remedy) if part)


def error(case: str, found: str, remedy: str = "") -> Finding:
    """A finding that would stop a training."""
    return Finding(case, Severity.ERROR, found, remedy)


def error_of(case: str, message: str) -> Finding:
    """The finding for the message of a DataError, whose last sentence says what to do."""
    found, _, remedy = message.removeprefix(f"{case}: ").rpartition(". ")
    return error(case, f"{found}.", remedy) if found else error(case, remedy)


def warning(case: str, found: str, remedy: str = "") -> Finding:
    """A finding that might spoil a training."""
    return Finding(case, Severity.WARNING, found, remedy)


def note(case: str, found: str, remedy: str = "") -> Finding:
    """A finding that is worth knowing."""
    return Finding(case, Severity.NOTE, found, remedy)


def refuse(root: Path, findings: Sequence[Finding]) -> None:
    """Raise one DataError that lists the findings (20 of them, and how many more), unless there is none."""
    if not findings:
        return
    if len(findings) == 1:
        raise DataError(findings[0].sentence)
    lines = [f"{root}: {len(findings)} defects."]
    lines += [f"  {finding.sentence}" for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"  … and {len(findings) - SHOWN} more. `brats-unet check data.root={root}` lists all.")
    raise DataError("\n".join(lines))
