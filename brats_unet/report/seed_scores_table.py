"""Terminal table of the seed-notebook scores."""

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from brats_unet.evaluation.summary import Summary
from brats_unet.metrics.seed import ALL_BACKGROUND, CLAIM, HARD, PREDICTION, SOFT
from brats_unet.report.console import plain_table


def seed_table(summary: Summary) -> Group:
    """Table of the seed-notebook scores beside the notebook's claims and an all-background prediction, and a caveat."""
    table = plain_table(f"Scores of the seed notebook · slices 22-121 at 128×128 · n = {summary.seed_n}")
    kinds = [kind for kind in (HARD, SOFT) if kind in summary.seed[PREDICTION]]
    table.add_column("mean over cases", no_wrap=True)
    table.add_column("notebook", justify="right")
    for kind in kinds:
        soft = ", soft" if kind == SOFT else ""
        table.add_column(f"this prediction{soft}", justify="right")
        table.add_column(f"no tumour found{soft}", justify="right", style="yellow")
    for metric in summary.seed[PREDICTION][kinds[0]]:
        values = [summary.seed[who][kind][metric] for kind in kinds for who in (PREDICTION, ALL_BACKGROUND)]
        claim = CLAIM.get(metric)
        table.add_row(metric, "" if claim is None else f"{claim:g}", *[f"{value:.4f}" for value in values])
    table.add_section()
    table.add_row("Dice, formula unknown", f"{CLAIM['dice']:g}", *["" for _ in range(2 * len(kinds))])
    dice = ", ".join(
        f"{region} {metrics['dice'].mean:.3f}"
        for region, metrics in summary.regions.items()
        if metrics["dice"].mean is not None
    )
    nothing = summary.seed[ALL_BACKGROUND][kinds[0]]["accuracy"]
    meaning = (
        "These scores average over pixels and four classes, background included: a prediction without any tumour has "
        f"an accuracy of {nothing:.4f}. How well the tumours were segmented is shown by the Dice of the regions: "
        f"{dice}."
    )
    return Group(table, Padding(Text(meaning, style="dim"), (0, 2)))
