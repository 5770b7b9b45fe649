"""What an evaluation leaves, read again."""

import json

import pytest

from brats_unet.anatomy import Modality
from brats_unet.data.label_convention import CONVENTIONS
from brats_unet.errors import DataError
from brats_unet.evaluation.record import described, open_evaluation, pairs_of, read_rows, write_rows
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
    (tmp_path / "summary.json").write_text(json.dumps({"files": described([pair])}))
    assert pairs_of(open_evaluation(tmp_path)) == {"a": pair}
