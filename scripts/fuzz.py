"""Damage files of every kind that commands read, and count how their readers answer: read, refused, or a fault.

    .venv/bin/python scripts/fuzz.py --count 20000
    .venv/bin/python scripts/fuzz.py --kinds scans --first 123 --count 1   # one input again

A refusal is a BratsError. Everything else is a fault: another exception, a warning, a word on stderr, more than 10 s
of processor time or 120 s of waiting, more than 4 GiB, the end of the process. Each input follows from the seed, its
kind and its number.
"""

import argparse
import contextlib
import io
import json
import os
import random
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 10  # of processor time, the most for one input: other work on the machine does not count
WAITING_SECONDS = 120  # without a word from the process that opens the inputs
BYTES = 4 * 2**30  # most memory that a reader may ask for
READ, REFUSED, FAULT = "read", "refused", "fault"


def inputs(kind: str, seed: int, first: int, count: int, folder: Path) -> Iterator[tuple[int, str, str]]:
    """(number, outcome, sentence or traceback) of some inputs of one kind, opened in this process.

    Args:
        kind: Key of `fuzz_readers.KINDS`.
        seed: Seed of all inputs.
        first: Number of the first input.
        count: How many.
        folder: An empty folder for the sound files.
    """
    from fuzz_mutations import DAMAGES

    readers = Readers(kind, folder)
    for number in range(first, first + count):
        draw = draw_of(seed, kind, number)
        path = draw.choice(sorted(readers.sound))
        yield number, *readers.answer(path, DAMAGES[readers.kind.damage](readers.sound[path], draw))


class Readers:
    """The readers of one kind of files and a folder of sound ones, of which one at a time is damaged.

    Attributes:
        sound: Content of each file of the kind.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        from fuzz_readers import KINDS, Seeds

        folder.mkdir(exist_ok=True)
        self.folder, self.kind, self.seeds = folder, KINDS[kind], Seeds(folder)
        with silenced():
            self.sound = {path: path.read_bytes() for path in self.kind.files(self.seeds)}
            self.kind.reads(self.seeds)
            shutil.rmtree(self.seeds.out, ignore_errors=True)
            self.before = snapshot(folder)

    def answer(self, path: Path, content: bytes) -> tuple[str, str]:
        """How the readers answer a file with this content; the folder is put back as it was."""
        path.write_bytes(content)
        found = answer(lambda: self.kind.reads(self.seeds))
        shutil.rmtree(self.seeds.out, ignore_errors=True)
        restore(self.folder, self.before)
        return found


def draw_of(seed: int, kind: str, number: int) -> random.Random:
    """The generator that an input follows from."""
    return random.Random(f"{seed} {kind} {number}")


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def restore(folder: Path, before: dict[Path, bytes]) -> None:
    """Put a folder back as it was: a damaged file may have changed what a reader writes."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in before:
            path.unlink()
    for path, content in before.items():
        if not path.is_file() or path.stat().st_size != len(content) or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def answer(read: Callable[[], object]) -> tuple[str, str]:
    """How a reader answers."""
    from brats_unet.errors import BratsError

    with silenced() as said, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            with limited():
                read()
            outcome = READ, ""
        except BratsError as problem:
            outcome = REFUSED, str(problem)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  (whatever else it is, it is what this script looks for)
            return FAULT, traceback.format_exc(limit=-12)
        if warned:
            told = [f"{one.category.__name__}: {one.message} ({one.filename}:{one.lineno})" for one in warned]
            return FAULT, "\n".join(told)
        return (FAULT, f"said on stderr: {said()}") if said() else outcome


