"""The command `brats-unet predict`, with a formula in place of a network: output files, refusals and resuming."""

import csv
import gzip
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from brats_unet.assembly import networks
from brats_unet.commands import predict
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.discovery import find_cases, find_masks
from brats_unet.errors import BratsError, CheckpointError, SettingsError
from brats_unet.inference import predicting
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.json_files import write_json
from brats_unet.modality import Modality
from brats_unet.nifti import read_header, read_integers, read_volume, write_volume
from brats_unet.scan_files import read_mask
from brats_unet.schemes.convention import conventions
from brats_unet.settings import Predict
from tests.inference.scheme_examples import SCHEMES
from tests.slices import patient

SPACING = (4.0, 4.0, 4.0)
CASES = [f"Phantom20_00{number}" for number in (1, 2, 3, 4)]


def bright(patches):
    """FLAIR decides WT, T1ce decides TC and ET."""
    flair, t1ce = patches[..., 0].astype(np.float32), patches[..., 2].astype(np.float32)
    logits = np.stack([3 * flair - 3, 3 * t1ce - 4, 3 * t1ce - 6], axis=-1)
    return 1 / (1 + np.exp(-logits))


@pytest.fixture
def formula(tmp_path, monkeypatch):
    """A run whose network is `bright`; returns (its recipe, the shapes of all patches that it predicted)."""
    recipe = {
        "convention": "brats2017",
        "outputs": "regions",
        "stride": [4, 4, 4],
        "preparation": Preparation(tuple(Modality), SPACING).as_dict(),
        "inference": {"mode": "whole", "tile": [16, 16, 16], "overlap": 0.5},
    }
    shapes = []

    def forward(patches):
        if patches.any():  # the warm-up predicts zeros
            shapes.append(patches.shape)
        return bright(patches)

    def opened(paths, *, checkpoint, device, trust, log):
        return [Network(forward, json.loads(json.dumps(recipe)), (4, 4, 4), log) for _ in paths]

    monkeypatch.setattr(networks, "open_networks", opened)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.safetensors").touch()
    return recipe, shapes


@pytest.fixture
def settings(formula, phantom_root, tmp_path):
    """A function that makes settings to predict the phantoms."""

    def make(**changes) -> Predict:
        values = {
            "run": str(tmp_path / "run"),
            "input": str(phantom_root),
            "files": None,
            "spacing_mm": None,
            **dict.fromkeys((*map(str, Modality), "case")),
            "output": str(tmp_path / "out"),
            "checkpoint": "last",
            "mode": "auto",
            "mirror": "auto",
            "postprocess": "auto",
            "labels": "auto",
            "probabilities": False,
            "uncertainty": False,
            "masks_only": False,
            "mask_format": "nifti",
            "overwrite": False,
            "device": "cpu",
            "trust": False,
            "json": True,
        }
        return Predict(**{**values, **changes})

    return make


def rows(folder):
    with open(folder / "volumes.csv", newline="") as file:
        return list(csv.DictReader(file))


def masks(folder):
    return {name: read_integers(path).array for name, path in find_masks(folder).items()}


def test_all_written_volumes_lie_on_the_grid_of_the_case(settings, phantom_root, tmp_path):
    assert predict.main(settings(probabilities=True, uncertainty=True)) == 0
    out = tmp_path / "out"
    for case in find_cases(phantom_root, modalities=list(Modality)).cases:
        scan = read_header(case.images[Modality.FLAIR].path)
        mask = read_integers(out / f"{case.id}.nii.gz")
        assert mask.array.shape == scan.shape and np.array_equal(mask.affine, scan.affine)
        et = read_volume(out / "probabilities" / f"{case.id}_probability_ET.nii.gz").array
        assert et.shape == scan.shape and et.min() >= 0 and et.max() <= 1
        decided = np.abs(et - 0.5) > 1 / 255  # 1/255 is the resolution of the stored values
        np.testing.assert_array_equal((et > 0.5)[decided], (mask.array == 4)[decided])
        uncertainty = read_volume(out / "uncertainty" / f"{case.id}_uncertainty.nii.gz").array
        assert uncertainty.min() >= 0 and 0.3 < uncertainty.max() <= 1
        volume_mm3 = np.prod(scan.spacing_mm) * (mask.array > 0).sum()
        line = next(r for r in rows(out) if (r["case"], r["region"]) == (case.id, "WT"))
        assert float(line["volume_mm3"]) == pytest.approx(volume_mm3, abs=0.1)
        assert float(line["volume_ml"]) == pytest.approx(volume_mm3 / 1000, abs=0.001)
        # a voxel of the core belongs to WT even if its WT probability is below 0.5
        assert 0.4 <= float(line["mean_probability"]) <= 1 and line["agreement"] == ""
    assert list(masks(out)) == CASES  # probabilities and uncertainty do not count as masks


