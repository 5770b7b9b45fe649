"""The commands as functions: the same settings, results as objects, and refusals as exceptions with the same words."""

import threading
from importlib.util import find_spec

import pytest

import brats_unet
from brats_unet import compare, evaluate, load, predict, train
from brats_unet.cli.main import main
from brats_unet.errors import BratsError, DataError, MachineError, SettingsError
from tests.end_to_end.test_pipeline import TINY


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="module")
def run(place, phantom_root):
    """A run of two steps, trained by settings of every kind."""
    data = {"root": phantom_root, "cache": place / "cache"}
    return train(*TINY, "name=mine", data=data, runs=place / "runs", steps=2, validation={"every": 0.5})


def test_train_returns_the_run_that_the_command_would_make(run, place):
    assert run.folder == place / "runs" / "mine" and run.facts.state == "done" and run.facts.step == 2
    settings = run.settings()
    assert settings["model"]["features"] == [4, 8] and settings["validation"]["every"] == 0.5
    table = run._repr_html_()
    assert "mine</b>: done, 2 steps" in table and "<th>WT</th>" in table


def test_a_second_training_in_another_thread_and_precision_runs_in_the_same_process(run, place, phantom_root):
    found = []

    def other():
        data = {"root": phantom_root, "cache": place / "cache"}
        told = {"name": "other", "data": data, "runs": place / "runs", "steps": 1}
        found.append(train(*TINY, **told, hardware={"precision": "float32"}))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found[0].facts.state == "done" and "float32" in (found[0].folder / "environment.json").read_text()


@pytest.fixture(scope="module")
def scores(run):
    return evaluate(run, figures=False, workers=1)


def test_evaluate_returns_the_scores_as_rows_and_means(scores, run):
    assert scores.folder == run.evaluation_folder() and (scores.folder / "scores.csv").is_file()
    assert {row.region for row in scores.rows} == {"WT", "TC", "ET"} and len(scores.evaluation.cases) == 2
    mean = scores.mean()
    values = [row.value for row in scores.rows if (row.region, row.metric) == ("WT", "dice")]
    assert mean["WT"] == pytest.approx(sum(values) / 2) and list(mean) == ["WT", "TC", "ET"]
    assert "<td>dice</td>" in scores._repr_html_()
    assert scores.evaluation.summary["note"].startswith("Synthetic cases (phantoms): these scores say nothing about")
    with pytest.raises(SettingsError, match="There is no metric dicee in these scores. Known: dice"):
        scores.mean("dicee")


def test_scores_of_two_folders_need_no_output(run, phantom_root, place, capsys):
    masks = predict(run, phantom_root, output=place / "masks")
    found = evaluate(place / "masks", phantom_root, figures=False, workers=1)
    assert found.folder is None and len(found.evaluation.cases) == len(masks) == 4
    assert [path.name.removesuffix(".nii.gz") for path in masks] == list(masks.cases) and not masks.failed
    assert capsys.readouterr().out


def test_compare_returns_the_comparison(run, scores, place):
    evaluate(run, output=place / "again", figures=False, workers=1, mirror="all")
    found = compare(run, place / "again", metrics=["dice"])
    assert found.names == ("mine", "again") and len(found.cases) == 2


def test_a_segmentation_is_shown_in_three_planes(run, phantom_root):
    case = phantom_root / "Phantom20_001"
    result = load(run)(case)
    picture = result.show(case / f"{case.name}_seg.nii.gz")
    assert picture._repr_png_()[:4] == b"\x89PNG" and len(picture.png) > 10_000
    assert "Phantom20_001</b>" in result._repr_html_() and "<td>WT</td>" in result._repr_html_()


REFUSED = [
    ("train", ["data.rot=/x"], {}),
    ("train", ["data.root=/nowhere"], {"steps": 0}),
    ("train", ["data.root=/nowhere", "experiment=quik"], {}),
    ("evaluate", ["/nowhere"], {}),
    ("evaluate", [], {}),
    ("predict", ["/nowhere", "/nowhere"], {"output": "x"}),
    ("compare", [], {"runs": ["a"]}),
]


@pytest.mark.parametrize(("name", "texts", "settings"), REFUSED)
def test_what_the_command_refuses_is_an_exception_with_the_same_words(
    name, texts, settings, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BratsError) as problem:
        getattr(brats_unet, name)(*texts, **settings)
    typed = [f"{key}={value}" for key, value in settings.items()]
    assert main([name, *texts, *typed]) == 2
    assert capsys.readouterr().err == f"error: {problem.value}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_scan_is_the_error_of_its_kind(tmp_path):
    (tmp_path / "scans").mkdir()
    with pytest.raises(DataError):
        train(*TINY, data={"root": tmp_path / "scans", "cache": tmp_path / "c"}, runs=tmp_path / "runs", steps=1)


def test_rows_become_a_table_of_pandas_or_the_pip_line(scores):
    if find_spec("pandas") is None:
        with pytest.raises(MachineError, match=r"to_pandas\(\) needs pandas, not installed here: pip install pandas\."):
            scores.to_pandas()
        return
    table = scores.to_pandas()
    assert list(table.columns) == ["case", "region", "metric", "value", "unit"] and len(table) == len(scores.rows)
