"""Change the source of modules in small ways and count how many of these mutants the tests notice.

    .venv/bin/python scripts/mutants.py --count 420
    .venv/bin/python scripts/mutants.py --subjects geometry folds --again   # survivors once more

A mutant is killed if a test of its module fails or needs too much processor time. Those that no test can tell from the
original stand in mutants_equivalent.toml, each with its reason. Results are kept in a file as they come: a second start
goes on where the first one ended.
"""

import argparse
import hashlib
import json
import sys
import time
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mutants_operators import Mutant, mutants_of, mutated

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENTS = Path(__file__).with_name("mutants_equivalent.toml")
EQUIVALENT = "equivalent"
LEAST_SECONDS = 5.0  # processor time that a mutant may take at least


@dataclass(frozen=True)
class Subject:
    """What is changed, and the files of tests that must notice it; patterns below brats_unet/ and tests/."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


SUBJECTS = {
    "geometry": Subject(
        ("geometry.py", "volume.py"), ("test_geometry.py", "test_volume.py", "data/prepare/test_grid.py")
    ),
    "folds": Subject(
        ("data/folds.py", "data/division.py", "data/assignment.py"),
        ("data/test_folds.py", "data/test_division.py", "data/test_assignment.py"),
    ),
    "labels": Subject(
        ("data/labels/*.py", "schemes/*.py", "mask_channels.py"),
        ("schemes/test_*.py", "data/labels/test_*.py", "test_mask_channels.py"),
    ),
    "metrics": Subject(("metrics/*.py",), ("metrics/test_*.py",)),
    "post-processing": Subject(
        ("inference/postprocess.py", "inference/rule_losses.py"),
        ("inference/test_postprocess.py", "inference/test_rule_losses.py"),
    ),
    "sampling": Subject(("data/patches/sampling.py",), ("data/patches/test_sampling.py",)),
    "files": Subject(
        ("files.py", "json_files.py", "run_lock.py"),
        ("test_files.py", "test_json_files.py", "test_run_lock.py", "test_removal.py"),
    ),
}


@dataclass(frozen=True)
class Drawn:
    """A mutant of the draw."""

    subject: str
    file: str
    mutant: Mutant

    @property
    def key(self) -> str:
        """What it is, whatever stands above it in the file."""
        one = self.mutant
        return f"{self.file} {one.where}: {one.before} -> {one.after} ({one.nth})"


def files_of(subject: Subject) -> tuple[list[str], list[str]]:
    """The modules and the files of tests, relative to the checkout."""
    modules = {path for pattern in subject.modules for path in (ROOT / "brats_unet").glob(pattern)}
    tests = {path for pattern in subject.tests for path in (ROOT / "tests").glob(pattern)}
    return [sorted(str(path.relative_to(ROOT)) for path in found) for found in (modules, tests)]


def drawn(name: str, count: int, seed: int) -> list[Drawn]:
    """The mutants of a subject with the lowest hashes: a change of a module changes only the draw of its own lines."""
    found = [
        Drawn(name, file, one) for file in files_of(SUBJECTS[name])[0] for one in mutants_of((ROOT / file).read_text())
    ]
    found.sort(key=lambda one: hashlib.blake2b(f"{seed} {one.key}".encode()).digest())
    return found[:count]


def equivalents(path: Path = EQUIVALENTS) -> dict[tuple[str, str, str], str]:
    """Reasons by (file, function, change)."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["equivalent"]
    return {(one["file"], one["where"], one["change"]): one["why"] for one in entries}


def why_equivalent(one: Drawn, known: dict[tuple[str, str, str], str]) -> str | None:
    """Why no test can notice a mutant; None if it is not known to be so."""
    return known.get((one.file, one.mutant.where, f"{one.mutant.before} -> {one.mutant.after}"))


