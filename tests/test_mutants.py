"""Mutants: each operator on a small source, a draw that a seed repeats, and the list of those that are equivalent."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
before = list(sys.path)
sys.path.insert(0, str(SCRIPTS))
mutants, operators, trial = map(importlib.import_module, ("mutants", "mutants_operators", "mutants_trial"))
sys.path[:] = before


def changes(source):
    return [(one.operator, one.after) for one in operators.mutants_of(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("f(a < b <= c)", [("comparison", "f(a <= b <= c)"), ("comparison", "f(a < b < c)")]),
        ("f(a == b)", [("comparison", "f(a != b)")]),
        ("f(a is not b)", [("comparison", "f(a is b)")]),
        ("f(a in b)", [("comparison", "f(a not in b)")]),
        ("f(a + b)", [("arithmetic", "f(a - b)")]),
        ("f(a // b)", [("arithmetic", "f(a / b)")]),
        ("f(-a)", [("arithmetic", "f(a)")]),
        ("f(a and b)", [("boolean", "f(a or b)")]),
        ("f(not a)", [("boolean", "f(a)")]),
        ("f(0)", [("constant", "f(1)")]),
        ("f(0.5)", [("constant", "f(1.5)")]),
        ("f(True)", [("constant", "f(False)")]),
        ("f('wt')", [("constant", "f('')")]),
        ("f(a, axis=0)", [("keyword", "f(a)"), ("axis", "f(a, axis=1)")]),
        ("f(a[b:])", [("slice", "f(a[:b])")]),
        ("f(min(a), b.all())", [("min and max", "f(max(a), b.all())"), ("min and max", "f(min(a), b.any())")]),
        ("def f(a):\n    return a", [("return", "return None")]),
        ("for a in b:\n    continue", [("loop", "break")]),
        ("for a in b:\n    break", [("loop", "continue")]),
        ("raise ValueError('no ' + str(1))", [("raise", "pass")]),
        ("a += b", [("assignment", "pass"), ("arithmetic", "a -= b")]),
        ("def f(a):\n    a = b", [("assignment", "pass")]),
        ("a[b] = c", [("assignment", "pass")]),
    ],
)
def test_each_operator_changes_a_small_source(source, expected):
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is."""',
        "def f(a: Range(0) = b) -> Range(1): ...",
        "@dataclass(frozen=True)\nclass A:\n    a: int",
        "import a.b",
        "__all__ = ['a']",
        "f(f'{1 + a} mm', 'no mask')",
        "f(zip(a, b, strict=True))",
        "def f():\n    a = b",
        "return None",
    ],
)
def test_declarations_and_messages_are_left_alone(source):
    assert changes(source) == []


def test_a_mutant_differs_from_its_module_in_one_place():
    source = "def f(a):\n    if a > 0:\n        return a + 1\n    return 0\n"
    found = operators.mutants_of(source)
    sources = [operators.mutated(source, one.index) for one in found]
    assert len(set(sources)) == len(found) == 7
    for text in sources:
        assert [a == b for a, b in zip(text.splitlines(), source.splitlines(), strict=True)].count(False) == 1
    assert {(one.where, one.lines) for one in found} == {("f", (2, 2)), ("f", (3, 3)), ("f", (4, 4))}


def test_equal_changes_of_one_function_are_numbered():
    found = operators.mutants_of("def f():\n    g(1)\n    g(1)\n")
    assert [(one.before, one.after, one.nth) for one in found] == [("g(1)", "g(2)", 1), ("g(1)", "g(2)", 2)]


def test_a_seed_draws_the_same_mutants_and_a_larger_draw_holds_a_smaller_one():
    first = mutants.drawn("geometry", 20, 0)
    assert first == mutants.drawn("geometry", 20, 0) == mutants.drawn("geometry", 60, 0)[:20]
    assert first != mutants.drawn("geometry", 20, 1)
    assert len({one.key for one in mutants.drawn("geometry", 10**6, 0)}) > 150


@pytest.mark.parametrize("name", mutants.SUBJECTS)
def test_every_subject_has_modules_tests_and_60_mutants(name):
    modules, tests = mutants.files_of(mutants.SUBJECTS[name])
    assert len(modules) >= len(mutants.SUBJECTS[name].modules) and len(tests) >= len(mutants.SUBJECTS[name].tests)
    assert len(mutants.drawn(name, 60, 0)) == 60


def test_every_equivalent_mutant_is_one_that_can_be_drawn_and_has_a_reason():
    known = mutants.equivalents()
    every = [one for name in mutants.SUBJECTS for one in mutants.drawn(name, 10**6, 0)]
    found = {
        (one.file, one.mutant.where, f"{one.mutant.before} -> {one.mutant.after}")
        for one in every
        if mutants.why_equivalent(one, known)
    }
    assert found == set(known) and all(why.endswith(".") for why in known.values())


def test_the_table_counts_what_was_run(tmp_path):
    ran = mutants.drawn("geometry", 4, 0)
    outcomes = ("killed", "timed out", "survived")
    results = {one.key: {"outcome": outcome, "covered": True} for one, outcome in zip(ran, outcomes, strict=False)}
    rows, survivors = mutants.table({"geometry": ran}, results, {})
    assert rows[2:] == [f"| {name} | 4 | 3 | 1 | 1 | 1 | 0 | 66.7 % |" for name in ("geometry", "all")]
    assert len(survivors) == 1 and f"{ran[2].mutant.before} -> {ran[2].mutant.after}" in survivors[0]


def test_the_last_result_of_a_mutant_counts(tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text('{"key": "a", "outcome": "survived"}\n{"key": "a", "outcome": "killed"}\n')
    assert mutants.recorded(file) == {"a": {"key": "a", "outcome": "killed"}}
    assert mutants.recorded(tmp_path / "none") == {}


@pytest.fixture
def workshop(tmp_path):
    """A module with one test; not in brats_unet, which this process has imported from elsewhere."""
    for name, text in {
        "scripts/doubled.py": "def doubled(n):\n    return n * 2\n",
        "tests/test_doubled.py": "from scripts.doubled import doubled\n\n\ndef test_two():\n    assert doubled(2) == 4\n",
        "pyproject.toml": '[tool.pytest.ini_options]\nmarkers = ["slow: x", "browser: x"]\n',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with trial.Workshop(tmp_path) as made:
        yield made


def test_a_mutant_is_killed_survives_or_runs_out_of_time(workshop):
    file, test = "scripts/doubled.py", "tests/test_doubled.py::test_two"
    base = workshop.baseline([file], ["tests/test_doubled.py"])
    order = base.order(file, (2, 2))
    assert order == [test] and base.order(file, (9, 9)) == []
    for body, seconds, outcome in (
        ("return n * 3", 60, ("killed", test)),
        ("return n ** 2", 60, ("survived", "")),
        ("while True: pass", 1, ("timed out", "")),
    ):
        assert workshop.trial(file, f"def doubled(n):\n    {body}\n", order, seconds) == outcome
    assert (workshop.folder / file).read_text() == "def doubled(n):\n    return n * 2\n"
