"""Check a whole data folder at once: errors stop training, warnings may harm it, notes only inform."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.data.assignment import Subject, grouped
from brats_unet.data.cohort_check import compare_cases
from brats_unet.data.inspection import Inspection, inspect
from brats_unet.data.labels.decide import decide
from brats_unet.data.labels.scheme_choice import sentences_about
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.data.readers.discovery import Survey
from brats_unet.data.readers.findings import Finding, Kind, Severity, error, error_of, note, warning
from brats_unet.data.readers.slice_folders import DOWNLOAD, truncated_slices
from brats_unet.errors import BratsError, DataError
from brats_unet.mask_channels import FIRST_CODE, MOST
from brats_unet.processes import in_processes
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case

COARSER = 1.5  # prepared voxels so many times as large as the case's may lose labels
MOST_THREADS = 4  # decompression and counting release the GIL; more threads would only hold more volumes in memory


@dataclass(frozen=True)
class CheckReport:
    """The result of checking a data folder.

    Attributes:
        root: The data folder.
        layout: Layout of the folder, as in `discovery.Dataset`.
        cases: Number of cases, complete or not.
        with_masks: Number of cases that have a mask.
        convention: Label convention of the masks, or None if it could not be decided (a finding says why).
        findings: Errors first, then warnings, then notes; sorted by case id within each.
    """

    root: Path
    layout: str
    cases: int
    with_masks: int
    convention: Convention | None
    findings: tuple[Finding, ...]

    @property
    def stops_training(self) -> bool:
        return self.count(Severity.ERROR) > 0

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def severities(self) -> dict[str, Severity]:
        """The worst severity of each case that has findings, by case id."""
        return {finding.case: finding.severity for finding in reversed(self.findings) if finding.case}

    def as_dict(self) -> dict[str, Any]:
        """The report in plain types, ready for JSON."""
        return {
            "root": str(self.root),
            "layout": self.layout,
            "cases": self.cases,
            "with_masks": self.with_masks,
            "labels": self.convention.name if self.convention else None,
            "labels_why": self.convention.why if self.convention else None,
            "stops_training": self.stops_training,
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "notes": self.count(Severity.NOTE),
            "severities": dict(sorted(self.severities.items())),
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_cases(
    survey: Survey,
    convention_setting: str,
    *,
    scheme: Scheme,
    folds: int | None = None,
    preparation: Preparation | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckReport:
    """Open every scan and mask of a data folder and report all defects.

    Args:
        survey: The folder as found by `discovery.survey`, including its defects.
        convention_setting: "auto" or the name of a label convention.
        scheme: What the masks show.
        folds: Number of folds that the cases must suffice for; None skips this check.
        preparation: How a training would prepare the cases; None: scans without skulls, and no look for lost labels.
        progress: Called with the number of cases done and their total.

    Raises:
        SettingsError: There is no such label convention.
    """
    dataset = survey.dataset
    if convention_setting != "auto":
        decide(convention_setting, dataset.layout, [], None, {}, scheme=scheme)
    cases = sorted((*dataset.cases, *survey.incomplete), key=lambda case: case.id)
    findings = [*survey.defects, *(note("", text, kind=Kind.DATASET) for text in dataset.notes)]
    with_skull = preparation is not None and preparation.crop == "head"
    inspections = _inspect_all([case for case in cases if case.id not in survey.broken], with_skull, progress)
    for inspection in inspections:
        findings.extend(inspection.findings)
    findings += _truncated(survey, cases)
    findings += _differences(inspections)
    findings += compare_cases(inspections)
    convention, about_labels = _labels(survey, convention_setting, inspections, scheme)
    findings += about_labels
    if convention is not None and preparation is not None:
        findings += _lost_labels(inspections, findings, preparation, convention)
    findings += _too_few(cases, folds)
    order = list(Severity)
    findings.sort(key=lambda finding: (order.index(finding.severity), finding.case))
    with_masks = sum(case.mask is not None for case in cases)
    return CheckReport(dataset.root, dataset.layout, len(cases), with_masks, convention, tuple(findings))


def _inspect_all(cases: Sequence[Case], with_skull: bool, progress: Callable[[int, int], None]) -> list[Inspection]:
    results = []
    with ThreadPoolExecutor(min(MOST_THREADS, cpu_count() or 1)) as pool:
        try:
            for result in pool.map(lambda case: inspect(case, with_skull=with_skull), cases):
                results.append(result)
                progress(len(results), len(cases))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _truncated(survey: Survey, cases: Sequence[Case]) -> list[Finding]:
    """An error for each case with broken slices of which some are truncated too; their headers do not show it."""
    found = []
    for case in cases:
        if case.id in survey.broken and case.images:
            folder = next(iter(case.images.values())).path
            told = [defect.found for defect in survey.defects if defect.case == case.id]
            if sentence := truncated_slices(folder, told):
                found.append(error(case.id, sentence, DOWNLOAD))
    return found


def _differences(inspections: Sequence[Inspection]) -> list[Finding]:
    """Notes on what differs between cases: shapes, voxel spacings and orientations."""
    found = []
    for what, values in (
        ("shapes", [" × ".join(map(str, i.shape)) + " voxels" for i in inspections if i.shape]),
        ("voxel sizes", [" × ".join(f"{s:.3g}" for s in i.spacing_mm) + " mm" for i in inspections if i.spacing_mm]),
    ):
        counts = Counter(values).most_common()
        if len(counts) > 1:
            listed = ", ".join(f"{value} ({count} cases)" for value, count in counts[:4])
            text = f"{len(counts)} different {what}: {listed}{', …' if len(counts) > 4 else ''}."
            found.append(note("", text, kind=Kind.DATASET))
    turned = [i.case.id for i in inspections if i.turned]
    if turned:
        text = f"{len(turned)} of {len(inspections)} cases are not stored in L-P-S orientation (first: {turned[0]})."
        remedy = "Nothing to do: scans are reoriented when read, predictions when written."
        found.append(note("", text, remedy, kind=Kind.DATASET))
    return found


def _labels(
    survey: Survey, setting: str, inspections: Sequence[Inspection], scheme: Scheme
) -> tuple[Convention | None, list[Finding]]:
    """The convention decided from the masks whose labels are all known, and an error for each mask that violates it."""
    known = {integer for convention in conventions(scheme).values() for integer in convention.to_label}
    known |= set(range(FIRST_CODE, FIRST_CODE + 2**MOST))  # of masks with channels
    counts: dict[str, Mapping[int, int]] = {i.case.id: i.labels for i in inspections if i.labels is not None}
    sound = {case_id: frozenset(labels) for case_id, labels in counts.items() if known.issuperset(labels)}
    convention, found = None, []
    if sound or (counts and setting != "auto"):
        try:
            dataset = survey.dataset
            convention = decide(setting, dataset.layout, sorted(sound), dataset.declared_labels, sound, scheme=scheme)
        except BratsError as problem:
            found.append(error("", str(problem), kind=Kind.LABELS))
    if convention is not None:
        voxels = sum((Counter(counts[case_id]) for case_id in sound), Counter())
        found += [warning("", text, kind=Kind.LABELS) for text in sentences_about(convention, sound, voxels=voxels)]
    allowed = set(convention.to_label) if convention else known
    for case_id, labels in counts.items():
        if wrong := {integer: count for integer, count in labels.items() if integer not in allowed}:
            listed = ", ".join(f"{integer} ({count:,} voxels)" for integer, count in wrong.items())
            expected = " ".join(map(str, sorted(allowed)))
            text = f"its mask holds label {listed}. Expected {expected}{f' ({convention.name})' if convention else ''}."
            remedy = "Correct the mask, or list the case under data.leave_out."
            found.append(error(case_id, text, remedy, kind=Kind.LABELS, scan="mask"))
    return convention, found


def _lost_labels(
    inspections: Sequence[Inspection], findings: Sequence[Finding], preparation: Preparation, convention: Convention
) -> list[Finding]:
    """An error for each case without one that cannot be prepared, of those whose voxels become larger."""
    wrong = {finding.case for finding in findings if finding.severity is Severity.ERROR}
    sound = [one for one in inspections if one.case.id not in wrong and one.labels and one.spacing_mm is not None]
    wanted = preparation.spacing_mm or (0, 0, 0)
    coarser = [one for one in sound if np.prod(wanted) > COARSER * np.prod(one.spacing_mm or 1)]
    jobs = [(one.case, preparation, convention) for one in coarser]
    found = in_processes(_prepared_or_problem, jobs, seconds_each=1.0)
    return [error_of(jobs[index][0].id, problem, kind=Kind.LABELS) for index, problem in found if problem]


def _prepared_or_problem(job: tuple[Case, Preparation, Convention]) -> str:
    try:
        prepare(*job)
    except DataError as problem:
        return str(problem)
    return ""


def _too_few(cases: Sequence[Case], folds: int | None) -> list[Finding]:
    """An error if no case has a mask, or if there are fewer patients with masks than folds."""
    trainable = [case for case in cases if case.mask is not None]
    if not trainable:
        text = "No case has a mask: the cases can only be used for prediction."
        return [error("", text, "Add masks to train.", kind=Kind.DATASET)]
    patients = len(grouped(Subject(case.id, case.patient, "", "") for case in trainable))
    if folds is not None and patients < folds:
        text = f"{patients} {'patient' if patients == 1 else 'patients'} with masks cannot be split into {folds} folds."
        remedy = "Lower data.folds, or set data.fold=all to train on everything."
        return [error("", text, remedy, kind=Kind.DATASET)]
    return []
