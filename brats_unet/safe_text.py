"""Names from outside, made safe to show: control characters on a terminal, formulas in the cells of a CSV file."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

# Control characters except the newline, marks that change the direction of text, other line ends, and bytes of a file
# name that are not UTF-8 (Python gives them as lone surrogates, which cannot be printed).
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = re.compile("'*[=+\\-@\t\r]")  # what a spreadsheet takes for a formula, also behind our own quotes


def visible(text: str) -> str:
    r"""Text that changes nothing on a terminal but the place where it stands; newlines stay.

    Every other control character is written as Python writes it: ESC as \x1b, the right-to-left override as \u202e.
    """
    return _UNSAFE.sub(lambda found: _written(ord(found[0])), text)


def _written(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def csv_cell(text: str) -> str:
    """Text for a cell of a CSV file: with a quote (') before it if a spreadsheet would take it for a formula.

    For text only, never for numbers: -0.5 would get a quote. `text_of_csv_cell` is the inverse.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def text_of_csv_cell(cell: str) -> str:
    """Inverse of `csv_cell`; cells without a quote, as earlier versions wrote them, are returned as they are."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def csv_lines(path: Path, columns: Sequence[str], *, encoding: str = "utf-8") -> list[dict[str, str]]:
    """The lines of a CSV file below its header, each with a text in every column.

    Args:
        path: The file.
        columns: Columns that it must have, among others.
        encoding: "utf-8", or "utf-8-sig" for files of other programs.

    Raises:
        ValueError: The file cannot be read or is not UTF-8, a column is missing or stands twice, or a line has fewer or
            more cells than the header; the message has no final dot.
    """
    try:
        with open(path, encoding=encoding, newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except OSError as problem:
        raise ValueError(problem.strerror or str(problem)) from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise ValueError(f"cannot be read as CSV in UTF-8 ({problem})") from None
    if absent := [name for name in columns if name not in header]:
        raise ValueError(f"found the columns {', '.join(header)[:200] or 'none'}, without {', '.join(absent)}")
    if len(set(header)) < len(header):
        raise ValueError(f"a column stands twice in {', '.join(header)[:200]}")
    for number, cells in lines:
        if len(cells) != len(header):
            raise ValueError(f"line {number} has {len(cells)} cells, the header {len(header)}")
    return [dict(zip(header, cells, strict=True)) for _, cells in lines]


def write_csv(file: TextIO, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of cells to a CSV file; texts with a carriage return are quoted, which the csv module leaves out."""
    as_needed = csv.writer(file, lineterminator="\n")
    all_quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        broken = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (all_quoted if broken else as_needed).writerow(row)
