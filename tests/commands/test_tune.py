"""The command `brats-unet tune`: which rules it searches where the size of a voxel is unknown."""

import pytest

from brats_unet.commands.display import Display
from brats_unet.commands.tune import _print_result, rules_to_search
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import SettingsError
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.tuning import Step, Tuned
from brats_unet.modality import Modality
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from tests.slices import patient

RULES = ["threshold", "least_component_mm3", "fill_holes"]


@pytest.fixture
def searched(tmp_path):
    """Function of metric, rules and spacing: the rules to search for a case of slices, and what was said."""
    folder = patient(tmp_path)

    def search(metric, rules, spacing_mm=None):
        said = []
        cases = find_cases(folder, modalities=[Modality.FLAIR], spacing_mm=spacing_mm).cases
        return rules_to_search(cases, metric=metric, rules=rules, log=said.append), said

    return search


def test_rules_in_mm3_are_left_out_and_that_is_said(searched):
    assert searched("dice", RULES) == (
        ["threshold", "fill_holes"],
        ["The size of a voxel is unknown: only threshold, fill_holes are searched."],
    )
    assert searched("dice", ["threshold"]) == (["threshold"], [])


def test_with_a_spacing_every_rule_and_metric_stays(searched):
    assert searched("rank", RULES, [1, 1, 5]) == (RULES, [])


@pytest.mark.parametrize(
    ("metric", "rules", "expected"),
    [("hd95", RULES, "metric=hd95"), ("dice", ["least_et_mm3"], r"rules=\[least_et_mm3\]")],
)
def test_a_metric_or_rules_that_need_mm_are_refused(searched, metric, rules, expected):
    with pytest.raises(SettingsError, match=f"{expected} needs the size of a voxel, which is unknown"):
        searched(metric, rules)


@pytest.mark.parametrize(("adopted", "rules"), [(True, {"threshold": {"WT": 0.3}}), (False, {})])
def test_what_does_not_gain_is_called_tried_and_rejected(tmp_path, capsys, adopted, rules):
    step = Step("threshold", "WT", 0.3, 0.1, adopted=adopted)
    found = Postprocessing.from_dict(rules, builtin())
    tuned = Tuned(found, builtin(), "dice", 0.1, {"WT": 0.1}, 0.2, 30, 5, (step,))
    _print_result(Display(json=False), tuned, [Run(tmp_path / "run")])
    said = " ".join(capsys.readouterr().out.split())
    assert ("+0.1000 adopted" in said) == adopted and ("+0.1000 tried and rejected" in said) != adopted
    assert ("All rules were tried and rejected: masks are made without post-processing." in said) != adopted