def test_masks_only_leaves_one_file_for_each_case_and_equal_masks(settings, tmp_path, capsys):
    assert predict.main(settings(output=str(tmp_path / "full"))) == 0
    assert predict.main(settings(masks_only=True, json=False)) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{case}.nii.gz" for case in CASES]
    assert "volumes.csv" not in capsys.readouterr().err
    for name, mask in masks(tmp_path / "full").items():
        np.testing.assert_array_equal(masks(tmp_path / "out")[name], mask)


def test_masks_only_replaces_the_masks_of_the_cases_and_our_other_files(settings, tmp_path):
    assert predict.main(settings(output=str(tmp_path / "out"))) == 0
    again = settings(masks_only=True)
    with pytest.raises(SettingsError, match="holds earlier predictions, which masks_only=true cannot continue"):
        predict.main(again)
    again.overwrite = True
    for _ in range(2):  # the second finds masks without a record
        assert predict.main(again) == 0
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{case}.nii.gz" for case in CASES]


def test_masks_only_refuses_maps(settings):
    with pytest.raises(SettingsError, match="masks_only=true writes no maps, but uncertainty=true asks for them"):
        predict.main(settings(masks_only=True, uncertainty=True))


def test_mirroring_predicts_eight_times_and_does_not_change_a_voxelwise_network(settings, formula, tmp_path):
    assert predict.main(settings()) == 0
    once = len(formula[1])
    assert predict.main(settings(mirror="all", output=str(tmp_path / "mirrored"))) == 0
    assert len(formula[1]) - once == 8 * once
    for name, mask in masks(tmp_path / "out").items():
        np.testing.assert_array_equal(mask, masks(tmp_path / "mirrored")[name])
    assert {row["agreement"] for row in rows(tmp_path / "mirrored")} <= {"1.0000", ""}


def test_the_networks_of_an_ensemble_share_the_prepared_case(settings, monkeypatch, tmp_path):
    prepared = []
    real = predicting.prepare
    monkeypatch.setattr(predicting, "prepare", lambda case, *a, **k: prepared.append(case.id) or real(case, *a, **k))
    assert predict.main(settings(run=[str(tmp_path / "run")] * 3)) == 0
    assert prepared == CASES


def with_header(path, offset, kind, *values):
    data = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(kind, data, offset, *values)
    path.write_bytes(gzip.compress(bytes(data)))


# What a header may say wrongly: the unit micrometre, an affine in metres, more voxels than the file holds.
LIES = {
    "micrometres": lambda path: with_header(path, 123, "<B", 3),
    "metres": lambda path: with_header(path, 123, "<B", 1),
    "voxels": lambda path: with_header(path, 40, "<4h", 3, 30000, 30000, 30000),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:500]),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_does_not_stop_the_other_cases_and_is_named_at_the_end(
    lie, settings, phantom_root, tmp_path, capsys
):
    scans = copied(phantom_root, tmp_path)
    for wrong in sorted((scans / CASES[1]).glob("*.nii.gz")) if lie != "cut" else (scans / CASES[1]).glob("*_t1.nii*"):
        LIES[lie](wrong)
    assert predict.main(settings(input=str(scans), json=False)) == 1
    last_line = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert last_line.startswith("Not predicted:") and CASES[1] in last_line
    assert list(masks(tmp_path / "out")) == [CASES[0], *CASES[2:]]


def copied(root, folder):
    return shutil.copytree(root, folder / "scans")


