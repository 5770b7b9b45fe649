"""Overwriting: links are deleted and never followed, and what marks a folder as ours is deleted last."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from brats_unet.assembly import resume
from brats_unet.assembly.resume import prepare_run_folder
from brats_unet.commands.fuse import _prepare_folder
from brats_unet.errors import MachineError
from brats_unet.files import atomic_folder, remove, remove_file
from brats_unet.inference import masks_folder
from brats_unet.inference.masks_folder import prepare_masks_folder
from brats_unet.json_files import write_json
from brats_unet.report.scores import _remove_earlier_files
from brats_unet.run import Run, mask_file


@pytest.fixture
def outside(tmp_path):
    """A folder outside, with one file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "case.png").write_text("mine")
    return folder


def settings(**data):
    return SimpleNamespace(overwrite=True, data=SimpleNamespace(**{"root": None, "cache": None} | data))


def run_folder(folder: Path) -> Run:
    run = Run(folder)
    write_json(run.settings_file, {"seed": 1})
    for name in ("aaa.json", "model.keras", "zzz.json"):
        (folder / name).touch()
    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_of_a_link_only_the_link_is_deleted(outside, tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    links = [tmp_path / "link", tmp_path / "real" / "deep" / "link"]
    for link in links:
        link.symlink_to(outside)
    remove(links[0])
    remove(tmp_path / "real")
    remove(tmp_path / "missing")
    assert names(tmp_path) == ["outside"] and names(outside) == ["case.png"]


def test_a_folder_is_not_deleted_in_place_of_a_file(outside):
    with pytest.raises(MachineError, match=r"outside: cannot be deleted \(.+\)\. Delete it yourself"):
        remove_file(outside)
    assert names(outside) == ["case.png"]


def test_a_refused_deletion_is_one_sentence_that_names_the_file(outside, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path / "case.png"))

    monkeypatch.setattr("brats_unet.files.shutil.rmtree", refuse)
    with pytest.raises(MachineError, match=r"case\.png: cannot be deleted \(Permission denied\)"):
        remove(outside)


def test_train_overwrites_a_run_whose_checkpoints_are_a_link(outside, tmp_path):
    run = run_folder(tmp_path / "run")
    (run.folder / "checkpoints").symlink_to(outside)
    prepare_run_folder(run, settings())
    assert names(run.folder) == [] and names(outside) == ["case.png"]


def test_train_keeps_data_and_cache_in_the_run_folder_also_as_links(outside, tmp_path):
    run = run_folder(tmp_path / "run")
    (run.folder / "data").symlink_to(outside)
    (run.folder / "work" / "cache").mkdir(parents=True)
    (run.folder / "work" / "old").mkdir()
    prepare_run_folder(run, settings(root=str(run.folder / "data"), cache=str(run.folder / "work" / "cache")))
    assert names(run.folder) == ["data", "work"] and names(run.folder / "work") == ["cache"]
    assert names(outside) == ["case.png"]


def test_an_interrupted_overwrite_of_a_run_is_finished_by_the_same_command(tmp_path, monkeypatch):
    run = run_folder(tmp_path / "run")
    deleted = []

    def interrupted(path):
        if len(deleted) == 2:
            raise KeyboardInterrupt
        deleted.append(path)
        remove(path)

    monkeypatch.setattr(resume, "remove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_run_folder(run, settings())
    assert "settings.json" in names(run.folder) and len(names(run.folder)) == 2
    monkeypatch.undo()
    prepare_run_folder(run, settings())
    assert names(run.folder) == []


@pytest.mark.parametrize("earlier", [True, False])
def test_predict_unlinks_a_folder_of_maps_that_is_a_link(earlier, outside, tmp_path):
    output = tmp_path / "masks"
    write_json(
        output / ("predictions.json" if earlier else "other.json"), {"networks": [{"weights": "run/old", "recipe": {}}]}
    )
    for name in ("probabilities", "uncertainty", "a.nii.gz"):
        (output / name).symlink_to(outside / "case.png" if name == "a.nii.gz" else outside)
    prepare_masks_folder(
        output, {"networks": [{"weights": "run/new", "recipe": {}}]}, [mask_file(output, "a")], overwrite=True
    )
    assert names(output) == (["predictions.json"] if earlier else ["other.json", "predictions.json"])
    assert names(outside) == ["case.png"] and (outside / "case.png").read_text() == "mine"


def test_an_interrupted_overwrite_of_masks_is_finished_by_the_same_command(tmp_path, monkeypatch):
    output = tmp_path / "masks"
    write_json(output / "predictions.json", {"networks": [{"weights": "run/old", "recipe": {}}]})
    for name in ("a", "b"):
        (output / f"{name}.nii.gz").touch()

    def refuse(path):
        raise MachineError("disk")

    monkeypatch.setattr(masks_folder, "remove", refuse)
    with pytest.raises(MachineError):
        prepare_masks_folder(output, {"networks": [{"weights": "run/new", "recipe": {}}]}, overwrite=True)
    assert masks_folder.is_stale(output, {"networks": [{"weights": "run/new", "recipe": {}}]})  # still the old record
    monkeypatch.undo()
    prepare_masks_folder(output, {"networks": [{"weights": "run/new", "recipe": {}}]}, overwrite=True)
    assert names(output) == ["predictions.json"] and not masks_folder.is_stale(
        output, {"networks": [{"weights": "run/new", "recipe": {}}]}
    )


def test_fuse_unlinks_masks_and_deletes_nothing_outside_its_folder(outside, tmp_path):
    output = tmp_path / "out"
    write_json(output / "fusion.json", {"weights": {"a": {}, "../outside/b": {}}})
    (outside / "b.nii.gz").touch()
    (output / "a.nii.gz").symlink_to(outside / "case.png")
    _prepare_folder(output, {}, overwrite=True)
    assert names(output) == ["fusion.json"] and names(outside) == ["b.nii.gz", "case.png"]


def test_evaluate_deletes_no_figure_behind_a_link(outside, tmp_path):
    output = tmp_path / "scores"
    write_json(output / "summary.json", {"figures": ["case.png"]})
    (output / "figures").symlink_to(outside)
    _remove_earlier_files(output)
    assert names(output) == [] and names(outside) == ["case.png"]


def test_export_unlinks_a_folder_that_is_a_link(outside, tmp_path):
    output = tmp_path / "exported"
    output.mkdir()
    (output / "saved_model").symlink_to(outside)
    with atomic_folder(output, ["prediction.json", "saved_model"]) as folder:
        (folder / "prediction.json").touch()
    assert names(output) == ["prediction.json"] and names(outside) == ["case.png"]
