"""Files in the folder of an evaluation: their names, and score rows as CSV."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from brats_unet.binding import value_of
from brats_unet.errors import DataError, SettingsError, some
from brats_unet.evaluation.case_facts import NONE, CaseFacts
from brats_unet.evaluation.score import Row
from brats_unet.file_kinds.json_kinds import EmptyRule, SummaryFile
from brats_unet.files import atomic_path
from brats_unet.json_files import read_json
from brats_unet.metrics.glossary import (
    HD95_MEANINGS,
    PREDICTION_SIZES,
    REFERENCE_SIZES,
    RULES,
    distance_of,
    meaning_of,
)
from brats_unet.modality import in_order
from brats_unet.run import PREDICTIONS, Run
from brats_unet.safe_text import csv_cell, csv_lines, text_of_csv_cell, write_csv
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in

SCORES, SUMMARY, SEED_SCORES, FIGURES = "scores.csv", "summary.json", "seed_scores.csv", "figures"
TRIVIAL_SCORES = "trivial_scores.csv"  # scores of the trivial predictors, which ignore the scans
CASES = "cases.csv"  # facts of the cases that are no scores; evaluations of earlier versions lack it
PAGE = "report.html"
PARTS = ("title", "cases", "regions", "trivial_predictors", "interval", "protocol", "versions")  # keys of summary.json
KEYS = {  # of its parts
    "interval": ("level", "method", "draws", "seed", "least_cases"),
    "protocol": ("source", "metrics"),
}
EVALUATION_FILES = (SCORES, CASES, SUMMARY, TRIVIAL_SCORES, SEED_SCORES, FIGURES, PREDICTIONS, PAGE)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation, read from its folder.

    Attributes:
        name: Short name, for tables.
        file: Path of scores.csv.
        rows: All scores of the predictions.
        summary: Content of summary.json; empty if the file does not exist.
        facts: Content of cases.csv; empty if the file does not exist.
    """

    name: str
    file: Path
    rows: tuple[Row, ...]
    summary: Mapping[str, Any]
    facts: tuple[CaseFacts, ...] = ()

    @cached_property
    def scheme(self) -> Scheme:
        """What the masks show; glioma if the summary is from before there were schemes."""
        return scheme_in(self.summary)

    @property
    def cases(self) -> list[str]:
        """Case ids, in the order of the file."""
        return list(dict.fromkeys(row.case for row in self.rows))

    def values(self) -> dict[tuple[str, str, str], float]:
        """Scores by case, region and metric."""
        return {(row.case, row.region, row.metric): row.value for row in self.rows}


def open_evaluation(path: Path) -> Evaluation:
    """Read an evaluation from a run folder, from the folder of an evaluation, or from a scores.csv alone.

    Raises:
        DataError: The scores are missing or cannot be read.
    """
    candidates = [Run(path).evaluation_folder() / SCORES, path / SCORES] if path.is_dir() else [path]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        hint = f" Run `brats-unet evaluate run={path}` first." if (path / "settings.json").is_file() else ""
        raise DataError(
            f"{path}: no scores found. Expected the folder of an evaluated run, the folder of an evaluation, or a "
            f"{SCORES} file.{hint}"
        )
    name = path.resolve().name if path.is_dir() else file.resolve().parent.name
    summary: dict[str, Any] = {}
    if (file.parent / SUMMARY).is_file():
        summary = read_json(file.parent / SUMMARY, SummaryFile, what=str(file.parent), advice="Evaluate again.")
    facts = file.parent / CASES
    return Evaluation(name, file, tuple(read_rows(file)), summary, tuple(read_facts(facts)) if facts.is_file() else ())


def require_whole(evaluation: Evaluation) -> None:
    """Raise DataError if the summary or scores of an evaluation are incomplete. All gaps are listed.

    The summary must exist and have all keys of `PARTS`, and its number of cases must be that of scores.csv. Every case
    must have the same metrics in the same regions, among them Dice, a distance and the sizes of both masks.
    """
    folder, summary = evaluation.file.parent, evaluation.summary
    if not summary:
        raise DataError(f"{folder}: no {SUMMARY} beside {SCORES}. Evaluate again.")
    problems = []
    if absent := [part for part in PARTS if part not in summary]:
        problems.append(f"{SUMMARY} lacks {', '.join(absent)}")
    elif len(evaluation.cases) != summary["cases"]:
        problems.append(f"number of cases: {len(evaluation.cases)} in {SCORES}, {summary['cases']} in {SUMMARY}")
    values = evaluation.values()
    distance = distance_of({metric for *_, metric in values})
    known_spacing = distance == "hd95"
    sizes = [names[0] if known_spacing else names[1] for names in (REFERENCE_SIZES, PREDICTION_SIZES)]
    needed = [(region, metric) for region in evaluation.scheme.scored for metric in ("dice", distance, *sizes)]
    kinds = dict.fromkeys([*needed, *((region, metric) for _, region, metric in values)])
    gaps = [f"{case} {' '.join(kind)}" for case in evaluation.cases for kind in kinds if (case, *kind) not in values]
    if gaps:
        problems.append(f"{SCORES} lacks {some(gaps)}")
    if not absent:
        problems += _gaps_of_summary(summary, kinds, distance)
    if problems:
        raise DataError(f"{folder}: {'; '.join(problems)}. Evaluate again.")


