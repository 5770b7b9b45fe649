"""Whether many cases cost what one costs: time and memory of fifty cases in one go.

    python scripts/bench/predict_many.py [--run RUN] [--case FOLDER] [--cases 50]

Fifty copies of a case (links to its folder's files under other names) are predicted by one `brats-unet predict`, and
eleven by another before it and by a third after it, so that a machine that grows slower weighs on both. Memory is
looked at twice a second. A case's seconds are the time between two masks; the first three of each command, in which
graphs are traced, are left out. Without a run, one of two steps on phantoms is made first (`experiment=quick`); without
a case, a phantom is taken.

Prints a table and, as its last line, JSON:
  ratio         seconds a case of the fifty over those of the few before and the few after, medians.
  seconds       a case of the fifty, median; of its last ten: `late_seconds`.
  early_gib, late_gib   most memory held during cases 4-10 and during the last 10.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from brats_unet.anatomy import Modality
from brats_unet.data.phantom.phantoms import case_id, write_dataset
from brats_unet.data.readers.discovery import find_cases

BRATS_UNET = str(Path(sys.executable).with_name("brats-unet"))
WARM = 3  # cases at the start that trace graphs
FEW = WARM + 8


def copies(case: Path, folder: Path, count: int) -> None:
    """Links to the scans of a case, as so many cases in BraTS 2020 naming."""
    scans = find_cases(case, modalities=list(Modality)).cases[0].images
    for index in range(1, count + 1):
        name = f"BraTS20_Training_{index:03d}"
        (folder / name).mkdir(parents=True)
        for modality, file in scans.items():
            suffix = "".join(file.path.suffixes[-2:]) if file.path.name.endswith(".gz") else ".nii"
            (folder / name / f"{name}_{modality}{suffix}").symlink_to(file.path.resolve())


def predicted(run: Path, scans: Path, output: Path) -> tuple[list[float], list[tuple[float, float]]]:
    """When each mask was there, and (time, GiB held), both in seconds of one clock."""
    command = [BRATS_UNET, "predict", f"run={run}", f"input={scans}"]
    process = subprocess.Popen([*command, f"output={output}"], stdout=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    held = []
    while process.poll() is None:
        try:
            held.append((time.time(), watched.memory_info().rss / 2**30))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.5)
    if process.wait():
        sys.exit("predict failed; its message is above.")
    return sorted(path.stat().st_mtime for path in output.glob("*.nii.gz")), held


def a_run(folder: Path) -> Path:
    """A run of two steps."""
    settings = ["data=phantom", "data.cases=5", f"data.root={folder / 'phantoms'}", f"data.cache={folder / 'cache'}"]
    command = [BRATS_UNET, "train", "experiment=quick", "steps=2", "name=two", f"runs={folder}", *settings]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "two"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", type=Path)
    options.add_argument("--case", type=Path, help="folder of one case")
    options.add_argument("--cases", type=int, default=50)
    told = options.parse_args()
    if told.cases < 10 + WARM:
        options.error(f"--cases {told.cases}: memory early and late needs {10 + WARM} or more.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run, case = a_run(folder) if told.run is None else told.run, told.case
        if case is None:
            write_dataset(folder / "phantoms", cases=5, seed=0)
            case = folder / "phantoms" / case_id(0)
        found = []
        for place, count in enumerate((FEW, told.cases, FEW)):
            copies(case, folder / f"{place}", count)
            found.append(predicted(run, folder / f"{place}", folder / f"masks{place}"))
    (before, _), (written, held), (after, _) = found
    seconds = between(written)
    few = [between(before), between(after)]
    early = max(gib for at, gib in held if written[WARM] <= at <= written[9])
    late = max(gib for at, gib in held if at >= written[-10])
    show(told.cases, few, seconds, early, late)


def between(written: list[float]) -> list[float]:
    """Seconds from mask to mask, those at the start left out."""
    return [after - before for before, after in zip(written[WARM:], written[WARM + 1 :], strict=False)]


def show(cases: int, few: list[list[float]], seconds: list[float], early: float, late: float) -> None:
    """The table and the last line."""
    from rich.console import Console
    from rich.table import Table

    last = statistics.median(seconds[-10:])
    table = Table(title=f"{cases} cases in one go")
    for heading in ("", "seconds a case", "GiB at most"):
        table.add_column(heading, justify="left" if not heading else "right")
    for when, took in zip(("before", "after"), few, strict=True):
        table.add_row(f"{FEW} cases {when}", f"{statistics.median(took):.2f}", "")
    table.add_row(f"{cases} cases", f"{statistics.median(seconds):.2f}", "")
    table.add_row(f"cases 4-10 of {cases}", f"{statistics.median(seconds[:7]):.2f}", f"{early:.2f}")
    table.add_row(f"last 10 of {cases}", f"{last:.2f}", f"{late:.2f}")
    Console().print(table)
    result = {
        "ratio": round(statistics.median(seconds) / statistics.median([*few[0], *few[1]]), 3),
        "seconds": round(statistics.median(seconds), 3),
        "late_seconds": round(last, 3),
        "early_gib": round(early, 3),
        "late_gib": round(late, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
