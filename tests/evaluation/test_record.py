"""What an evaluation leaves, read again."""

import json
from dataclasses import replace

import pytest

from brats_unet.anatomy import Modality
from brats_unet.data.labels.convention import CONVENTIONS
from brats_unet.errors import DataError
from brats_unet.evaluation.record import (
    PARTS,
    described_files,
    open_evaluation,
    pairs_of,
    read_rows,
    require_whole,
    write_rows,
)
from brats_unet.evaluation.score import Pair, Row
from brats_unet.volume import ImageFile

ROWS = [Row("a", "WT", "dice", 0.9, "1"), Row("a", "WT", "hd95", float("nan"), "mm")]


def test_rows_are_read_as_they_were_written(tmp_path):
    write_rows(tmp_path / "scores.csv", Row, ROWS)
    found = read_rows(tmp_path / "scores.csv")
    assert found[0] == ROWS[0]
    assert found[1].value != found[1].value  # NaN: undefined


def test_a_score_that_is_there_twice_or_no_number_is_named_with_its_line(tmp_path):
    write_rows(tmp_path / "scores.csv", Row, [ROWS[0], ROWS[0]])
    with open(tmp_path / "scores.csv", "a") as file:
        file.write("a,WT,f1,good,1\n")
    with pytest.raises(DataError, match="line 3: a WT dice is there twice; line 4: 'good' is no number"):
        read_rows(tmp_path / "scores.csv")


def test_a_score_that_it_cannot_be_is_named(tmp_path):
    wrong = [Row("a", "WT", "dice", 1.7, "1"), Row("a", "WT", "hd95", -1.0, "mm"), Row("b", "WT", "pears", -1.0, "1")]
    write_rows(tmp_path / "scores.csv", Row, wrong)
    with pytest.raises(DataError, match="line 2: a WT dice is 1.7, not 0 to 1; line 3: a WT hd95 is -1.0, not ≥ 0. E"):
        read_rows(tmp_path / "scores.csv")


def test_a_table_with_a_gap_or_a_summary_of_something_else_is_refused_all_at_once(tmp_path):
    def found(rows, summary):
        write_rows(tmp_path / "scores.csv", Row, rows)
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        return open_evaluation(tmp_path)

    summary = dict.fromkeys(PARTS, 1)
    whole = [Row("a", region, metric, 0.9, "1") for region in ("WT", "TC", "ET") for metric in ("dice", "hd95", "iou")]
    require_whole(found(whole, summary))
    two = [*whole, *(replace(row, case="b") for row in whole[:-1])]
    with pytest.raises(DataError, match=r"scores.csv is of 2 cases, summary.json of 1; scores.csv has no b ET iou\. E"):
        require_whole(found(two, summary))
    with pytest.raises(DataError, match=r"has no a TC dice, a TC hd95, a ET dice, a ET hd95\."):
        require_whole(found(ROWS, summary))
    with pytest.raises(DataError, match="summary.json lacks cases, regions"):
        require_whole(found(ROWS, {"title": ""}))
    with pytest.raises(DataError, match="no summary.json beside the scores"):
        require_whole(found(ROWS, {}))


def test_a_table_of_other_columns_is_refused(tmp_path):
    (tmp_path / "scores.csv").write_text("id,dice\na,0.9\n")
    with pytest.raises(DataError, match="columns id, dice. Expected case, region, metric, value, unit"):
        read_rows(tmp_path / "scores.csv")


def test_a_run_a_folder_and_a_file_lead_to_the_same_scores(tmp_path):
    run = tmp_path / "runs" / "mine"
    (run / "evaluation").mkdir(parents=True)
    write_rows(run / "evaluation" / "scores.csv", Row, ROWS[:1])
    (run / "evaluation" / "summary.json").write_text(json.dumps({"title": "t"}))
    found = [open_evaluation(path) for path in (run, run / "evaluation", run / "evaluation" / "scores.csv")]
    assert [one.rows for one in found] == [tuple(ROWS[:1])] * 3
    assert [one.name for one in found] == ["mine", "evaluation", "evaluation"]
    assert found[0].summary == {"title": "t"}


def test_a_run_that_was_not_evaluated_is_told_how(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(DataError, match="no scores there.*Run `brats-unet evaluate run="):
        open_evaluation(tmp_path)


def test_where_the_masks_are_comes_back(tmp_path):
    convention = CONVENTIONS["brats2017"]
    pair = Pair("a", tmp_path / "r", None, {Modality.T1: ImageFile(tmp_path / "s", 2)}, convention, convention)
    write_rows(tmp_path / "scores.csv", Row, ROWS)
    (tmp_path / "summary.json").write_text(json.dumps({"files": described_files([pair])}))
    assert pairs_of(open_evaluation(tmp_path)) == {"a": pair}