def _gaps_of_summary(summary: Mapping[str, Any], kinds: Iterable[tuple[str, str]], distance: str) -> list[str]:
    """What summary.json lacks of the scored regions and metrics, and of the rules that they were scored by."""
    regions, protocol = summary["regions"], summary["protocol"]
    found = [
        f"regions.{region} {metric}"
        for region, metric in kinds
        if region not in regions or metric not in regions[region]["all_cases"]
    ]
    found += [
        f"trivial_predictors.{predictor}.{region} {metric}"
        for predictor, scored in summary["trivial_predictors"].items()
        for region in regions
        for metric in ("dice", distance)
        if predictor != "left_out" and metric not in scored.get(region, {})
    ]
    found += [f"{part}.{key}" for part, keys in KEYS.items() for key in keys if key not in summary[part]]
    empty = ("empty_references", "empty_predictions")
    found += [f"regions.{region}.{key}" for region, facts in regions.items() for key in empty if key not in facts]
    if "left_out" not in summary["trivial_predictors"]:
        found.append("trivial_predictors.left_out")
    if protocol.get("hd95_definition") not in HD95_MEANINGS:
        found.append(f"protocol.hd95_definition, one of {', '.join(HD95_MEANINGS)}")
    rules = [field for field, metric in RULES.items() if metric in protocol.get("metrics", [])]
    for field in rules:
        try:
            value_of(EmptyRule, protocol.get(field), f"protocol.{field}")
        except SettingsError:
            found.append(f"protocol.{field}")
    return ([f"{SUMMARY} lacks {some(found)}"] if found else []) + _out_of_range(summary)


def _out_of_range(summary: Mapping[str, Any]) -> list[str]:
    """The means and quartiles in summary.json that no score can have."""
    tables = {f"regions.{region}": facts["all_cases"] for region, facts in summary["regions"].items()}
    for predictor, scored in summary["trivial_predictors"].items():
        tables |= {f"{predictor}.{region}": facts for region, facts in scored.items() if isinstance(facts, dict)}
    return [
        f"{SUMMARY}: {where} {metric} {name} is {facts[name]}, expected {meaning.range}"
        for where, table in tables.items()
        for metric, facts in table.items()
        if (meaning := meaning_of(metric)) is not None
        for name in ("mean", "median", "q1", "q3")
        if facts[name] is not None and meaning.out_of_range(facts[name])
    ]


def write_rows(path: Path, kind: type, rows: Sequence[Any]) -> None:
    """Write dataclasses as CSV: a header with the field names, then one row each; texts as `safe_text.csv_cell`."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        cells = [[csv_cell(cell) if isinstance(cell, str) else cell for cell in astuple(row)] for row in rows]
        write_csv(file, [[field.name for field in fields(kind)], *cells])


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a scores.csv.

    Raises:
        DataError: Columns are missing, a value is not a number or is out of range, or a score occurs twice. The first
            10 problems are listed.
    """
    rows, problems = [], []
    seen: set[tuple[str, str, str]] = set()
    for number, line in enumerate(_lines(path, SCORES, Row), 2):
        key = (text_of_csv_cell(line["case"]), line["region"], line["metric"])
        try:
            rows.append(Row(*key, float(line["value"]), line["unit"]))
            meaning = meaning_of(key[2])
            if meaning is not None and meaning.out_of_range(rows[-1].value):
                problems.append(f"line {number}: {' '.join(key)} is {line['value']}, expected {meaning.range}")
        except (TypeError, ValueError):
            problems.append(f"line {number}: {line['value']!r} is not a number")
        if key in seen:
            problems.append(f"line {number}: {' '.join(key)} occurs twice")
        seen.add(key)
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DataError(f"{path}: {'; '.join(problems[:10])}{more}. Evaluate again.")
    return rows


def read_facts(path: Path) -> list[CaseFacts]:
    """Read the rows of a cases.csv.

    Raises:
        DataError: Columns are missing, or a cell does not hold what its column should. The first such line is named.
    """
    kinds: dict[str, Any] = {field.name: field.type for field in fields(CaseFacts)}
    rows = []
    for number, line in enumerate(_lines(path, CASES, CaseFacts), 2):
        try:
            cells = {name: text_of_csv_cell(str(line[name])) for name in kinds}
            rows.append(CaseFacts(**{name: kind(cells[name]) for name, kind in kinds.items()}))
            in_order(scan for scan in rows[-1].absent.split() if scan != NONE)  # refuses what is no name
        except (TypeError, ValueError) as problem:
            raise DataError(f"{path}: line {number} cannot be read ({problem}). Evaluate again.") from problem
    return rows


def _lines(path: Path, name: str, kind: type) -> list[dict[str, str]]:
    """The lines of a CSV file with the columns of a dataclass; DataError if it cannot be read or lacks one."""
    try:
        return csv_lines(path, [field.name for field in fields(kind)])
    except ValueError as problem:
        raise DataError(f"{path}: {problem}. Expected the {name} that `brats-unet evaluate` writes.") from None
