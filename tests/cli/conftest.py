"""Every command line test runs in an empty folder, on a machine without a GPU, and can replace the commands."""

import sys
import types

import pytest

from brats_unet.cli import implied
from brats_unet.cli.conf_files import COMMANDS


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """An empty current folder, on a machine without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(implied, "gpu_count", lambda: 0)
    return tmp_path


@pytest.fixture
def told(monkeypatch):
    """The settings that commands were called with; every command is replaced by one that only notes them."""
    notes = []
    for name in COMMANDS:
        module = types.ModuleType(name)
        module.main = lambda settings, *stop: notes.append(settings) or 0
        monkeypatch.setitem(sys.modules, f"brats_unet.commands.{name}", module)
    return notes
