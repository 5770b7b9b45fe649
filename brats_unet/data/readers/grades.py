"""Groups that folds are balanced over: tumour grades, and in the LGG data set also the institution."""

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from brats_unet.data.readers.naming import GRADES
from brats_unet.data.readers.tree import Tree
from brats_unet.volume import Case

TCGA = re.compile(r"TCGA_(?P<institution>[^_]+)_[^_]+")  # the beginning of a case id of the LGG data set
LGG_TABLE, LGG_PATIENT, LGG_GRADE = "data.csv", "Patient", "neoplasm_histologic_grade"
SEPARATORS = (",", ";", "\t")  # of the cells of a table; the most frequent one in its first line
LATIN = "cp1252"
ID_COLUMN = re.compile(r"brats_?(?:20)?\d\d_?(?:subject_?)?id", re.IGNORECASE)


def grade_table(tree: Tree) -> dict[str, str]:
    """Grade ("HGG" or "LGG") by case id, for every id that a case has had since BraTS 2017.

    The grades are read from files named `name_mapping*.csv`; their id columns may be of any year, and the id `NA` is
    ignored. Other tables, such as survival data, are skipped. A table that cannot be read only adds a note to
    `tree.notes`, because grades serve only to balance the folds. The result is empty if there is no such table.
    """
    grades: dict[str, str] = {}
    for path in tree.tables:
        if path.stem.lower().startswith("name_mapping"):
            rows = _rows(path, tree)
            found = {name: grade for cells in rows for name, grade in _names_of(cells).items()}
            if rows and not found:
                columns = ", ".join(key for key in rows[0] if key)
                tree.notes.append(
                    f"{path.name} gives no grades: expected a column Grade with HGG or LGG and a column such as "
                    f"BraTS_2020_subject_ID, found {columns}."
                )
            grades.update(found)
    return grades


def lgg_strata(tree: Tree, cases: Sequence[Case]) -> dict[str, str]:
    """Institution and grade of the cases of the LGG data set by case id, such as "DU 2".

    Institutions differ in scanners and in the distance of slices. The institution is the second part of a case id; the
    grade is the code in the table `data.csv`, "?" if the table has none. A case with another id has no entry.
    """
    tables = [path for path in tree.tables if path.name.lower() == LGG_TABLE]
    grades = {row.get(LGG_PATIENT, ""): row.get(LGG_GRADE, "") for path in tables for row in _rows(path, tree)}
    matches = {case.id: TCGA.match(case.id) for case in cases}
    return {name: f"{match['institution']} {grades.get(match[0]) or '?'}" for name, match in matches.items() if match}


def _rows(path: Path, tree: Tree) -> list[dict[str, str]]:
    """The rows of a table, without spaces around cells; a table that cannot be read only adds a note to the tree.

    The table may be UTF-8, UTF-16 or Latin-1 (Windows), and separated by commas, semicolons or tabs.
    """
    try:
        data = path.read_bytes()
        text, encoding = _decoded(data)
        first = text.partition("\n")[0]
        separator = max(SEPARATORS, key=first.count)
        rows: list[dict[str | None, str | None]] = list(
            csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        )
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        tree.notes.append(f"{path.name} cannot be read ({problem}): no grades are taken from it.")
        return []
    if encoding == LATIN:
        tree.notes.append(f"{path.name} is not UTF-8: it is read as Windows text ({LATIN}).")
    return [
        {(key or "").strip(): (value or "").strip() for key, value in row.items() if not isinstance(value, list)}
        for row in rows
    ]


def _decoded(data: bytes) -> tuple[str, str]:
    """The text of a table, and its encoding."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16"), "utf-16"
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return data.decode(LATIN), LATIN


def _names_of(cells: Mapping[str, str]) -> dict[str, str]:
    grade = next((value.upper() for key, value in cells.items() if key.lower() == "grade"), "")
    if grade not in GRADES:
        return {}
    return {value: grade for key, value in cells.items() if ID_COLUMN.fullmatch(key) and value not in ("", "NA")}


def folder_grade(root: Path, folder: Path) -> str | None:
    """Grade "HGG" or "LGG" if `folder`, `root` or a folder between them has that name (innermost first), else None."""
    parts = (root.resolve().name, *folder.relative_to(root).parts)
    return next((part.upper() for part in reversed(parts) if part.upper() in GRADES), None)
