"""`reproduce` trains again: equal to the bit on one machine, and if not, it says what differs."""

import json
import shutil

import pytest

from brats_unet.cli.main import main
from brats_unet.json_files import write_json
from brats_unet.run import Run
from tests.end_to_end.test_pipeline import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory, phantom_root):
    folder = tmp_path_factory.mktemp("reproduce")
    shutil.copytree(phantom_root, folder / "scans")
    places = [f"data.root={folder / 'scans'}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]
    assert main(["train", *TINY, *places, "name=mine", "steps=3", "validation.every=1"]) == 0
    return Run(folder / "runs" / "mine")


def document(run, capsys, code, *told):
    assert main(["reproduce", str(run.folder), "json=true", *told]) == code
    return json.loads(capsys.readouterr().out)


def test_a_repetition_on_the_same_machine_matches_to_the_bit(run, capsys):
    found = document(run, capsys, 0)
    assert found["matched"] and found["steps"] == [3, 3] and found["differing"] == 0 and found["tensors"] > 10
    assert not found["cases"] and not found["around"] and found["first_loss"] is None
    again = Run(run.folder.with_name("mine-again"))
    assert found["again"] == str(again.folder) and again.journal("step")[-1]["loss"] == run.journal("step")[-1]["loss"]
    assert main(["reproduce", str(run.folder)]) == 0  # the repetition is there; it is compared again
    assert "Matched to the bit: 3 steps" in capsys.readouterr().out


def test_changed_data_and_versions_are_named(run, tmp_path, capsys):
    """The data of the repetition has another mask in one case, and the run says that it was made by another Keras."""
    moved = tmp_path / "scans"
    shutil.copytree(run.settings()["data"]["root"], moved)
    first, other = json.loads(run.folds_file.read_text())["train"]
    shutil.copyfile(moved / other / f"{other}_seg.nii.gz", moved / first / f"{first}_seg.nii.gz")
    environment = json.loads(run.environment_file.read_text())
    kept = run.environment_file.read_bytes()
    write_json(run.environment_file, environment | {"packages": environment["packages"] | {"keras": "3.0.0"}})
    try:
        output = tmp_path / "again"
        found = document(run, capsys, 1, f"data.root={moved}", f"data.cache={tmp_path / 'cache'}", f"output={output}")
        assert not found["matched"] and first in found["cases"] and found["around"]["packages.keras"][0] == "3.0.0"
        assert found["first_loss"]["step"] >= 1 and found["differing"] and found["largest"] > 0
        told = [f"data.root={moved}", f"data.cache={tmp_path / 'cache'}", f"output={output}"]
        assert main(["reproduce", str(run.folder), *told]) == 1
        text = capsys.readouterr().out
        assert "is not equal to" in text and f"Cases that differ: {first}" in text
        assert "packages.keras: 3.0.0 then" in text
    finally:
        run.environment_file.write_bytes(kept)


def test_what_cannot_be_repeated_is_said(run, tmp_path, capsys):
    assert main(["reproduce", str(run.folder), f"output={run.folder}"]) == 2
    assert "is the run itself" in capsys.readouterr().err
    assert main(["reproduce", f"run={tmp_path}"]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    half = tmp_path / "half"
    shutil.copytree(run.folder, half)
    journal = Run(half).journal_file
    journal.write_text(journal.read_text().replace('"state": "done"', '"state": "stopped"'))
    assert main(["reproduce", str(half)]) == 2
    assert "half is stopped at step 3. Finish it first" in capsys.readouterr().err
