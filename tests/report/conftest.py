"""A small evaluated run, made from phantoms without training a network."""

import json

import numpy as np
import pytest

from brats_unet.data.readers.discovery import find_cases
from brats_unet.evaluation.case_facts import CaseFacts
from brats_unet.evaluation.record import CASES, SCORES, SUMMARY, write_rows
from brats_unet.evaluation.score import Pair, Row, Scored
from brats_unet.evaluation.summary import summarise
from brats_unet.json_files import write_json
from brats_unet.metrics import metrics_of
from brats_unet.metrics.protocols import protocol_named
from brats_unet.modality import Modality
from brats_unet.nifti import read_integers, write_volume
from brats_unet.report.scores import report_scores
from brats_unet.run import Run
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.volume import Volume

NAMES = ("glioma", "glioma_post", "lesion", "paediatric")
FIVE = {  # five regions that overlap in a ring
    "name": "five",
    "labels": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},
    "regions": {"R1": ["a", "b"], "R2": ["b", "c"], "R3": ["c", "d"], "R4": ["d", "e"], "R5": ["e", "a"]},
}
EIGHT = {
    "name": "eight",
    "labels": dict(zip("abcdefgh", range(1, 9), strict=True)),
    "regions": {x.upper(): [x] for x in "abcdefgh"},
}


@pytest.fixture(scope="session")
def schemes():
    """Schemes by name: four of conf/scheme/, five overlapping regions, and eight disjoint ones."""
    return {name: builtin(name) for name in NAMES} | {one["name"]: scheme_of(one) for one in (FIVE, EIGHT)}


@pytest.fixture(scope="session")
def evaluated_as(phantom_root, schemes, tmp_path_factory):
    """Evaluate two phantoms in a scheme: its name -> folder. The tumour is cut along L into slabs, one of each label.

    The first prediction is perfect, the second a voxel too far to the left. Read-only.
    """
    done = {}

    def evaluated(name):
        if name in done:
            return done[name]
        folder, scheme = tmp_path_factory.mktemp(name), schemes[name]
        convention = conventions(scheme)[next(iter(scheme.integers))]
        (folder / "references").mkdir()
        (folder / "predictions").mkdir()
        pairs = []
        for index, case in enumerate(find_cases(phantom_root, modalities=list(Modality)).cases[:2]):
            tumour = read_integers(case.mask)
            labels = slabs(
                tumour.array > 0, [label.value for label in scheme.labels.values() if label.name in scheme.classes]
            )
            files = [folder / kind / f"{case.id}.nii.gz" for kind in ("references", "predictions")]
            for file, array in zip(files, (labels, np.roll(labels, index, axis=0)), strict=True):
                write_volume(file, Volume(convention.encode(array), tumour.affine))
            pairs.append(Pair(case.id, *files, case.images, convention, convention))
        report_scores(pairs, folder / "evaluation", figures=False, seed_scores=False, title=name, json=True)
        done[name] = folder / "evaluation"
        return done[name]

    return evaluated


def slabs(mask, values):
    """Labels of a mask cut along its first axis into slabs of about equal thickness, one of each value."""
    at = np.flatnonzero(mask.any(axis=(1, 2)))
    number = np.clip((np.arange(mask.shape[0]) - at[0]) * len(values) // (at[-1] - at[0] + 1), 0, len(values) - 1)
    return np.where(mask, np.array(values, np.uint8)[number][:, None, None], 0).astype(np.uint8)


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


@pytest.fixture(scope="session")
def made_up(schemes, tmp_path_factory):
    """Evaluations of made-up cases: (number of cases, scheme, spacing known) -> folder. Read-only.

    Case i is number i from the best: its Dice falls with i, in steps of 1 / n, and so does its size. The last two of 45
    lack t1ce, every seventh lacks the last region of the scheme, and every fifth is at the edge of the volume.
    """
    done = {}

    def evaluated(n, name, spacing_known=True):
        key = (n, name, spacing_known)
        if key not in done:
            done[key] = tmp_path_factory.mktemp("made-up")
            write_made_up(done[key], n, schemes[name], spacing_known)
        return done[key]

    return evaluated


def write_made_up(folder, n, scheme, spacing_known):
    metrics = metrics_of(protocol_named("brats2020"), spacing_known=spacing_known)
    sizes = ("volume" if spacing_known else "voxels", 1000.0)
    scored, facts = [], []
    for index in range(n):
        case, rows = f"case_{index:03}", []
        for at, region in enumerate(scheme.scored):
            absent = at > 0 and at == len(scheme.scored) - 1 and index % 7 == 6
            values = dict.fromkeys(metrics, 0.5)
            values["dice"] = 0.0 if absent else 1 - index / n
            values[f"{sizes[0]}_reference"] = 0.0 if absent else (n - index) * sizes[1] / (at + 1)
            values[f"{sizes[0]}_prediction"] = (n - index) * sizes[1] / (at + 1)
            rows += [Row(case, region, metric, value, metrics[metric].unit) for metric, value in values.items()]
            lacks = "t1ce" if index >= n - 2 else "none"
            stratum, at_edge = ("HGG", "LGG")[index % 2], int(index % 5 == 4)
            facts.append(
                CaseFacts(case, region, stratum, lacks, 155, n - index, 1, index + 1, at_edge, 0.0, 0.7, 0.5, 0.9)
            )
        scored.append(Scored(case, rows, []))
    summary = summarise(scored, scheme=scheme, protocol="brats2020", title="made up")
    write_rows(folder / SCORES, Row, [row for one in scored for row in one.rows])
    write_rows(folder / CASES, CaseFacts, facts)
    write_json(folder / SUMMARY, {**summary.as_json(), "figures": [], "files": {}, "command": []})
