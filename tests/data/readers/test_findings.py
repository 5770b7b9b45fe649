"""The text of findings, and the error message that lists them."""

from pathlib import Path

import pytest

from brats_unet.data.readers.findings import error, error_of, note, refuse
from brats_unet.errors import DataError


def test_the_sentence_of_a_finding_starts_with_its_case_if_it_has_one() -> None:
    assert error("a", "no t1 scan.", "Download it.").sentence == "a: no t1 scan. Download it."
    assert note("", "All is well.").sentence == "All is well."


def test_the_last_sentence_of_an_error_message_becomes_the_remedy() -> None:
    finding = error_of("a", "a: x_t1.nii.gz: holds 0.5, not an integer. Expected a mask.")
    assert (finding.found, finding.remedy) == ("x_t1.nii.gz: holds 0.5, not an integer.", "Expected a mask.")


def test_no_findings_raise_nothing_and_one_finding_is_one_sentence() -> None:
    refuse(Path("data"), [])
    with pytest.raises(DataError, match=r"^a: no mask\.$"):
        refuse(Path("data"), [error("a", "no mask.")])


def test_the_first_twenty_findings_are_listed_and_the_others_counted() -> None:
    with pytest.raises(DataError) as refusal:
        refuse(Path("data"), [error(f"c{n}", "no mask.") for n in range(23)])
    lines = str(refusal.value).splitlines()
    assert lines[0] == "data: 23 defects."
    assert lines[20] == "  c19: no mask."
    assert lines[21].startswith("  … and 3 more.")