def test_after_ctrl_c_finished_cases_stay_and_a_second_run_continues(settings, formula, monkeypatch, tmp_path, capsys):
    real = predicting.predict_ensemble

    def stopped(networks, prepared):
        if len(formula[1]) == 2:
            raise KeyboardInterrupt
        return real(networks, prepared)

    monkeypatch.setattr(predicting, "predict_ensemble", stopped)
    with pytest.raises(KeyboardInterrupt):
        predict.main(settings())
    out = tmp_path / "out"
    assert sorted(path.name for path in out.glob("*")) == [
        *(f"{name}.nii.gz" for name in CASES[:2]),
        "predictions.json",
        "volumes.csv",
    ]
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    monkeypatch.setattr(predicting, "predict_ensemble", real)
    assert predict.main(settings(json=False)) == 0
    assert "2 of them from before" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == then for path, then in written.items())
    assert {row["case"] for row in rows(out)} == set(CASES) and len(rows(out)) == 12


@pytest.mark.parametrize(
    "change", [{"mirror": ["x"]}, {"mode": "tiles"}, {"postprocess": "none"}, {"labels": "brats2023"}]
)
def test_masks_made_with_other_settings_are_never_mixed(settings, tmp_path, change):
    write_json(tmp_path / "run" / "postprocessing.json", {"least_et_mm3": 10**6})
    assert predict.main(settings()) == 0
    with pytest.raises(SettingsError, match="masks of other networks or settings"):
        predict.main(settings(**change))
    assert predict.main(settings(**change, overwrite=True)) == 0


def test_a_folder_with_other_files_needs_overwrite_true_and_they_stay(settings, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    (tmp_path / "out" / f"{CASES[0]}.nii.gz").write_text("old")
    with pytest.raises(SettingsError, match=r"is not empty.*overwrite=true"):
        predict.main(settings())
    assert predict.main(settings(overwrite=True)) == 0
    assert (tmp_path / "out" / "mine.txt").read_text() == "kept" and len(masks(tmp_path / "out")) == 4


def test_tuned_thresholds_are_used_unless_postprocess_says_otherwise(settings, tmp_path, capsys):
    write_json(tmp_path / "run" / "postprocessing.json", {"postprocessing": {"least_et_mm3": 10**6}, "gain": 0.01})
    assert predict.main(settings(json=False)) == 0
    assert "by the rules in" in capsys.readouterr().out
    assert not any((mask == 4).any() for mask in masks(tmp_path / "out").values())
    assert predict.main(settings(postprocess="none", output=str(tmp_path / "plain"))) == 0
    assert any((mask == 4).any() for mask in masks(tmp_path / "plain").values())
    own = tmp_path / "own.json"
    write_json(own, {"threshold": {"WT": 2, "TC": 2, "ET": 2}})
    assert predict.main(settings(postprocess=str(own), output=str(tmp_path / "own"))) == 0
    assert not any(mask.any() for mask in masks(tmp_path / "own").values())
    assert {row["review"] for row in rows(tmp_path / "own")} >= {"the scans look wrong; no tumour found"} or all(
        "no tumour found" in row["review"] for row in rows(tmp_path / "own")
    )
    with pytest.raises(CheckpointError, match="nowhere"):
        predict.main(settings(postprocess=str(tmp_path / "nowhere.json")))


def test_masks_of_an_earlier_version_are_continued(settings, tmp_path, capsys):
    """Its record names the rule for a small total volume otherwise, and no scheme."""
    assert predict.main(settings()) == 0
    mark = tmp_path / "out" / "predictions.json"
    recorded = json.loads(mark.read_text())
    assert recorded["postprocessing"].pop("least_total_mm3") == {"ET": 0.0}
    recorded["postprocessing"]["least_et_mm3"] = 0.0
    write_json(mark, recorded)
    assert predict.main(settings(json=False)) == 0
    assert "4 of them from before" in capsys.readouterr().out
    recorded["postprocessing"]["least_et_mm3"] = 5.0
    write_json(mark, recorded)
    with pytest.raises(SettingsError, match="masks of other networks or settings"):
        predict.main(settings())


@pytest.mark.parametrize("name", ["glioma_post", "lesion", "five"])
def test_every_scheme_writes_its_own_labels_volumes_and_maps(name, formula, settings, monkeypatch, tmp_path):
    scheme = SCHEMES[name]
    recipe = {**formula[0], "scheme": scheme.as_dict(), "convention": next(iter(scheme.integers))}

    def forward(patches):
        wt, tc, et = np.moveaxis(bright(patches), -1, 0)
        return np.stack([wt, tc, et, wt - tc, et][: len(scheme.predicted)], axis=-1)

    def opened(paths, **told):
        return [Network(forward, recipe, (4, 4, 4))]

    monkeypatch.setattr(networks, "open_networks", opened)
    assert predict.main(settings(probabilities=True, uncertainty=True)) == 0
    out = tmp_path / "out"
    convention = conventions(scheme)[recipe["convention"]]
    for case, mask in masks(out).items():
        assert {row["region"] for row in rows(out) if row["case"] == case} == set(scheme.scored)
        labels = convention.decode(mask, where=case)
        assert labels.any()
        voxel_mm3 = np.prod(read_header(out / f"{case}.nii.gz").spacing_mm)
        for row in rows(out):
            if row["case"] == case:
                voxels = scheme.region_mask(labels, row["region"]).sum()
                assert float(row["volume_mm3"]) == pytest.approx(voxels * voxel_mm3, abs=0.1)
        maps = {path.name for path in (out / "probabilities").glob(f"{case}_*")}
        assert maps == {f"{case}_probability_{region}.nii.gz" for region in scheme.predicted}
        assert read_volume(out / "uncertainty" / f"{case}_uncertainty.nii.gz").array.max() > 0.3
    assert json.loads((out / "predictions.json").read_text())["postprocessing"] == Postprocessing().as_dict(scheme)


def test_networks_that_were_tuned_separately_are_refused(settings, tmp_path):
    for name, least in (("run", 100), ("other", 200)):
        (tmp_path / name / "checkpoints").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "checkpoints" / "last.safetensors").touch()
        write_json(tmp_path / name / "postprocessing.json", {"postprocessing": {"least_et_mm3": least}})
    with pytest.raises(SettingsError, match="not tuned together"):
        predict.main(settings(run=[str(tmp_path / "run"), str(tmp_path / "other")]))


