"""In a notebook, the console prints text into one output, with colours, as wide as a cell."""

import sys
from types import SimpleNamespace

import pytest
from rich.text import Text

from brats_unet.report import console


class Kernel:
    __module__ = "ipykernel.zmqshell"


@pytest.fixture
def in_notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=Kernel))


def test_a_notebook_gets_text_with_colours(in_notebook, capsys):
    one = console.PlainConsole()
    assert console.in_cell() and one.width == console.CELL_WIDTH and not one.is_jupyter
    one.print(Text("red", style="red"))
    assert capsys.readouterr().out == "\x1b[31mred\x1b[0m\n"


def test_a_file_gets_text_alone(capsys):
    assert not console.in_cell()
    console.PlainConsole().print(Text("red", style="red"))
    assert capsys.readouterr().out == "red\n"
