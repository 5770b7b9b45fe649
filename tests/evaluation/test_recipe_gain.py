"""scripts/recipe_gain.py: variants, kept scores, and the paired table with its two-way bootstrap."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.run import Run
from tests.whole_recipe import RECIPE

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(SCRIPTS)
    import gain_scores
    import gain_table
    import recipe_gain

RANDOM = np.random.default_rng(4)
GRID = RANDOM.normal(0.02, 0.05, (5, 1)) + RANDOM.normal(0, 0.02, (1, 3)) + RANDOM.normal(0, 0.03, (5, 3))


# The interval


def every_draw(values):
    """Means of all equally likely draws: one case and one seed fewer than there are, with replacement."""
    cases, seeds = values.shape
    return [
        np.mean([values[c, s] for c in of_cases for s in of_seeds])
        for of_cases in itertools.product(range(cases), repeat=cases - 1)
        for of_seeds in itertools.product(range(seeds), repeat=seeds - 1)
    ]


def shares_outside(draws, interval):
    """Shares of the draws below and above an interval; 9,999 random draws leave 0.025 +- 0.005 on either side."""
    low, high = interval
    return np.mean(np.array(draws) < low), np.mean(np.array(draws) > high)


def test_the_interval_leaves_2_5_percent_of_all_possible_draws_on_either_side():
    assert shares_outside(every_draw(GRID), gain_table.two_way_interval(GRID)) == pytest.approx((0.025,) * 2, abs=0.005)


def test_the_interval_counts_seeds_even_if_all_cases_agree():
    values = np.tile([0.1, 0.2, 0.6], (6, 1))  # 2 of 3 seeds are drawn: twice the lowest in 1 of 9 draws
    assert gain_table.two_way_interval(values) == pytest.approx((0.1, 0.6))


def test_the_interval_counts_cases_even_if_all_seeds_agree():
    values = np.tile(RANDOM.normal(size=(5, 1)), 3)
    draws = [np.mean(draw) for draw in itertools.product(values[:, 0], repeat=4)]
    assert shares_outside(draws, gain_table.two_way_interval(values)) == pytest.approx((0.025,) * 2, abs=0.005)


def test_of_one_factor_the_draws_have_the_unbiased_variance_of_the_mean():
    values = np.array([[0.1, 0.2, 0.6]])
    assert np.var([np.mean(d) for d in itertools.product(values[0], repeat=2)]) == pytest.approx(values.var(ddof=1) / 3)


def test_cases_and_seeds_are_drawn_independently_where_there_are_as_many_of_each():
    values = np.diag(np.ones(5))  # with the same draws for both, no average would be 0
    assert gain_table.two_way_interval(values)[0] == 0


def test_the_interval_shifts_and_scales_with_the_values():
    low, high = gain_table.two_way_interval(GRID)
    assert gain_table.two_way_interval(2 * GRID + 1) == pytest.approx((2 * low + 1, 2 * high + 1))


def test_about_95_percent_of_the_intervals_of_simulated_runs_contain_the_mean():
    random = np.random.default_rng(5)
    ends = [
        gain_table.two_way_interval(
            random.normal(size=(8, 1)) + 0.3 * random.normal(size=(1, 3)) + random.normal(size=(8, 3))
        )
        for _ in range(200)
    ]
    assert 0.92 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.99


@pytest.mark.parametrize("shape", [(4, 3), (5, 2), (0, 3)])
def test_fewer_than_5_cases_or_3_seeds_have_no_interval(shape):
    assert gain_table.two_way_interval(np.ones(shape)) is None


def test_a_nan_has_no_interval():
    with pytest.raises(ValueError, match="leave out NaN"):
        gain_table.two_way_interval(np.full((5, 3), np.nan))


@pytest.mark.parametrize(
    ("interval", "cases", "seeds", "expected"),
    [
        ((0.01, 0.02), 8, 3, "better"),
        ((-0.02, -0.01), 8, 3, "worse"),
        ((-0.01, 0.02), 8, 3, "within noise"),
        ((0.0, 0.02), 8, 3, "within noise"),
        ((-0.02, 0.0), 8, 3, "within noise"),
        (None, 4, 3, "fewer than 5 cases"),
        (None, 8, 2, "fewer than 3 seeds"),
    ],
)
def test_the_verdict_says_within_noise_where_the_interval_holds_0(interval, cases, seeds, expected):
    assert gain_table.verdict(interval, cases, seeds) == expected


# The table


def row(seed, case, variant, region, dice, voxels=10, change="as it is"):
    return gain_table.Row(seed, 0, case, change, variant, region, dice, voxels)


def by_hand():
    """Two cases, two seeds; case B has no ET, and variant `after` marks some there with seed 1."""
    dice = {
        ("before", "A", 0): (0.9, 0.6, 0.3),
        ("before", "A", 1): (0.8, 0.6, 0.4),
        ("before", "B", 0): (0.7, 0.4, 1.0),
        ("before", "B", 1): (0.6, 0.4, 1.0),
        ("after", "A", 0): (0.9, 0.6, 0.5),
        ("after", "A", 1): (0.9, 0.6, 0.8),
        ("after", "B", 0): (0.7, 0.4, 1.0),
        ("after", "B", 1): (0.6, 0.4, 0.0),
    }
    return [
        row(seed, case, variant, region, value, voxels=0 if (case, region) == ("B", "ET") else 10)
        for (variant, case, seed), values in dice.items()
        for region, value in zip(("WT", "TC", "ET"), values, strict=True)
    ]


def test_means_and_paired_differences_by_hand():
    result = gain_table.summarised(by_hand(), ["before", "after"], ["as it is"])["as it is"]
    assert result["before"]["dice"] == {"WT": 0.75, "TC": 0.5, "ET": 0.675, "mean": 0.6417, "ET if present": 0.35}
    assert result["after"]["dice"] == {"WT": 0.775, "TC": 0.5, "ET": 0.575, "mean": 0.6167, "ET if present": 0.65}
    assert result["before"]["difference"] == {}
    means = {quantity: one["mean"] for quantity, one in result["after"]["difference"].items()}
    assert means == {"WT": 0.025, "TC": 0.0, "ET": -0.1, "mean": -0.025, "ET if present": 0.3}
    present = result["after"]["difference"]["ET if present"]
    assert (present["cases"], present["seeds"], present["verdict"]) == (1, 2, "fewer than 5 cases")
    assert result["after"]["difference"]["WT"]["cases"] == 2


def test_the_standard_deviation_over_seeds_is_that_of_the_mean_over_cases():
    sd = gain_table.summarised(by_hand(), ["before", "after"], ["as it is"])["as it is"]["before"]["sd_over_seeds"]
    assert sd["WT"] == 0.0707  # of 0.8 and 0.7
    assert sd["TC"] == 0
    assert sd["ET"] == 0.0354  # of 0.65 and 0.7


def test_a_change_that_leaves_no_case_with_et_has_no_mean_there():
    rows = [one._replace(reference_voxels=0) for one in by_hand()]
    result = gain_table.summarised(rows, ["before", "after"], ["as it is"])["as it is"]
    assert result["before"]["dice"]["ET if present"] is None
    assert result["after"]["difference"]["ET if present"]["mean"] is None


def test_the_tables_are_markdown_with_one_row_per_variant_and_per_difference(capsys):
    gain_table.show(gain_table.summarised(by_hand(), ["before", "after"], ["as it is"]))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ["as it is", "before", "0.750", "0.500", "0.675", "0.642", "0.350", "0.0118"] in lines
    assert ["as it is", "after", "ET if present", "+0.300", "–", "1 × 2", "fewer than 5 cases"] in lines
    assert sum(line[:2] == ["as it is", "after"] for line in lines) == 1 + 5


def test_one_variant_alone_has_no_table_of_differences(capsys):
    rows = [one for one in by_hand() if one.variant == "before"]
    gain_table.show(gain_table.summarised(rows, ["before"], ["as it is"]))
    assert "Difference" not in capsys.readouterr().out


@pytest.mark.parametrize("rows", [by_hand()[1:], [*by_hand(), by_hand()[0]]])
def test_a_missing_or_doubled_row_is_refused(rows):
    with pytest.raises(ValueError, match="Expected each of 2 cases once"):
        gain_table.grids(rows)


def test_the_csv_has_a_line_per_row(tmp_path):
    gain_table.write_rows(tmp_path / "gain.csv", [row(1, "=A", "before", "WT", 0.25)])
    assert (tmp_path / "gain.csv").read_text() == (
        "seed,fold,case,change,variant,region,dice,reference_voxels\n1,0,'=A,as it is,before,WT,0.25,10\n"
    )


# Variants and settings


def test_a_variant_is_a_label_with_settings_or_a_label_alone():
    assert recipe_gain.variant_of("smooth-1: loss.smooth=1 'sampling.regions={WT: 1}'") == (
        "smooth-1",
        ["loss.smooth=1", "sampling.regions={WT: 1}"],
    )
    assert recipe_gain.variant_of("before") == ("before", [])


@pytest.mark.parametrize("text", ["loss.smooth=1", "a/b: loss.smooth=1", ": loss.smooth=1", "-a"])
def test_a_label_that_names_no_folder_is_refused(text):
    with pytest.raises(ValueError, match="Expected letters, digits"):
        recipe_gain.variant_of(text)


def test_an_override_without_a_value_is_refused():
    with pytest.raises(ValueError, match="'mirror' is not a setting. Expected key=value"):
        recipe_gain.variant_of("mirror: mirror")


def test_settings_that_differ_are_named_except_for_those_of_the_run_alone():
    before = {"name": "a", "seed": 0, "steps": 100, "loss": {"smooth": 1e-5, "bce": 1.0}, "data": {"fold": 0}}
    after = {"name": "b", "seed": 1, "steps": 100, "loss": {"smooth": 1.0, "bce": 1.0}, "data": {"fold": 1}, "rules": 2}
    assert recipe_gain.differences(before, after) == {"loss.smooth": (1e-5, 1.0), "rules": (None, 2)}


# Runs and their scores


def trained(folder, name="before-f0-s0", *, held_out=("A", "B"), fold=0):
    run = Run(folder / name)
    run.checkpoint_file("last").parent.mkdir(parents=True)
    run.checkpoint_file("last").write_bytes(b"weights")
    run.recipe_file.write_text(json.dumps(RECIPE))
    run.folds_file.write_text(json.dumps({"train": [], "validation": list(held_out)}))
    return gain_scores.Trained(name.split("-")[0], fold, 0, run)


def test_scores_are_read_back_as_they_were_written_and_only_for_the_same_network(tmp_path):
    scores = {("=A", "as it is"): [(0.123456789, 5), (1.0, 0), (0.0, 7)], ("B", "no t1ce"): [(0.5, 1)] * 3}
    gain_scores.write_scores(tmp_path / "a.scores.csv", "one", scores)
    assert gain_scores.read_scores(tmp_path / "a.scores.csv", "one") == scores
    assert gain_scores.read_scores(tmp_path / "a.scores.csv", "other") == {}
    assert gain_scores.read_scores(tmp_path / "none.csv", "one") == {}


def test_other_weights_another_recipe_or_another_mode_is_another_network(tmp_path):
    run = trained(tmp_path).run
    stamps = {gain_scores.stamp(run, "auto"), gain_scores.stamp(run, "whole")}
    run.recipe_file.write_text(json.dumps(RECIPE | {"precision": "bfloat16"}))
    stamps.add(gain_scores.stamp(run, "auto"))
    run.checkpoint_file("last").write_bytes(b"others")
    stamps.add(gain_scores.stamp(run, "auto"))
    assert len(stamps) == 4


class Scan:
    """A case that has only an id."""

    def __init__(self, name):
        self.id = name


def test_a_case_with_kept_scores_is_not_predicted_again(tmp_path, monkeypatch):
    one = trained(tmp_path)
    kept = {(case, "as it is"): [(0.5, 1), (0.25, 1), (1.0, 0)] for case in ("A", "B")}
    gain_scores.write_scores(one.scores_file, gain_scores.stamp(one.run, "auto"), kept)
    monkeypatch.setattr(gain_scores, "held_out_cases", lambda run: [Scan("A"), Scan("B")])
    monkeypatch.setattr(gain_scores, "open_networks", lambda *args, **kwargs: pytest.fail("opened a network"))
    rows = gain_scores.rows_of([one], ["as it is"], "auto")
    assert [(r.case, r.region, r.dice, r.reference_voxels) for r in rows[2:4]] == [
        ("A", "ET", 1.0, 0),
        ("B", "WT", 0.5, 1),
    ]
    with pytest.raises(pytest.fail.Exception, match="opened a network"):
        gain_scores.rows_of([one], ["as it is", "no t1ce"], "auto")


def test_runs_of_one_fold_with_other_held_out_cases_are_refused(tmp_path):
    runs = [trained(tmp_path), trained(tmp_path, "after-f0-s0", held_out=("A", "C"))]
    with pytest.raises(SettingsError, match="before-f0-s0 held out A, B, but .*after-f0-s0 held out A, C"):
        gain_scores.held_out(runs)


def test_a_case_in_two_folds_is_refused(tmp_path, monkeypatch):
    runs = [trained(tmp_path), trained(tmp_path, "before-f1-s0", fold=1)]
    monkeypatch.setattr(gain_scores, "held_out_cases", lambda run: [Scan("A")])
    with pytest.raises(SettingsError, match="A was held out by .*before-f0-s0 and by .*before-f1-s0"):
        gain_scores.held_out(runs)


def called(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["recipe_gain.py", *map(str, arguments)])
    recipe_gain.main()


def test_only_trained_names_the_runs_that_are_missing(tmp_path, monkeypatch):
    (tmp_path / "a-f0-s0").mkdir()
    (tmp_path / "a-f0-s0" / "model.keras").touch()
    with pytest.raises(SettingsError, match="2 runs of 3 are missing or not complete: a-f0-s1, a-f0-s2"):
        called(monkeypatch, tmp_path, "--variant", "a", "--only-trained")


def test_a_run_under_the_name_of_another_seed_is_refused(tmp_path, monkeypatch):
    one = trained(tmp_path)
    one.run.model_file.touch()
    one.run.settings_file.write_text(json.dumps({"seed": 7, "data": {"fold": 0}}))
    with pytest.raises(SettingsError, match="was trained with data.fold=0 seed=7. Expected data.fold=0 seed=0"):
        called(monkeypatch, tmp_path, "--variant", "before", "--seed", 0, "--only-trained")


def test_kept_scores_give_the_tables_the_csv_and_json(tmp_path, monkeypatch, capsys):
    cases = ["A", "B", "C", "D", "E"]
    for variant, gain in (("before", 0.0), ("after", 0.25)):
        for seed in range(3):
            one = trained(tmp_path, f"{variant}-f0-s{seed}", held_out=cases)
            one.run.model_file.touch()
            settings = {"seed": seed, "data": {"fold": 0}, "loss": {"smooth": gain}}
            one.run.settings_file.write_text(json.dumps(settings))
            scores = {(case, "as it is"): [(0.5 + gain, 9), (0.5, 9), (0.5, 9)] for case in cases}
            gain_scores.write_scores(one.scores_file, gain_scores.stamp(one.run, "auto"), scores)
    monkeypatch.setattr(gain_scores, "held_out_cases", lambda run: [Scan(case) for case in cases])
    called(monkeypatch, tmp_path, "--variant", "before", "--variant", "after: loss.smooth=0.25", "--only-original")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "before -> after: loss.smooth 0.0 -> 0.25"
    result = json.loads(lines[-1])
    difference = result["changes"]["as it is"]["after"]["difference"]
    assert difference["WT"] == {"mean": 0.25, "interval": [0.25, 0.25], "cases": 5, "seeds": 3, "verdict": "better"}
    assert difference["TC"]["verdict"] == "within noise"
    with (tmp_path / "gain.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2 * 3 * 5 * 3