def test_four_named_files_give_the_same_mask_as_their_folder(settings, phantom_root, tmp_path):
    assert predict.main(settings()) == 0
    files = {str(m): str(next((phantom_root / CASES[0]).glob(f"*_{m}.nii*"))) for m in Modality}
    assert predict.main(settings(input=None, **files, output=str(tmp_path / "one"))) == 0
    np.testing.assert_array_equal(masks(tmp_path / "one")[CASES[0]], masks(tmp_path / "out")[CASES[0]])


def test_a_scan_is_never_replaced_even_with_overwrite_true(settings, phantom_root, tmp_path):
    scans = tmp_path / "scans"
    shutil.copytree(phantom_root / CASES[0], scans)
    files = {str(m): str(next(scans.glob(f"*_{m}.nii*"))) for m in Modality}
    scan = scans / "scan.nii.gz"
    Path(files["flair"]).rename(scan)
    content = scan.read_bytes()
    given = {**files, "flair": str(scan), "case": "scan", "input": None, "output": str(scans), "overwrite": True}
    with pytest.raises(SettingsError, match=r"scan\.nii\.gz is a scan"):
        predict.main(settings(**given))
    assert scan.read_bytes() == content


def test_a_missing_scan_becomes_zeros_only_for_networks_with_modality_dropout(
    settings, formula, phantom_root, tmp_path, capsys
):
    scans = copied(phantom_root, tmp_path)
    next((scans / CASES[2]).glob("*_t2.nii*")).unlink()
    with pytest.raises(BratsError, match=f"{CASES[2]}: no t2 scan"):
        predict.main(settings(input=str(scans)))
    formula[0]["modality_dropout"] = 0.1
    assert predict.main(settings(input=str(scans), json=False)) == 0
    assert f"{CASES[2]}: no t2 scan; zeros are used instead." in capsys.readouterr().out
    assert len(masks(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": None}, "neither input nor files to predict"),
        ({"flair": "a.nii"}, "both input and files to predict"),
        ({"mirror": "w"}, "mirror=w is none of the choices"),
        ({"labels": "brats2016"}, "no label convention named brats2016"),
        ({"input": None, "flair": "a.nii"}, "t1, t1ce, t2 not set"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(settings, change, message, tmp_path):
    with pytest.raises(BratsError, match=message):
        predict.main(settings(**change))
    assert not (tmp_path / "out").exists()


def test_slices_get_nifti_masks_on_their_grid_without_volumes(formula, settings, tmp_path):
    """Of the folder of one patient, and with a given spacing also with volumes and an affine in mm."""
    formula[0]["preparation"] = Preparation((Modality.FLAIR, Modality.T1, Modality.T1CE), None, "head").as_dict()
    folder = patient(tmp_path / "slices", masks=False)
    for number, (spacing_mm, lengths, empty) in enumerate(((None, (1, 1, 1), True), ([1, 2, 5], (1, 2, 5), False))):
        output = tmp_path / f"out{number}"
        assert predict.main(settings(input=str(folder), output=str(output), spacing_mm=spacing_mm)) == 0
        mask = read_integers(output / f"{folder.name}.nii.gz")
        assert (mask.array.shape, mask.spacing_mm) == ((8, 8, 3), lengths)
        assert mask.array[1:7, 1:7].any() and not mask.array[0].any()
        assert all((row["volume_ml"] == "") == empty for row in rows(output))


def test_rules_in_mm3_are_refused_for_slices_of_unknown_spacing(formula, settings, tmp_path):
    formula[0]["preparation"] = Preparation((Modality.FLAIR, Modality.T1, Modality.T1CE), None, "head").as_dict()
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"least_et_mm3": 5.0}))
    given = settings(input=str(patient(tmp_path / "slices")), postprocess=str(rules))
    with pytest.raises(
        SettingsError, match="spacing of the scans is unknown, but the post-processing has least_total_mm3"
    ):
        predict.main(given)
    assert not (tmp_path / "out").exists()


