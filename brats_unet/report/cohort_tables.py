"""Terminal tables of a cohort: its worst cases, and what they have in common beside the rest."""

import math

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from brats_unet.evaluation.cohort import Cohort
from brats_unet.report import cohort_words
from brats_unet.report.console import plain_table
from brats_unet.safe_text import visible

MOST_REGIONS = 3  # with a column each; of more regions only the mean Dice is shown


def print_cohort(console: Console, cohort: Cohort) -> None:
    """Print the worst cases and the comparison with the rest; nothing if there are too few cases for that."""
    if not cohort.worst:
        return
    regions = [one.region for one in cohort.worst[0].regions]
    table = plain_table(cohort_words.title(cohort))
    table.add_column("case", no_wrap=True, overflow="fold")
    for column in regions if len(regions) <= MOST_REGIONS else ["mean"]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(cohort.unit, justify="right", no_wrap=True)
    table.add_column("predicted", justify="right", no_wrap=True)
    table.add_column("")
    for case in cohort.worst:
        dice = [one.dice for one in case.regions] if len(regions) <= MOST_REGIONS else [case.dice]
        sizes = [cohort_words.amount(size, cohort.unit) for size in (case.largest.reference, case.largest.prediction)]
        shown = ["undefined" if math.isnan(one) else f"{one:.3f}" for one in dice]
        table.add_row(case.case, *shown, *sizes, "; ".join(cohort_words.notes(case)))
    console.print()
    console.print(table)
    console.print()
    table = plain_table(f"The worst {len(cohort.worst)} beside the other {len(cohort.rest)}")
    table.add_column("")
    table.add_column("worst", justify="right", no_wrap=True)
    table.add_column("rest", justify="right", no_wrap=True)
    about = "cases"
    for what, kind, worst, rest in cohort_words.rows(cohort):
        if kind != about:
            table.add_section()
            about = kind
        table.add_row(what, *(" ".join(words).strip() for words in (worst, rest)))
    console.print(table)
    for sentence in filter(None, (cohort_words.never(cohort), cohort_words.sentence(cohort))):
        console.print(Padding(Text(visible(sentence), style="dim"), (0, 2)))
