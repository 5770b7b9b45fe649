"""The glossary: every score has its words, and docs/METRICS.md has the same ones."""

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from brats_unet.evaluation.probabilities import calibration
from brats_unet.metrics import METRICS, UNITS, metrics_of
from brats_unet.metrics.empty import WhenEmpty, is_undefined
from brats_unet.metrics.glossary import (
    BY_PROTOCOL,
    HD95_MEANINGS,
    MEANINGS,
    RULES,
    SEED_MEANINGS,
    meaning_of,
)
from brats_unet.metrics.protocols import PROTOCOLS, SURFACE_DICE, Protocol
from brats_unet.metrics.seed import hard_sums, scores_of
from brats_unet.metrics.surface import HD95_DEFINITIONS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "METRICS.md"
CALIBRATION = calibration(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2, 3))).popitem()[1]


def scores_table():
    yield "| name | definition | unit | range | better | where a mask is empty | source |"
    for name, one in MEANINGS.items():
        shown = f"{name}_<t>mm" if name == SURFACE_DICE else name
        yield f"| {' | '.join((f'`{shown}`', *astuple(one)))} |"


def rules_table():
    yield f"| | {' | '.join(f'`{name}`' for name in PROTOCOLS)} |"
    for field, metric in RULES.items():
        cells = []
        for protocol in PROTOCOLS.values():
            rule = getattr(protocol, field)
            values = ["–" if is_undefined(v) else f"{v:.9g}" for v in (rule.both, rule.reference, rule.prediction)]
            cells.append(" / ".join(values) if metric in protocol.metrics else "not scored")
        yield f"| `{metric}{'_…' if metric == SURFACE_DICE else ''}` | {' | '.join(cells)} |"


def hd95_table():
    yield "| definition | surface | percentile | namesake |"
    for name, cells in HD95_MEANINGS.items():
        yield f"| `{name}` | {' | '.join(cells)} |"


def seed_table():
    yield "| name | formula | in words |"
    for name, cells in SEED_MEANINGS.items():
        yield f"| `{name}` | {' | '.join(cells)} |"


@pytest.mark.parametrize("table", [scores_table, rules_table, hd95_table, seed_table])
def test_the_document_has_the_glossary_s_words(table):
    heading, *rows = table()
    columns = heading.count("|") - 1
    expected = "\n".join([heading, f"|{'---|' * columns}", *rows])
    assert f"\n\n{expected}\n\n" in DOCUMENT.read_text(encoding="utf-8"), f"docs/METRICS.md lacks:\n{expected}"


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_score_of_a_protocol_has_a_meaning_with_its_unit(protocol):
    for name, (_, unit) in metrics_of(protocol, [1.0, 0.5]).items():
        meaning = meaning_of(name)
        assert meaning is not None, name
        assert meaning.unit == unit, name


def test_every_score_there_is_has_a_meaning_and_nothing_else_has():
    assert set(MEANINGS) == {*METRICS, SURFACE_DICE, *CALIBRATION}
    assert set(SEED_MEANINGS) == set(scores_of(hard_sums(*np.zeros((2, 1, 2, 2), np.uint8))))
    assert tuple(HD95_MEANINGS) == HD95_DEFINITIONS
    assert set(UNITS) <= set(METRICS)


@pytest.mark.parametrize("name", MEANINGS)
def test_no_part_of_a_meaning_is_left_empty(name):
    assert all(astuple(MEANINGS[name]))


def test_a_rule_is_the_protocol_s_exactly_where_the_glossary_says_so():
    rules = {name for name, kind in Protocol.__annotations__.items() if kind is WhenEmpty}
    assert set(RULES) == rules
    assert {name for name, one in MEANINGS.items() if one.when_empty == BY_PROTOCOL} == set(RULES.values())


def test_a_score_of_another_package_has_no_meaning_here():
    assert meaning_of("relative_volume") is None
