"""What an evaluation leaves in its folder: names of the files, rows to CSV and back, and where the masks were."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from brats_unet.anatomy import Modality, Region
from brats_unet.data.labels.convention import CONVENTIONS
from brats_unet.errors import DataError, some
from brats_unet.evaluation.score import Pair, Row
from brats_unet.files import atomic_path
from brats_unet.metrics.glossary import meaning_of, out_of_range
from brats_unet.run import PREDICTIONS, Run
from brats_unet.volume import ImageFile

SCORES, SUMMARY, SEED_SCORES, FIGURES = "scores.csv", "summary.json", "seed_scores.csv", "figures"
TRIVIAL_SCORES = "trivial_scores.csv"  # of predictors that look at no scan
PAGE = "report.html"
PARTS = ("title", "cases", "regions", "trivial_predictors", "interval", "protocol", "versions")  # of every summary
OURS = (SCORES, SUMMARY, TRIVIAL_SCORES, SEED_SCORES, FIGURES, PREDICTIONS, PAGE)


@dataclass(frozen=True)
class Evaluation:
    """What was found in the folder of an evaluation.

    Attributes:
        name: Short name, for tables.
        file: Its scores.csv.
        rows: All scores of the predictions.
        summary: Content of summary.json; empty where there is none.
    """

    name: str
    file: Path
    rows: tuple[Row, ...]
    summary: Mapping[str, Any]

    @property
    def cases(self) -> list[str]:
        """Ids of the cases, in the order of the file."""
        return list(dict.fromkeys(row.case for row in self.rows))

    def values(self) -> dict[tuple[str, str, str], float]:
        """Scores by case, region and metric."""
        return {(row.case, row.region, row.metric): row.value for row in self.rows}


def open_evaluation(path: Path) -> Evaluation:
    """The evaluation of a run folder, of an evaluation's folder, or a scores.csv by itself.

    Raises:
        DataError: There are no scores, or they cannot be read.
    """
    candidates = [Run(path).evaluation_folder() / SCORES, path / SCORES] if path.is_dir() else [path]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        hint = f" Run `brats-unet evaluate run={path}` first." if (path / "settings.json").is_file() else ""
        raise DataError(
            f"{path}: no scores there. Expected a run folder that was evaluated, the folder of an evaluation, or a "
            f"{SCORES}.{hint}"
        )
    name = path.resolve().name if path.is_dir() else file.resolve().parent.name
    summary: Any = {}
    if (file.parent / SUMMARY).is_file():
        try:
            summary = json.loads((file.parent / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise DataError(f"{file.parent / SUMMARY}: not readable as JSON ({problem}). Evaluate again.") from problem
    if not isinstance(summary, dict):
        raise DataError(f"{file.parent / SUMMARY}: holds no JSON object. Evaluate again.")
    return Evaluation(name, file, tuple(read_rows(file)), summary)


def require_whole(evaluation: Evaluation) -> None:
    """Raise DataError unless there is a summary, it has all its parts, and the rows are of as many cases as it says.

    Every case must have the same scores of the same regions, Dice and HD95 among them: all gaps are named.
    """
    folder, summary = evaluation.file.parent, evaluation.summary
    if not summary:
        raise DataError(f"{folder}: no {SUMMARY} beside the scores. Evaluate again.")
    problems = []
    if absent := [part for part in PARTS if part not in summary]:
        problems.append(f"{SUMMARY} lacks {', '.join(absent)}")
    elif len(evaluation.cases) != summary["cases"]:
        problems.append(f"{SCORES} is of {len(evaluation.cases)} cases, {SUMMARY} of {summary['cases']}")
    values = evaluation.values()
    needed = [(region.value, metric) for region in Region for metric in ("dice", "hd95")]
    kinds = dict.fromkeys([*needed, *((region, metric) for _, region, metric in values)])
    gaps = [f"{case} {' '.join(kind)}" for case in evaluation.cases for kind in kinds if (case, *kind) not in values]
    if gaps:
        problems.append(f"{SCORES} has no {some(gaps)}")
    if problems:
        raise DataError(f"{folder}: {'; '.join(problems)}. Evaluate again.")


def write_rows(path: Path, kind: type, rows: Sequence[Any]) -> None:
    """Dataclasses as CSV, one a line, under a heading of their fields."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(kind)])
        writer.writerows(astuple(row) for row in rows)


def read_rows(path: Path) -> list[Row]:
    """The rows of a scores.csv.

    Raises:
        DataError: Other columns, a value that is no number or out of its range, or one score twice: all are named.
    """
    wanted = [field.name for field in fields(Row)]
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path}: cannot be read ({problem}). Expected a {SCORES} of an evaluation.") from problem
    if not lines or any(name not in lines[0] for name in wanted):
        found = ", ".join(lines[0]) if lines else "nothing"
        raise DataError(f"{path}: columns {found}. Expected {', '.join(wanted)}, as `brats-unet evaluate` writes them.")
    rows, problems = [], []
    seen: set[tuple[str, str, str]] = set()
    for number, line in enumerate(lines, 2):
        key = (line["case"], line["region"], line["metric"])
        try:
            rows.append(Row(*key, float(line["value"]), line["unit"]))
            meaning = meaning_of(key[2])
            if meaning is not None and out_of_range(rows[-1].value, meaning):
                problems.append(f"line {number}: {' '.join(key)} is {line['value']}, not {meaning.range}")
        except (TypeError, ValueError):
            problems.append(f"line {number}: {line['value']!r} is no number")
        if key in seen:
            problems.append(f"line {number}: {' '.join(key)} is there twice")
        seen.add(key)
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise DataError(f"{path}: {'; '.join(problems[:10])}{more}. Evaluate again.")
    return rows


def described_files(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Where the masks and scans of an evaluation are, in plain types, by case."""
    return {
        pair.case_id: {
            "reference": str(pair.reference),
            "prediction": None if pair.prediction is None else str(pair.prediction),
            "reference_labels": pair.reference_convention.name,
            "prediction_labels": pair.prediction_convention.name,
            "images": {
                str(modality): {"path": str(file.path), "channel": file.channel}
                for modality, file in (pair.images or {}).items()
            },
        }
        for pair in pairs
    }


def pairs_of(evaluation: Evaluation) -> dict[str, Pair]:
    """The inverse of `described`, by case; empty for an evaluation whose summary does not say."""
    return {
        case_id: Pair(
            case_id,
            Path(facts["reference"]),
            None if facts["prediction"] is None else Path(facts["prediction"]),
            {Modality(name): ImageFile(Path(one["path"]), one["channel"]) for name, one in facts["images"].items()}
            or None,
            CONVENTIONS[facts["reference_labels"]],
            CONVENTIONS[facts["prediction_labels"]],
        )
        for case_id, facts in evaluation.summary.get("files", {}).items()
    }
