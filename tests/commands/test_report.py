"""The command `brats-unet report run=…`."""

import json
import shutil
from typing import get_args, get_type_hints

import pytest

from brats_unet.cli.main import main
from brats_unet.evaluation.record import write_rows
from brats_unet.evaluation.score import Row, Scored
from brats_unet.evaluation.summary import summarise
from brats_unet.json_files import write_json
from brats_unet.report.paper import COLUMNS
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Report


@pytest.fixture
def folder(tmp_path):
    """The folder of an evaluation whose masks were deleted."""
    rows = [
        Row("a", region, metric, value, unit)
        for region in ("WT", "TC", "ET")
        for metric, value, unit in (
            ("dice", 0.5, "1"),
            ("hd95", float("nan"), "mm"),
            ("volume_reference", 1.0, "mm3"),
            ("volume_prediction", 1.0, "mm3"),
        )
    ]
    write_rows(tmp_path / "scores.csv", Row, rows)
    write_json(
        tmp_path / "summary.json", summarise([Scored("a", rows, [])], scheme=builtin(), protocol="brats2020").as_json()
    )
    return tmp_path


def test_an_evaluation_of_an_earlier_version_has_a_page(folder):
    summary = json.loads((folder / "summary.json").read_text())
    del summary["cases_that_could_not_be_scored"], summary["protocol"]["missing_fails"]
    write_json(folder / "summary.json", summary | {"missing_predictions_counted_as_empty": ["a"]})
    assert main(["report", f"run={folder}", "--json"]) == 0
    assert "Missing predictions, scored as empty masks: a." in (folder / "report.html").read_text()


def test_the_page_is_written_to_the_folder_and_json_describes_it(folder, capsys):
    assert main(["report", f"run={folder}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bytes"] == (folder / "report.html").stat().st_size
    assert document["cases_to_scroll"] == []
    assert any("does not record the path" in sentence for sentence in document["left_out"])


def test_each_refusal_is_one_sentence(folder, capsys):
    assert main(["report", f"run={folder / 'nowhere'}"]) == 2
    assert main(["report", f"run={folder}", "output=page.pdf"]) == 2
    (folder / "summary.json").unlink()
    assert main(["report", f"run={folder}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "no scores found" in said[0]
    assert "give the name of an HTML file" in said[1]
    assert "Evaluate again" in said[2]


def test_figures_for_a_paper_stand_beside_the_pngs_and_go_with_the_next_evaluation(tmp_path, phantom_root, capsys):
    predictions, references = tmp_path / "predictions", tmp_path / "references"
    predictions.mkdir()
    masks = sorted(phantom_root.glob("*/*seg.nii.gz"))[:2]
    for mask in masks:
        shutil.copy(mask, predictions / f"{mask.parent.name}.nii.gz")
    shutil.copytree(predictions, references)
    out = tmp_path / "out"
    evaluate = ["evaluate", f"predictions={predictions}", f"references={references}", f"output={out}", "--json"]
    assert main([*evaluate, "figures=false"]) == 0
    capsys.readouterr()
    assert main(["report", f"run={out}", "viewer=0", "pictures=0", "paper=single", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures_for_a_paper"] == []  # only of the cases that the page shows
    case = masks[0].parent.name
    assert main(["report", f"run={out}", "pictures=0", f"cases=[{case}]", "paper=single", "--json"]) == 0
    written = [str(out / "figures" / f"{case}{suffix}") for suffix in (".pdf", ".svg")]
    assert json.loads(capsys.readouterr().out)["figures_for_a_paper"] == written
    assert sorted(map(str, (out / "figures").iterdir())) == written
    assert f"{case} (synthetic)" in (out / "figures" / f"{case}.svg").read_text()
    assert main([*evaluate, "figures=false"]) == 0
    assert not (out / "figures").exists()


def test_the_widths_of_the_setting_are_those_of_the_figures():
    assert get_args(get_type_hints(Report)["paper"]) == ("none", *COLUMNS)
