"""`brats-unet check`: open every file of a data folder, list what would stop or harm a training, and draw it."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from brats_unet.commands.display import open_display
from brats_unet.data.dataset_check import CheckReport, check_cases
from brats_unet.data.folds import ALL, refuse_invalid_fold
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.discovery import Survey, slice_spacing_mm, survey
from brats_unet.data.readers.file_patterns import data_patterns
from brats_unet.data.readers.findings import Finding, Severity
from brats_unet.data.readers.slice_folders import LGG
from brats_unet.errors import SettingsError
from brats_unet.json_files import recorded_json, write_json
from brats_unet.private_paths import short_texts
from brats_unet.processes import map_in_processes
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Check, Data

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
WIDTH_IN_FILES = 140  # characters per line if stdout is not a terminal
NAMED = 3  # cases that a row names before it counts the rest


def main(settings: Check) -> int:
    """Check `data.root` and print a table or a JSON document; exit code 1 if anything would stop a training, else 0.

    Raises:
        SettingsError: `data.root` is not set, or `report` may not be written.
        DataError: The folder holds no case.
    """
    data = settings.data
    if data.root is None:
        raise SettingsError("data.root is not set. Give the folder with the scans: data.root=/path/to/BraTS2020.")
    root = Path(data.root)
    report_file = Path(settings.report) if settings.report else None
    pictures = Path(settings.pictures) if settings.pictures else None
    _refuse_report(report_file, root)
    _refuse_pictures(pictures, root)
    refuse_invalid_fold(fold=data.fold, folds=data.folds, splits=data.splits, validation_root=data.validation_root)
    began = time.monotonic()
    scheme = scheme_of(settings.scheme)
    preparation = Preparation.of(data.modalities, data.preparation, data.files)
    with open_display(json=settings.json) as display:
        found = survey(
            root,
            modalities=preparation.modalities,
            leave_out=data.leave_out,
            spacing_mm=slice_spacing_mm(data.name, data.spacing_mm),
            slices=data.name == LGG,
            patterns=data_patterns(data.name, data.files),
        )
        report = check_cases(
            found,
            data.labels,
            scheme=scheme,
            folds=_fold_count(data),
            preparation=preparation,
            progress=lambda done, total: display.progress("Opening cases", done, total),
        )
        drawn = 0
        if pictures is not None:
            drawn = _draw(found, report, pictures, lambda done, total: display.progress("Drawing", done, total))
        console = display.console
    document = {**report.as_dict(), "seconds": round(time.monotonic() - began, 2)}
    if report_file is not None:
        write_json(report_file, short_texts(document, [root]))
    if settings.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print_result(report, console, time.monotonic() - began)
        if report_file is not None:
            console.print(f"Written to {report_file}.")
        if pictures is not None:
            console.print(f"{_counted(drawn, 'picture')} in {pictures}." if drawn else "No case to draw.")
    return 1 if report.stops_training else 0


def _draw(found: Survey, report: CheckReport, folder: Path, progress: Callable[[int, int], None]) -> int:
    """Draw each case with an error or a warning, as <case>.png; the number of pictures."""
    from brats_unet.report.check_figure import CheckPicture, draw_check_picture  # matplotlib takes half a second

    suspicious = {case for case, severity in report.severities.items() if severity is not Severity.NOTE}
    pictures = []
    for case in (*found.dataset.cases, *found.incomplete):
        if case.id in suspicious and case.images:
            sentences = [f"{f.severity}: {f.found}" for f in report.findings if f.case == case.id]
            pictures.append(CheckPicture(case, sentences, folder / f"{case.id}.png"))
    folder.mkdir(parents=True, exist_ok=True)
    map_in_processes(draw_check_picture, pictures, seconds_each=0.8, progress=progress)
    return len(pictures)


def _refuse_pictures(folder: Path | None, root: Path) -> None:
    """Raise SettingsError if the pictures would lie in the data folder, or the folder is a file."""
    if folder is None:
        return
    if folder.resolve().is_relative_to(root.resolve()):
        raise SettingsError(
            f"pictures={folder} lies in data.root, where nothing is ever written. Choose another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"pictures={folder} is a file. Give the name of a folder.")


def _refuse_report(file: Path | None, root: Path) -> None:
    """Raise SettingsError if the report would lie in the data folder or replace another kind of file."""
    if file is None:
        return
    if file.resolve().is_relative_to(root.resolve()):
        raise SettingsError(f"report={file} lies in data.root, where nothing is ever written. Choose another folder.")
    if file.is_dir():
        raise SettingsError(f"report={file} is a folder. Give the name of a JSON file.")
    if file.exists() and "stops_training" not in (recorded_json(file, dict[str, Any]) or {}):
        raise SettingsError(f"report={file} exists and is not a report of `brats-unet check`. Choose another name.")


def _fold_count(data: Data) -> int | None:
    """Number of folds that a training with these settings would divide the cases into; None if it would not."""
    divided = data.fold != ALL and data.splits is None and data.validation_root is None
    return data.folds if divided else None


def _print_result(report: CheckReport, console: Console, seconds: float) -> None:
    """Print the table of findings and the summary below it."""
    if report.findings:
        width = None if console.is_terminal else WIDTH_IN_FILES
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", width=width)
        table.add_column("case", overflow="fold", max_width=32)
        table.add_column("", no_wrap=True)
        table.add_column("what was found", ratio=3, overflow="fold")
        table.add_column("what to do", ratio=2, overflow="fold")
        for cases, finding in table_rows(report.findings):
            style = STYLES[finding.severity]
            table.add_row(cases, Text(finding.severity, style), finding.found, finding.remedy)
        console.print(table)
        console.print()
    if report.convention is not None:
        labels = f"Labels {report.convention.name} ({report.convention.why})."
    else:
        labels = "Label convention unknown." if report.with_masks else "No masks."
    suspicious = sum(severity is not Severity.NOTE for severity in report.severities.values())
    counts = ", ".join(_counted(report.count(severity), severity) for severity in Severity)
    cases = _counted(report.cases, "case")
    console.print(f"{report.root}: {cases}, {report.with_masks} with masks, layout {report.layout}. {labels}")
    to_inspect = f" {_counted(suspicious, 'case')} to inspect." if suspicious else ""
    console.print(f"{counts} in {seconds:.1f} s.{to_inspect}")
    if report.stops_training:
        console.print(Text("These errors would stop a training.", STYLES[Severity.ERROR]))
    else:
        console.print(Text("Ready to train.", "bold green"))


def table_rows(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """(names of the cases, finding) per row; equal findings share a row, "all" stands for the whole dataset."""
    equal: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        equal.setdefault((finding.severity, finding.found, finding.remedy), []).append(finding)
    result = []
    for group in equal.values():
        names = [finding.case or "all" for finding in group]
        listed = names if len(names) <= NAMED else [*names[: NAMED - 1], f"and {len(names) - NAMED + 1} more"]
        result.append(("\n".join(listed), group[0]))
    return result


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
