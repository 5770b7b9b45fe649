"""The command `brats-unet phantom`."""

import json
from pathlib import Path
from typing import Any

import pytest

from brats_unet import nifti
from brats_unet.commands import phantom
from brats_unet.errors import SettingsError
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Phantom
from brats_unet.volume import spacing_mm


@pytest.fixture
def small(monkeypatch):
    """Phantoms at a fifth of the normal size, so that the command is fast."""
    write = phantom.write_dataset
    monkeypatch.setattr(phantom, "write_dataset", lambda *args, **options: write(*args, **options, scale=0.2))


def made(folder: Path, **changed: Any) -> int:
    """The exit code of the command with these settings."""
    plain = {"scheme": builtin().as_dict(), "cases": 1, "seed": 3, "grid": None, "spacing_mm": None, "workers": 1}
    return phantom.main(Phantom(output=str(folder), **{**plain, "json": False, **changed}))


def test_the_last_lines_say_what_was_written_and_the_next_commands(small, tmp_path, capsys):
    folder = tmp_path / "my phantoms"
    assert made(folder, cases=2) == 0
    printed = capsys.readouterr().out
    assert "Wrote 2 of 2 phantoms" in printed
    assert "1 ring, 1 tiny et" in printed
    assert f"brats-unet check data.root='{folder}'\n" in printed
    made(folder, cases=3, workers=2)
    assert "Wrote 1 of 3 phantoms (2 existed already)" in capsys.readouterr().out


def test_json_is_one_document(small, tmp_path, capsys):
    assert made(tmp_path / "p", json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cases"] == ["Phantom20_001"]
    assert document["written"] == 1
    assert document["grades"] == {"HGG": 1}
    assert (document["scheme"], document["grid"]) == ("glioma", [240, 240, 155])


def test_the_next_commands_name_the_scheme(small, tmp_path, capsys):
    made(tmp_path / "lesions", scheme=builtin("lesion").as_dict())
    assert f"brats-unet train data=brats data.root={tmp_path / 'lesions'} scheme=lesion" in capsys.readouterr().out


def test_cases_of_another_scheme_and_grid_have_names_varieties_and_sizes_of_their_own(small, tmp_path, capsys):
    post = builtin("glioma_post").as_dict()
    made(tmp_path / "p", scheme=post, grid=[256, 256, 28], spacing_mm=[0.9, 0.9, 5], json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["varieties"] == {"Phantom-GLI-00001-100": "cavity_ring"}
    assert document["grades"] == {}
    written = nifti.read_volume(tmp_path / "p" / "Phantom-GLI-00001-100" / "Phantom-GLI-00001-100-t2f.nii.gz")
    assert written.array.shape == (51, 51, 6)
    assert spacing_mm(written.affine) == pytest.approx((4.5, 4.5, 25))


def test_a_grid_without_room_for_a_head_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(
        SettingsError, match=r"A head needs 152×186×140 mm: at this spacing, grid=\[152, 186, 140\] or more"
    ):
        made(tmp_path / "p", grid=[128, 128, 128])
    assert not (tmp_path / "p").exists()