def written_again(root, folder, ending, write):
    """The phantoms with every scan and mask in another format; returns their folder."""
    for path in sorted(root.glob("*/*.nii.gz")):
        write(folder / path.parent.name / path.name.replace(".nii.gz", ending), read_volume(path))
    return folder


@pytest.mark.parametrize(
    ("ending", "own"), [(".mha", ".mha"), (".mhd", ".mha"), (".nrrd", ".nrrd"), (".mgz", ".mgz"), (".nii", ".nii.gz")]
)
def test_scans_in_every_format_get_the_masks_of_nifti(settings, phantom_root, tmp_path, ending, own):
    assert predict.main(settings()) == 0
    plain = find_masks(tmp_path / "out")
    if ending in (".mha", ".mhd", ".nrrd"):
        sitk = pytest.importorskip("SimpleITK")

    def write(path, volume):
        if ending in (".mgz", ".nii"):
            write_volume(path, volume)
            return
        write_volume(tmp_path / "one.nii", volume)
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.ReadImage(str(tmp_path / "one.nii")), str(path))

    folder = written_again(phantom_root, tmp_path / "again", ending, write)
    assert len(find_cases(folder, modalities=tuple(Modality), masks_required=True).cases) == len(CASES)
    for mask_format, suffix in (("nifti", ".nii.gz"), ("input", own)):
        output = tmp_path / mask_format
        assert predict.main(settings(input=str(folder), output=str(output), mask_format=mask_format)) == 0
        assert sorted(path.name for path in output.glob("Phantom*")) == [f"{case}{suffix}" for case in CASES]
        for case_id, mask in find_masks(output).items():
            one, other = read_mask(plain[case_id]), read_mask(mask)
            np.testing.assert_array_equal(one.array, other.array)
            np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)
    if own != ".nii.gz":
        with pytest.raises(SettingsError, match="other networks or settings"):
            predict.main(settings(input=str(folder), output=str(tmp_path / "input")))