def recorded(path: Path) -> dict[str, dict[str, Any]]:
    """Results by key; the last one counts."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {one["key"]: one for one in map(json.loads, lines)}


def work(name: str, pending: list[Drawn], results: Path, ends: float) -> None:
    """Run the tests of a subject on its mutants and write the results as they come."""
    from mutants_trial import SURVIVED, Workshop, preload

    modules, tests = files_of(SUBJECTS[name])
    with Workshop(ROOT) as workshop, results.open("a", encoding="utf-8") as out:
        base = workshop.baseline(modules, tests)
        preload(base.packages)
        print(f"{name}: {len(base.seconds)} tests, {base.whole_seconds:.1f} s; {len(pending)} mutants", flush=True)
        for one in pending:
            if time.monotonic() > ends:
                return
            began = time.monotonic()
            order = base.order(one.file, one.mutant.lines)
            outcome, test = SURVIVED, ""
            if order:  # else no test runs this line
                source = mutated((ROOT / one.file).read_text(), one.mutant.index)
                limit = max(LEAST_SECONDS, 5 * base.whole_seconds)
                outcome, test = workshop.trial(one.file, source, order, limit)
            told = {"key": one.key, "subject": name, "outcome": outcome, "test": test, "covered": bool(order)}
            seconds = round(time.monotonic() - began, 2)
            out.write(json.dumps({**told, "seconds": seconds, **asdict(one.mutant), "file": one.file}) + "\n")
            out.flush()


def table(
    draws: dict[str, list[Drawn]], results: dict[str, dict[str, Any]], known: dict[tuple[str, str, str], str]
) -> tuple[list[str], list[str]]:
    """The rows of the table, and a line for each mutant that survived."""
    rows = [
        "| subject | mutants drawn | run | killed | timed out | survived | equivalent | killed of those that count |",
        "|---|---|---|---|---|---|---|---|",
    ]
    survivors, total = [], Counter[str]()
    for name, mutants in draws.items():
        counts = Counter[str](drawn=len(mutants))
        for one in mutants:
            outcome = EQUIVALENT if why_equivalent(one, known) else results.get(one.key, {}).get("outcome", "")
            counts.update([outcome, "run"] if outcome else [])
            if outcome == "survived":
                covered = "" if results[one.key]["covered"] else " (no test runs it)"
                place = f"{one.file}:{one.mutant.lines[0]} {one.mutant.where}"
                survivors.append(f"{place}: {one.mutant.before} -> {one.mutant.after}{covered}")
        rows.append(_row(name, counts))
        total += counts
    return [*rows, _row("all", total)], survivors


def _row(name: str, counts: Counter[str]) -> str:
    found = counts["killed"] + counts["timed out"]
    asked = counts["run"] - counts[EQUIVALENT]
    share = f"{100 * found / asked:.1f} %" if asked else ""
    columns = ("drawn", "run", "killed", "timed out", "survived", EQUIVALENT)
    return f"| {name} | {' | '.join(str(counts[column]) for column in columns)} | {share} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=420, help="mutants, over all subjects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="all without it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--again", action="store_true", help="run the tests on earlier survivors once more")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is known")
    parser.add_argument("--results", type=Path, default=Path("runs/mutants/results.jsonl"))
    options = parser.parse_args()
    ends = time.monotonic() + options.seconds
    options.results.parent.mkdir(parents=True, exist_ok=True)
    draws = {name: drawn(name, -(-options.count // len(SUBJECTS)), options.seed) for name in options.subjects}
    known, results = equivalents(), recorded(options.results)
    for name, mutants in draws.items():
        wanted = ("", "survived") if options.again else ("",)
        pending = [one for one in mutants if results.get(one.key, {}).get("outcome", "") in wanted]
        pending = [one for one in pending if not why_equivalent(one, known)]
        if pending and not options.table and time.monotonic() < ends:
            work(name, pending, options.results, ends)
    rows, survivors = table(draws, recorded(options.results), known)
    print("\n".join([*rows, "", *survivors]))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
