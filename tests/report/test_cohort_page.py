"""The HTML report and the terminal tables of dozens of cases: the worst first, what they have in common, bounded size."""

import json
import re
from dataclasses import replace

import pytest

from brats_unet.evaluation.cohort import cohort_of
from brats_unet.evaluation.record import Evaluation, open_evaluation
from brats_unet.report import cohort_words, page_cohort
from brats_unet.report.cohort_tables import print_cohort
from brats_unet.report.console import PlainConsole
from brats_unet.report.page import write_page
from brats_unet.report.volume_charts import thirds


def page_of(evaluation, tmp_path):
    page = write_page(evaluation, [], tmp_path / "p.html", viewer=0)
    return page, (tmp_path / "p.html").read_text(encoding="utf-8")


def opened(made_up, *key):
    evaluation = open_evaluation(made_up(*key))
    return evaluation, cohort_of(evaluation.rows, evaluation.facts)


def test_the_worst_ten_of_45_are_listed_from_the_worst(made_up, tmp_path):
    _, text = page_of(open_evaluation(made_up(45, "lesion")), tmp_path)
    section = text.split('<section id="failures"')[1].split("</section>")[0]
    listed = re.findall(r'<th scope="rowgroup" rowspan="1">(\w+)<small>(.*?)</small>', section)
    assert [case for case, _ in listed] == [f"case_{index:03}" for index in range(44, 34, -1)]
    assert listed[0][1] == "left, top; lacks T1ce; at the edge of the volume; stratum HGG"
    assert listed[2][1] == "left, top; stratum HGG"


def test_the_sizes_of_a_worst_case_are_those_of_its_masks(made_up):
    evaluation, cohort = opened(made_up, 45, "lesion")
    row = page_cohort.failures(evaluation, cohort)["cases"][0]["regions"][0]
    # case_044: 1 mL of reference and of prediction, of which Dice 1/45 is shared
    assert (row["reference"], row["prediction"], row["dice"]) == ("1.00", "1.00", "0.022")
    assert (row["false_positive"], row["false_negative"]) == ("0.98", "0.98")
    assert (row["parts"], row["slices"]) == ("45 / 1", "1 / 155")


def test_the_worst_are_compared_with_the_rest_in_counts_and_medians(made_up):
    _, cohort = opened(made_up, 45, "lesion")
    rows = {what: (worst, rest) for what, _, worst, rest in cohort_words.rows(cohort)}
    assert rows["Size of lesion, mL"] == (("5.50", "(3.25 – 7.75)"), ("28.0", "(19.5 – 36.5)"))
    assert rows["Lacks a sequence"] == (("2 of 10", ""), ("0 of 35", ""))
    assert rows["Touches the edge of the volume"] == (("2 of 10", ""), ("7 of 35", ""))
    assert rows["Stratum HGG"] == (("5 of 10", ""), ("18 of 35", ""))
    assert rows["Centre in the highest third of the head"] == (("10 of 10", ""), ("35 of 35", ""))
    assert "Axial slices of the scan" not in rows  # 155 in all
    assert cohort_words.never(cohort).startswith("In no case: no lesion in the reference; lesion in several parts; ")


def test_without_cases_csv_the_page_shows_what_the_scores_say_and_names_the_gap(made_up, tmp_path):
    whole = open_evaluation(made_up(45, "glioma"))
    evaluation = Evaluation(whole.name, whole.file, whole.rows, whole.summary)
    _, text = page_of(evaluation, tmp_path)
    assert "has no cases.csv" in text and "false negative" in text
    rows = [what for what, *_ in cohort_words.rows(cohort_of(evaluation.rows))]
    assert rows[:2] == ["Size of the largest region, mL", "No ET in the reference"]
    assert not any("sequence" in what or "edge" in what or "tratum" in what for what in rows)


@pytest.mark.parametrize(("n", "worst"), [(19, 0), (20, 5), (39, 9), (45, 10), (300, 10)])
def test_a_quarter_of_the_cases_and_at_most_ten_are_the_worst(made_up, tmp_path, n, worst):
    evaluation, cohort = opened(made_up, n, "lesion")
    assert (len(cohort.worst), len(cohort.rest)) == (worst, n - worst if worst else n)
    _, text = page_of(evaluation, tmp_path)
    assert ('id="failures"' in text) == ('id="filter-name"' in text) == bool(worst)


