"""Content of the HTML report in plain types, from summary.json, scores.csv, and the run's journal and settings."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from brats_unet.binding import flat
from brats_unet.evaluation.record import Evaluation
from brats_unet.metrics.glossary import (
    HD95_MEANINGS,
    MEANINGS,
    NO_SPACING,
    RULES,
    SEED_MEANINGS,
    distance_of,
    meaning_of,
)
from brats_unet.metrics.metric import Metric
from brats_unet.metrics.protocols import SURFACE_DICE
from brats_unet.metrics.seed import ALL_BACKGROUND, CLAIM, HARD, PREDICTION, SOFT
from brats_unet.private_paths import short_command, short_values
from brats_unet.report.charts import dice_curves, loss_curve
from brats_unet.report.distribution_chart import distribution
from brats_unet.report.scheme_words import predictors
from brats_unet.report.tables import LINES, lines_of
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme

CHARTED = {
    "dice": ("Dice", "Dice, higher is better"),
    "hd95": ("HD95, mm", "HD95 in mm, lower is better"),
    "hd95_slice_px": ("HD95, px", "HD95 within axial slices in pixels, lower is better"),
}


def headline(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Rows of the score table: metric name and, by region, mean, interval, median, quartiles and trivial predictors."""
    summary, named = evaluation.summary, predictors(evaluation.scheme)
    rows = []
    for metric, name, factor, decimals, important in lines_of(_units(summary)):
        cells = []
        for region, facts in summary["regions"].items():
            found = facts["all_cases"].get(metric)
            if found is None:
                break
            ends = found.get("interval")
            cells.append(
                {
                    "mean": _number(found["mean"], factor, decimals),
                    "interval": _range(ends, factor, decimals) if ends else "",
                    "median": _number(found["median"], factor, decimals),
                    "quartiles": _range((found["q1"], found["q3"]), factor, decimals),
                    "n": found["n"],
                    "undefined": found["undefined"],
                    "trivial": {
                        named[predictor]: _number(regions[region][metric]["mean"], factor, decimals)
                        for predictor, regions in summary.get("trivial_predictors", {}).items()
                        if predictor in named and metric in regions[region]  # calibration has none
                    },
                }
            )
        else:
            rows.append({"name": name.strip(), "part": name != name.strip(), "important": important, "cells": cells})
    return rows


def charts(evaluation: Evaluation) -> list[dict[str, str]]:
    """Charts of the distributions of Dice and HD95, as far as they were scored: title and SVG."""
    drawn, scheme = [], evaluation.scheme
    named = predictors(scheme)
    trivial = evaluation.summary.get("trivial_predictors", {})
    for metric in charted(evaluation):
        _, title = CHARTED[metric]
        values: dict[str, list[tuple[str, float]]] = {region: [] for region in scheme.scored}
        for row in evaluation.rows:
            if row.metric == metric and math.isfinite(row.value):
                values[row.region].append((row.case, row.value))
        ticks = {
            region: [
                (named[predictor], regions[region][metric]["mean"])
                for predictor, regions in trivial.items()
                if predictor in named and regions[region][metric]["mean"] is not None
            ]
            for region in values
        }
        means = {
            region: (found["mean"], *found["interval"])
            for region, facts in evaluation.summary["regions"].items()
            if (found := facts["all_cases"][metric]).get("interval")
        }
        svg = distribution(
            title,
            values,
            scheme=scheme,
            distance="" if metric == "dice" else _units(evaluation.summary)[metric],
            trivial=ticks,
            means=means,
        )
        drawn.append({"title": title, "svg": svg})
    return drawn


def charted(evaluation: Evaluation) -> list[str]:
    """The metrics of the charts and of the case table that were scored."""
    units = _units(evaluation.summary)
    return [metric for metric in CHARTED if metric in units]


def curves(run: Run, scheme: Scheme) -> list[dict[str, str]]:
    """Charts of the loss and of the Dice of held-out cases and patches, if the journal has them: title and SVG.

    Names in the journal that are no regions of the scheme are ignored, as in `curves.training_curves`.
    """
    steps = {line["step"]: line["loss"] for line in run.journal("step") if line["loss"] is not None}
    validations: dict[str, list[tuple[int, float]]] = {}
    for line in run.journal("validation"):
        for region, dice in line["dice"].items():
            if region in scheme.regions:
                validations.setdefault(region, []).append((line["step"], dice))
    patches: dict[str, list[tuple[int, float]]] = {}
    for line in run.journal("patches"):
        for region, dice in line["dice"].items():
            if region in scheme.regions and dice is not None:  # the region was in no patch
                patches.setdefault(region, []).append((line["step"], dice))
    drawn = []
    if len(steps) > 1:
        drawn.append({"title": "Loss", "svg": loss_curve(steps)})
    if validations:
        title = "Mean Dice of the held-out cases" + (" (thin: Dice of held-out patches)" if patches else "")
        drawn.append({"title": title, "svg": dice_curves(validations, patches, scheme=scheme)})
    return drawn


