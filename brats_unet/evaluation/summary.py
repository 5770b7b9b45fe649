"""Summarise score rows: mean, median, quartiles and n by region and metric."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from brats_unet import __version__
from brats_unet.evaluation.bootstrap import METHOD
from brats_unet.evaluation.case_statistics import Statistics, statistics
from brats_unet.evaluation.score import Row, Scored
from brats_unet.evaluation.trivial import TrivialScored
from brats_unet.metrics.empty import is_undefined
from brats_unet.metrics.glossary import PREDICTION_SIZES, REFERENCE_SIZES
from brats_unet.metrics.protocols import Protocol, protocol_named
from brats_unet.metrics.seed import CLAIM, SeedRow
from brats_unet.schemes.scheme import Scheme


@dataclass(frozen=True)
class Summary:
    """Result of an evaluation over all cases.

    Attributes:
        title: What was evaluated.
        note: A caveat to read with the scores, or "".
        synthetic: Whether some cases are phantoms.
        scheme: What the masks show, and which regions are scored.
        protocol: Scoring protocol.
        cases: Case ids, in the order of scoring.
        missing: Cases without a prediction; an empty mask was scored, or by `Protocol.missing_fails` a miss.
        not_scored: Predictions without a reference.
        failed: Cases that could not be scored and are in no mean, each with the reason.
        regions: Statistics by region, then metric, over all cases.
        where_present: Statistics by region, then metric, over the cases whose reference has the region.
        units: Unit of each metric; "1" for a share.
        empty_references: By region, number of cases whose reference lacks it.
        empty_predictions: By region, number of cases whose prediction lacks it.
        seed: Mean seed-notebook scores by predictor, then masks ("hard", "soft"), then metric.
        seed_n: Number of cases in these means.
        seed_left_out: By case, why it has no seed-notebook scores.
        trivial: Statistics of the trivial predictors, by predictor, then region, then metric.
        trivial_n: By trivial predictor, number of cases that it was scored on.
        trivial_left_out: Why the mean shape was not scored, by case, or under "" for all cases.
        references: Hash of the reference of each case.
        trained_on: Cases that the network was trained on, each with what shows it.
    """

    title: str
    note: str
    synthetic: bool
    scheme: Scheme
    protocol: Protocol
    cases: tuple[str, ...]
    missing: tuple[str, ...]
    not_scored: tuple[str, ...]
    failed: Mapping[str, str]
    regions: Mapping[str, Mapping[str, Statistics]]
    where_present: Mapping[str, Mapping[str, Statistics]]
    units: Mapping[str, str]
    empty_references: Mapping[str, int]
    empty_predictions: Mapping[str, int]
    seed: Mapping[str, Mapping[str, Mapping[str, float]]]
    seed_n: int
    seed_left_out: Mapping[str, str]
    trivial: Mapping[str, Mapping[str, Mapping[str, Statistics]]]
    trivial_n: Mapping[str, int]
    trivial_left_out: Mapping[str, str]
    references: Mapping[str, str]
    trained_on: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The summary in plain types, the content of summary.json."""
        document: dict[str, Any] = {
            "title": self.title,
            "note": self.note,
            "synthetic": self.synthetic,
            "cases": len(self.cases),
            "missing_predictions_counted_as_empty": list(self.missing),
            "predictions_without_a_reference": list(self.not_scored),
            "cases_that_could_not_be_scored": dict(self.failed),
            "regions": {
                region: {
                    "empty_references": self.empty_references[region],
                    "empty_predictions": self.empty_predictions[region],
                    "all_cases": self._with_units(metrics),
                    "cases_with_the_region_in_the_reference": self._with_units(self.where_present[region]),
                }
                for region, metrics in self.regions.items()
            },
            "trivial_predictors": {
                "left_out": dict(self.trivial_left_out),
                **{
                    predictor: {
                        "n": self.trivial_n[predictor],
                        **{region: self._with_units(metrics) for region, metrics in regions.items()},
                    }
                    for predictor, regions in self.trivial.items()
                },
            },
            "interval": METHOD,
            "references": dict(self.references),
            "protocol": _plain(asdict(self.protocol)),
            "scheme": self.scheme.as_dict(),
            "versions": {
                "brats_unet": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("numpy", "scipy", "nibabel")},
            },
        }
        if self.trained_on:
            document["trained_on"] = dict(self.trained_on)
        if self.seed or self.seed_left_out:
            document["seed"] = {
                "read_this_first": "These scores average over pixels and four classes, background included. "
                "all_background is the score of a prediction without any tumour. See docs/METRICS.md.",
                "claim": CLAIM,
                "n": self.seed_n,
                "left_out": dict(self.seed_left_out),
                "means": self.seed,
            }
        return document

    def _with_units(self, metrics: Mapping[str, Statistics]) -> dict[str, dict[str, Any]]:
        return {name: {"unit": self.units[name], **asdict(found)} for name, found in metrics.items()}


