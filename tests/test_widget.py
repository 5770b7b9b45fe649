"""The viewer for notebooks holds the scan and the masks."""

import gzip
from importlib.util import find_spec

import nibabel
import numpy as np
import pytest

from brats_unet import load
from brats_unet.errors import MachineError, SettingsError
from brats_unet.schemes.scheme_file import builtin

CASE = "Phantom20_001"


@pytest.fixture(scope="module")
def result(small_run, phantom_root):
    return load(small_run.folder)(phantom_root / CASE)


def volume(bytes_):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(bytes_))


def test_the_viewer_holds_scan_prediction_and_reference(result, phantom_root):
    pytest.importorskip("ipyniivue")
    seg = phantom_root / CASE / f"{CASE}_seg.nii.gz"
    scan, prediction, reference = result.viewer(seg).volumes
    assert (scan.name, prediction.name, reference.name) == ("scan.nii.gz", "prediction.nii.gz", "reference.nii.gz")
    assert volume(scan.data).shape == result.labels.shape
    np.testing.assert_array_equal(volume(prediction.data).dataobj, result.labels)
    np.testing.assert_allclose(volume(reference.data).affine, result.affine, atol=1e-4)
    np.testing.assert_array_equal(volume(reference.data).dataobj, nibabel.load(seg).dataobj)


def test_the_viewer_shows_the_scan_that_is_asked_for(result, phantom_root):
    pytest.importorskip("ipyniivue")
    scan = result.viewer(modality="t2").volumes[0]
    t2 = nibabel.load(phantom_root / CASE / f"{CASE}_t2.nii.gz")
    np.testing.assert_array_equal(volume(scan.data).dataobj, t2.dataobj)
    with pytest.raises(SettingsError, match=f"{CASE}: there is no t2w scan. Did you mean t2"):
        result.viewer(modality="t2w")


def test_each_label_has_the_colour_of_the_smallest_region_around_it():
    pytest.importorskip("ipyniivue")
    from brats_unet.widget import colours

    scheme, found = builtin(), colours(builtin())
    rgb = {
        name: "#{:02x}{:02x}{:02x}".format(*one)
        for name, *one in zip(*(found[k] for k in ("labels", *"RGB")), strict=True)
    }
    assert rgb["ET"] == scheme.regions["ET"].colour.lower() and rgb["ED"] == scheme.regions["WT"].colour.lower()
    assert rgb["NCR"] == scheme.regions["TC"].colour.lower()
    assert found["A"][0] == 0 and found["I"] == [0, 1, 2, 4, 3]


def test_without_ipyniivue_the_way_to_install_it_is_said(result):
    if find_spec("ipyniivue") is None:
        with pytest.raises(MachineError, match=r"viewer\(\) needs ipyniivue, not installed here: pip install"):
            result.viewer()
