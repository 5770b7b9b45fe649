"""The command `brats-unet compare A B …`."""

import json

import pytest

from brats_unet.cli.main import main
from brats_unet.evaluation.record import write_rows
from brats_unet.evaluation.score import Row


@pytest.fixture
def runs(tmp_path):
    for name, shift in (("a", 0.0), ("b", 0.1)):
        folder = tmp_path / name / "evaluation"
        folder.mkdir(parents=True)
        rows = [
            Row(f"case{i}", "WT", m, 0.5 + shift + i / 50, u)
            for i in range(6)
            for m, u in (("dice", "1"), ("hd95", "mm"))
        ]
        write_rows(folder / "scores.csv", Row, rows)
        summary = {"protocol": {"name": "brats2020"}, "references": {f"case{i}": "h" for i in range(6)}}
        (folder / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def test_two_paths_are_enough(runs, capsys):
    assert main(["compare", str(runs / "a"), str(runs / "b")]) == 0
    assert "a → b · 6 cases" in capsys.readouterr().out


def test_runs_can_be_given_as_a_setting_and_json_prints_one_document(runs, capsys):
    assert main(["compare", f"runs=[{runs / 'a'},{runs / 'b'}]", "metrics=[dice]", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["names"] == ["a", "b"]
    assert [one["metric"] for one in document["differences"]] == ["dice"]


def test_output_names_the_file_to_write(runs, capsys):
    assert main(["compare", str(runs / "a"), str(runs / "b"), f"output={runs / 'c.json'}"]) == 0
    assert json.loads((runs / "c.json").read_text())["ranking"][0]["mean_rank"] == 1.5
    assert "Written to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a"], "give two evaluations or more"),
        (["a", "nowhere"], "nowhere: there is no such file or folder."),
        (["a", "."], "no scores found"),
        (["a", "b", "output=a"], "give the name of a JSON file"),
        (["a", "b", "metrics=[dise]"], "no metric named dise"),
        ([], "`brats-unet compare` needs runs=…"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(runs, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(runs)
    assert main(["compare", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_path_with_a_quote_and_a_space_is_one_path(runs, monkeypatch, capsys):
    (runs / "a").rename(runs / "it's a")
    monkeypatch.chdir(runs)
    assert main(["compare", "it's a", "b"]) == 0
    assert "it's a → b" in capsys.readouterr().out
