"""The glossary: every score has its words, and docs/METRICS.md has the same ones."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from brats_unet.metrics import CALIBRATION, IN_PLANE, METRICS, metrics_of
from brats_unet.metrics.empty import WhenEmpty
from brats_unet.metrics.glossary import HD95_MEANINGS, MEANINGS, RULES, SEED_MEANINGS, meaning_of
from brats_unet.metrics.protocols import PROTOCOLS, SURFACE_DICE, Protocol
from brats_unet.metrics.seed import hard_sums, scores_of
from brats_unet.metrics.surface import HD95_DEFINITIONS

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "metrics_tables.py"
spec = importlib.util.spec_from_file_location("metrics_tables", SCRIPT)
metrics_tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(metrics_tables)


def test_the_tables_of_the_document_are_those_of_the_records():
    text = metrics_tables.DOCUMENT.read_text(encoding="utf-8")
    assert metrics_tables.rewritten(text) == text, "Run scripts/metrics_tables.py."


def test_a_changed_cell_is_noticed_and_made_anew():
    text = metrics_tables.DOCUMENT.read_text(encoding="utf-8")
    changed = text.replace("Dice 1945", "Dice 1946")
    assert changed != text and metrics_tables.rewritten(changed) == text


def test_a_document_that_lacks_a_table_is_refused():
    with pytest.raises(ValueError, match="Expected each of"):
        metrics_tables.rewritten("<!-- table: scores -->\n<!-- end of table -->")


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_score_of_a_protocol_has_a_meaning_with_its_unit(protocol):
    for name, metric in metrics_of(protocol, [1.0, 0.5]).items():
        meaning = meaning_of(name)
        assert meaning is not None, name
        assert meaning.unit == metric.unit, name


def test_every_score_has_a_meaning_and_nothing_else_has():
    assert set(MEANINGS) == {*METRICS, *CALIBRATION, *IN_PLANE}
    assert set(SEED_MEANINGS) == set(scores_of(hard_sums(*np.zeros((2, 1, 2, 2), np.uint8))))
    assert tuple(HD95_MEANINGS) == HD95_DEFINITIONS


def test_every_rule_for_empty_masks_of_the_protocols_belongs_to_one_metric():
    rules = {name for name, kind in Protocol.__annotations__.items() if kind is WhenEmpty}
    assert set(RULES) == rules
    assert RULES["surface_dice"] == SURFACE_DICE


def test_a_score_of_another_package_has_no_meaning_here():
    assert meaning_of("far_voxels") is None
