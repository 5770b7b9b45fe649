"""`brats-unet phantom`: write a dataset of phantoms."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from brats_unet.data.phantom.phantoms import CYCLE, GRADES, write_dataset
from brats_unet.report.console import PlainConsole, plain_column
from brats_unet.settings import Phantom


def main(settings: Phantom) -> int:
    """Write `settings.cases` phantoms into `settings.output`, except those that exist; always exit code 0.

    Raises:
        MachineError: The disk is full.
    """
    names, kept = _write(settings)
    _print_result(settings, names, kept)
    return 0


def _write(settings: Phantom) -> tuple[list[str], int]:
    """Write the phantoms under a progress bar; returns the names of all cases, and how many of them existed before."""
    bar = Progress(
        plain_column("phantoms"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=PlainConsole(stderr=True, quiet=settings.json),
        transient=True,
    )
    counts_done = []
    with bar:
        task = bar.add_task("phantoms", total=settings.cases)

        def show(done: int, total: int) -> None:
            counts_done.append(done)
            bar.update(task, completed=done, total=total)

        names = write_dataset(
            Path(settings.output), cases=settings.cases, seed=settings.seed, workers=settings.workers, progress=show
        )
    return names, counts_done[0]  # the first call reports the phantoms that exist


def _print_result(settings: Phantom, names: Sequence[str], kept: int) -> None:
    folder = Path(settings.output)
    kinds = [CYCLE[i % len(CYCLE)] for i in range(len(names))]
    written = len(names) - kept
    if settings.json:
        document = {
            "folder": str(folder),
            "seed": settings.seed,
            "cases": names,
            "written": written,
            "varieties": {name: str(kind) for name, kind in zip(names, kinds, strict=True)},
            "grades": dict(Counter(GRADES[kind] for kind in kinds)),
        }
        print(json.dumps(document))
        return
    counts = ", ".join(f"{n} {str(kind).replace('_', ' ')}" for kind, n in Counter(kinds).items())
    existing = f" ({kept} existed already)" if kept else ""
    root = shlex.quote(str(folder))
    console = PlainConsole(soft_wrap=True)
    console.print(f"Wrote {written} of {len(names)} phantoms{existing} to {folder}, seed {settings.seed}: {counts}.")
    console.print(f"Next: brats-unet check data.root={root}")
    console.print(f"      brats-unet train data=brats data.root={root}")
