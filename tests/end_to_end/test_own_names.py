"""A folder with files and scans of any names, from the training to the mask of a new case."""

import json

import pytest

from brats_unet import load
from brats_unet.cli.main import main
from brats_unet.data.readers.discovery import find_cases
from brats_unet.modality import Modality

NAMES = {
    "t1ce": "T1_post",
    "flair": "FLAIR_post",
    "t1": "apparent-diffusion",
    "t2": "ct",
}  # file names of phantom scans
OWN = ["data=files", "data.files.flair='*_FLAIR_*'", "data.files.t1ce='*_T1_*'"]
OWN += ["data.files.ADC='*_apparent-diffusion'", "data.files.CT='*_ct'", "data.files.mask='*_roi'"]
TINY = ["experiment=quick", "data.folds=2", "data.preparation.spacing_mm=[5,5,5]", "steps=2", "validation.every=1"]
TINY += ["model.features=[4,8]", "model.strides=[1,2]", "sampling.patch=[16,16,16]", "validation.patches_every=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, phantom_root):
    """A folder of cases under own names, and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("own")
    for case in find_cases(phantom_root, modalities=tuple(Modality)).cases:
        there = folder / "data" / case.id
        there.mkdir(parents=True)
        for modality, name in NAMES.items():
            (there / f"{case.id}_{name}.nii.gz").symlink_to(case.images[Modality(modality)].path)
        (there / f"{case.id}_roi.nii.gz").symlink_to(case.mask)
    channels = "data.modalities=[flair,t1ce,ADC,CT]"
    common = [f"data.root={folder / 'data'}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]
    assert main(["train", *OWN, channels, *TINY, *common, "data.labels=brats2017", "name=own"]) == 0
    return folder


def test_the_network_keeps_the_names_of_its_scans_and_the_patterns_of_their_files(place):
    recipe = json.loads((place / "runs/own/recipe.json").read_text())
    assert recipe["preparation"]["modalities"] == ["flair", "t1ce", "ADC", "CT"]
    assert recipe["files"] == {
        "flair": ["*_FLAIR_*"],
        "t1ce": ["*_T1_*"],
        "ADC": ["*_apparent-diffusion"],
        "CT": ["*_ct"],
    }


def test_predict_evaluate_and_load_find_the_scans_without_a_setting(place, capsys):
    assert main(["predict", f"run={place / 'runs/own'}", f"input={place / 'data'}", f"output={place / 'masks'}"]) == 0
    masks = sorted(path.name for path in (place / "masks").glob("*.nii.gz"))
    cases = sorted(path.name for path in (place / "data").iterdir())
    assert masks == [f"{case}.nii.gz" for case in cases]
    assert main(["evaluate", f"run={place / 'runs/own'}", "workers=1"]) == 0
    assert "2 synthetic cases" in capsys.readouterr().out
    segmenter = load(str(place / "runs/own"))
    assert segmenter.modalities == ("flair", "t1ce", "ADC", "CT")
    assert segmenter(str(place / "data" / cases[0])).case == cases[0]


def test_an_export_finds_the_scans_too(place):
    assert main(["export", f"run={place / 'runs/own'}", f"output={place / 'exported'}", "format=keras"]) == 0
    told = [f"run={place / 'exported'}", f"input={place / 'data'}", f"output={place / 'from_export'}"]
    assert main(["predict", *told]) == 0
    assert len(list((place / "from_export").glob("*.nii.gz"))) == 4


def test_a_scan_that_the_folder_lacks_is_refused_by_its_own_name(place, tmp_path, capsys):
    case = next((place / "data").iterdir())
    there = tmp_path / case.name
    there.mkdir()
    for path in case.iterdir():
        if "apparent" not in path.name:
            (there / path.name).symlink_to(path.resolve())
    assert main(["predict", f"run={place / 'runs/own'}", f"input={tmp_path}", f"output={place / 'none'}"]) == 2
    assert "files.ADC='*_apparent-diffusion' takes none of the 4 files" in capsys.readouterr().err


def test_a_folder_with_the_names_of_brats_is_read_by_them(place, phantom_root, tmp_path, capsys):
    three = ["data.files.flair='*_FLAIR_*'", "data.files.t1ce='*_T1_*'", "data.files.mask='*_roi'"]
    common = [f"data.root={place / 'data'}", f"data.cache={place / 'cache'}", f"runs={place / 'runs'}"]
    told = ["data=files", *three, *TINY, *common, "data.modalities=[flair,t1ce]", "data.labels=brats2017", "name=two"]
    assert main(["train", *told]) == 0
    assert main(["predict", f"run={place / 'runs/two'}", f"input={phantom_root}", f"output={tmp_path}"]) == 0
    assert len(list(tmp_path.glob("*.nii.gz"))) == 4
