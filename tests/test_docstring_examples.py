"""The examples in the docstrings of the public functions run, one after the other, in a folder with scans."""

import doctest

import pytest

import brats_unet
from brats_unet.data.phantom.phantoms import write_dataset
from brats_unet.schemes.scheme_file import builtin

EXAMPLES = ["train", "evaluate", "predict", "compare", "load", "show"]


class Value(doctest.OutputChecker):
    """Compares the value alone: the functions print sentences and tables before it."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return got == want or got.endswith(f"\n{want}")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with five cases in `scans`, as many as `data.folds`."""
    folder = tmp_path_factory.mktemp("examples")
    write_dataset(folder / "scans", cases=5, seed=7, scheme=builtin(), scale=0.2)
    return folder


def run_examples(name):
    found = doctest.DocTestFinder(recurse=False).find(
        getattr(brats_unet, name), name, globs={one: getattr(brats_unet, one) for one in (*EXAMPLES, "crossval")}
    )
    (examples,) = found
    assert examples.examples, f"{name} has no example"
    report: list[str] = []
    doctest.DocTestRunner(checker=Value()).run(examples, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_of_a_public_function_runs_as_it_stands(name, place, monkeypatch):
    monkeypatch.chdir(place)
    run_examples(name)


@pytest.mark.slow
def test_the_example_of_crossval_runs_as_it_stands(place, monkeypatch):
    monkeypatch.chdir(place)
    run_examples("crossval")
