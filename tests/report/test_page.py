"""The HTML report: self-contained, complete and accessible."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from brats_unet.errors import SettingsError
from brats_unet.evaluation.cohort import cohort_of
from brats_unet.evaluation.record import Evaluation, open_evaluation
from brats_unet.json_files import write_json
from brats_unet.metrics import metrics_of
from brats_unet.metrics.glossary import meaning_of
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.report import page_facts
from brats_unet.report.looks import css_class
from brats_unet.report.page import write_page
from brats_unet.report.page_header import header, viewer_cases
from brats_unet.report.scheme_words import region_sentences
from brats_unet.run import Run


class Elements(HTMLParser):
    """Parser that collects the start tags with their attributes, and checks their nesting."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(evaluated_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    page = write_page(
        open_evaluation(evaluated_run.folder), [evaluated_run], path, viewer=2, pictures=1, command=["report", "run=x"]
    )
    return page, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(written):
    parser = Elements()
    parser.feed(written[1])
    assert parser.open == []  # every element was closed
    return parser.tags


def test_the_report_loads_nothing_from_the_internet(elements):
    for tag, attributes in elements:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, f"<{tag} {name}={value[:60]}>"
    assert not [attributes for tag, attributes in elements if tag in ("iframe", "object", "embed", "base")]


def test_the_report_contains_no_address_except_in_the_code_of_niivue(written):
    own_text = re.sub(
        r'<script type="text/plain".*?</script>|<details><summary>Licence.*?</details>', "", written[1], flags=re.S
    )
    assert "://" not in own_text


def test_the_report_has_all_its_parts(written):
    for words in (
        "<title>by hand &lt;b&gt;",
        "no tumour found",
        "Scan viewer",
        "Pictures",
        "All cases",
        "Mean Dice of the held-out cases (thin: Dice of held-out patches)",
        "Scores of the seed notebook",
        "373.12866",
        "brats-unet train &#39;name=it&#39;&#34;&#39;&#34;&#39;s mine&#39;",
        "brats-unet evaluate run=x",
        "data.root",
        "BSD 2-Clause License",
    ):
        assert words in written[1]


def test_figures_have_texts_and_ids_are_unique_and_every_link_has_a_target(elements):
    assert all(attributes.get("alt") for tag, attributes in elements if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in elements if tag in ("svg", "canvas"))
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert ("html", {"lang": "en"}) in elements
    links = {attributes["href"][1:] for tag, attributes in elements if tag == "a"}
    assert links <= set(ids)


def test_viewer_and_figures_show_the_worst_and_the_best_case(written):
    page, text = written
    assert len(page.scrolled) == 2
    assert page.drawn[0] == page.scrolled[0]  # the worst
    assert page.drawn[-1] == page.scrolled[-1]  # the best
    assert text.count('<figure class="case" id=') == 2
    assert page.left_out == ()


def test_a_report_without_scans_has_no_viewer_and_is_small(evaluated_run, tmp_path):
    page = write_page(open_evaluation(evaluated_run.folder), [], tmp_path / "p.html", viewer=0, pictures=0)
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert page.size_bytes < 100_000
    assert "niivue" not in text.lower()
    assert 'id="pictures"' not in text


def test_the_same_run_gives_the_same_report(evaluated_run, tmp_path):
    evaluation = open_evaluation(evaluated_run.folder)
    for name in "ab":
        write_page(evaluation, [evaluated_run], tmp_path / f"{name}.html", viewer=1, pictures=0)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_viewer_shows_the_chosen_cases_and_an_unknown_case_is_refused(evaluated_run, tmp_path):
    evaluation = open_evaluation(evaluated_run.folder)
    case = evaluation.cases[1]
    page = write_page(evaluation, [], tmp_path / "p.html", cases=[case], pictures=0)
    assert page.scrolled == (case,)
    with pytest.raises(SettingsError, match=f"was not scored.*{case}"):
        write_page(evaluation, [], tmp_path / "q.html", cases=[f"{case}x"])
    assert not (tmp_path / "q.html").exists()


def test_a_report_of_an_evaluation_without_paths_names_what_it_cannot_show(evaluated_run, tmp_path):
    whole = open_evaluation(evaluated_run.folder)
    summary = {key: value for key, value in whole.summary.items() if key != "files"}
    page = write_page(
        Evaluation(whole.name, whole.file, whole.rows, summary), [], tmp_path / "p.html", viewer=1, pictures=1
    )
    assert page.scrolled == ()
    assert any("does not record the path of its masks" in sentence for sentence in page.left_out)
    assert "Not shown:" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_calibration_is_shown_without_trivial_predictors_which_have_none(evaluated_run, tmp_path):
    whole = open_evaluation(evaluated_run.folder)
    regions = {
        region: {**facts, "all_cases": {**facts["all_cases"], "ece": {**facts["all_cases"]["dice"], "unit": "1"}}}
        for region, facts in whole.summary["regions"].items()
    }
    evaluation = Evaluation(whole.name, whole.file, whole.rows, {**whole.summary, "regions": regions})
    rows = {row["name"]: row for row in page_facts.headline(evaluation)}
    assert [cell["trivial"] for cell in rows["Calibration error"]["cells"]] == [{}, {}, {}]
    assert all(cell["trivial"] for cell in rows["Dice"]["cells"])
    assert write_page(evaluation, [], tmp_path / "p.html", viewer=0, pictures=0).left_out == ()