@contextlib.contextmanager
def silenced():
    """Nothing is printed, also by libraries in C; yields a function that returns what was said on stderr."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield lambda: os.pread(file.fileno(), 10_000, 0).decode("utf-8", "replace")
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


class TooSlow(BaseException):
    """Raised by the alarm, as nothing else is."""


@contextlib.contextmanager
def limited():
    """At most `SECONDS` and `BYTES` more than now."""

    def alarm(number, frame):
        raise TooSlow(f"more than {SECONDS} s of processor time")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    usual = resource.getrlimit(resource.RLIMIT_AS)
    previous = signal.signal(signal.SIGPROF, alarm)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def work(kind: str, seed: int, first: int, count: int) -> None:
    """The process that opens inputs: a line of JSON for each."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number, outcome, words in inputs(kind, seed, first, count, Path(folder)):
            out.write(json.dumps([number, outcome, words]) + "\n")


def opened(kind: str, seed: int, first: int, count: int) -> Iterator[tuple[int, str, str]]:
    """The same as `inputs`, in processes of their own: one that ends or hangs is a fault, and the next goes on."""
    while count > 0:
        command = [
            sys.executable,
            __file__,
            "--work",
            kind,
            "--seed",
            str(seed),
            "--first",
            str(first),
            "--count",
            str(count),
        ]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg", "COLUMNS": "100"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        assert process.stdout is not None and process.stderr is not None
        started = False
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not ready.select(timeout=WAITING_SECONDS):
                    process.kill()
                    break
                line = process.stdout.readline()
                if not line:
                    break
                number, outcome, words = json.loads(line)
                started = True
                yield number, outcome, words
                first, count = number + 1, first + count - number - 1
        code = process.wait()
        if count > 0:
            said = process.stderr.read().decode("utf-8", "replace")[-2000:]
            if not started and "Traceback" in said:
                raise SystemExit(f"{kind}: the sound files cannot be read:\n{said}")
            yield first, FAULT, f"the process hung or ended (exit code {code}). {said}"
            first, count = first + 1, count - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="inputs, over all kinds")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", help="kinds of files; all without it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--faults", type=Path, default=Path("runs/fuzz"), help="folder for a text about each fault")
    parser.add_argument("--jobs", type=int, default=1, help="kinds side by side")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.seed, options.first, options.count)
        return 0
    from fuzz_readers import KINDS

    kinds = options.kinds or list(KINDS)
    shares = sum(KINDS[kind].share for kind in kinds)
    ends = time.monotonic() + options.seconds
    counts = {kind: int(-(-options.count * KINDS[kind].share // shares)) for kind in kinds}
    print("| kind | inputs | read | refused | faults |\n|---|---|---|---|---|", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(lambda kind: of_kind(kind, counts[kind], options, ends), kinds))
    row = list(map(sum, zip(*rows, strict=True)))
    print(f"| all | {sum(row)} | {' | '.join(map(str, row))} |")
    return 1 if row[2] else 0


def of_kind(kind: str, count: int, options: argparse.Namespace, ends: float) -> list[int]:
    """Open the inputs of one kind and print a row; how many were read and refused, and how many faults there were."""
    totals, seen = Counter[str](), set[str]()
    for number, outcome, words in opened(kind, options.seed, options.first, count):
        totals[outcome] += 1
        if outcome == FAULT:
            options.faults.mkdir(parents=True, exist_ok=True)
            (options.faults / f"{kind.replace(' ', '_')}-{number}.txt").write_text(words)
            if (last := place(words)) not in seen:
                seen.add(last)
                again = f"--kinds '{kind}' --first {number} --count 1 --seed {options.seed}"
                print(f"  {last}\n    again: scripts/fuzz.py {again}", flush=True)
        if time.monotonic() > ends:
            break
    row = [totals[outcome] for outcome in (READ, REFUSED, FAULT)]
    print(f"| {kind} | {sum(row)} | {' | '.join(map(str, row))} |", flush=True)
    return row


def place(words: str) -> str:
    """The last line of a traceback, and the last line of our code in it."""
    lines = words.strip().splitlines()
    ours = [line.strip() for line in lines if "/brats_unet/" in line]
    where = ours[-1].split("/brats_unet/")[-1] if ours else ""
    return f"{lines[-1][:160]} {where}"


if __name__ == "__main__":
    sys.exit(main())
