"""`brats-unet phantom`: write a dataset of phantoms."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from brats_unet.data.phantom.phantom_case import kind_of
from brats_unet.data.phantom.phantoms import write_dataset
from brats_unet.data.phantom.scan_grid import ScanGrid, grid_of
from brats_unet.report.console import PlainConsole, plain_column
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import DEFAULT, builtin_names, scheme_of
from brats_unet.settings import Phantom


def main(settings: Phantom) -> int:
    """Write `settings.cases` phantoms into `settings.output`, except those that exist; always exit code 0.

    Raises:
        SettingsError: The grid is too small for a head, or too large.
        DataError: The folder has other contents, or other phantoms.
        MachineError: The disk is full.
    """
    scheme = scheme_of(settings.scheme)
    grid = grid_of(kind_of(scheme).grid, settings.grid, settings.spacing_mm)
    names, kept = _write(settings, scheme, grid)
    _print_result(settings, scheme, grid, names, kept)
    return 0


def _write(settings: Phantom, scheme: Scheme, grid: ScanGrid) -> tuple[list[str], int]:
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
            Path(settings.output),
            cases=settings.cases,
            seed=settings.seed,
            scheme=scheme,
            grid=grid,
            workers=settings.workers,
            progress=show,
        )
    return names, counts_done[0]  # the first call reports the phantoms that exist


def _print_result(settings: Phantom, scheme: Scheme, grid: ScanGrid, names: Sequence[str], kept: int) -> None:
    folder = Path(settings.output)
    kind = kind_of(scheme)
    varieties = [kind.variety(i) for i in range(len(names))]
    written = len(names) - kept
    if settings.json:
        document = {
            "folder": str(folder),
            "seed": settings.seed,
            "scheme": scheme.name,
            "grid": grid.shape,
            "spacing_mm": grid.spacing_mm,
            "cases": names,
            "written": written,
            "varieties": dict(zip(names, varieties, strict=True)),
            "grades": dict(Counter(kind.grades[variety] for variety in varieties if kind.grades)),
        }
        print(json.dumps(document))
        return
    counts = ", ".join(f"{n} {variety.replace('_', ' ')}" for variety, n in Counter(varieties).items())
    existing = f" ({kept} existed already)" if kept else ""
    root = shlex.quote(str(folder))
    console = PlainConsole(soft_wrap=True)
    console.print(f"Wrote {written} of {len(names)} phantoms{existing} to {folder}, seed {settings.seed}: {counts}.")
    shown = "" if scheme.name == DEFAULT else " scheme=" + shlex.quote(_scheme_setting(scheme))
    console.print(f"Next: brats-unet check data.root={root}{shown}")
    console.print(f"      brats-unet train data=brats data.root={root}{shown}")


def _scheme_setting(scheme: Scheme) -> str:
    """What to give as `scheme=`: the name of a built-in scheme, or how the user's file is probably called."""
    return scheme.name if scheme.name in builtin_names() else f"{scheme.name}.yaml"
