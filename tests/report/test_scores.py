"""Files and tables of an evaluation."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.score import Pair
from brats_unet.metrics import metrics_of
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.nifti import write_volume
from brats_unet.report.scores import report_scores
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume

BRATS2017 = conventions(builtin())["brats2017"]


@pytest.fixture
def pairs(tmp_path):
    found = []
    for index in range(2):
        array = np.zeros((24, 24, 32), np.uint8)
        array[4:16, 4:16, 4 : 26 - index], array[6:10, 6:10, 6:26] = 2, 4 * (1 - index)
        for name in ("reference", "prediction"):
            write_volume(tmp_path / f"{index}_{name}.nii.gz", Volume(array))
        found.append(
            Pair(
                f"case{index}",
                tmp_path / f"{index}_reference.nii.gz",
                tmp_path / f"{index}_prediction.nii.gz",
                None,
                BRATS2017,
                BRATS2017,
            )
        )
    return found


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_scores_summary_seed_scores_and_figures_are_written(pairs, tmp_path, capsys):
    output = tmp_path / "deep" / "out"
    summary = report_scores(pairs, output, title="perfect", note="Read this.", workers=1)
    rows = rows_of(output / "scores.csv")
    assert list(rows[0]) == ["case", "region", "metric", "value", "unit"]
    assert len(rows) == 2 * 3 * len(metrics_of(PROTOCOLS["brats2020"]))
    assert {float(row["value"]) for row in rows if row["metric"] == "dice"} == {1.0}
    seed = rows_of(output / "seed_scores.csv")
    assert {row["predictor"] for row in seed} == {"prediction", "all_background"}
    document = json.loads((output / "summary.json").read_text())
    assert document["figures"] == ["case0.png", "case1.png"]
    assert document["cases"] == 2
    assert sorted(path.name for path in (output / "figures").iterdir()) == ["case0.png", "case1.png"]
    assert summary.regions["WT"]["dice"].mean == 1.0
    shown = capsys.readouterr().out
    for words in ("perfect · 2 cases", "Dice", "HD95, mm", "not in reference", "no tumour found", "Read this."):
        assert words in shown


def test_80_columns_are_enough(pairs, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    report_scores(pairs, None)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_without_an_output_folder_nothing_is_written(pairs, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    report_scores(pairs, None)
    assert sorted(tmp_path.rglob("*")) == before
    assert "Dice" in capsys.readouterr().out


def test_json_prints_one_document_and_nothing_else(pairs, tmp_path, capsys):
    report_scores(pairs, tmp_path / "out", figures=False, json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["regions"]["WT"]["all_cases"]["dice"]["n"] == 2


def test_a_second_evaluation_replaces_all_files_of_the_first(pairs, tmp_path):
    output = tmp_path / "out"
    report_scores(pairs, output, workers=1)
    report_scores(pairs[:1], output, seed_scores=False)
    assert sorted(path.name for path in output.rglob("*")) == [
        "case0.png",
        "cases.csv",
        "figures",
        "scores.csv",
        "settings.json",
        "summary.json",
        "trivial_scores.csv",
    ]
    report_scores(pairs[:1], output, seed_scores=False, figures=False)
    left = ["cases.csv", "scores.csv", "settings.json", "summary.json", "trivial_scores.csv"]
    assert sorted(path.name for path in output.rglob("*")) == left


def test_other_files_in_figures_are_kept(pairs, tmp_path):
    output = tmp_path / "out"
    report_scores(pairs[:1], output)
    (output / "figures" / "mine.png").write_bytes(b"mine")
    report_scores(pairs[:1], output, figures=False)
    assert [path.name for path in (output / "figures").iterdir()] == ["mine.png"]


def test_the_settings_of_a_training_are_refused_and_kept(pairs, tmp_path):
    output = tmp_path / "run"
    output.mkdir()
    (output / "settings.json").write_text('{"data": {"root": "/scans"}}')
    with pytest.raises(SettingsError, match=r"holds other files \(settings\.json\)"):
        report_scores(pairs, output, workers=1)
    assert (output / "settings.json").read_text() == '{"data": {"root": "/scans"}}'


def test_a_folder_with_other_files_is_refused_and_left_unchanged(pairs, tmp_path):
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter1.tex").write_text("…")
    with pytest.raises(SettingsError, match=r"holds other files \(chapter1\.tex\)"):
        report_scores(pairs, output, workers=1)
    assert [path.name for path in output.iterdir()] == ["chapter1.tex"]


def test_a_file_as_output_is_refused(pairs, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(SettingsError, match="is a file"):
        report_scores(pairs, tmp_path / "out")


def test_nothing_is_written_if_a_mask_is_broken(pairs, tmp_path):
    pairs[1].prediction.write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read"):
        report_scores(pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_prediction_is_scored_as_empty_and_named(pairs, tmp_path, capsys):
    summary = report_scores([replace(pairs[0], prediction=None), pairs[1]], None, seed_scores=False)
    assert summary.missing == ("case0",)
    assert summary.regions["WT"]["dice"].mean == 0.5
    assert "Missing predictions, scored as empty masks: case0" in capsys.readouterr().out


def test_volumes_with_too_few_slices_for_the_seed_scores_are_named(pairs, tmp_path, capsys):
    low = np.zeros((8, 8, 8), np.uint8)
    low[2:4] = 2
    for path in (pairs[0].reference, pairs[0].prediction):
        write_volume(path, Volume(low))
    summary = report_scores(pairs[:1], tmp_path / "out")
    assert summary.seed_left_out == {"case0": "8 axial slices; the seed's begin at 22"}
    assert not (tmp_path / "out" / "seed_scores.csv").exists()
    assert "8 axial slices" in capsys.readouterr().out


def test_trivial_predictors_have_a_file_and_table_rows_of_their_own(pairs, tmp_path, capsys):
    summary = report_scores(pairs, tmp_path / "out", figures=False, shapes_left_out="No training cases.")
    assert {row["predictor"] for row in rows_of(tmp_path / "out" / "trivial_scores.csv")} == {"all_background"}
    assert "predictor" not in rows_of(tmp_path / "out" / "scores.csv")[0]
    assert summary.trivial["all_background"]["WT"]["dice"].mean == 0.0
    assert summary.trivial["all_background"]["ET"]["dice"].mean == 0.5  # one reference has no ET
    shown = " ".join(capsys.readouterr().out.split())
    assert "no tumour found" in shown
    assert "The mean shape of the training cases was not scored: No training cases." in shown


def test_equal_references_have_equal_hashes_and_different_ones_differ(pairs, tmp_path):
    one = report_scores(pairs, None).references
    two = report_scores([replace(pairs[0], reference=pairs[1].reference), pairs[1]], None).references
    assert one["case1"] == two["case1"]
    assert one["case0"] != two["case0"] == two["case1"]


def test_fewer_than_five_cases_have_no_interval_and_a_sentence_explains_it(pairs, capsys):
    report_scores(pairs, None)
    shown = capsys.readouterr().out
    assert "Fewer than 5 cases, so there is no confidence interval." in shown
    assert "95 % interval" not in shown


@pytest.mark.parametrize(
    ("name", "columns", "tables"),
    [
        ("glioma", 80, 1),
        ("lesion", 80, 1),
        ("lesion", 40, 1),
        ("five", 80, 2),
        ("glioma_post", 80, 2),
        ("eight", 80, 2),
        ("eight", 60, 4),
        ("eight", 120, 2),
    ],
)
def test_regions_that_do_not_fit_side_by_side_are_in_tables_of_their_own(
    schemes, tmp_path, monkeypatch, capsys, name, columns, tables
):
    scheme = schemes[name]
    convention = conventions(scheme)[next(iter(scheme.integers))]
    array = np.zeros((16, 12, 12), np.uint8)
    for index, label in enumerate(scheme.classes):
        array[1 + index, 2:9, 2:9] = scheme.labels[label].value
    write_volume(tmp_path / "a.nii.gz", Volume(convention.encode(array)))
    monkeypatch.setenv("COLUMNS", str(columns))
    pair = Pair("a", tmp_path / "a.nii.gz", tmp_path / "a.nii.gz", None, convention, convention)
    report_scores([pair], None, seed_scores=False, workers=1)
    shown = capsys.readouterr().out
    assert shown.count("mean ± SD") == tables
    assert "…" not in shown and max(map(len, shown.splitlines())) <= columns
    heads = " ".join(line for line in shown.splitlines() if "mean ± SD" in line).replace("mean ± SD", " ").split()
    assert heads == list(scheme.scored)
