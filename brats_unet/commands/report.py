"""`brats-unet report run=…`: write one HTML page about an evaluated run, and figures for a paper."""

import json
import sys
from pathlib import Path

from brats_unet.commands.display import open_display
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.record import PAGE, open_evaluation, require_whole
from brats_unet.files import size_text
from brats_unet.report.page import write_page
from brats_unet.report.paper_figures import write_paper_figures
from brats_unet.run import Run
from brats_unet.settings import Report


def main(settings: Report) -> int:
    """Write the page, and the figures if asked for; always exit code 0.

    Raises:
        DataError: The run was not evaluated, its evaluation is incomplete, or there is no `data.root`.
        SettingsError: `output` is not an HTML file, or `cases` names a case without scores.
        MachineError: The disk is full.
    """
    folder = Path(settings.run)
    evaluation = open_evaluation(folder)
    require_whole(evaluation)
    path = Path(settings.output) if settings.output is not None else folder / PAGE
    if path.suffix != ".html" or path.is_dir():
        raise SettingsError(f"output={path}: give the name of an HTML file, such as report.html.")
    runs = (Run(folder), Run(folder.resolve().parent))  # evaluation_best/ lies in its run folder
    run = next((run for run in runs if run.was_started), None)
    data_root = None if settings.data.root is None else Path(settings.data.root)
    if data_root is not None and not data_root.is_dir():
        raise DataError(f"data.root={data_root}: no such folder. Give the folder of the scored scans.")
    with open_display(json=settings.json) as display:
        page = write_page(
            evaluation,
            run,
            path,
            viewer=settings.viewer,
            cases=settings.cases,
            pictures=settings.pictures,
            data_root=data_root,
            command=sys.argv[1:],
            progress=display.progress,
        )
        figures: list[Path] = []
        left_out = page.left_out
        if settings.paper != "none":
            figures, not_drawn = write_paper_figures(
                evaluation,
                run,
                [*page.drawn, *(settings.cases or [])],
                column=settings.paper,
                synthetic=page.synthetic,
                data_root=data_root,
                progress=lambda done, total: display.progress("Figures for a paper", done, total),
            )
            left_out += tuple(not_drawn)
        for sentence in left_out:
            display.log(f"Not shown: {sentence}")
        display.log(f"{page.path}: {size_text(page.size_bytes)}, {len(page.scrolled)} cases to scroll.")
        if figures:
            folders = " and ".join(dict.fromkeys(str(path.parent) for path in figures))
            display.log(f"{len(figures)} figures for a paper ({settings.paper} column, PDF and SVG) in {folders}.")
    if settings.json:
        document = {
            "page": str(page.path),
            "bytes": page.size_bytes,
            "cases_to_scroll": page.scrolled,
            "cases_drawn": page.drawn,
            "figures_for_a_paper": [str(path) for path in figures],
            "left_out": left_out,
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0
