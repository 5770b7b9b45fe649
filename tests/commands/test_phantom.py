"""`brats-unet phantom`."""

import json

import pytest

from brats_unet.commands import phantom
from brats_unet.errors import SettingsError
from brats_unet.settings import Phantom


@pytest.fixture
def small(monkeypatch):
    """Phantoms a fifth of the true size, so that the command is quick."""
    write = phantom.write_dataset
    monkeypatch.setattr(phantom, "write_dataset", lambda *args, **options: write(*args, **options, scale=0.2))


def test_the_closing_sentence_says_what_was_written_and_what_comes_next(small, tmp_path, capsys):
    folder = tmp_path / "my phantoms"
    assert phantom.main(Phantom(output=str(folder), cases=2, seed=3, workers=1, json=False)) == 0
    said = capsys.readouterr().out
    assert "Wrote 2 of 2 phantoms" in said
    assert "1 ring, 1 tiny et" in said
    assert f"brats-unet check data.root='{folder}'" in said
    phantom.main(Phantom(output=str(folder), cases=3, seed=3, workers=2, json=False))
    assert "Wrote 1 of 3 phantoms (2 were there already)" in capsys.readouterr().out


def test_json_is_one_document(small, tmp_path, capsys):
    assert phantom.main(Phantom(output=str(tmp_path / "p"), cases=1, seed=3, workers=1, json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cases"] == ["BraTS20_Training_001"]
    assert told["written"] == 1
    assert told["grades"] == {"HGG": 1}


@pytest.mark.parametrize("wrong", [{"cases": 0}, {"workers": 0}, {"seed": -1}])
def test_counts_below_their_least_are_refused(wrong, tmp_path):
    settings = {"output": str(tmp_path / "p"), "cases": 1, "seed": 0, "workers": 1, "json": False} | wrong
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        phantom.main(Phantom(**settings))
