"""Comparison of evaluations, paired by case."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.paired import compare, holm
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Row, score_case
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.schemes.scheme_file import builtin, scheme_of

POST = builtin("glioma_post")
RULES = {"name": "brats2020", "dice": {"both": 1.0}}


def evaluation(name, dice, hd95=None, *, references=None, protocol=RULES, volume=5.0) -> Evaluation:
    rows = []
    for index, value in enumerate(dice):
        case = f"case{index}"
        rows += [
            Row(case, "WT", "dice", value, "1"),
            Row(case, "WT", "hd95", hd95[index] if hd95 else 1.0, "mm"),
            Row(case, "WT", "volume_reference", volume, "mm3"),
        ]
    if references is None:
        references = {f"case{index}": "same" for index in range(len(dice))}
    summary = {"references": references, "protocol": protocol}
    return Evaluation(name, Path(name) / "scores.csv", tuple(rows), summary)


@pytest.mark.parametrize(
    ("better", "falling", "wins"), [("low", True, 1), ("high", False, 0), (None, False, 0)], ids=str
)
def test_a_metric_of_a_package_is_better_in_the_direction_of_its_record(better, falling, wins):
    recorded = {} if better is None else {"package_metrics": {"apples": {"better": better}}}
    both = [
        replace(one, rows=(*one.rows, Row("case0", "WT", "apples", value, "kg")), summary={**one.summary, **recorded})
        for one, value in ((evaluation("a", [0.5]), 3.0), (evaluation("b", [0.5]), 2.0))
    ]
    (one,) = compare(both, metrics=["apples"]).differences
    assert (one.falling, one.wins, one.losses) == (falling, wins, 1 - wins)


def test_a_metric_of_a_package_without_a_direction_is_not_compared():
    recorded = {"package_metrics": {"apples": {"better": "–"}}}
    both = [
        replace(one, rows=(*one.rows, Row("case0", "WT", "apples", 1.0, "kg")), summary={**one.summary, **recorded})
        for one in (evaluation("a", [0.5]), evaluation("b", [0.5]))
    ]
    with pytest.raises(SettingsError, match="a has no metric named apples"):
        compare(both, metrics=["apples"])


def test_differences_wins_and_the_cases_with_the_largest_differences_by_hand():
    found = compare([evaluation("a", [0.5, 0.6, 0.7, 0.8]), evaluation("b", [0.9, 0.6, 0.6, 0.85])])
    one = found.differences[0]
    assert (one.region, one.metric, one.n) == ("WT", "dice", 4)
    assert one.mean == pytest.approx(0.35 / 4)
    assert one.median == pytest.approx(0.025)
    assert (one.wins, one.ties, one.losses) == (2, 1, 1)
    assert [(moved.case, moved.first, moved.second) for moved in one.moved] == [
        ("case0", 0.5, 0.9),
        ("case2", 0.7, 0.6),
        ("case3", 0.8, 0.85),
    ]
    assert one.interval is None  # four cases


def test_a_shorter_distance_is_a_win():
    found = compare([evaluation("a", [0.5] * 3, [9.0, 5.0, 5.0]), evaluation("b", [0.5] * 3, [4.0, 5.0, 6.0])])
    distance = found.differences[1]
    assert distance.falling
    assert (distance.wins, distance.ties, distance.losses) == (1, 1, 1)


def test_distances_in_pixels_are_compared_where_the_size_of_a_voxel_is_unknown():
    both = []
    for one in (evaluation("a", [0.5], [9.0]), evaluation("b", [0.5], [4.0])):
        rows = [replace(row, metric="hd95_slice_px", unit="px") if row.metric == "hd95" else row for row in one.rows]
        rows = [replace(row, metric="voxels_reference", unit="1") if "volume" in row.metric else row for row in rows]
        both.append(replace(one, rows=tuple(rows)))
    dice, distance = compare(both).differences
    assert (dice.metric, distance.metric, distance.mean, distance.wins) == ("dice", "hd95_slice_px", -5.0, 1)


def test_p_is_scipys_wilcoxon_without_ties_and_is_corrected_for_all_tests():
    before, after = [0.5, 0.6, 0.7, 0.8, 0.4, 0.3], [0.55, 0.66, 0.77, 0.88, 0.49, 0.3]
    one, other = compare([evaluation("a", before), evaluation("b", after)]).differences
    changes = [b - a for a, b in zip(before, after, strict=True) if a != b]
    assert one.p == pytest.approx(wilcoxon(changes).pvalue)
    assert one.p_holm == pytest.approx(2 * one.p)
    assert (other.p, other.p_holm) == (1.0, 1.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_swapping_the_evaluations_reverses_every_sign():
    a, b = evaluation("a", [0.5, 0.6, 0.7, 0.9, 0.3]), evaluation("b", [0.9, 0.6, 0.6, 0.8, 0.7])
    there, back = compare([a, b]).differences[0], compare([b, a]).differences[0]
    assert there.mean == -back.mean
    assert there.p == back.p
    assert (there.wins, there.losses) == (back.losses, back.wins)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=0.03)


def test_a_case_with_an_undefined_score_is_left_out_and_counted():
    found = compare([evaluation("a", [0.5, math.nan, 0.7]), evaluation("b", [0.6, 0.6, 0.8])], metrics=["dice"])
    assert (found.differences[0].n, found.differences[0].undefined) == (2, 1)
    nothing = compare([evaluation("a", [math.nan]), evaluation("b", [math.nan])], metrics=["dice"]).differences[0]
    assert (nothing.n, nothing.mean, nothing.p, nothing.p_holm) == (0, None, None, None)


def test_different_references_cases_and_protocols_are_refused_in_one_message():
    a = evaluation("a", [0.5, 0.6], references={"case0": "x", "case1": "y"})
    b = evaluation(
        "b",
        [0.5, 0.6, 0.7],
        references={"case0": "x", "case1": "z", "case2": "w"},
        protocol={"name": "brats2023"},
    )
    with pytest.raises(DataError) as refusal:
        compare([a, b])
    message = str(refusal.value)
    assert "1 case in b but not in a: case2." in message
    assert "a and b were scored against different reference masks: case1." in message
    assert "a was scored by brats2020, b by brats2023." in message


def test_a_missing_score_is_refused_and_not_treated_as_undefined():
    a, b = evaluation("a", [0.5, 0.6]), evaluation("b", [0.5, math.nan])
    assert compare([a, b]).differences[0].undefined == 1
    short = Evaluation(
        "short", b.file, tuple(row for row in b.rows if (row.case, row.metric) != ("case1", "dice")), b.summary
    )
    with pytest.raises(DataError, match=r"short: 1 missing score: case1 WT dice\."):
        compare([a, short])
    other = Evaluation("b", b.file, tuple(replace(row, region="XX") for row in b.rows), b.summary)
    with pytest.raises(DataError, match=r"(?s)a: 4 missing scores: case0 XX dice.*b: 4 missing scores: case0 WT dice"):
        compare([a, other])


def test_a_metric_with_two_units_is_refused():
    a, b = evaluation("a", [0.5]), evaluation("b", [0.5])
    b = Evaluation(
        "b", b.file, tuple(replace(row, unit="cm") if row.unit == "mm" else row for row in b.rows), b.summary
    )
    with pytest.raises(DataError, match=r"hd95 has different units: mm \(a\), cm \(b\)\."):
        compare([a, b])


def test_one_protocol_with_different_rules_is_refused_and_the_rule_is_named():
    other = {"name": "brats2020", "dice": {"both": 0.0}}
    with pytest.raises(DataError, match="follow brats2020 with different rules for dice"):
        compare([evaluation("a", [0.5]), evaluation("b", [0.5], protocol=other)])


def test_evaluations_of_a_version_with_fewer_rules_can_be_compared():
    now = json.loads(json.dumps(asdict(PROTOCOLS["brats2020"])))
    later = ("surface_dice_definition", "instances", "missing_fails", "apart_fails", "absent_ranks_first")
    before = {key: value for key, value in now.items() if key not in later}
    assert compare([evaluation("a", [0.5], protocol=before), evaluation("b", [0.5], protocol=now)]).notes == ()
    other = now | {"apart_fails": True}
    with pytest.raises(DataError, match="follow brats2020 with different rules for apart_fails"):
        compare([evaluation("a", [0.5], protocol=before), evaluation("b", [0.5], protocol=other)])


def scored(name, predictions):
    """An evaluation by brats2026 of predictions for one reference that lacks RC and one that has it."""
    reference = [np.zeros((8, 8, 8), np.uint8) for _ in range(2)]
    reference[1][1:4, 1:4, 1:4] = POST.labels["RC"].value
    rows = [
        row
        for index, boxes in enumerate(predictions)
        for row in score_case(
            f"case{index}", reference[index], painted(boxes), (1.0,) * 3, scheme=POST, protocol="brats2026"
        )
    ]
    summary = {"references": {"case0": "x", "case1": "y"}, "protocol": asdict(PROTOCOLS["brats2026"])}
    return Evaluation(name, Path(name) / "scores.csv", tuple(rows), summary | {"scheme": POST.as_dict()})


def painted(box):
    labels = np.zeros((8, 8, 8), np.uint8)
    if box:
        labels[box[0] : box[1], 1:4, 1:4] = POST.labels["RC"].value
    return labels


@pytest.mark.parametrize("order", [1, -1])
def test_a_run_that_finds_a_cavity_where_none_is_ranks_behind_one_that_does_not(order):
    metrics = ["dice", "nsd_1mm", "hd95", "instance_f1", "instance_dice", "instances_false"]
    right, false = scored("right", [None, (1, 4)]), scored("false", [(2, 4), (1, 4)])
    found = compare([right, false][::order], metrics=metrics)
    assert [one.name for one in found.ranking] == ["right", "false"]
    dice = next(one for one in found.differences if (one.region, one.metric) == ("RC", "dice"))
    assert (dice.n, dice.undefined, dice.mean) == (1, 1, 0.0)
    extra = next(one for one in found.differences if (one.region, one.metric) == ("RC", "instances_false"))
    assert (extra.falling, extra.wins + extra.losses, extra.losses) == (True, 1, int(order == 1))


def test_without_hashes_the_reference_volumes_are_compared_and_a_note_says_so():
    a, b = evaluation("a", [0.5], references={}), evaluation("b", [0.5])
    assert "only the reference volumes were compared" in compare([a, b]).notes[0]
    with pytest.raises(DataError, match="a and b have different reference volumes: case0"):
        compare([a, evaluation("b", [0.5], volume=6.0)])


def test_an_unknown_metric_and_the_same_run_twice_are_refused():
    a, b = evaluation("a", [0.5]), evaluation("b", [0.5])
    with pytest.raises(SettingsError, match="a has no metric named dicee.*dice"):
        compare([a, b], metrics=["dicee"])
    with pytest.raises(SettingsError, match="given twice"):
        compare([a, a])
    with pytest.raises(SettingsError, match="Give two or more"):
        compare([a])


def test_runs_with_the_same_name_are_named_by_their_folders():
    one, two = evaluation("a", [0.5]), evaluation("a", [0.5])
    two = Evaluation("a", Path("elsewhere/scores.csv"), two.rows, two.summary)
    assert compare([one, two]).names == ("a", "elsewhere")


def test_the_comparison_can_be_written_as_json():
    found = compare([evaluation("a", [0.5, 0.6, 0.1]), evaluation("b", [0.5, 0.9, 0.2])])
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["exchanges"] == [{"better": "b", "worse": "a", "p": 0.5}]


def of_scheme(name, scheme):
    """An evaluation of one case with the scored regions of a scheme."""
    one = evaluation(name, [0.5])
    rows = tuple(replace(row, region=region) for region in scheme.scored for row in one.rows)
    return replace(one, rows=rows, summary={**one.summary, "scheme": scheme.as_dict()})


def test_evaluations_of_two_schemes_are_compared_on_their_common_regions_and_the_others_are_named():
    found = compare([of_scheme("a", builtin("glioma_post")), of_scheme("b", builtin())])
    assert found.regions == ("WT", "TC", "ET")
    assert "a has the scheme glioma_post, b glioma: NETC, RC, SNFH left out." in found.notes
    alike = scheme_of(builtin().as_dict() | {"name": "mine"})
    assert compare([of_scheme("a", builtin()), of_scheme("b", alike)]).notes == ()


def test_scores_without_a_summary_are_compared_in_the_regions_of_the_same_name():
    lesion = of_scheme("a", builtin("lesion"))
    found = compare([lesion, replace(of_scheme("b", builtin("lesion")), summary={})])
    assert found.regions == ("lesion",)
    assert "b: no scheme is recorded, so regions of the same name were compared." in found.notes
    others = [of_scheme(name, builtin("lesion")) for name in "bc"]
    assert compare([replace(lesion, summary={}), *others]).notes.count(found.notes[0].replace("b:", "a:")) == 1
    with pytest.raises(DataError, match="No region is scored in all of a, b"):
        compare([lesion, replace(of_scheme("b", builtin()), summary={})])


def test_schemes_without_a_common_region_or_with_other_labels_in_one_region_cannot_be_compared():
    with pytest.raises(DataError, match="No region is scored in all of a, b"):
        compare([of_scheme("a", builtin()), of_scheme("b", builtin("lesion"))])
    other = scheme_of({"name": "mine", "labels": {"NCR": 1, "ED": 2}, "regions": {"WT": ["NCR", "ED"], "NCR": ["NCR"]}})
    with pytest.raises(DataError, match=r"WT is ED ET NCR in a \(glioma\), but ED NCR in b \(mine\)"):
        compare([of_scheme("a", builtin()), of_scheme("b", other)])
    with pytest.raises(DataError, match=r"WT is ED ET NCR in b \(glioma\), but ED NCR in c \(mine\)"):
        compare([replace(of_scheme("a", builtin()), summary={}), of_scheme("b", builtin()), of_scheme("c", other)])


def test_a_region_that_one_of_two_evaluations_of_one_scheme_lacks_is_a_missing_score():
    whole = of_scheme("a", builtin())
    short = replace(of_scheme("b", builtin()), rows=tuple(row for row in whole.rows if row.region != "ET"))
    with pytest.raises(DataError, match=r"b: 2 missing scores: case0 ET dice, case0 ET hd95"):
        compare([whole, short])
