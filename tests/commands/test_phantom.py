"""The command `brats-unet phantom`."""

import json

import pytest

from brats_unet.commands import phantom
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Phantom


@pytest.fixture
def small(monkeypatch):
    """Phantoms at a fifth of the normal size, so that the command is fast."""
    write = phantom.write_dataset
    monkeypatch.setattr(phantom, "write_dataset", lambda *args, **options: write(*args, **options, scale=0.2))


def test_the_last_lines_say_what_was_written_and_the_next_commands(small, tmp_path, capsys):
    folder = tmp_path / "my phantoms"
    assert (
        phantom.main(Phantom(scheme=builtin().as_dict(), output=str(folder), cases=2, seed=3, workers=1, json=False))
        == 0
    )
    printed = capsys.readouterr().out
    assert "Wrote 2 of 2 phantoms" in printed
    assert "1 ring, 1 tiny et" in printed
    assert f"brats-unet check data.root='{folder}'" in printed
    phantom.main(Phantom(scheme=builtin().as_dict(), output=str(folder), cases=3, seed=3, workers=2, json=False))
    assert "Wrote 1 of 3 phantoms (2 existed already)" in capsys.readouterr().out


def test_json_is_one_document(small, tmp_path, capsys):
    assert (
        phantom.main(
            Phantom(scheme=builtin().as_dict(), output=str(tmp_path / "p"), cases=1, seed=3, workers=1, json=True)
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert document["cases"] == ["BraTS20_Training_001"]
    assert document["written"] == 1
    assert document["grades"] == {"HGG": 1}
