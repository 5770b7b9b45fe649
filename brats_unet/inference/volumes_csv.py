"""volumes.csv beside the masks: volume and confidence of each region of each case, and reasons to review the case."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from brats_unet.errors import DataError
from brats_unet.files import atomic_path, remove_file
from brats_unet.inference.confidence import RegionFacts
from brats_unet.run import VOLUMES
from brats_unet.safe_text import csv_cell, csv_lines, text_of_csv_cell, write_csv

COLUMNS = ("case", "region", "volume_mm3", "volume_ml", "mean_probability", "agreement", "review")
TEXTS = ("case", "review")  # columns of free text


def volume_rows(case_id: str, facts: Sequence[RegionFacts], reasons: Sequence[str]) -> list[dict[str, str]]:
    """The rows of one case, one per region; `review` holds the reasons, "" if there is none."""
    return [
        {
            "case": case_id,
            "region": str(fact.region),
            "volume_mm3": _number(fact.volume_mm3, 1),
            "volume_ml": _number(fact.volume_mm3 / 1000, 3),
            "mean_probability": _number(fact.mean_probability, 4),
            "agreement": _number(fact.agreement, 4),
            "review": "; ".join(reasons),
        }
        for fact in facts
    ]


def read_volumes(folder: Path, name: str = VOLUMES) -> dict[str, list[dict[str, str]]]:
    """Rows of an existing volumes.csv by case id; empty if there is no file.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    file = folder / name
    rows: dict[str, list[dict[str, str]]] = {}
    try:
        lines = csv_lines(file, COLUMNS[:-1]) if file.exists() else []
    except ValueError as problem:
        raise DataError(f"{file}: {problem}. Restore it, or give overwrite=true to predict all cases again.") from None
    for row in lines:
        if "look" in row:  # name of the column in earlier versions
            row["review"] = row.pop("look")
        if "review" not in row:
            raise DataError(f"{file}: it has no column review. Restore it, or give overwrite=true.")
        row |= {name: text_of_csv_cell(row[name]) for name in TEXTS}
        rows.setdefault(row["case"], []).append(row)
    return rows


def collect_volumes(folder: Path) -> None:
    """Add the rows that other workers have written to volumes.csv, and delete their files."""
    parts = sorted(folder.glob(f"{VOLUMES}.worker*"))
    if parts:
        rows = read_volumes(folder)
        for part in parts:
            rows |= read_volumes(folder, part.name)
        write_volumes(folder, rows)
        for part in parts:
            remove_file(part)


def write_volumes(folder: Path, rows: Mapping[str, Sequence[Mapping[str, str]]], worker: int = 0) -> None:
    """Write the rows of all cases, sorted by case id; the file is replaced only when the new one is complete.

    A worker other than the chief (0) writes a file of its own, which `collect_volumes` adds to volumes.csv.
    """
    name = f"{VOLUMES}.worker{worker}" if worker else VOLUMES
    with atomic_path(folder / name) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        sorted_rows = [row for case_id in sorted(rows) for row in rows[case_id]]
        cells = [[csv_cell(row[name]) if name in TEXTS else row[name] for name in COLUMNS] for row in sorted_rows]
        write_csv(file, [COLUMNS, *cells])


def _number(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