def summarise(
    scored: Sequence[Scored],
    *,
    scheme: Scheme,
    protocol: str,
    title: str = "",
    note: str = "",
    synthetic: bool = False,
    missing: Sequence[str] = (),
    not_scored: Sequence[str] = (),
    failed: Mapping[str, str] | None = None,
    trivial: Sequence[TrivialScored] = (),
    trivial_left_out: str = "",
    trained_on: Mapping[str, str] | None = None,
) -> Summary:
    """Summarise the scores of all cases; ValueError if there is none.

    Args:
        scored: Scores of at least one case.
        scheme: What the masks show.
        protocol: Name of the protocol that the cases were scored by.
        title: What was evaluated.
        note: A caveat to read with the scores, or "".
        synthetic: Whether some cases are phantoms.
        missing: Cases without a prediction, for which an empty mask was scored.
        not_scored: Predictions without a reference.
        failed: Cases that could not be scored, each with the reason.
        trivial: Scores of the trivial predictors on the same cases.
        trivial_left_out: Why the mean shape was not scored on any case, or "".
        trained_on: Cases that the network was trained on, each with what shows it.
    """
    if not scored:
        raise ValueError("No case was scored. Expected the scores of at least one case.")
    rows = [row for case in scored for row in case.rows]
    absent = {(row.case, row.region) for row in rows if row.metric in REFERENCE_SIZES and row.value == 0}
    seed_rows = [row for case in scored for row in case.seed_rows]
    trivial_rows = [row for case in trivial for row in case.rows]
    predictors = list(dict.fromkeys(row.predictor for row in trivial_rows))
    by_predictor = {name: [row for row in trivial_rows if row.predictor == name] for name in predictors}
    left_out = {"": trivial_left_out} if trivial_left_out else {}
    return Summary(
        title=title,
        note=note,
        synthetic=synthetic,
        scheme=scheme,
        protocol=protocol_named(protocol),
        cases=tuple(case.case_id for case in scored),
        missing=tuple(missing),
        not_scored=tuple(not_scored),
        failed=dict(failed or {}),
        regions=_by_region(rows, scheme),
        where_present=_by_region([row for row in rows if (row.case, row.region) not in absent], scheme),
        units={row.metric: row.unit for row in rows},
        empty_references=_empty(rows, scheme, REFERENCE_SIZES),
        empty_predictions=_empty(rows, scheme, PREDICTION_SIZES),
        seed=_seed_means(seed_rows),
        seed_n=len({row.case for row in seed_rows}),
        seed_left_out={case.case_id: case.seed_left_out for case in scored if case.seed_left_out},
        trivial={name: _by_region(rows, scheme) for name, rows in by_predictor.items()},
        trivial_n={name: len({row.case for row in rows}) for name, rows in by_predictor.items()},
        trivial_left_out=left_out | {case.case_id: case.left_out for case in trivial if case.left_out},
        references={case.case_id: case.reference for case in trivial},
        trained_on=dict(trained_on or {}),
    )


def _by_region(rows: Sequence[Row], scheme: Scheme) -> dict[str, dict[str, Statistics]]:
    metrics = list(dict.fromkeys(row.metric for row in rows))
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row.region, row.metric), []).append(row.value)
    return {region: {name: statistics(values.get((region, name), [])) for name in metrics} for region in scheme.scored}


def _empty(rows: Sequence[Row], scheme: Scheme, sizes: Sequence[str]) -> dict[str, int]:
    absent = [row.region for row in rows if row.metric in sizes and row.value == 0]
    return {region: absent.count(region) for region in scheme.scored}


def _seed_means(rows: Sequence[SeedRow]) -> dict[str, dict[str, dict[str, float]]]:
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row.predictor, row.masks, row.metric), []).append(row.value)
    means: dict[str, dict[str, dict[str, float]]] = {}
    for (predictor, masks, metric), found in values.items():
        means.setdefault(predictor, {}).setdefault(masks, {})[metric] = float(np.mean(found))
    return means


def _plain(value: Any) -> Any:
    """Replace NaN (undefined) by None, since JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and is_undefined(value) else value
