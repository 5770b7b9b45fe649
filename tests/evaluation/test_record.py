"""Writing and reading the files of an evaluation."""

import json
from dataclasses import replace

import pytest

from brats_unet.errors import DataError
from brats_unet.evaluation.record import (
    open_evaluation,
    read_rows,
    require_whole,
    write_rows,
)
from brats_unet.evaluation.score import Row
from brats_unet.schemes.scheme_file import builtin

ROWS = [Row("a", "WT", "dice", 0.9, "1"), Row("a", "WT", "hd95", float("nan"), "mm")]


def test_written_rows_are_read_back_unchanged(tmp_path):
    write_rows(tmp_path / "scores.csv", Row, ROWS)
    found = read_rows(tmp_path / "scores.csv")
    assert found[0] == ROWS[0]
    assert found[1].value != found[1].value  # NaN: undefined


def test_duplicate_scores_and_values_that_are_not_numbers_are_named_with_their_line(tmp_path):
    write_rows(tmp_path / "scores.csv", Row, [ROWS[0], ROWS[0]])
    with open(tmp_path / "scores.csv", "a") as file:
        file.write("a,WT,f1,good,1\n")
    with pytest.raises(DataError, match="line 3: a WT dice occurs twice; line 4: 'good' is not a number"):
        read_rows(tmp_path / "scores.csv")


def test_scores_out_of_range_are_named(tmp_path):
    wrong = [Row("a", "WT", "dice", 1.7, "1"), Row("a", "WT", "hd95", -1.0, "mm"), Row("b", "WT", "pears", -1.0, "1")]
    write_rows(tmp_path / "scores.csv", Row, wrong)
    message = "line 2: a WT dice is 1.7, expected 0 to 1; line 3: a WT hd95 is -1.0, expected ≥ 0. Evaluate again"
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "scores.csv")


NEEDED = ("dice", "hd95", "volume_reference", "volume_prediction")


def summary_of(rows):
    """A summary of one case that has all parts."""
    found = {"unit": "1", "n": 1, "undefined": 0, "mean": 0.9, "median": 0.9, "q1": 0.9, "q3": 0.9}
    regions = {row.region: {"all_cases": {}, "empty_references": 0, "empty_predictions": 0} for row in rows}
    for row in rows:
        regions[row.region]["all_cases"][row.metric] = found
    parts = {"title": "t", "cases": 1, "regions": regions, "trivial_predictors": {"left_out": {}}}
    interval = {"level": 0.95, "method": "BCa", "draws": 9, "seed": 0, "least_cases": 5}
    protocol = {"name": "p", "hd95_definition": "pooled", "source": "s", "metrics": []}
    return parts | {"interval": interval, "protocol": protocol, "versions": {}}


def test_a_summary_that_lacks_a_region_or_a_rule_is_refused(tmp_path):
    metrics = ("dice", "hd95", "volume_reference", "volume_prediction")
    rows = [Row("a", region, metric, 0.9, "1") for region in ("WT", "TC", "ET") for metric in metrics]
    write_rows(tmp_path / "scores.csv", Row, rows)
    summary = summary_of(rows)
    del summary["regions"]["TC"], summary["regions"]["ET"]["all_cases"]["hd95"]
    summary["protocol"] = {"name": "p", "metrics": ["dice"], "hd95_definition": "other"}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    message = r"lacks regions.TC dice, .*, regions.ET hd95.*Evaluate again"
    with pytest.raises(DataError, match=message):
        require_whole(open_evaluation(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["interval"].pop("level"), "summary.json lacks interval.level"),
        (lambda s: s["protocol"].pop("source"), "summary.json lacks protocol.source"),
        (lambda s: s["regions"]["TC"].pop("empty_references"), "summary.json lacks regions.TC.empty_references"),
        (lambda s: s["trivial_predictors"].pop("left_out"), "summary.json lacks trivial_predictors.left_out"),
        (
            lambda s: s["regions"]["WT"]["all_cases"]["hd95"].update(q1=-2.0),
            "summary.json: regions.WT hd95 q1 is -2.0, expected ≥ 0",
        ),
        (
            lambda s: s["trivial_predictors"].update(nothing=nothing(1.5)),
            "summary.json: nothing.WT dice mean is 1.5, expected 0 to 1",
        ),
    ],
)
def test_a_summary_that_lacks_a_part_or_holds_an_impossible_score_is_refused(tmp_path, change, message):
    rows = [Row("a", region, metric, 0.9, "1") for region in ("WT", "TC", "ET") for metric in NEEDED]
    write_rows(tmp_path / "scores.csv", Row, rows)
    summary = json.loads(json.dumps(summary_of(rows)))
    change(summary)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match=message):
        require_whole(open_evaluation(tmp_path))


