"""Damaged files of every kind are read or refused in a sentence: 423 inputs of scripts/fuzz.py, and its own answers."""

import gzip
import importlib
import os
import sys
import warnings
from pathlib import Path

import pytest

from brats_unet.errors import DataError

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
before = list(sys.path)
sys.path.insert(0, str(SCRIPTS))
fuzz, fuzz_mutations, fuzz_readers = map(importlib.import_module, ("fuzz", "fuzz_mutations", "fuzz_readers"))
sys.path[:] = before

# Inputs by kind; the readers of the other kinds, which open one each, are too slow for more.
COUNTS = {
    "scans": 90,
    "npy masks": 20,
    "dataset.json": 30,
    "name_mapping.csv": 20,
    "splits": 50,
    "folds": 20,
    "postprocessing.json": 40,
    "ensemble.json": 20,
    "volumes.csv": 30,
    "arrays": 20,
    "scheme": 60,
}


@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_files_are_read_or_refused_in_a_sentence(kind, tmp_path):
    answers = list(fuzz.inputs(kind, 1, 0, COUNTS[kind], tmp_path / "seeds"))
    assert len(answers) == COUNTS[kind]
    assert [answer for answer in answers if answer[1] == fuzz.FAULT] == []
    assert kind == "name_mapping.csv" or any(outcome == fuzz.REFUSED for _, outcome, _ in answers)
    assert all(words[-1:] in ".?…" for _, _, words in answers)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, which saves a network
@pytest.mark.parametrize("kind", sorted(fuzz_readers.KINDS.keys() - COUNTS.keys()))
def test_sound_files_of_the_other_kinds_are_read_and_a_damaged_one_is_no_fault(kind, tmp_path):
    ((_, outcome, words),) = fuzz.inputs(kind, 1, 0, 1, tmp_path / "seeds")
    assert outcome != fuzz.FAULT, words


def test_400_inputs_are_opened():
    assert sum(COUNTS.values()) == 400


def test_the_same_number_gives_the_same_bytes():
    data = b'{"a": [1, 2, {"b": "c"}]}'
    draws = [[fuzz_mutations.of_json(data, fuzz.draw_of(0, "x", number)) for number in range(20)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 10


def hang():
    while True:
        pass


def refuse():
    raise DataError("It is broken.")


def warn():
    warnings.warn("odd", RuntimeWarning, stacklevel=1)


def say():
    os.write(2, b"odd")


@pytest.mark.parametrize(
    ("read", "outcome", "words"),
    [
        (lambda: None, fuzz.READ, ""),
        (refuse, fuzz.REFUSED, "It is broken."),
        (lambda: [][0], fuzz.FAULT, "IndexError"),
        (lambda: bytearray(6 * 2**30), fuzz.FAULT, "MemoryError"),
        (warn, fuzz.FAULT, "RuntimeWarning: odd"),
        (say, fuzz.FAULT, "said on stderr: odd"),
        (lambda: sys.exit(3), fuzz.FAULT, "SystemExit"),
    ],
)
def test_every_answer_but_a_sentence_is_a_fault(read, outcome, words):
    found, told = fuzz.answer(read)
    assert found == outcome
    assert words in told


def test_a_reader_that_needs_too_much_processor_time_is_a_fault(monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    outcome, words = fuzz.answer(hang)
    assert (outcome, "TooSlow" in words) == (fuzz.FAULT, True)


def test_a_bomb_unpacks_to_256_mib():
    assert len(gzip.decompress(fuzz_mutations.zeros())) == 256 * 2**20
