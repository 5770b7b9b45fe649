"""Names from outside in all that is shown: terminal, tables, figures, page and CSV files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brats_unet.cli.main import main
from brats_unet.commands import phantom
from brats_unet.commands.display import open_display
from brats_unet.data.phantom.scan_grid import ScanGrid
from brats_unet.evaluation.record import open_evaluation, read_rows, write_rows
from brats_unet.evaluation.score import Row
from brats_unet.inference.volumes_csv import COLUMNS, read_volumes, write_volumes
from brats_unet.nifti import write_volume
from brats_unet.safe_text import csv_cell, csv_lines, text_of_csv_cell, visible
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Phantom
from brats_unet.volume import Volume

NAMES = ("[red]x", ":smile:", "x\x1b[31my", r"$\frac{$", "=1+2", "r\rz", "[b]y[")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb ü 脳", "a\nb ü 脳"),
        ("\x1b[31m\x07", r"\x1b[31m\x07"),
        ("\x7f\x9b\t\r", r"\x7f\x9b\x09\x0d"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\xff"),
    ],
)
def test_control_characters_are_written_out(text, shown):
    assert visible(text) == shown == visible(shown)


@given(st.text(st.sampled_from("a\n\x1b\x9b\u202e\udc80\ud800"), max_size=5))
def test_visible_text_is_printable_apart_from_newlines(text):
    shown = visible(text)
    assert shown.replace("\n", "").isprintable() and shown.count("\n") == text.count("\n")


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@a", "\t1", "\r1", "'=1"])
def test_a_formula_gets_a_quote(text):
    assert csv_cell(text) == f"'{text}" and text_of_csv_cell(csv_cell(text)) == text


@pytest.mark.parametrize("text", ["BraTS20_Training_001", "", "'a'", "1", "a=b"])
def test_other_text_is_written_as_before(text):
    assert csv_cell(text) == text == text_of_csv_cell(text)


@given(st.text(alphabet="'=+-@\t\rab", max_size=5))
def test_every_text_is_read_as_it_was_written(text):
    assert text_of_csv_cell(csv_cell(text)) == text


def test_scores_are_read_as_they_were_written_and_negative_numbers_stay_numbers(tmp_path):
    rows = [Row(name, "WT", "volume_difference", -0.5, "mm3") for name in NAMES]
    write_rows(tmp_path / "scores.csv", Row, rows)
    text = (tmp_path / "scores.csv").read_text()
    assert "\n'=1+2,WT,volume_difference,-0.5,mm3\n" in text and "\n[red]x,WT," in text
    assert read_rows(tmp_path / "scores.csv") == rows


def test_scores_of_an_earlier_version_are_read_as_they_are(tmp_path):
    (tmp_path / "scores.csv").write_text("case,region,metric,value,unit\n=1+2,WT,dice,0.5,1\n")
    assert read_rows(tmp_path / "scores.csv")[0].case == "=1+2"


def test_volumes_are_read_as_they_were_written(tmp_path):
    numbers = dict.fromkeys(COLUMNS, "0.5")
    rows = {name: [{**numbers, "case": name, "review": "-no tumour"}] for name in NAMES}
    write_volumes(tmp_path, rows)
    assert "\n'=1+2,0.5,0.5,0.5,0.5,0.5,'-no tumour\n" in (tmp_path / "volumes.csv").read_text()
    assert read_volumes(tmp_path) == rows


@pytest.mark.parametrize("name", [*NAMES, "a[/b]"])
def test_a_terminal_shows_names_as_text_also_in_progress_bars(name, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    with open_display(json=False) as display:
        display.progress(f"Predicting {name}", 1, 3)
        display.log(f"Written to {name}.")
    shown = capsys.readouterr().out
    assert f"Predicting {visible(name)}" in shown and f"Written to {visible(name)}." in shown
    assert "\x1b[31my" not in shown


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """Three folders of masks of the cases in `NAMES`, in folders that look like markup."""
    root = tmp_path_factory.mktemp("names") / "a[" / "b]"
    array = np.zeros((12, 12, 30), np.uint8)
    array[3:9, 3:9, 3:28], array[5:7, 5:7, 5:20] = 2, 4
    for folder in ("references", "[red]p", ":smile:"):
        (root / folder).mkdir(parents=True)
        for case in NAMES:
            write_volume(root / folder / f"{case}.nii.gz", Volume(array))
    return root


@pytest.fixture(scope="module")
def scores(masks):
    """Evaluations of the two predictions."""
    for name in ("[red]p", ":smile:"):
        given = [f"predictions={masks / name}", f"references={masks / 'references'}", f"output={masks / name}-scores"]
        assert (
            main(["evaluate", *given, "seed_scores=false", "workers=1", f"figures={str(name == '[red]p').lower()}"])
            == 0
        )
    return [masks / "[red]p-scores", masks / ":smile:-scores"]


def test_evaluate_scores_and_draws_cases_of_every_name(scores):
    assert open_evaluation(scores[0]).cases == sorted(NAMES)
    assert {path.stem for path in (scores[0] / "figures").iterdir()} == set(NAMES)


def test_compare_prints_names_as_text(scores, capsys):
    assert main(["compare", *map(str, scores)]) == 0
    shown = capsys.readouterr().out
    assert "[red]p-scores → :smile:-scores" in shown and "\x1b" not in shown
    assert shown.count("[red]p-scores") > 2 and shown.count(":smile:-scores") > 2  # in the ranking too


def test_fuse_prints_names_as_text(masks, capsys):
    inputs = json.dumps([str(masks / name) for name in ("[red]p", ":smile:", "references")])
    assert main(["fuse", f"inputs={inputs}", f"output={masks / 'fused'}", "method=majority"]) == 0
    shown = capsys.readouterr().out
    assert "[red]p" in shown and ":smile:" in shown and f"fused masks in {masks / 'fused'}" in shown


def test_report_writes_names_as_text(scores, capsys):
    assert main(["report", f"run={scores[0]}", "viewer=0", "pictures=1"]) == 0
    assert str(scores[0]) in capsys.readouterr().out.replace("\n", "")
    page = (scores[0] / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("[red]x", ":smile:", r"$\frac{$", "=1+2"))


def test_check_prints_names_as_text(masks, capsys):
    scan = np.zeros((12, 12, 30), np.float32)
    for name in NAMES:
        for modality in ("flair", "t1"):
            folder = masks / "scans" / name
            folder.mkdir(parents=True, exist_ok=True)
            write_volume(folder / f"{name}_{modality}.nii.gz", Volume(scan))
    assert main(["check", f"data.root={masks / 'scans'}"]) == 1
    shown = capsys.readouterr().out
    assert "[red]x" in shown and "\x1b" not in shown and str(masks / "scans") in shown


def test_phantom_prints_its_folder_as_text(capsys):
    folder = "a[/b]/:smile:\x1b[31m"
    phantom._print_result(
        Phantom(
            scheme=builtin().as_dict(),
            output=folder,
            cases=1,
            seed=0,
            grid=None,
            spacing_mm=None,
            workers=1,
            json=False,
        ),
        builtin(),
        ScanGrid((240, 240, 155), (1.0, 1.0, 1.0)),
        ["x"],
        0,
    )
    assert f"to {visible(folder)}, seed" in capsys.readouterr().out


def test_an_error_message_shows_escape_codes(tmp_path, capsys):
    assert main(["check", f"data.root={tmp_path}/x\x1b[31my"]) == 2
    told = capsys.readouterr().err
    assert r"x\x1b[31my" in told and "\x1b" not in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found the columns none, without a"),
        (b"b,c\n1,2\n", "found the columns b, c, without a"),
        (b"a,a\n1,2\n", "a column stands twice in a, a"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cells, the header 2"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells, the header 2"),
        (b"a\n\xe4\n", "cannot be read as CSV in UTF-8"),
        (b'a\n"x\n', "cannot be read as CSV in UTF-8"),
        (b"a\n" + b"x" * 200_000, "cannot be read as CSV in UTF-8"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(tmp_path, content, words):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        csv_lines(tmp_path / "a.csv", ["a"])


def test_lines_of_a_table_have_a_text_in_every_column(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n"1,5",\r\n\r\nx,y\r\n')
    assert csv_lines(tmp_path / "a.csv", ["b"], encoding="utf-8-sig") == [{"a": "1,5", "b": ""}, {"a": "x", "b": "y"}]
