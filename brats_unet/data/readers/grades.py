"""Tumour grades, read from `name_mapping.csv` or from a folder named HGG or LGG."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from brats_unet.data.readers.naming import GRADES
from brats_unet.data.readers.tree import Tree

ID_COLUMN = re.compile(r"brats_?(?:20)?\d\d_?(?:subject_?)?id", re.IGNORECASE)


def grade_table(tree: Tree) -> dict[str, str]:
    """Grade ("HGG" or "LGG") by case id, for every id that a case has had since BraTS 2017.

    The grades are read from files named `name_mapping*.csv`; their id columns may be of any year, and the id `NA` is
    ignored. Other tables, such as survival data, are skipped. A table that cannot be read only adds a note to
    `tree.notes`, because grades serve only to balance the folds. The result is empty if there is no such table.
    """
    grades: dict[str, str] = {}
    for path in tree.tables:
        if not path.stem.lower().startswith("name_mapping"):
            continue
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as problem:
            tree.notes.append(f"{path.name} cannot be read ({problem}): no grades are taken from it.")
            continue
        for row in rows:
            grades.update(_names_of(row))
    return grades


def _names_of(row: Mapping[str | None, str | None]) -> dict[str, str]:
    cells = {(key or "").strip(): (value or "").strip() for key, value in row.items() if not isinstance(value, list)}
    grade = next((value.upper() for key, value in cells.items() if key.lower() == "grade"), "")
    if grade not in GRADES:
        return {}
    return {value: grade for key, value in cells.items() if ID_COLUMN.fullmatch(key) and value not in ("", "NA")}


def folder_grade(root: Path, folder: Path) -> str | None:
    """Grade "HGG" or "LGG" if `folder`, `root` or a folder between them has that name (innermost first), else None."""
    parts = (root.resolve().name, *folder.relative_to(root).parts)
    return next((part.upper() for part in reversed(parts) if part.upper() in GRADES), None)
