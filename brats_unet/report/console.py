"""The only console of the terminal output: it prints names of cases, runs and folders as they are; plain tables."""

import sys
from collections.abc import Iterable
from typing import Any, final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from brats_unet.safe_text import visible

CELL_WIDTH = 100  # characters in the output of a notebook's cell


def in_cell() -> bool:
    """Whether this process is the kernel of a notebook, which shows what is printed in the output of a cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__module__.startswith(("ipykernel", "google.colab"))


@final
class PlainConsole(Console):
    """A console without markup and emoji codes, which shows control characters instead of sending them.

    It takes `[bold]`, `:smile:` and escape sequences for text, also in tables. Styles are given as `rich.text.Text`.

    Args:
        stderr: Whether to write to stderr instead of stdout.
        soft_wrap: Whether long lines are left to the terminal to wrap.
        quiet: Whether to print nothing.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> None:
        # Rich itself would print every line into a notebook as an HTML element that is cut at its right edge.
        cell: Any = {"color_system": "standard", "width": CELL_WIDTH} if in_cell() else {}
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, quiet=quiet, highlight=False, markup=False, emoji=False,
            force_jupyter=False, **cell,
        )  # fmt: skip

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as text, made visible before its width is measured."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What reaches the terminal: Rich's own control codes pass, those inside of texts are made visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def plain_column(text_format: str) -> TextColumn:
    """A column of a progress bar without markup, such as "{task.description}"."""
    return TextColumn(text_format, markup=False)


def plain_table(title: str) -> Table:
    """An empty table in the style of all terminal tables: bold title on the left, a line under the header."""
    text = Text(visible(title), style="bold", no_wrap=True, overflow="ignore")  # wider than its table if it must be
    return Table(title=text, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def duration_text(seconds: float) -> str:
    """A duration as "43 s", "12 min" or "5 h 07"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02}"
