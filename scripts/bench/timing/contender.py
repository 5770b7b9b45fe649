"""Programs that are timed in turns: each runs in a process of its own and measures on request.

The same protocol holds for brats-unet and for its peers, which run in another environment; so this module needs only
the standard library. A program first prints facts about itself as one line of JSON. For every line "PRECISION COUNT" of
standard input, it measures COUNT times and prints the seconds as JSON. When its input ends, it prints its peak memory.
"""

import contextlib
import json
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[3]
# TensorFlow, XLA, PyTorch, cuDNN and C++ each have their own words for it; compared in lower case.
NO_MEMORY = ("resourceexhausted", "out of memory", "outofmemory", "alloc_failed", "bad_alloc", "memoryerror")


def serve(facts: Mapping[str, Any], seconds: Callable[[str], float], farewell: Callable[[], Mapping[str, Any]]) -> None:
    """The program's side: print the facts, answer the requests on standard input, and print the peak memory.

    Args:
        facts: What the program says about itself.
        seconds: Function that measures once, in the given precision.
        farewell: Function that gives what is known at the end; the peak memory of the process in bytes is added.
    """
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        precision, count = line.split()
        print(json.dumps([seconds(precision) for _ in range(int(count))]), flush=True)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"process_peak_bytes": peak, **farewell()}), flush=True)


class ProgramError(Exception):
    """A program ended early.

    Attributes:
        outcome: "out of memory", "time limit" or "failed".
    """

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Contender:
    """The other side: a program that measures on request.

    Attributes:
        facts: What the program said about itself.
    """

    def __init__(self, command: Sequence[str], *, limit_seconds: float | None = None) -> None:
        """Start the program and wait for its facts.

        Args:
            command: Program and arguments.
            limit_seconds: The program is killed after this time; None for no limit.

        Raises:
            ProgramError: It ended before it was ready; as do `seconds` and `close`.
        """
        self.command = list(command)
        self.messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `kill`)
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.messages, text=True, cwd=ROOT
        )
        self.late = False
        self.timer = threading.Timer(limit_seconds or threading.TIMEOUT_MAX, self._stop_late)
        self.timer.daemon = True
        self.timer.start()
        self.facts = self._answer()

    def seconds(self, precision: str, count: int) -> list[float]:
        """Measure a number of times; seconds of each."""
        try:
            request = _pipe(self.process.stdin)
            request.write(f"{precision} {count}\n")
            request.flush()
        except BrokenPipeError:
            self.process.wait()  # it has ended; the answer below says why
        return self._answer()

    def close(self) -> dict[str, Any]:
        """End the program; its peak memory in bytes and what else it says at the end."""
        _pipe(self.process.stdin).close()
        farewell = self._answer()
        self.kill()
        return farewell

    def kill(self) -> None:
        """End the program at once."""
        self.timer.cancel()
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            _pipe(self.process.stdin).close()
        _pipe(self.process.stdout).close()
        self.messages.close()

    def _stop_late(self) -> None:
        self.late = True
        self.process.kill()

    def _answer(self) -> Any:
        line = _pipe(self.process.stdout).readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.messages.seek(0)
        text = self.messages.read().decode(errors="replace")
        self.kill()
        name = " ".join(Path(word).name for word in self.command[:2])
        raise ProgramError(outcome_of(code, text, late=self.late), f"{name} stopped early:\n{text[-3000:]}")


def outcome_of(code: int, messages: str, *, late: bool) -> str:
    """Why a program ended early: "time limit", "out of memory" or "failed".

    Args:
        code: Exit code; negative for a signal. SIGKILL without a time limit is the system's answer to lack of memory.
        messages: What it wrote to standard error.
        late: Whether it was killed at its time limit.
    """
    if late:
        return "time limit"
    if code == -signal.SIGKILL or any(
        word in messages.lower().replace("_exhausted", "exhausted") for word in NO_MEMORY
    ):
        return "out of memory"
    return "failed"


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
