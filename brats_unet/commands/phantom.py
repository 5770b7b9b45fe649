"""`brats-unet phantom`: write a dataset of phantoms."""

import json
import shlex
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from brats_unet.data.phantom.phantoms import CYCLE, GRADES, write_dataset
from brats_unet.errors import SettingsError
from brats_unet.settings import Phantom


def main(settings: Phantom) -> int:
    """Write `settings.cases` phantoms into `settings.output`; what is there already is kept."""
    for name in ("cases", "workers"):
        if getattr(settings, name) < 1:
            raise SettingsError(f"{name}={getattr(settings, name)}: expected a whole number, 1 or more.")
    if settings.seed < 0:
        raise SettingsError(f"seed={settings.seed}: expected a whole number, 0 or more.")
    folder = Path(settings.output)
    console = Console(stderr=True, quiet=settings.json)
    bar = Progress(
        TextColumn("phantoms"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    first = []
    with bar:
        task = bar.add_task("phantoms", total=settings.cases)

        def show(done: int, of: int) -> None:
            first.append(done)
            bar.update(task, completed=done, total=of)

        names = write_dataset(folder, cases=settings.cases, seed=settings.seed, workers=settings.workers, progress=show)
    kinds = [CYCLE[i % len(CYCLE)] for i in range(len(names))]
    written = len(names) - first[0]
    if settings.json:
        print(
            json.dumps(
                {
                    "folder": str(folder),
                    "seed": settings.seed,
                    "cases": names,
                    "written": written,
                    "varieties": {name: str(kind) for name, kind in zip(names, kinds, strict=True)},
                    "grades": dict(Counter(GRADES[kind] for kind in kinds)),
                }
            )
        )
        return 0
    counts = ", ".join(f"{n} {str(kind).replace('_', ' ')}" for kind, n in Counter(kinds).items())
    kept = f" ({first[0]} were there already)" if first[0] else ""
    root = shlex.quote(str(folder))
    out = Console(highlight=False, soft_wrap=True)
    out.print(
        f"Wrote {written} of {len(names)} phantoms{kept} to [bold]{folder}[/bold], seed {settings.seed}: {counts}."
    )
    out.print(f"Next: brats-unet check data.root={root}")
    out.print(f"      brats-unet train data=brats data.root={root}")
    return 0
