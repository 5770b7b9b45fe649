import pickle
from pathlib import Path

import pytest

from brats_unet import errors
from brats_unet.errors import EXIT_CODES, BratsError, Interrupted, LostWorkerError

CHILDREN = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BratsError)]


@pytest.mark.parametrize("kind", CHILDREN)
def test_errors_of_the_user_exit_2_and_those_that_starting_again_mends_exit_75(kind):
    assert kind.exit_code == (75 if kind in (Interrupted, LostWorkerError) else 2)


@pytest.mark.parametrize("kind", CHILDREN)
def test_an_error_survives_pickling_with_its_message(kind):
    copy = pickle.loads(pickle.dumps(kind("case 7: a sentence.")))
    assert type(copy) is kind and str(copy) == "case 7: a sentence."


def test_an_error_of_the_programmer_is_not_a_brats_error():
    assert not issubclass(ValueError, BratsError) and not issubclass(BratsError, ValueError)


@pytest.mark.parametrize(
    ("count", "words"), [(0, ""), (2, "a, b"), (5, "a, b, c, d, e"), (7, "a, b, c, d, e and 2 more")]
)
def test_a_message_names_five_and_counts_the_rest(count, words):
    assert errors.some(list("abcdefg")[:count]) == words


def test_the_page_about_stopping_has_every_exit_code():
    page = (Path(__file__).resolve().parents[1] / "docs" / "RESUMING.md").read_text(encoding="utf-8")
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    assert "\n".join(["| code | meaning |", "|---|---|", *rows, ""]) in page
