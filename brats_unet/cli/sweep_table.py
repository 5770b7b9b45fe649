"""What came of the jobs of a sweep, and of its trainings as a table."""

import hashlib
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brats_unet.errors import STOPPED_AT_ONCE, Interrupted
from brats_unet.report.console import PlainConsole
from brats_unet.report.run_facts import FAILED, STOPPED, RunFacts, facts_of
from brats_unet.report.run_table import print_runs, sentences_about, sorted_runs, write_runs
from brats_unet.run import Run


@dataclass(frozen=True)
class Outcome:
    """One job of a sweep.

    Attributes:
        overrides: Its overrides, in Hydra's grammar.
        differs: The values in which the jobs differ, by key.
        code: Exit code.
        told: What the job told of itself: "run", its folder, and "error", the sentence of its failure.
    """

    overrides: Sequence[str]
    differs: Mapping[str, str]
    code: int
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Why the job failed; "" if it did not."""
        if self.code == 0:
            return ""
        ended = f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return self.told.get("error") or f"{ended}."


@dataclass(frozen=True)
class Sweep:
    """What came of all jobs.

    Attributes:
        outcomes: One for each job that was done, in their order.
        lost: The error of a launcher that lost a job; "" if it lost none.
        logs: Folder with the launcher's own logs; None if there are none.
        stopped: Whether a signal came before the last job was done.
    """

    outcomes: Sequence[Outcome]
    lost: str = ""
    logs: Path | None = None
    stopped: bool = False

    @property
    def code(self) -> int:
        """0, or 1 if any job failed or was lost."""
        return 1 if self.lost or any(one.code for one in self.outcomes) else 0


def table_of(done: Sweep, file: Path | None, *, best: bool = True) -> None:
    """Print what came of each training, and write it as CSV.

    Args:
        done: The jobs.
        file: The CSV file, beside the run folders; None if no job has one.
        best: Whether to sort by Dice and to name the best; not for trainings with other held-out cases.

    Raises:
        MachineError: The file cannot be written. The runs themselves are there.
    """
    runs = [_facts(one) for one in done.outcomes]
    runs = sorted_runs(runs, "best") if best else runs
    console = PlainConsole(stderr=True)
    print_runs(console, runs, f"{len(runs)} training{'s' if len(runs) != 1 else ''}")
    for sentence in sentences_about(runs) if best else []:
        console.print(sentence, soft_wrap=True)
    if file is not None:
        write_runs(file, runs)
        console.print(f"Written to {file}.", soft_wrap=True)


def _facts(one: Outcome) -> RunFacts:
    """What became of the training of one job, named by the values in which it differs from the others."""
    name = " ".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in one.differs.items())
    run = Run(Path(one.told["run"])) if "run" in one.told else None
    found = facts_of(run, name) if run is not None and run.was_started else RunFacts(name, state=FAILED)
    if one.code in (Interrupted.exit_code, STOPPED_AT_ONCE):
        return replace(found, state=STOPPED, differs=one.differs)
    state = FAILED if one.code else found.state
    return replace(found, state=state, sentence=one.sentence or found.sentence, differs=one.differs)


def table_file(done: Sweep, settings: str) -> Path | None:
    """The CSV file of a sweep beside its run folders, the same for the same settings; None if it has no run."""
    folders = [Path(one.told["run"]).parent for one in done.outcomes if "run" in one.told]
    digits = hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()
    return folders[0] / f"sweep-{digits}.csv" if folders else None