def test_every_metric_in_the_report_is_defined_there(evaluated_run, written):
    evaluation = open_evaluation(evaluated_run.folder)
    terms = [words.strip() for words in re.findall(r"<dt>([^<]*)</dt>", written[1])]
    headline = [row["name"] for row in page_facts.headline(evaluation)]
    assert {"IoU", "ASSD, mm", "NSD at 1 mm"} <= set(headline)
    assert [name for name in headline if not any(name.lower() in term.lower() for term in terms)] == []
    seed = page_facts.seed(evaluation.summary)
    assert [name for name, *_ in seed["rows"] if name not in terms] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_glossary_defines_every_metric_of_a_protocol(protocol):
    units = {name: metric.unit for name, metric in metrics_of(PROTOCOLS[protocol], [0.5]).items()}
    scored = {"all_cases": {name: {"unit": unit} for name, unit in {**units, "ece": "1", "brier": "1"}.items()}}
    rules = {"metrics": PROTOCOLS[protocol].metrics, "hd95_definition": PROTOCOLS[protocol].hd95_definition}
    shown = page_facts.glossary({"regions": {"WT": scored}, "protocol": rules})
    assert len(shown) == len(units) + 2
    for name in (*units, "ece", "brier"):
        assert any(definition.startswith(meaning_of(name).definition) for _, definition, _ in shown), name


def test_the_glossary_refers_to_the_package_of_an_added_metric():
    scored = {"all_cases": {"dice": {"unit": "1"}, "apples": {"unit": "kg"}}}
    shown = page_facts.glossary({"regions": {"WT": scored}, "protocol": {"hd95_definition": "pooled"}})
    assert shown[-1] == ("apples, kg", "A metric that an installed package adds and defines.", "")


def test_a_score_of_another_package_is_defined_by_its_record_with_the_package():
    scored = {"all_cases": {"apples": {"unit": "kg"}}}
    facts = {"package": "orchard", "version": "2.0", "definition": "Weight.", "range": "≥ 0", "better": "high"}
    summary = {
        "regions": {"WT": scored},
        "protocol": {"hd95_definition": "pooled"},
        "package_metrics": {"apples": facts},
    }
    expected = ("apples, kg", "Weight. From the package orchard 2.0.", "≥ 0; higher is better")
    assert page_facts.glossary(summary) == [expected]


def test_rules_for_absent_regions_are_listed_for_the_scored_metrics_only(evaluated_run):
    summary = open_evaluation(evaluated_run.folder).summary
    shown = dict(page_facts.rules(summary))
    assert shown["HD95, mm"] == ["0", "373.12866", "373.12866"]
    assert shown["NSD"] == ["1", "0", "0"]
    seed = {**summary, "protocol": {**summary["protocol"], "metrics": ["dice"]}}
    assert list(dict(page_facts.rules(seed))) == ["Dice"]


def test_the_page_of_any_scheme_shows_its_regions_only(evaluated_as, schemes, tmp_path):
    for name, scheme in schemes.items():
        path = tmp_path / f"{name}.html"
        page = write_page(open_evaluation(evaluated_as(name)), [], path, viewer=1, pictures=0)
        text = path.read_text(encoding="utf-8")
        assert len(page.scrolled) == 1 and page.left_out == ()
        parser = Elements()
        parser.feed(text)
        assert parser.open == []
        radios = [one["value"] for tag, one in parser.tags if tag == "input" and one.get("name") == "viewer-region"]
        assert radios == list(scheme.scored)
        regions = json.loads(re.search(r'id="viewer-regions">(.*?)</script>', text)[1])
        assert regions == {
            region: {"labels": list(scheme.values(region)), "seen": scheme.regions[region].seen_on}
            for region in scheme.scored
        }
        for region in scheme.scored:
            look = css_class(scheme, region)
            assert f'<th scope="col" class="{look}">' in text and f'class="figure {look}"' in text
            assert f".{look.split()[0]} {{ --region:" in text
        assert " ".join(region_sentences(scheme)) in text
        assert ('<table class="headline many">' in text) == (len(scheme.scored) > 4)
        own = re.sub(
            r'<script type="text/plain".*?</script>|<details><summary>Licence.*?</details>', "", text, flags=re.S
        )
        assert ("tumour" in own.lower()) == (name in ("glioma", "glioma_post", "paediatric"))