def case_rows(evaluation: Evaluation, order: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the case table: Dice and HD95 of every case in every region, in the given order; NaN if undefined."""
    values, metrics = evaluation.values(), charted(evaluation)
    return [
        {
            "case": case,
            "cells": [
                (metric, values.get((case, region, metric), math.nan))
                for metric in metrics
                for region in evaluation.scheme.scored
            ],
        }
        for case in order
    ]


def seed(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Seed-notebook scores beside the notebook's claims and an all-background prediction; empty if not computed."""
    means = summary.get("seed", {}).get("means", {})
    if not means:
        return {}
    kinds = [kind for kind in (HARD, SOFT) if kind in means[PREDICTION]]
    columns = [means[who][kind] for kind in kinds for who in (PREDICTION, ALL_BACKGROUND)]
    rows = [
        (name, SEED_MEANINGS[name], CLAIM.get(name), [column[name] for column in columns])
        for name in means[PREDICTION][kinds[0]]
    ]
    return {"n": summary["seed"]["n"], "kinds": kinds, "rows": rows, "nothing": means[ALL_BACKGROUND][HARD]["accuracy"]}


def glossary(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every metric of the score table: names, definition, and range with unit and direction."""
    better = {"high": "; higher is better", "low": "; lower is better", "near 0": "; best near 0"}
    names: dict[Metric, list[str]] = {}
    of_packages = []
    for metric, name, *_ in lines_of(_units(summary)):
        meaning = meaning_of(metric)
        if meaning is None:
            facts = summary.get("package_metrics", {}).get(metric)
            if facts is None:  # evaluated by an older version
                of_packages.append((name.strip(), "A metric that an installed package adds and defines.", ""))
            else:
                of_package = f"{facts['definition']} From the package {facts['package']} {facts['version']}."
                of_packages.append((name.strip(), of_package, f"{facts['range']}{better.get(facts['better'], '')}"))
        else:
            names.setdefault(meaning, []).append(name.strip())
    used = summary["protocol"]["hd95_definition"]
    found = []
    for meaning, shown_names in names.items():
        definition = meaning.definition
        if meaning is MEANINGS["hd95"]:
            surface, percentile, _ = HD95_MEANINGS[used]
            definition += (
                f" Definition used here: “{used.replace('_', ' ')}” (surface: {surface}; percentile: {percentile})."
            )
        unit = f" {meaning.unit}" if meaning.unit in ("mm", "px") else ""  # volumes are shown in mL, as their names say
        shown = ", ".join(shown_names)
        found.append(
            (shown[0].upper() + shown[1:], definition, f"{meaning.range}{unit}{better.get(meaning.better, '')}")
        )
    return found + of_packages


def rules(summary: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Scores by the protocol if a region is absent: metric; absent from both masks, reference only, prediction only."""
    scored = set(summary["protocol"]["metrics"])
    if distance_of(_units(summary)) != "hd95":
        scored = {name for name in scored if not MEANINGS[name].needs_spacing}
    names = {metric: name.strip() for metric, name, *_ in LINES} | {SURFACE_DICE: "NSD"}
    found = []
    for field, metric in RULES.items():
        if metric in scored:
            rule = summary["protocol"][field]
            values = [rule[key] for key in ("both", "reference", "prediction")]
            found.append((names[metric], ["undefined" if value is None else f"{value:.9g}" for value in values]))
    return found


def no_spacing(summary: Mapping[str, Any]) -> str:
    """Why nothing is in mm, if the size of a voxel is unknown, else ""."""
    return "" if distance_of(_units(summary)) == "hd95" else NO_SPACING


def environment(run: Run | None) -> dict[str, Any]:
    """Environment of a training, without its command; empty if unknown."""
    return {} if run is None else {key: value for key, value in run.environment().items() if key != "command"}


def commands(evaluation: Evaluation, run: Run | None, command: Sequence[str]) -> list[str]:
    """Commands that trained, evaluated and wrote the report, as far as they were recorded."""
    typed = [] if run is None else [run.environment().get("command", [])]
    typed += [evaluation.summary.get("command", []), list(command)]
    return [f"brats-unet {shlex.join(short_command(words))}" for words in typed if words]


def typed_values(nested: Mapping[str, Any]) -> dict[str, str]:
    """Dotted keys and values, in the form of the command line, with the last component of private paths."""
    shown = short_values(nested)
    return {key: "null" if value is None else str(value) for key, value in flat(shown).items()}


def _units(summary: Mapping[str, Any]) -> dict[str, str]:
    return {name: one["unit"] for facts in summary["regions"].values() for name, one in facts["all_cases"].items()}


def _range(ends: Sequence[float | None], factor: float, decimals: int) -> str:
    return " – ".join(_number(end, factor, decimals) for end in ends)


def _number(value: float | None, factor: float, decimals: int) -> str:
    return "undefined" if value is None else f"{value * factor:.{decimals}f}".replace("-", "−")
