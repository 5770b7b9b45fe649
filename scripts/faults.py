"""Disturb every command at each of its file events, run it again, and compare the results with undisturbed ones.

    .venv/bin/python scripts/faults.py --jobs 2
    .venv/bin/python scripts/faults.py --resume                                # only what was not tried yet
    .venv/bin/python scripts/faults.py --commands train --only journal.jsonl   # some tries again

A try disturbs one distinct event (operation, kind of file, place in the code) of one command, or sends a signal at a
random moment. A fault is a traceback, an error that does not name the file, a hang, an unknown exit code, or that the
same command, run again, does not make what an undisturbed one makes. Commands run on one core, in one process; the jobs
of crossval are forks of it and not disturbed themselves.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from fault_commands import COMMANDS
from fault_injection import ERRORS, FULL, KILL, Event, Plan
from fault_place import Place, Signal
from fault_results import Answer, differences, fault_of_end, fault_of_repetition

NOTHING = "nothing"  # a disturbance: the command is run twice
FAULT, NOT_REACHED = "fault", "not reached"
RANDOM_SIGNALS = 102  # at random moments of a training, a third of each
OUTCOMES = ("killed", "stopped", "refused", "went on", NOT_REACHED, FAULT)


class Try(NamedTuple):
    """One disturbance: of the nth occurrence of an event, or by a signal at a share of the usual time."""

    command: str
    how: str
    event: Event | None = None
    nth: int = 0
    moment: float = 0.0
    without_cache: bool = False  # the cache is deleted before the command is run again

    @property
    def name(self) -> str:
        """What the try is, by which `--only` and `--resume` know it."""
        if self.how == NOTHING:
            return f"{self.command}: {NOTHING}"
        if self.event is None:
            return f"{self.command}: {self.how} at {self.moment:.4f}{', cache deleted' if self.without_cache else ''}"
        return f"{self.command}: {self.how} at {' '.join(self.event)}, occurrence {self.nth}"


def tries_of(name: str, events: dict[Event, int], seed: int, every: bool) -> list[Try]:
    """All tries of a command.

    Args:
        name: The command.
        events: Its events, and how often each comes.
        seed: Seed of the occurrences and moments.
        every: Whether to try all errors at each event, instead of one in turn.
    """
    draw, tries = random.Random(f"{seed} {name}"), [Try(name, NOTHING)]
    for number, (event, count) in enumerate(sorted(events.items())):
        nth = draw.randint(1, count)
        errors = [*ERRORS, FULL] if event.operation == "open" else [*ERRORS]
        chosen = errors if every else [errors[number % len(errors)]]
        tries += [Try(name, how, event, nth) for how in (KILL, *chosen)]
    numbers = ["SIGKILL", "SIGTERM", "SIGINT"] * (RANDOM_SIGNALS // 3 if COMMANDS[name].stops else 1)
    tries += [Try(name, number, moment=draw.uniform(0.02, 1)) for number in numbers]
    if COMMANDS[name].after is not None and any(event.kind.startswith("cache") for event in events):
        tries += [Try(name, "SIGKILL", moment=draw.uniform(0.3, 1), without_cache=True) for _ in range(2)]
    return tries


def tried(one: Try, place: Place) -> tuple[str, str]:
    """Disturb a command and run it again; returns its outcome and a text about it."""
    usual, arguments = place.usual(one.command), COMMANDS[one.command].arguments
    place.prepare(one.command)
    place.log.unlink(missing_ok=True)
    if one.event is not None:
        first = place.run(arguments, Plan(str(place.work), str(place.log), one.how, one.event, one.nth))
    elif one.how == NOTHING:
        first = place.run(arguments)
    else:
        first = place.run(arguments, after=Signal(signal.Signals[one.how], one.moment * usual.seconds))
    reached = place.logged()
    how = KILL if one.how == "SIGKILL" else one.how
    fault = fault_of_end(how, first, reached[0][3] if reached else "", usual.code)
    different = differences(place.work, usual.folder)
    if not fault and first.code == usual.code and different:
        fault = f"it ended with {first.code}, but {'; '.join(different[:4])}"
    if one.without_cache:
        shutil.rmtree(place.work / "cache", ignore_errors=True)
    second = place.run(arguments)
    fault = fault or fault_of_repetition(
        second, usual.code, place.work, usual.folder, done=not different, cache=not one.without_cache
    )
    outcome = FAULT if fault else NOT_REACHED if one.event is not None and not reached else of_code(first)
    return outcome, f"{one.name}\n{fault}\n\n{first.code}: {first.words}\n\n{second.code}: {second.words}"


def of_code(answer: Answer) -> str:
    """The outcome of a command that ended as it should."""
    return {-9: "killed", 2: "refused", 75: "stopped", 130: "stopped"}.get(answer.code or 0, "went on")


def of_command(name: str, place: Place, options: argparse.Namespace, done: dict[str, str], ends: float) -> list[str]:
    """Do the tries of a command; returns a row of the table."""
    usual = place.usual(name)
    tries = tries_of(name, usual.events, options.seed, options.every)
    wanted = [one for one in tries if all(word in one.name for word in options.only)]
    for one in wanted:
        if one.name in done or time.monotonic() > ends:
            continue
        outcome, words = tried(one, place)
        done[one.name] = outcome
        if outcome == FAULT:
            text = options.folder / f"{name.replace(' ', '_')}-{tries.index(one)}.txt"
            text.write_text(words, encoding="utf-8")
            print(f"  {one.name}\n    {words.splitlines()[1]}\n    see {text}", flush=True)
        with open(options.folder / "tries.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps([one.name, outcome]) + "\n")
    found = [done[one.name] for one in wanted if one.name in done]
    row = [name, len(usual.events), len(wanted), *map(found.count, OUTCOMES), len(wanted) - len(found)]
    print(f"| {' | '.join(map(str, row))} |", flush=True)
    return list(map(str, row))


def main() -> int:
    names = [name for name, command in COMMANDS.items() if command.disturbed]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", nargs="+", choices=names, default=names, help="commands to disturb; all without")
    parser.add_argument("--only", nargs="+", default=[], help="only tries with all these words in their name")
    parser.add_argument("--every", action="store_true", help="try all errors at each event, not one in turn")
    parser.add_argument("--seed", type=int, default=0, help="seed of occurrences and moments")
    parser.add_argument("--limit", type=float, default=180, help="seconds after which a command hangs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no try after so many seconds")
    parser.add_argument("--jobs", type=int, default=1, help="commands side by side")
    parser.add_argument("--resume", action="store_true", help="keep the results in the folder, and do only the rest")
    parser.add_argument("--folder", type=Path, default=Path("runs/faults"), help="folder for the results")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "tries.jsonl"
    if not options.resume:
        for old in [file, *options.folder.glob("*.txt")]:
            old.unlink(missing_ok=True)
    done = dict(json.loads(line) for line in file.read_text().splitlines()) if file.exists() else {}
    ends, cores = time.monotonic() + options.seconds, sorted(os.sched_getaffinity(0))
    print(f"| command | events | tries | {' | '.join(OUTCOMES)} | left |\n|{'---|' * (len(OUTCOMES) + 4)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as work, ThreadPoolExecutor(options.jobs) as pool:
        places = [Place(Path(work, str(job)), cores[job % len(cores)], options.limit) for job in range(options.jobs)]
        free = list(places)

        def one(name: str) -> list[str]:
            place = free.pop()
            try:
                return of_command(name, place, options, done, ends)
            finally:
                free.append(place)

        try:
            rows = list(pool.map(one, options.commands))
        finally:
            for place in places:
                place.close()
    totals = [sum(int(row[column]) for row in rows) for column in range(1, len(OUTCOMES) + 4)]
    print(f"| all | {' | '.join(map(str, totals))} |")
    return 1 if totals[-2] else 0


if __name__ == "__main__":
    sys.exit(main())