def test_an_evaluation_from_before_there_were_schemes_is_glioma(evaluated_as, tmp_path):
    whole = open_evaluation(evaluated_as("glioma"))
    without = {key: value for key, value in whole.summary.items() if key != "scheme"}
    old = Evaluation(whole.name, whole.file, whole.rows, without, whole.facts)
    for name, evaluation in (("new", whole), ("old", old)):
        write_page(evaluation, [], tmp_path / f"{name}.html", viewer=1, pictures=0)
    assert (tmp_path / "old.html").read_bytes() == (tmp_path / "new.html").read_bytes()


def test_words_of_a_scheme_cannot_add_elements_to_the_page(evaluated_as, tmp_path):
    whole = open_evaluation(evaluated_as("lesion"))
    plain = json.loads(json.dumps(whole.summary["scheme"]))
    plain["source"] = plain["regions"]["lesion"]["words"] = plain["labels"]["lesion"]["words"] = (
        "<script>alert(1)</script>"
    )
    changed = Evaluation(whole.name, whole.file, whole.rows, {**whole.summary, "scheme": plain})
    write_page(changed, [], tmp_path / "p.html", viewer=1, pictures=0)
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "alert(1)" in text and "<script>alert(1)" not in text.lower()


def test_the_head_says_what_was_scored_and_trained_and_when(evaluated_as, tmp_path):
    evaluation = open_evaluation(evaluated_as("lesion"))
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    write_json(run.settings_file, {"steps": 400})
    write_json(run.folds_file, {"train": ["c", "d", "e"], "validation": [*evaluation.cases, "other"]})
    run.journal_file.write_text('{"event": "step", "step": 1300, "loss": 1.0}\n')
    dated = replace(evaluation, summary={**evaluation.summary, "date": "2026-11-29"})
    folders = {"references": tmp_path / "BraTS2020"}
    assert header(dated, [run], folders, synthetic=True) == {
        "Data": "BraTS2020 (synthetic)",
        "Held out, scored": "2 of 3 cases",
        "Trained on": "3 cases",
        "Steps": "1\u202f300 of 400",
        "Evaluated": "2026-11-29",
    }
    assert header(evaluation, [], {}, synthetic=False) == {"Scored": "2 cases"}


def test_the_head_of_the_page_of_a_cross_validation_counts_its_networks_and_all_held_out_cases(evaluated_as, tmp_path):
    evaluation = open_evaluation(evaluated_as("lesion"))
    first, second = evaluation.cases
    runs = [Run(tmp_path / name) for name in ("fold0", "fold1")]
    for run, train, held_out in zip(runs, (["c", "d", second], ["c", first]), (first, second), strict=True):
        run.folder.mkdir()
        write_json(run.settings_file, {"steps": 400})
        write_json(run.folds_file, {"train": train, "validation": [held_out]})
        run.journal_file.write_text('{"event": "step", "step": 400, "loss": 1.0}\n')
    assert header(evaluation, runs, {}, synthetic=False) == {
        "Held out, scored": "2 cases",
        "Networks": "2, each scored on its held-out cases",
        "Trained on": "2 to 3 cases each",
        "Steps": "400 each",
    }


def test_a_page_about_synthetic_cases_says_so_in_its_title_and_every_part_about_them(evaluated_run, tmp_path):
    evaluation = open_evaluation(evaluated_run.folder)
    for synthetic, marks in ((True, 7), (False, 0)):
        known = replace(evaluation, summary={**evaluation.summary, "synthetic": synthetic})
        page = write_page(known, [evaluated_run], tmp_path / "p.html", viewer=1, pictures=1)
        text = (tmp_path / "p.html").read_text(encoding="utf-8")
        assert page.synthetic == synthetic
        assert text.count('<span class="badge">synthetic data</span>') == marks
        assert ("(synthetic cases) · brats-unet</title>" in text) == synthetic
    earlier = {key: value for key, value in evaluation.summary.items() if key != "synthetic"}
    page = write_page(replace(evaluation, summary=earlier), [], tmp_path / "p.html", viewer=0, pictures=0)
    assert page.synthetic  # an evaluation of an earlier version, whose masks lie in a folder of phantoms


def test_the_cases_of_the_viewer_are_listed_with_scores_the_worst_and_the_best_first(made_up):
    evaluation = open_evaluation(made_up(45, "lesion"))
    cohort = cohort_of(evaluation.rows, evaluation.facts)
    order = [one.case for one in cohort.cases]
    chosen = [order[0], order[10], order[20], order[-1]]
    found = viewer_cases(cohort, chosen)
    assert [case for case, _ in found] == [order[0], order[-1], order[10], order[20]]
    assert [words.partition(", ")[2] for _, words in found] == ["worst", "best", "", ""]
    assert found[2][1] == f"Dice {cohort.cases[10].dice:.3f}"
