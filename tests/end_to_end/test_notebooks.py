"""The notebooks in docs/notebooks run from the first cell to the last, on phantoms in place of their data."""

import os
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from brats_unet.data.phantom.phantoms import write_dataset
from brats_unet.nifti import read_integers, read_volume
from brats_unet.schemes.scheme_file import builtin

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
NAMES = ["kaggle", "lgg"]
SMALL = {"model.features": [4, 8], "model.strides": [1, 2], "steps": 2, "minutes": None, "validation.every": 1.0}
SETTINGS = {
    "kaggle": {
        "experiment": "quick",
        "data.preparation.spacing_mm": [5, 5, 5],
        "sampling.patch": [16, 16, 16],
        **SMALL,
    },
    "lgg": {"experiment": "lgg2d", "sampling.patch": [32, 32, 1], "sampling.batch": 2, **SMALL},
}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_dataset(folder, cases=5, seed=3, scheme=builtin(), scale=0.2)
    return folder


@pytest.fixture(scope="module")
def slices(phantoms):
    """The phantoms as folders of TIFF slices, as in the LGG data set."""
    root = phantoms.parent / "kaggle_3m"
    for number, case in enumerate(sorted(path for path in phantoms.iterdir() if path.is_dir())):
        (folder := root / f"TCGA_CS_{4900 + number}_19960909").mkdir(parents=True)
        scans = [read_volume(case / f"{case.name}_{modality}.nii.gz").array for modality in ("t1", "flair", "t1ce")]
        grey = np.stack([np.clip(scan * (250 / scan.max()), 0, 250).astype(np.uint8) for scan in scans], axis=-1)
        mask = (read_integers(case / f"{case.name}_seg.nii.gz").array > 0).astype(np.uint8) * 255
        for z in range(mask.shape[2]):
            name = folder / f"{folder.name}_{z + 1}"
            Image.fromarray(grey[:, :, z].transpose(1, 0, 2)).save(f"{name}.tif")
            Image.fromarray(mask[:, :, z].T).save(f"{name}_mask.tif")
    return root


def executed(name, data, folder, monkeypatch, *, first=False):
    """The outputs of the notebook's code cells, run with small settings on other data; `first`: its first cells only."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # those of the kernel
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "install" not in tags and (not first or "first" in tags):
            cells.append(cell)
        if "parameters" in tags:
            named = {"DATA": str(data), "NEW": str(data), "RUNS": str(folder / "runs")}
            settings = {**SETTINGS[name], "data.cache": str(folder / "cache")}
            lines = [f"{key} = {value!r}" for key, value in {**named, "SETTINGS": settings}.items()]
            cells.append(nbformat.v4.new_code_cell("\n".join(lines)))
    notebook.cells = cells
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in cells for output in cell.outputs]


def texts(outputs):
    return "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_without_outputs(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cells_find_the_data(name, phantoms, slices, tmp_path, monkeypatch):
    found = texts(executed(name, {"kaggle": phantoms, "lgg": slices}[name], tmp_path, monkeypatch, first=True))
    assert "5 cases" in found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_whole_notebook_runs(name, phantoms, slices, tmp_path, monkeypatch):
    outputs = executed(name, {"kaggle": phantoms, "lgg": slices}[name], tmp_path, monkeypatch)
    pictures = [one for one in outputs if "image/png" in one.get("data", {})]
    assert len(pictures) >= 2 and "<table" in "".join(one.get("data", {}).get("text/html", "") for one in outputs)
    assert (tmp_path / "runs" / name / "report.html").is_file()
    assert not [one for one in outputs if one.output_type == "error"] and "Traceback" not in texts(outputs)