def nothing(dice):
    """Scores of a trivial predictor."""
    facts = {"unit": "1", "n": 1, "undefined": 0, "mean": 0.0, "median": 0.0, "q1": 0.0, "q3": 0.0}
    return {"WT": {"dice": facts | {"mean": dice}, "hd95": facts}}


def test_missing_scores_and_a_summary_that_does_not_match_are_refused(tmp_path):
    def found(rows, summary):
        write_rows(tmp_path / "scores.csv", Row, rows)
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        return open_evaluation(tmp_path)

    metrics = ("dice", "hd95", "volume_reference", "volume_prediction", "iou")
    whole = [Row("a", region, metric, 0.9, "1") for region in ("WT", "TC", "ET") for metric in metrics]
    summary = summary_of(whole)
    require_whole(found(whole, summary))
    in_pixels = [
        replace(row, metric=row.metric.replace("hd95", "hd95_slice_px").replace("volume", "voxels")) for row in whole
    ]
    require_whole(found(in_pixels, summary_of(in_pixels)))
    two = [*whole, *(replace(row, case="b") for row in whole[:-1])]
    message = r"number of cases: 2 in scores.csv, 1 in summary.json; scores.csv lacks b ET iou\. Evaluate again"
    with pytest.raises(DataError, match=message):
        require_whole(found(two, summary))
    with pytest.raises(DataError, match=r"scores.csv lacks a WT volume_reference, a WT volume_prediction, a TC dice"):
        require_whole(found(ROWS, summary))
    with pytest.raises(DataError, match="summary.json lacks cases, regions"):
        require_whole(found(ROWS, {"title": ""}))
    with pytest.raises(DataError, match=r"no summary.json beside scores.csv"):
        require_whole(found(ROWS, {}))


def test_a_table_with_other_columns_is_refused(tmp_path):
    (tmp_path / "scores.csv").write_text("id,dice\na,0.9\n")
    with pytest.raises(
        DataError,
        match="found the columns id, dice, without case, region, metric, value, unit. Expected the scores.csv",
    ):
        read_rows(tmp_path / "scores.csv")


def test_a_run_an_evaluation_folder_and_a_file_give_the_same_scores(tmp_path):
    run = tmp_path / "runs" / "mine"
    (run / "evaluation").mkdir(parents=True)
    write_rows(run / "evaluation" / "scores.csv", Row, ROWS[:1])
    (run / "evaluation" / "summary.json").write_text(json.dumps({"title": "t"}))
    found = [open_evaluation(path) for path in (run, run / "evaluation", run / "evaluation" / "scores.csv")]
    assert [one.rows for one in found] == [tuple(ROWS[:1])] * 3
    assert [one.name for one in found] == ["mine", "evaluation", "evaluation"]
    assert found[0].summary == {"title": "t"}


def test_the_message_for_a_run_without_an_evaluation_gives_the_command(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(DataError, match="no scores found.*Run `brats-unet evaluate run="):
        open_evaluation(tmp_path)


def test_an_evaluation_from_before_there_were_schemes_is_of_glioma_and_others_say_theirs(tmp_path):
    write_rows(tmp_path / "scores.csv", Row, ROWS)
    assert open_evaluation(tmp_path).scheme == builtin()
    (tmp_path / "summary.json").write_text(json.dumps({"scheme": builtin("lesion").as_dict()}))
    assert open_evaluation(tmp_path).scheme == builtin("lesion")


def test_a_whole_evaluation_has_the_scored_regions_of_its_scheme(tmp_path):
    names = ("dice", "hd95", "volume_reference", "volume_prediction")
    rows = [Row("a", "lesion", name, 0.9, "1") for name in names]
    summary = summary_of(rows) | {"scheme": builtin("lesion").as_dict()}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    write_rows(tmp_path / "scores.csv", Row, rows)
    require_whole(open_evaluation(tmp_path))
    write_rows(tmp_path / "scores.csv", Row, [Row("a", "WT", name, 0.9, "1") for name in names])
    with pytest.raises(DataError, match=r"scores.csv lacks a lesion dice, a lesion hd95, a lesion volume_reference"):
        require_whole(open_evaluation(tmp_path))
