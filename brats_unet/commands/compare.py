"""`brats-unet compare A B …`: compare evaluations of the same cases, paired by case."""

import json
from pathlib import Path

from brats_unet.errors import SettingsError
from brats_unet.evaluation.paired import Comparison, compare
from brats_unet.evaluation.record import open_evaluation
from brats_unet.json_files import write_json
from brats_unet.report.comparison import print_comparison
from brats_unet.report.console import PlainConsole
from brats_unet.settings import Compare


def main(settings: Compare) -> int:
    """Compare, and print tables or a JSON document; always exit code 0. Raises what `compared` does."""
    compared(settings)
    return 0


def compared(settings: Compare) -> Comparison:
    """Compare evaluations, and print tables or a JSON document.

    Raises:
        SettingsError: `runs` names fewer than two evaluations, or `output` is not a JSON file.
        DataError: The evaluations cannot be read or cannot be paired.
    """
    if isinstance(settings.runs, str) or len(settings.runs) < 2:
        raise SettingsError(f"runs={settings.runs}: give two evaluations or more: brats-unet compare runs/a runs/b.")
    output = Path(settings.output) if settings.output is not None else None
    if output is not None and (output.is_dir() or output.suffix != ".json"):
        raise SettingsError(f"output={output}: give the name of a JSON file, such as comparison.json.")
    comparison = compare([open_evaluation(Path(path)) for path in settings.runs], metrics=settings.metrics)
    document = comparison.as_json()
    if output is not None:
        write_json(output, document)
    if settings.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        console = PlainConsole()
        print_comparison(console, comparison)
        if output is not None:
            console.print(f"\n  Written to {output}.", soft_wrap=True)
    return comparison