def test_a_folder_of_web_pages_and_pointers_names_each_file_and_predicts_the_others(
    settings, phantom_root, tmp_path, capsys
):
    folder = tmp_path / "scans"
    shutil.copytree(phantom_root, folder)
    (folder / CASES[0] / f"{CASES[0]}_t1.nii.gz").write_text("<!DOCTYPE html><html>Sign in</html>")
    (folder / CASES[1] / f"{CASES[1]}_t2.nii.gz").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert predict.main(settings(input=str(folder), json=True)) == 1
    failed = json.loads(capsys.readouterr().out)["failed"]
    assert list(failed) == CASES[:2]
    assert failed[CASES[0]].endswith("is a web page, not a scan. Download it again, signed in if the site asks for it.")
    assert failed[CASES[1]].endswith("is a Git LFS pointer, not the scan itself. Fetch the scans: git lfs pull.")


def test_a_bomb_and_a_cut_file_are_listed_under_failed_and_the_others_are_predicted(
    settings, phantom_root, tmp_path, capsys
):
    folder = tmp_path / "scans"
    shutil.copytree(phantom_root, folder)
    bomb, cut = (folder / case / f"{case}_flair.nii.gz" for case in CASES[:2])
    scan = gzip.decompress(bomb.read_bytes())
    shape = struct.pack("<4h", 3, 30000, 30000, 30000)
    bomb.write_bytes(gzip.compress(scan[:40] + shape + scan[48:] + bytes(50_000_000)))
    cut.write_bytes(cut.read_bytes()[:3000])
    assert predict.main(settings(input=str(folder), json=True)) == 1
    found = json.loads(capsys.readouterr().out)
    assert (list(found["failed"]), found["cases"]) == (CASES[:2], CASES[2:])
    assert "its header promises 54,000,000,000,352 bytes" in found["failed"][CASES[0]]
    assert "It is probably damaged or cut short: copy or download it again." in found["failed"][CASES[1]]


def test_a_folder_of_any_names_is_predicted_by_patterns(settings, phantom_root, tmp_path):
    assert predict.main(settings()) == 0
    words = {"flair": "fla", "t1": "pre", "t1ce": "post", "t2": "two"}
    for folder in sorted(phantom_root.glob("Phantom20*")):
        for part, word in words.items():
            path = tmp_path / "flat" / f"{word}-{folder.name}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            shutil.copy(folder / f"{folder.name}_{part}.nii.gz", path)
    files = {part: f"{word}-{{case}}.nii.gz" for part, word in words.items()}
    assert predict.main(settings(input=str(tmp_path / "flat"), output=str(tmp_path / "other"), files=files)) == 0
    for case_id, mask in find_masks(tmp_path / "out").items():
        assert mask.read_bytes() == (tmp_path / "other" / f"{case_id}.nii.gz").read_bytes()
    with pytest.raises(SettingsError, match=r"There is no files=bid\. Did you mean bids\?"):
        predict.main(settings(files={"preset": "bid"}))


def test_scans_of_own_names_reach_the_network_and_a_missing_one_is_named(formula, settings, phantom_root, tmp_path):
    recipe, shapes = formula
    recipe["preparation"] = Preparation((*Modality, Modality("ADC"), Modality("CT")), SPACING).as_dict()
    words = {"flair": "fla", "t1": "pre", "t1ce": "post", "t2": "two"}
    files = {part: f"{{case}}-{word}" for part, word in words.items()} | {"CT": "{case}-ct", "ADC": "{case}-adc"}
    folder = phantom_root / CASES[0]
    (tmp_path / "flat").mkdir()
    for part, word in {**words, "t1ce ": "ct", "t2 ": "adc"}.items():
        shutil.copy(folder / f"{CASES[0]}_{part.strip()}.nii.gz", tmp_path / "flat" / f"one-{word}.nii.gz")
    given = settings(input=str(tmp_path / "flat"), files=files)
    assert predict.main(given) == 0
    assert {shape[-1] for shape in shapes} == {6}
    (tmp_path / "flat" / "one-adc.nii.gz").unlink()
    with pytest.raises(BratsError, match=r"files\.ADC='\{case\}-adc' takes none of the 5 files"):
        predict.main(settings(input=str(tmp_path / "flat"), files=files, output=str(tmp_path / "other")))
    with pytest.raises(SettingsError, match=r"expects ADC, CT, too, .* Give input=<folder> and .* files\.ADC="):
        predict.main(settings(input=None, flair=str(folder / f"{CASES[0]}_flair.nii.gz")))
