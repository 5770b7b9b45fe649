"""Run the tests of some modules on mutants: in a copy of the checkout, each mutant in a process of its own.

The parent imports what the tests need from other packages once, and never `brats_unet`. Each mutant is a fork of it, so
that it costs only its tests.
"""

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

KILLED, TIMED_OUT, SURVIVED = "killed", "timed out", "survived"
COPIED = ("brats_unet", "tests", "scripts", "conf", "docs", "pyproject.toml", "README.md", "Makefile")
OPTIONS = ("-x", "-q", "-m", "not slow and not browser", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
START = "start"  # in place of a test: what runs while modules are imported and tests are collected


@dataclass
class Baseline:
    """The tests on the modules as they are.

    Attributes:
        lines: By module, the tests that run each line; `START` stands for the imports.
        seconds: Processor time of each test, in the order of the run.
        whole_seconds: Of all, with imports.
        packages: Modules of other packages that were imported.
    """

    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    whole_seconds: float = 0.0
    packages: list[str] = field(default_factory=list)

    def order(self, file: str, lines: tuple[int, int]) -> list[str]:
        """The tests of the files that touch a module: first those that run these lines, the fastest first."""
        hits = self.lines.get(file, {})
        there = {test for line in range(lines[0], lines[1] + 1) for test in hits.get(line, ())}
        if not there:
            return []
        files = {test.split("::")[0] for tests in hits.values() for test in tests if test != START}
        tests = [test for test in self.seconds if test.split("::")[0] in files]
        return sorted(tests, key=lambda test: (test not in there, self.seconds[test]))


class _Recorder:
    """A plugin of pytest that notes which test runs which line of some files, and how long it takes."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files  # path in the copy -> name
        self.now = START
        self.hits: dict[tuple[str, int], set[str]] = {}
        self.seconds: dict[str, float] = {}

    def start(self) -> None:
        sys.settrace(self.trace)
        threading.settrace(self.trace)

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        return self.line if frame.f_code.co_filename in self.files else None

    def line(self, frame: FrameType, event: str, argument: object) -> Any:
        self.hits.setdefault((self.files[frame.f_code.co_filename], frame.f_lineno), set()).add(self.now)
        return self.line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.now, began = item.nodeid, time.process_time()
        sys.settrace(self.trace)  # some libraries switch it off
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - began
            self.now = START


class _Ordered:
    """A plugin of pytest that runs some tests in an order, and notes the one that fails."""

    def __init__(self, order: list[str]) -> None:
        self.place = {test: number for number, test in enumerate(order)}
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self.place), key=lambda i: self.place[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid


class Workshop:
    """A copy of the checkout in which modules are changed and tested. Use it in a `with` block."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __enter__(self) -> "Workshop":
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-")) / "checkout"
        self.folder.mkdir()
        for name in COPIED:
            source, copy = self.root / name, self.folder / name
            if source.is_dir():
                shutil.copytree(source, copy)
            elif source.exists():
                shutil.copy2(source, copy)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def baseline(self, files: list[str], tests: list[str]) -> Baseline:
        """Run the tests on the modules as they are; SystemExit if one fails."""
        told = self.folder.parent / "baseline.json"

        def run() -> int:
            recorder = _Recorder({str(self.folder / file): file for file in files})
            recorder.start()
            code = pytest.main([*tests, *OPTIONS], plugins=[recorder])
            sys.settrace(None)
            lines: dict[str, dict[int, list[str]]] = {}
            for (file, line), names in recorder.hits.items():
                lines.setdefault(file, {})[line] = sorted(names)
            packages = [
                name for name, one in sys.modules.items() if "site-packages" in (getattr(one, "__file__", "") or "")
            ]
            told.write_text(json.dumps([lines, recorder.seconds, time.process_time(), packages]))
            return code

        code, _ = self._forked(run, seconds=600, keep_bytecode=True)
        if code != 0:
            raise SystemExit(f"The tests fail without a mutant:\n{self._said()[-3000:]}")
        lines, seconds, whole, packages = json.loads(told.read_text())
        lines = {file: {int(line): names for line, names in hits.items()} for file, hits in lines.items()}
        return Baseline(lines, seconds, whole, packages)

    def trial(self, file: str, source: str, order: list[str], seconds: float) -> tuple[str, str]:
        """(outcome, the test that failed) of the tests in `order` with another source of one module."""
        path, failed = self.folder / file, self.folder.parent / "failed"
        failed.write_text("")

        def run() -> int:
            plugin = _Ordered(order)
            code = pytest.main([*dict.fromkeys(test.split("::")[0] for test in order), *OPTIONS], plugins=[plugin])
            failed.write_text(plugin.failed)
            return code

        before, stat = path.read_bytes(), path.stat()
        path.write_text(source, encoding="utf-8")
        try:
            code, in_time = self._forked(run, seconds=seconds)
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its bytecode stays valid
        outcome = SURVIVED if code == 0 else KILLED if in_time else TIMED_OUT
        return outcome, failed.read_text() if outcome == KILLED else ""

    def _forked(self, run: Any, *, seconds: float, keep_bytecode: bool = False) -> tuple[int, bool]:
        """(exit code, whether it ended in time) of a function in a process of its own, with so much processor time."""
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.setsid()
                self._enter(seconds, keep_bytecode)
                code = int(run())
            finally:
                os._exit(code)
        ends = time.monotonic() + 30 * seconds  # one that waits takes no processor time
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() > ends:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return -1, False
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what it started
        code = os.waitstatus_to_exitcode(ended[1])
        return code, code not in (-signal.SIGXCPU, -signal.SIGKILL)

    def _enter(self, seconds: float, keep_bytecode: bool) -> None:
        """Make the copy the checkout of this process."""
        said = os.open(self.folder.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(self.folder)
        os.environ["PYTHONPATH"] = str(self.folder)
        if not keep_bytecode:
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.path[:] = [str(self.folder), *sys.path[1:]]
        used = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, int(used + seconds) + 3))
        from hypothesis import Phase, settings

        settings.register_profile(
            "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
        )
        settings.load_profile("mutants")

    def _said(self) -> str:
        return (self.folder.parent / "said").read_text(errors="replace")


def preload(packages: list[str]) -> None:
    """Import modules of other packages once, for all forks; none of TensorFlow, whose threads a fork would lose."""
    left_out = {"tensorflow", "keras", "jax", "jaxlib", "_pytest", "xdist"}
    for name in packages:
        if name.split(".")[0] not in left_out and not name.startswith("__editable__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
