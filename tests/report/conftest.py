"""A small evaluated run, made from phantoms without training a network."""

import json

import numpy as np
import pytest

from brats_unet.anatomy import Modality
from brats_unet.data.readers.discovery import find_cases
from brats_unet.evaluation.score import Pair
from brats_unet.files import write_json
from brats_unet.nifti import read_integers, write_volume
from brats_unet.report.scores import report_scores
from brats_unet.run import Run
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume


@pytest.fixture(scope="session")
def evaluated_run(phantom_root, tmp_path_factory):
    """An evaluated run whose predictions are the references shifted by 0, 1, 2 … voxels. Read-only."""
    run = Run(tmp_path_factory.mktemp("runs") / "by-hand")
    masks = run.evaluation_folder() / "predictions"
    masks.mkdir(parents=True)
    convention = conventions(builtin())["brats2017"]
    pairs = []
    for index, case in enumerate(find_cases(phantom_root, modalities=list(Modality)).cases):
        reference = read_integers(case.mask)
        moved = np.roll(reference.array, index, axis=0).astype(np.uint8)
        write_volume(masks / f"{case.id}.nii.gz", Volume(moved, reference.affine))
        pairs.append(Pair(case.id, case.mask, masks / f"{case.id}.nii.gz", case.images, convention, convention))
    report_scores(
        pairs, run.evaluation_folder(), figures=False, title="by hand <b>", command=["evaluate", "run=x"], json=True
    )
    write_json(run.settings_file, {"experiment": "quick", "data": {"root": "/scans", "fold": 0}})
    write_json(run.environment_file, {"commit": "abc", "command": ["train", "name=it's mine"]})
    lines = [{"event": "step", "step": step, "loss": 2.0 / step} for step in range(1, 41)]
    lines += [{"event": "validation", "step": s, "dice": {"WT": s / 50, "TC": s / 60}, "cases": 4} for s in (20, 40)]
    dice = {"WT": 0.3, "TC": 0.2, "ET": None}
    lines += [{"event": "patches", "step": s, "loss": 1.0, "dice": dice} for s in (20, 40)]
    run.journal_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run
