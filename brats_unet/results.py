"""What the commands give as functions: a trained run, scores, and masks, which notebooks show as tables."""

import glob
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Row
from brats_unet.inference.exported import refuse_absent
from brats_unet.metrics.glossary import distance_of
from brats_unet.report.run_facts import RunFacts, facts_of
from brats_unet.run import Run


@dataclass(frozen=True)
class TrainedRun(Run):
    """A run folder, as `train` returns it; it can be given to every function and command that takes a run."""

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def facts(self) -> RunFacts:
        """State, steps, seconds, and Dice of the best and of the last validation."""
        return facts_of(self, self.name)

    def _repr_html_(self) -> str:
        facts = self.facts
        regions = list(facts.best)
        rows = [
            (which, [dice[region] for region in regions])
            for which, dice in (("best", facts.best), ("last", facts.final))
        ]
        head = f"<b>{html.escape(str(self.folder))}</b>: {facts.state}, {facts.step} steps, {facts.seconds:.0f} s"
        return head + (_html_table(["held-out Dice", *regions], rows) if regions else "")


@dataclass(frozen=True)
class Scores:
    """The scores of an evaluation.

    Attributes:
        folder: Folder of the evaluation; None if it was only printed.
        evaluation: Its rows and summary.
    """

    folder: Path | None
    evaluation: Evaluation

    @property
    def rows(self) -> tuple[Row, ...]:
        """One score each: case, region, metric, value and unit."""
        return self.evaluation.rows

    def mean(self, metric: str = "dice") -> dict[str, float]:
        """Mean of a metric over the cases in which it is defined, by region."""
        values: dict[str, list[float]] = {}
        for row in self.rows:
            if row.metric == metric and row.value == row.value:  # NaN is undefined
                values.setdefault(row.region, []).append(row.value)
        if not values:
            known = ", ".join(dict.fromkeys(row.metric for row in self.rows))
            raise SettingsError(f"There is no metric {metric} in these scores. Known: {known}.")
        return {region: sum(some) / len(some) for region, some in values.items()}

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame with the columns case, region, metric, value and unit.

        Raises:
            MachineError: pandas is not installed.
        """
        refuse_absent("pandas", wanted_by="to_pandas()")
        import pandas

        return pandas.DataFrame([vars(row) for row in self.rows])

    def _repr_html_(self) -> str:
        scored = {row.metric for row in self.rows}
        means = {metric: self.mean(metric) for metric in ("dice", distance_of(scored)) if metric in scored}
        regions = list(next(iter(means.values()), {}))
        rows = [(metric, [one.get(region, float("nan")) for region in regions]) for metric, one in means.items()]
        head = f"<b>{html.escape(self.evaluation.name)}</b>: {len(self.evaluation.cases)} cases, means"
        return head + _html_table(["", *regions], rows)


@dataclass(frozen=True)
class Masks:
    """The masks that `predict` wrote; iterating gives their paths.

    Attributes:
        folder: Folder of the masks.
        cases: Ids of the cases that have a mask.
        failed: Why a case has none, by case id.
        review: Why a case should be reviewed, by case id; one without a reason can still be wrong.
    """

    folder: Path
    cases: tuple[str, ...]
    failed: Mapping[str, str]
    review: Mapping[str, str]

    def __iter__(self) -> Iterator[Path]:
        for case in self.cases:
            yield min(self.folder.glob(f"{glob.escape(case)}.*"))

    def __len__(self) -> int:
        return len(self.cases)


def _html_table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    cells = "".join(f"<th>{html.escape(one)}</th>" for one in head)
    lines = [
        f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{value:.3f}</td>' for value in values)}</tr>"
        for name, values in rows
    ]
    return f"<table><tr>{cells}</tr>{''.join(lines)}</table>"
