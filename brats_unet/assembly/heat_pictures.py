"""Grad-CAM pictures of scored cases, each by the network that scored it, for the page of an evaluation."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.assembly.networks import open_networks
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.mask_paths import pairs_of
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Pair
from brats_unet.inference.grad_cam import explain_case
from brats_unet.inference.network import Network
from brats_unet.inference.predicting import prepared_for
from brats_unet.report.drawing import case_title
from brats_unet.report.heat_figure import draw_heat
from brats_unet.report.page_pictures import HeatPicture
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.spelling import suggestion
from brats_unet.volume import Case


def asked_regions(setting: Any, scheme: Scheme) -> list[str]:
    """The regions of the setting `grad_cam`: none, all, one or a list.

    Raises:
        SettingsError: It names something else.
    """
    if setting in ("none", "all"):
        return list(scheme.predicted) if setting == "all" else []
    names = setting if isinstance(setting, list) else [setting]
    for name in names:
        if name not in scheme.predicted:
            choices = ("none", "all", *scheme.predicted)
            raise SettingsError(
                f"grad_cam={name}: no region of this name is predicted. {suggestion(str(name), choices)}"
            )
    return list(dict.fromkeys(names))


def heat_pictures(
    runs: Sequence[Run],
    evaluation: Evaluation,
    cases: Sequence[str],
    folder: Path,
    *,
    regions: Any,
    layer: str | None,
    data_root: Path | None,
    log: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> tuple[dict[str, list[HeatPicture]], list[str]]:
    """Draw Grad-CAM maps of cases of an evaluation.

    Args:
        runs: The runs that were scored: one, or those of a cross-validation.
        evaluation: The evaluation.
        cases: Cases to explain.
        folder: Folder for the PNG files.
        regions: The setting `grad_cam`.
        layer: Name of a layer; None is the last one of the encoder.
        data_root: Folder of the scans and expert masks; None: where they were when they were scored.
        log: Called with sentences about the networks.
        progress: Called with (done, total) after each case.

    Returns:
        Pictures by case, one per region, and a sentence for each case without.

    Raises:
        SettingsError: There is no such region or layer.
        CheckpointError: A network cannot be opened.
        MachineError: TensorFlow is missing.
    """
    scheme = scheme_in(runs[0].recipe())
    names = asked_regions(regions, scheme)
    pairs, problems = pairs_of(evaluation, data_root), []
    drawn: dict[str, list[HeatPicture]] = {}
    synthetic = bool(evaluation.summary.get("synthetic"))
    best = runs[0].evaluation_folder("best").name
    checkpoint = "best" if evaluation.file.parent.name.startswith(best) else "last"
    if len(runs) == 1:
        scored_by = dict.fromkeys(cases, runs[0])
    else:
        scored_by = {case: run for run in runs for case in run.division()["validation"]}
    opened: dict[Run, Network] = {}
    for done, case in enumerate(cases, 1):
        run, pair = scored_by.get(case), pairs.get(case)
        if run is None or pair is None or not pair.images:
            why = "no run held it out" if run is None else "the evaluation does not record its scans"
            problems.append(f"{case}: no Grad-CAM, because {why}.")
        else:
            if run not in opened:  # one at a time: an ensemble may not fit into memory
                opened = {run: open_networks([run.folder], checkpoint=checkpoint, device="auto", log=log)[0]}
            title = case_title(case, synthetic=synthetic)
            try:
                drawn[case] = _drawn(opened[run], case, pair, folder, names, layer, scheme, title)
            except DataError as problem:
                problems.append(f"{case}: no Grad-CAM. {problem}")
        progress(done, len(cases))
    return drawn, problems


def _drawn(
    network: Network,
    case_id: str,
    pair: Pair,
    folder: Path,
    regions: Sequence[str],
    layer: str | None,
    scheme: Scheme,
    title: str,
) -> list[HeatPicture]:
    images = pair.images or {}
    lacking = tuple(modality for modality in network.preparation.modalities if modality not in images)
    prepared = prepared_for([network], Case(case_id, images, absent=lacking))
    affine = np.array(prepared[network.preparation].grid.case_affine)
    pictures = []
    for region in regions:
        found = explain_case([network], prepared, region, layer)
        path = folder / f"{case_id}_{region}.png"
        title_of_region = f"{title}: what raises {region}"
        draw_heat(
            images,
            affine,
            found.heat,
            found.probability,
            path,
            title_of_region,
            scheme=scheme,
            region=region,
            layer=found.layer,
        )
        pictures.append(HeatPicture(region, found.layer, path, bool(found.probability.max() >= 0.5)))
    return pictures
