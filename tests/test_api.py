"""The Python interface returns what predict writes."""

import subprocess
import sys

import numpy as np
import pytest

import brats_unet
from brats_unet import load
from brats_unet.cli.main import main
from brats_unet.errors import BratsError
from brats_unet.inference.volumes_csv import read_volumes
from brats_unet.modality import Modality
from brats_unet.nifti import read_header, read_integers, read_volume

CASE = "Phantom20_001"


def files(root, case=CASE):
    return {str(m): root / case / f"{case}_{m}.nii.gz" for m in Modality}


@pytest.fixture(scope="module")
def written(small_run, phantom_root, tmp_path_factory):
    """The output folder of predict for the case."""
    folder = tmp_path_factory.mktemp("written") / "masks"
    arguments = [
        f"run={small_run.folder}",
        f"input={phantom_root / CASE}",
        f"output={folder}",
        "mirror=x",
        "device=cpu",
    ]
    assert main(["predict", *arguments, "probabilities=true", "uncertainty=true", "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def result(small_run, phantom_root):
    return load(small_run.folder, mirror="x", device="cpu")(phantom_root / CASE)


def test_a_result_equals_what_predict_writes(result, written, phantom_root):
    mask = read_integers(written / f"{CASE}.nii.gz")
    np.testing.assert_array_equal(result.labels, mask.array)
    np.testing.assert_array_equal(result.affine, mask.affine)
    assert result.case == CASE and result.convention == "brats2017" and result.labels.dtype == np.uint8
    for index, region in enumerate(("WT", "TC", "ET")):
        kept = read_volume(written / "probabilities" / f"{CASE}_probability_{region}.nii.gz").array
        np.testing.assert_allclose(result.probabilities[..., index], kept, atol=0.51 / 255)
    kept = read_volume(written / "uncertainty" / f"{CASE}_uncertainty.nii.gz").array
    np.testing.assert_allclose(result.uncertainty, kept, atol=0.51 / 255)
    for row in read_volumes(written)[CASE]:
        assert f"{result.volumes_ml[row['region']]:.3f}" == row["volume_ml"]
        assert f"{result.mean_probability[row['region']]:.4f}" == row["mean_probability"]
        assert f"{result.agreement[row['region']]:.4f}" == row["agreement"]
        assert "; ".join(result.review) == row["review"]


def test_a_saved_mask_has_the_grid_and_header_of_the_case(result, written, phantom_root, tmp_path):
    path = result.save(tmp_path / "new" / "mask.nii.gz")
    assert path.read_bytes() == (written / f"{CASE}.nii.gz").read_bytes()
    assert result.spacing_mm == read_header(path).spacing_mm
    with pytest.raises(BratsError, match=r"ends in .nii.gz, .nii, .mgz"):
        result.save(tmp_path / "mask.png")
    with pytest.raises(BratsError, match="has the name of a scan of"):
        result.save(files(phantom_root)["t2"])


def test_files_by_modality_and_an_onnx_network_give_the_same_result(result, small_onnx, phantom_root):
    segment = load(str(small_onnx / "model.onnx"), mirror=["x"], device="cpu")
    again = segment(files(phantom_root), name="mine")
    assert again.case == "mine" and segment.modalities == ("flair", "t1", "t1ce", "t2")
    assert (again.labels != result.labels).mean() <= 1e-5
    assert "flair, t1, t1ce, t2" in repr(segment) and "volumes_ml" in repr(again)


def test_invalid_arguments_are_refused(small_onnx, phantom_root, tmp_path):
    segment = load([small_onnx, small_onnx], labels="brats2023", postprocess="none")
    scans = files(phantom_root)
    with pytest.raises(BratsError, match="no modality named t1c. Did you mean t1ce?"):
        segment({**scans, "t1c": scans["t1ce"]})
    with pytest.raises(BratsError, match="t2 not set"):
        segment({name: path for name, path in scans.items() if name != "t2"})
    with pytest.raises(BratsError, match=rf"holds 4 cases\. The first is {CASE}\."):
        segment(phantom_root)
    with pytest.raises(BratsError, match="mirror=w is none of the choices"):
        load(small_onnx, mirror="w")
    with pytest.raises(BratsError, match="device=tpu is none of the choices"):
        load(small_onnx, device="tpu")
    with pytest.raises(BratsError, match="no label convention named brats2016"):
        load(small_onnx, labels="brats2016")
    with pytest.raises(BratsError, match="nowhere: no such run folder"):
        load("nowhere")


def test_importing_the_package_does_not_import_numpy_and_lists_load():
    assert "load" in dir(brats_unet)
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        _ = brats_unet.lode
    code = "import sys, brats_unet; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_grad_cam_gives_a_map_on_the_grid_of_the_case(small_run, phantom_root, result, tmp_path):
    told = []
    segment = load([small_run.folder, small_run.folder], device="cpu", log=told.append)
    heat = segment.grad_cam(phantom_root / CASE, "TC")
    assert heat.values.shape == result.labels.shape and heat.values.dtype == np.float32
    assert heat.values.min() >= 0 and heat.values.max() <= 1 and heat.layer == "encoder_1_act_1"
    assert heat._repr_png_()[:4] == b"\x89PNG"
    np.testing.assert_array_equal(read_volume(heat.save(tmp_path / "heat.nii.gz")).array, heat.values)
    one = load(small_run.folder, device="cpu", log=told.append).grad_cam(
        phantom_root / CASE, "TC", layer="encoder_0_act_0"
    )
    assert one.layer == "encoder_0_act_0" and not np.array_equal(one.values, heat.values)


def test_grad_cam_of_an_exported_network_is_refused(small_onnx, phantom_root):
    with pytest.raises(BratsError, match=r"An exported network has no gradients"):
        load(small_onnx).grad_cam(phantom_root / CASE, "TC")
