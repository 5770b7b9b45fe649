"""Every command on phantoms of each scheme, and a perfect predictor through the whole pipeline."""

import csv
import json

import numpy as np
import pytest
import yaml

from brats_unet import load
from brats_unet.cli.main import main
from brats_unet.data.labels.decide import decide, label_set
from brats_unet.data.phantom.phantoms import write_dataset
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.evaluation.score import Pair, score_cases
from brats_unet.modality import Modality
from brats_unet.nifti import read_header, read_integers, write_volume
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume
from tests.inference.scheme_examples import SCHEMES

EDITIONS = SCHEMES | {name: builtin(name) for name in ("paediatric", "metastasis_post", "meningioma_rt")}
every_scheme = pytest.mark.parametrize("scheme", EDITIONS.values(), ids=EDITIONS)
PERFECT = {"dice": 1, "sensitivity": 1, "precision": 1, "hd95": 0}


@every_scheme
def test_a_perfect_predictor_scores_perfectly_through_the_whole_pipeline(scheme, tmp_path):
    root = tmp_path / "data"
    write_dataset(root, cases=2, seed=7, scheme=scheme, scale=0.25)
    dataset = find_cases(root, modalities=list(Modality), masks_required=True)
    sets = {case.id: label_set(case.mask) for case in dataset.cases}
    convention = decide("auto", dataset.layout, sorted(sets), dataset.declared_labels, sets, scheme=scheme)
    pairs = []
    for case in dataset.cases:
        prepared = prepare(case, Preparation(tuple(Modality), read_header(case.mask).spacing_mm), convention)
        probabilities = scheme.predicted_masks(prepared.labels).astype(np.float32)
        labels = scheme.labels_from_masks(prepared.grid.to_case(probabilities) >= 0.5)
        mask = tmp_path / f"{case.id}.nii.gz"
        write_volume(mask, Volume(convention.encode(labels)), like=case.images[Modality.FLAIR].path)
        pairs.append(Pair(case.id, case.mask, mask, None, convention, convention))
    rows = [row for scored in score_cases(pairs, workers=1) for row in scored.rows]
    assert {row.region for row in rows} == set(scheme.scored)
    assert {row.metric for row in rows} >= PERFECT.keys()
    assert [row for row in rows if row.value != PERFECT.get(row.metric, row.value)] == []


@pytest.mark.slow
@every_scheme
def test_every_command_works_on_phantoms_of_the_scheme(scheme, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(scheme.as_dict(), sort_keys=False))
    write_dataset(tmp_path / "data", cases=4, seed=3, scheme=scheme, scale=0.25)

    def run(*words):
        capsys.readouterr()
        assert main([*words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    report = json.loads(run("check", "data.root=data", f"scheme={file}", "data.folds=2", "json=true"))
    assert report["errors"] == 0
    tiny = [
        "experiment=quick",
        "data.folds=2",
        "data.preparation.spacing_mm=[5,5,5]",
        "steps=4",
        "validation.every=0.5",
    ]
    tiny += ["model.features=[4,8]", "model.strides=[1,2]", "sampling.patch=[16,16,16]", "validation.patches_every=2"]
    for name, loss in (("regions", "region_dice_bce"), ("labels", "label_dice_ce")):
        run("train", "data=brats", "data.root=data", f"scheme={file}", *tiny, f"name={name}", f"loss={loss}")
        run("evaluate", f"run=runs/{name}", "workers=1", "calibration=true")
        summary = json.loads((tmp_path / f"runs/{name}/evaluation/summary.json").read_text())
        assert summary["scheme"]["scored"] == list(scheme.scored)
        run("report", f"run=runs/{name}")
        assert (tmp_path / f"runs/{name}/report.html").exists()
    run("tune", "run=runs/regions", "folds=2")
    run(
        "predict",
        "run=[runs/regions,runs/labels]",
        "input=data",
        "output=masks",
        "probabilities=true",
        "uncertainty=true",
    )
    rows = list(csv.DictReader((tmp_path / "masks/volumes.csv").read_text().splitlines()))
    assert [row["region"] for row in rows] == [*scheme.scored] * 4
    masks = sorted((tmp_path / "masks").glob("*.nii.gz"))
    assert len(masks) == 4
    known = {0, *(value for table in scheme.integers.values() for values in table.values() for value in values)}
    assert all(set(np.unique(read_integers(mask).array).tolist()) <= known for mask in masks)
    run("export", "run=runs/regions", "output=exported", "format=keras")
    run("predict", "run=exported", "input=data", "output=from_export")
    run("fuse", "inputs=[masks,from_export]", "output=fused", f"scheme={file}", "references=data")
    run("evaluate", "predictions=fused", "references=data", "output=loose", f"scheme={file}", "workers=1")
    run("report", "run=loose")
    result = load("runs/regions")(str(next(path for path in (tmp_path / "data").iterdir() if path.is_dir())))
    assert set(result.volumes_ml) == set(scheme.scored) and result.probabilities.shape[-1] == len(scheme.predicted)
