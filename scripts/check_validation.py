"""Measure what `brats-unet check` finds: plant each defect in each case of a folder, and count.

    python scripts/check_validation.py FOLDER [FOLDER …] [--lgg] [--skull] [--every N] [--only TEXT] [--json FILE]

Each case, or each N-th, is written anew with one defect and compared with the other cases as they are. A defect is
found if the case gets a warning or an error of the expected kind. Prints a table by defect: cases it was planted in,
found, found in the scan that it was planted in, and how many of every second case; then every warning about the cases
as they are. `--lgg` reads the slices of the LGG data set (with `--skull`) and takes 0.94 × 0.94 × 5 mm for their
unknown spacing.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from planted_defects import DEFECTS, LPS, WITHOUT_BRAIN_MASK, Content

from brats_unet.data.cohort_check import compare_cases
from brats_unet.data.inspection import Inspection, inspect
from brats_unet.data.readers.discovery import find_cases
from brats_unet.data.readers.findings import Finding, Kind, Severity
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.scan_files import read_mask, read_scan
from brats_unet.volume import Case, ImageFile, Volume, turned_like

LGG_SPACING_MM = (0.94, 0.94, 5.0)


@dataclass(frozen=True)
class Outcome:
    """One defect in one case."""

    defect: str
    case: str
    second_half: bool
    found: bool
    named: bool | None  # None: there is no single scan to name


def content_of(case: Case, spacing_mm: tuple[float, ...] | None) -> Content:
    """Read a case, with L-P-S axes."""
    volumes = {modality: turned_like(read_scan(file), LPS) for modality, file in case.images.items()}
    first = next(iter(volumes.values()))
    edges = spacing_mm or first.spacing_mm
    mask = np.zeros(first.array.shape, np.uint8)
    if case.mask is not None:
        mask = turned_like(read_mask(case.mask, case.spacing_mm), LPS).array
    return Content({m: v.array for m, v in volumes.items()}, mask, LPS @ np.diag([*edges, 1.0]))


def written(content: Content, case: Case, folder: Path) -> Case:
    """Write a case and return where it lies."""
    images = {}
    for modality, scan in content.scans.items():
        images[modality] = ImageFile(folder / f"{case.id}_{modality}.nii")
        write_volume(images[modality].path, Volume(np.ascontiguousarray(scan), content.affine))
    mask = folder / f"{case.id}_seg.nii"
    write_volume(mask, Volume(np.ascontiguousarray(content.mask.astype(np.uint8)), content.affine))
    return Case(case.id, images, mask, case.patient)


def warnings_of(case_id: str, inspection: Inspection, others: list[Inspection]) -> list[Finding]:
    """Warnings and errors about a case, by itself and among the others."""
    found = [*inspection.findings, *compare_cases([inspection, *others])]
    about = [f for f in found if f.case == case_id or (f.kind is Kind.DUPLICATE and case_id in f.found)]
    return [finding for finding in about if finding.severity is not Severity.NOTE]


def plant_all(
    cases: list[Case], spacing_mm: tuple[float, ...] | None, skull: bool, every: int, only: str
) -> tuple[list[Outcome], list[Finding]]:
    """Plant the defects in whose names `only` occurs in each `every`-th case; also the warnings about all cases."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = [content_of(case, spacing_mm) for case in cases]
        clean = [inspect(written(c, case, folder), with_skull=skull) for c, case in zip(contents, cases, strict=True)]
        alarms = [finding for one in clean for finding in one.findings] + compare_cases(clean)
        for index in range(0, len(cases), every):
            case, content, neighbour = cases[index], contents[index], contents[(index + 1) % len(cases)]
            others = [one for one in clean if one.case.id != case.id]
            for number, (defect, (plant, kinds)) in enumerate(DEFECTS.items()):
                if only not in defect:
                    continue
                planted = plant(content, neighbour, np.random.default_rng([index, number]))
                if planted is None or (skull and defect in WITHOUT_BRAIN_MASK):
                    continue
                inspection = inspect(written(planted.content, case, folder), with_skull=skull)
                found = [f for f in warnings_of(case.id, inspection, others) if f.kind in kinds]
                named = any(f.scan == planted.scan for f in found) if planted.scan else None
                outcomes.append(Outcome(defect, case.id, bool(index // every % 2), bool(found), named))
            print(f"{case.id}: {sum(o.found for o in outcomes)} of {len(outcomes)} found", file=sys.stderr, flush=True)
    return outcomes, [finding for finding in alarms if finding.severity is not Severity.NOTE]


def table(outcomes: list[Outcome]) -> str:
    """Markdown table of what was found, by defect."""
    lines = ["| defect | planted | found | in the right scan | found in every second case |", "|---|---|---|---|---|"]
    groups = {defect: [o for o in outcomes if o.defect == defect] for defect in DEFECTS}
    for defect, group in [*groups.items(), ("all", outcomes)]:
        if group:
            told = [o for o in group if o.named is not None and o.found]
            second = [o for o in group if o.second_half]
            named = f"{sum(bool(o.named) for o in told)} of {len(told)}" if told else ""
            held = f"{sum(o.found for o in second)} of {len(second)}"
            lines.append(f"| {defect} | {len(group)} | {sum(o.found for o in group)} | {named} | {held} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--lgg", action="store_true")
    parser.add_argument("--skull", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="plant in each so many-th case only")
    parser.add_argument("--only", default="", metavar="TEXT", help="plant only defects whose names hold this text")
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    modalities = (Modality.FLAIR, Modality.T1, Modality.T1CE) if told.lgg else tuple(Modality)
    cases = [case for root in told.folders for case in find_cases(root, modalities=modalities, slices=told.lgg).cases]
    outcomes, alarms = plant_all(cases, LGG_SPACING_MM if told.lgg else None, told.skull, told.every, told.only)
    print(table(outcomes))
    print(f"\n{len(alarms)} warnings about the {len(cases)} cases as they are:")
    for finding in alarms:
        print(f"- {finding.sentence}")
    if told.json is not None:
        plain = {"outcomes": [asdict(o) for o in outcomes], "alarms": [asdict(f) for f in alarms]}
        told.json.write_text(json.dumps(plain, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