def test_figures_are_of_the_worst_the_middle_and_the_best(made_up):
    _, cohort = opened(made_up, 45, "lesion")
    groups = dict(page_cohort.drawn_groups(cohort, None))
    assert groups["Worst"] == [f"case_{index:03}" for index in range(44, 34, -1)]
    assert groups["Around the median"] == ["case_023", "case_022"]
    assert groups["Best"] == ["case_000", "case_001"]
    few = dict(page_cohort.drawn_groups(opened(made_up, 19, "lesion")[1], None))
    assert few == {"Worst": ["case_018", "case_017"], "Around the median": [], "Best": ["case_000", "case_001"]}
    assert dict(page_cohort.drawn_groups(cohort, 0)) == {"Worst": [], "Around the median": [], "Best": []}


@pytest.mark.parametrize("scheme", ["glioma", "eight"])
def test_the_page_of_300_cases_stays_small(made_up, tmp_path, scheme):
    page, text = page_of(open_evaluation(made_up(300, scheme)), tmp_path)
    assert page.size_bytes < 2_000_000
    assert text.count("<tr data-tags=") == 300


def test_every_case_has_the_tags_of_its_filters(made_up, tmp_path):
    _, text = page_of(open_evaluation(made_up(45, "glioma")), tmp_path)
    tags = [json.loads(found.replace("&#34;", '"')) for found in re.findall(r'<tr data-tags="(.*?)"', text)]
    options = [tag for tag in re.findall(r'<option value="(.*?)">', text) if tag]
    counts = {option: sum(option in each for each in tags) for option in options}
    assert counts == {
        "worst": 10, "lacks t1ce": 2, "complete": 43, "stratum HGG": 23, "stratum LGG": 22, "no ET": 6, "volume edge": 9
    }  # fmt: skip


def test_80_columns_are_enough_for_the_tables_of_a_cohort(made_up, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    for scheme in ("lesion", "glioma", "eight"):
        print_cohort(PlainConsole(), opened(made_up, 45, scheme)[1])
        shown = capsys.readouterr().out
        assert "The worst 10 of 45 cases by mean Dice" in shown and "2 of 10" in shown and "case_044" in shown
        assert max(len(line) for line in shown.splitlines()) <= 80
        assert "…" not in shown
    print_cohort(PlainConsole(), opened(made_up, 19, "lesion")[1])
    assert capsys.readouterr().out == ""


def test_sizes_are_voxels_where_the_size_of_a_voxel_is_unknown(made_up, tmp_path):
    _, cohort = opened(made_up, 45, "lesion", False)
    assert cohort.unit == "voxels"
    _, text = page_of(open_evaluation(made_up(45, "lesion", False)), tmp_path)
    assert "size of the reference, voxels" in text
    own = text.split("<main>")[1].split('id="meaning"')[0]
    assert " mL" not in own and ">mL" not in own


def test_thirds_hold_the_median_dice_of_equal_numbers_of_cases_by_size():
    sizes = [0, *range(1, 16)]
    dice = [1.0, *(size / 15 for size in range(1, 16))]
    found = thirds(sizes, dice)
    assert [(third.low, third.high, third.n) for third in found] == [(1, 5, 5), (6, 10, 5), (11, 15, 5)]
    assert [third.median for third in found] == pytest.approx([3 / 15, 8 / 15, 13 / 15])
    assert thirds(sizes[:-1], dice[:-1]) == []  # fourteen with a reference


def test_places_are_named_by_side_and_thirds(made_up):
    facts = open_evaluation(made_up(45, "lesion")).facts[0]

    def words(left, posterior, superior):
        return cohort_words.place(replace(facts, left=left, posterior=posterior, superior=superior))

    assert words(0.3, 0.2, 0.1) == "right, front, bottom"
    assert words(0.52, 0.5, 0.5) == "middle"
    assert words(0.56, 0.9, 0.5) == "left, back"
    assert words(float("nan"), 0.9, 0.5) == ""
