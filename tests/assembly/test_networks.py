"""Networks of one ensemble segment the same thing; rules and label conventions are those of their scheme."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet.assembly.networks import convention_to_write, open_networks, postprocessing_of
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.json_files import SEAL, write_json
from brats_unet.run import Run
from tests.inference.scheme_examples import FIVE, GLIOMA, LESION, POST


def network(scheme, convention=None):
    recipe = {"convention": convention or next(iter(scheme.integers)), "scheme": scheme.as_dict()}
    return Network(lambda patches: np.zeros_like(patches), recipe, (1, 1, 1))


def test_a_network_from_before_there_were_schemes_is_one_of_gliomas():
    old = Network(lambda patches: np.zeros_like(patches), {"convention": "brats2017"}, (1, 1, 1))
    found = convention_to_write("auto", [old, network(GLIOMA, "brats2017")])
    assert (found.name, found.scheme) == ("brats2017", GLIOMA)


def test_networks_of_different_schemes_are_refused_with_what_each_predicts():
    with pytest.raises(SettingsError) as refused:
        convention_to_write("auto", [network(GLIOMA), network(LESION)])
    assert str(refused.value) == (
        "The networks were trained for different schemes, glioma and lesion (label NCR is 1 in the first, missing in "
        "the other; label ED is 2 in the first, missing in the other; label ET is 4 in the first, missing in the "
        "other; label RC is 3 in the first, missing in the other; label lesion is missing in the first, 1 in the "
        "other; and 7 more). Give networks of one scheme."
    )
    with pytest.raises(SettingsError, match="different schemes, glioma_post"):
        convention_to_write("brats2024", [network(POST), network(POST), network(GLIOMA, "brats2024")])


def test_schemes_of_another_name_and_other_colours_are_no_obstacle():
    renamed = replace(GLIOMA, name="mine", source="elsewhere")
    assert convention_to_write("brats2023", [network(GLIOMA), network(renamed)]).name == "brats2023"


def test_labels_name_a_convention_of_the_scheme():
    assert convention_to_write("auto", [network(FIVE)]).to_label == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5}
    assert convention_to_write("grey", [network(LESION)]).to_label == {0: 0, 255: 1}
    with pytest.raises(SettingsError, match="no label convention named brats2017. Known: any, binary, grey"):
        convention_to_write("brats2017", [network(LESION)])


def test_rules_are_read_by_the_regions_of_the_scheme(tmp_path):
    file = tmp_path / "rules.json"
    write_json(file, {"threshold": {"R2": 0.4}, "least_total_mm3": {"R2": 50}})
    expected = Postprocessing(threshold={"R2": 0.4}, least_total_mm3={"R2": 50})
    assert postprocessing_of([], str(file), FIVE, print) == expected
    with pytest.raises(CheckpointError, match=r"rules.json: threshold=\{'R2': 0.4\}. Expected one value for each"):
        postprocessing_of([], str(file), POST, print)
    assert postprocessing_of([], "none", FIVE, print) == Postprocessing()


def test_rules_of_the_training_hold_until_tune_finds_others(tmp_path):
    run, said = Run(tmp_path / "run"), []
    write_json(run.recipe_file, {"format": 1})
    assert postprocessing_of([run.folder], "auto", LESION, said.append) == Postprocessing() and not said
    trained = Postprocessing(largest_only={"lesion": True})
    write_json(run.recipe_file, {"format": 1, "postprocessing": trained.as_dict(LESION)})
    assert postprocessing_of([run.folder], "auto", LESION, said.append) == trained
    assert said == [f"Masks are made by the rules in {run.recipe_file}."]
    assert postprocessing_of([run.folder], "none", LESION, print) == Postprocessing()
    assert postprocessing_of([tmp_path / "run" / "model.keras"], "auto", LESION, print) == trained
    write_json(run.postprocessing_file, {"postprocessing": {"threshold": {"lesion": 0.4}}})
    assert postprocessing_of([run.folder], "auto", LESION, print) == Postprocessing(threshold={"lesion": 0.4})


def unhashed(file):
    file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != SEAL}))


@pytest.mark.parametrize(("made", "description"), [("small_run", "recipe.json"), ("small_onnx", "prediction.json")])
def test_files_of_networks_without_hashes_are_used_with_one_note(made, description, request, tmp_path):
    made = request.getfixturevalue(made)
    folders = [Path(shutil.copytree(getattr(made, "folder", made), tmp_path / name)) for name in ("a", "b")]
    said = []
    open_networks(folders, checkpoint="last", device="cpu", log=said.append)
    assert said == []
    for folder in folders:
        unhashed(folder / description)
    open_networks(folders, checkpoint="last", device="cpu", log=said.append)
    assert said == [
        f"{folders[0]}, {folders[1]}: an earlier version wrote these files, without hashes: damage to them may go "
        f"unnoticed. They are used as they are, and get hashes when they are written again."
    ]
