"""`brats-unet report run=…`: write one HTML page about an evaluated run, and figures for a paper."""

import json
import sys
import tempfile
from pathlib import Path

from brats_unet.assembly.heat_pictures import heat_pictures
from brats_unet.commands.display import open_display
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.record import PAGE, open_evaluation, require_whole
from brats_unet.files import size_text
from brats_unet.report.page import write_page
from brats_unet.report.page_pictures import HeatPicture, pictured
from brats_unet.report.paper_figures import write_paper_figures
from brats_unet.run import Run, ensemble_members
from brats_unet.settings import Report


def main(settings: Report) -> int:
    """Write the page, and the figures if asked for; always exit code 0.

    Raises:
        DataError: The run was not evaluated, its evaluation is incomplete, or there is no `data.root`.
        SettingsError: `output` is not an HTML file, `cases` names a case without scores, or `grad_cam` a region that is
            not predicted; or there is no network to explain.
        MachineError: The disk is full.
    """
    folder = Path(settings.run)
    evaluation = open_evaluation(folder)
    require_whole(evaluation)
    path = Path(settings.output) if settings.output is not None else folder / PAGE
    if path.suffix != ".html" or path.is_dir():
        raise SettingsError(f"output={path}: give the name of an HTML file, such as report.html.")
    runs = scored_runs(folder)
    if settings.layer is not None and settings.grad_cam == "none":
        raise SettingsError(
            f"layer={settings.layer}: only grad_cam uses it. Give grad_cam=all too, or leave layer out."
        )
    if settings.grad_cam != "none" and not runs:
        raise SettingsError(
            f"grad_cam={settings.grad_cam}: {folder} belongs to no run, so its network is unknown. Give the folder of "
            f"an evaluated run, or leave grad_cam out."
        )
    data_root = None if settings.data.root is None else Path(settings.data.root)
    if data_root is not None and not data_root.is_dir():
        raise DataError(f"data.root={data_root}: no such folder. Give the folder of the scored scans.")
    with open_display(json=settings.json) as display, tempfile.TemporaryDirectory() as drawings:
        heat: dict[str, list[HeatPicture]] = {}
        not_explained: list[str] = []
        if settings.grad_cam != "none":
            heat, not_explained = heat_pictures(
                runs,
                evaluation,
                pictured(evaluation, settings.pictures),
                Path(drawings),
                regions=settings.grad_cam,
                layer=settings.layer,
                data_root=data_root,
                log=display.log,
                progress=lambda done, total: display.progress("Grad-CAM", done, total),
            )
        page = write_page(
            evaluation,
            runs,
            path,
            viewer=settings.viewer,
            cases=settings.cases,
            pictures=settings.pictures,
            heat=heat,
            data_root=data_root,
            command=sys.argv[1:],
            progress=display.progress,
        )
        figures: list[Path] = []
        left_out = (*not_explained, *page.left_out)
        if settings.paper != "none":
            figures, not_drawn = write_paper_figures(
                evaluation,
                runs[0] if len(runs) == 1 else None,
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
            "cases_explained": list(heat),
            "figures_for_a_paper": [str(path) for path in figures],
            "left_out": left_out,
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


def scored_runs(folder: Path) -> list[Run]:
    """The runs that the evaluation in a folder is of: one, those of a cross-validation, or none."""
    for where in (folder, folder.resolve().parent):  # evaluation_best/ lies in its run folder
        if found := [run for run in map(Run, ensemble_members(where)) if run.was_started]:
            return found
    return []
