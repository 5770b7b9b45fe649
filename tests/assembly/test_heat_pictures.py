"""Grad-CAM pictures of the cases of an evaluation."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from brats_unet.assembly.heat_pictures import asked_regions, heat_pictures
from brats_unet.cli.main import main
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import SettingsError
from brats_unet.evaluation.record import open_evaluation
from brats_unet.evaluation.score import Pair
from brats_unet.json_files import write_json
from brats_unet.modality import Modality
from brats_unet.nifti import read_integers, write_volume
from brats_unet.report.scores import report_scores
from brats_unet.run import Run
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume


def silent(*args):
    return None


@pytest.fixture(scope="module")
def evaluated_run(write_run, phantom_root, tmp_path_factory):
    """A run with an untrained network and scores of two cases. Read-only."""
    run = write_run(tmp_path_factory.mktemp("runs") / "explained")
    masks = run.evaluation_folder() / "predictions"
    masks.mkdir(parents=True)
    convention, pairs = conventions(builtin())["brats2017"], []
    for case in find_cases(phantom_root, modalities=list(Modality)).cases[:2]:
        reference = read_integers(case.mask)
        write_volume(masks / f"{case.id}.nii.gz", Volume(reference.array.astype(np.uint8), reference.affine))
        pairs.append(Pair(case.id, case.mask, masks / f"{case.id}.nii.gz", case.images, convention, convention))
    report_scores(pairs, run.evaluation_folder(), figures=False, seed_scores=False, title="explained", json=True)
    write_json(run.settings_file, {"data": {"root": str(phantom_root), "fold": 0}})
    write_json(run.folds_file, {"train": [], "validation": [pair.case_id for pair in pairs]})
    return run


def drawn(runs, evaluation, folder, **settings):
    given = {"regions": "TC", "layer": None, "data_root": None, "log": silent, "progress": silent}
    return heat_pictures(runs, evaluation, evaluation.cases, folder, **{**given, **settings})


def test_all_none_one_region_and_a_list_are_accepted_and_others_refused():
    glioma = builtin("glioma")
    assert asked_regions("none", glioma) == []
    assert asked_regions("all", glioma) == ["WT", "TC", "ET"]
    assert asked_regions("TC", glioma) == ["TC"]
    assert asked_regions(["ET", "TC", "ET"], glioma) == ["ET", "TC"]
    with pytest.raises(SettingsError, match=r"grad_cam=XYZ: no region of this name is predicted. .*WT, all, none"):
        asked_regions(["TC", "XYZ"], glioma)


def test_each_case_gets_a_picture_of_each_region(evaluated_run, tmp_path):
    evaluation = open_evaluation(evaluated_run.folder)
    found, problems = drawn([evaluated_run], evaluation, tmp_path, regions=["TC", "ET"])
    assert problems == []
    assert list(found) == evaluation.cases
    for case, maps in found.items():
        assert [one.region for one in maps] == ["TC", "ET"]
        for one in maps:
            with Image.open(one.path) as image:
                assert image.width > 400
            assert one.path.name == f"{case}_{one.region}.png"


def test_a_case_of_a_cross_validation_is_explained_by_the_run_that_held_it_out(evaluated_run, tmp_path):
    evaluation = open_evaluation(evaluated_run.folder)
    other = Run(tmp_path / "other")
    shutil.copytree(evaluated_run.folder, other.folder)
    other.model_file.write_bytes(b"no network")  # it would be refused
    other.folds_file.write_text(json.dumps({"train": evaluation.cases, "validation": []}))
    found, problems = drawn([other, evaluated_run], evaluation, tmp_path)
    assert list(found) == evaluation.cases
    found, problems = drawn([other, other], evaluation, tmp_path)
    assert found == {}
    assert problems == [f"{case}: no Grad-CAM, because no run held it out." for case in evaluation.cases]


def test_a_case_whose_scans_are_gone_is_named_and_the_others_are_drawn(evaluated_run, tmp_path):
    evaluation = open_evaluation(evaluated_run.folder)
    found, problems = drawn([evaluated_run], evaluation, tmp_path, data_root=tmp_path / "nowhere")
    assert found == {}
    assert all("no Grad-CAM. " in sentence and "nowhere" in sentence for sentence in problems)


def test_the_page_holds_the_maps_below_the_pictures(evaluated_run, tmp_path, capsys):
    page = tmp_path / "page.html"
    asked = ["report", f"run={evaluated_run.folder}", f"output={page}", "viewer=0", "pictures=1", "--json"]
    assert main([*asked, "grad_cam=TC"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["cases_explained"] == shown["cases_drawn"] != []
    text = page.read_text(encoding="utf-8")
    assert text.count("what raises TC <span") == len(shown["cases_drawn"])
    assert "It is no evidence that a mask is right." in text


def test_each_refusal_is_one_sentence(evaluated_run, tmp_path, capsys):
    asked = ["report", f"run={evaluated_run.folder}", f"output={tmp_path / 'page.html'}", "viewer=0", "pictures=1"]
    loose = tmp_path / "loose"
    loose.mkdir()
    for name in ("scores.csv", "summary.json"):
        shutil.copy(evaluated_run.evaluation_folder() / name, loose)
    for words, expected in (
        ([*asked, "grad_cam=XX"], "grad_cam=XX: no region of this name is predicted."),
        ([*asked, "grad_cam=TC", "layer=nowhere"], "layer=nowhere: the network has no such layer of features."),
        ([*asked, "layer=nowhere"], "layer=nowhere: only grad_cam uses it."),
        (["report", f"run={loose}", "grad_cam=TC"], f"{loose} belongs to no run, so its network is unknown."),
    ):
        assert main(words) == 2
        said = capsys.readouterr().err.strip()
        assert expected in said.replace("\n", " ")
        assert "Traceback" not in said
    assert not (tmp_path / "page.html").exists()
