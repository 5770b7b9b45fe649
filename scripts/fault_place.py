"""Where scripts/faults.py starts commands: fresh copies of what the commands before made, and their results."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from fault_commands import COMMANDS
from fault_injection import Event, Plan
from fault_results import Answer

# What the server of commands imports before it is asked for the first.
MODULES = [
    *(f"brats_unet.commands.{name}" for name in ("train", "evaluate", "predict", "report")),
    "brats_unet.cli.hydra",
]
STARTUP_SECONDS = 300  # longest time for the import of TensorFlow


class Usual(NamedTuple):
    """What a command does undisturbed: its results, exit code, time, and how often each file event comes."""

    folder: Path
    code: int
    seconds: float
    events: dict[Event, int]


@dataclass(frozen=True)
class Signal:
    """A signal after some seconds; SIGKILL and SIGINT (Ctrl-C) are sent to all processes of the command."""

    number: signal.Signals
    seconds: float


class Place:
    """A folder in which one command runs at a time, always at the same path, which results contain.

    Args:
        folder: An empty folder, for the results of the undisturbed commands too.
        core: The core that the commands run on.
        limit: Seconds after which a command hangs.
    """

    def __init__(self, folder: Path, core: int, limit: float) -> None:
        self.folder, self.core, self.limit = folder, core, limit
        self.work, self.log, self.output = folder / "work", folder / "events.jsonl", folder / "output.txt"
        self._usual: dict[str, Usual] = {}
        self._server: subprocess.Popen[str] | None = None

    def usual(self, name: str) -> Usual:
        """Run a command undisturbed, after those whose results it needs; every command runs once.

        Raises:
            SystemExit: It fails.
        """
        if name not in self._usual:
            self.prepare(name)
            self.log.unlink(missing_ok=True)
            start = time.monotonic()
            answer = self.run(COMMANDS[name].arguments, Plan(str(self.work), str(self.log)))
            seconds = time.monotonic() - start
            if answer.code != 0:
                raise SystemExit(f"{name}: ended with {answer.code} undisturbed:\n{answer.words}")
            events: dict[Event, int] = {}
            for operation, kind, site, _ in self.logged():
                event = Event(operation, kind, site)
                events[event] = events.get(event, 0) + 1
            results = self.folder / "usual" / name.replace(" ", "_")
            shutil.copytree(self.work, results, symlinks=True)
            self._usual[name] = Usual(results, answer.code, seconds, events)
        return self._usual[name]

    def prepare(self, name: str) -> None:
        """Empty the folder of work, or fill it with what the command before this one made."""
        before = COMMANDS[name].after
        source = None if before is None else self.usual(before).folder
        shutil.rmtree(self.work, ignore_errors=True)
        if source is None:
            self.work.mkdir(parents=True)
        else:
            shutil.copytree(source, self.work, symlinks=True)

    def logged(self) -> list[list[str]]:
        """(operation, kind, site, path) of the events of the last command."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def run(self, arguments: tuple[str, ...], plan: Plan | None = None, after: Signal | None = None) -> Answer:
        """Run a command in the folder of work.

        Args:
            arguments: What follows `brats-unet`.
            plan: What is logged or disturbed.
            after: A signal to send.
        """
        given = {"arguments": arguments, "folder": str(self.work), "output": str(self.output), "core": self.core}
        process = int(self._tell(json.dumps({**given, "plan": asdict(plan) if plan else None}), STARTUP_SECONDS))
        if after is not None:
            time.sleep(after.seconds)
            if after.number in (signal.SIGKILL, signal.SIGINT):
                self._send(process, after.number)
            else:
                os.kill(process, after.number)
        try:
            code = int(self._tell("wait", self.limit))
        except TimeoutError:
            self._send(process, signal.SIGKILL)
            self._answered(STARTUP_SECONDS)
            code = None
        return Answer(code, self.output.read_text(encoding="utf-8", errors="replace"))

    def _send(self, process: int, number: signal.Signals) -> None:
        """Send a signal to a command, which has its number until the server is told to wait, and to its jobs."""
        try:
            os.killpg(process, number)
        except ProcessLookupError:  # it has no group yet
            os.kill(process, number)

    def _tell(self, line: str, limit: float) -> str:
        """Write a line to the server of commands, which is started first; returns the line that it answers."""
        if self._server is None:
            script = str(Path(__file__).with_name("fault_injection.py"))
            command = [sys.executable, "-W", "ignore", script, "--serve", *MODULES]
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg", "COLUMNS": "200"}
            pipe = subprocess.PIPE
            self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        assert self._server.stdin is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        return self._answered(limit)

    def _answered(self, limit: float) -> str:
        assert self._server is not None and self._server.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self._server.stdout, selectors.EVENT_READ)
            if not ready.select(timeout=limit):
                raise TimeoutError
        return self._server.stdout.readline()

    def close(self) -> None:
        """End the server, and delete the folder."""
        if self._server is not None and self._server.stdin is not None and self._server.stdout is not None:
            self._server.stdin.close()
            self._server.wait()
            self._server.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
