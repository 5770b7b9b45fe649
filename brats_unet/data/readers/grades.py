"""The grade of a tumour, from `name_mapping.csv` or from a folder named HGG or LGG."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from brats_unet.data.readers.naming import GRADES
from brats_unet.data.readers.tree import Tree

ID_COLUMN = re.compile(r"brats_?(?:20)?\d\d_?(?:subject_?)?id", re.IGNORECASE)


def grade_table(tree: Tree) -> dict[str, str]:
    """Grade ("HGG" or "LGG") by case id, under every name that a case had from BraTS 2017 on.

    Read from files named `name_mapping*.csv`, whatever years their columns name; `NA` is no name. Other tables
    (survival) are passed over. A table that cannot be read is noted in `tree.notes`: grades only balance the folds.
    """
    grades: dict[str, str] = {}
    for path in tree.tables:
        if not path.stem.lower().startswith("name_mapping"):
            continue
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as problem:
            tree.notes.append(f"{path.name} cannot be read ({problem}): the cases have no grade from it.")
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
    """HGG or LGG where `root` or a folder between it and `folder` has that name."""
    parts = (root.resolve().name, *folder.relative_to(root).parts)
    return next((part.upper() for part in reversed(parts) if part.upper() in GRADES), None)
