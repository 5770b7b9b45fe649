"""Check that time and memory per case stay constant when one command predicts many cases.

    python scripts/bench/predict_many.py [--run RUN] [--case FOLDER] [--cases 50]

One `brats-unet predict` predicts 50 copies of a case (links to its files under other names). Two other commands predict
11 copies, one before and one after it, to account for a machine that becomes slower. Memory is sampled twice per
second. The seconds of a case are the time between two masks; the first three cases of each command, which trace the
graphs, are left out. Without --run, a run of two steps on phantoms is made first (`experiment=quick`); without --case,
a phantom is used.

Prints a table and, as the last line, JSON:
  ratio         median seconds per case, of the 50 cases / of the 11 cases before and after.
  seconds, late_seconds   median seconds per case, of all 50 cases and of the last 10.
  early_gib, late_gib     peak memory during cases 4-10 and during the last 10.
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

from brats_unet.data.phantom.phantoms import OLD, case_id, write_dataset
from brats_unet.data.readers.discovery import find_cases
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin

BRATS_UNET = str(Path(sys.executable).with_name("brats-unet"))
WARM = 3  # first cases of a command, which trace the graphs
FEW = WARM + 8


def copies(case: Path, folder: Path, count: int) -> None:
    """Write `count` cases in BraTS 2020 naming, as links to the scans of one case."""
    scans = find_cases(case, modalities=list(Modality)).cases[0].images
    for index in range(1, count + 1):
        name = f"BraTS20_Training_{index:03d}"
        (folder / name).mkdir(parents=True)
        for modality, file in scans.items():
            suffix = "".join(file.path.suffixes[-2:]) if file.path.name.endswith(".gz") else ".nii"
            (folder / name / f"{name}_{modality}{suffix}").symlink_to(file.path.resolve())


def predicted(run: Path, scans: Path, output: Path) -> tuple[list[float], list[tuple[float, float]]]:
    """Predict the cases: the time at which each mask was written, and (time, GiB in use) samples; same clock."""
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
        sys.exit("`brats-unet predict` failed; see its message above.")
    return sorted(path.stat().st_mtime for path in output.glob("*.nii.gz")), held


def short_run(folder: Path) -> Path:
    """Train a run of two steps."""
    settings = ["data=phantom", "data.cases=5", f"data.root={folder / 'phantoms'}", f"data.cache={folder / 'cache'}"]
    command = [BRATS_UNET, "train", "experiment=quick", "steps=2", "name=two", f"runs={folder}", *settings]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "two"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a trained run")
    parser.add_argument("--case", type=Path, help="folder of one case")
    parser.add_argument("--cases", type=int, default=50, help="number of copies of the case")
    args = parser.parse_args()
    if args.cases < 10 + WARM:
        parser.error(f"--cases {args.cases}: expected {10 + WARM} or more, to compare early and late memory.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run, case = short_run(folder) if args.run is None else args.run, args.case
        if case is None:
            write_dataset(folder / "phantoms", cases=5, seed=0, scheme=builtin())
            case = folder / "phantoms" / case_id(OLD, 0)
        found = []
        for place, count in enumerate((FEW, args.cases, FEW)):
            copies(case, folder / f"{place}", count)
            found.append(predicted(run, folder / f"{place}", folder / f"masks{place}"))
    (before, _), (written, held), (after, _) = found
    seconds = between(written)
    few = [between(before), between(after)]
    early = max(gib for at, gib in held if written[WARM] <= at <= written[9])
    late = max(gib for at, gib in held if at >= written[-10])
    show(args.cases, few, seconds, early, late)


def between(written: list[float]) -> list[float]:
    """Seconds between consecutive masks, without the first cases."""
    return [after - before for before, after in zip(written[WARM:], written[WARM + 1 :], strict=False)]


def show(cases: int, few: list[list[float]], seconds: list[float], early: float, late: float) -> None:
    """Print the table and the JSON line."""
    from rich.console import Console
    from rich.table import Table

    last = statistics.median(seconds[-10:])
    table = Table(title=f"{cases} cases in one command")
    for heading in ("", "seconds per case", "peak GiB"):
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
