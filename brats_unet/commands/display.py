"""Terminal output while a command runs: log sentences and progress bars; with json=true, sentences to print later."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from brats_unet.distributed.joining import joined
from brats_unet.distributed.workers import DEADLINE_SECONDS, Workers
from brats_unet.report.console import PlainConsole, duration_text, plain_column
from brats_unet.safe_text import visible

SECONDS_BETWEEN_LINES, IN_NOTEBOOKS = 30.0, 5.0  # of progress, where bars cannot be redrawn
NOTEBOOK = ("JPY_PARENT_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")  # variables that notebooks set
WIDE, WIDEST = 100, 140  # columns of a terminal with room for the label and for a long bar of a training


class Display:
    """Log sentences and progress bars on a terminal, plain lines in a file; neither with json=true.

    Args:
        json: Whether stdout must hold one JSON document only; the console then writes to stderr.

    Attributes:
        notes: Every sentence so far, for the JSON document.
        live: Whether bars can be redrawn; else a line of progress is printed now and then.
    """

    def __init__(self, *, json: bool) -> None:
        self.console = PlainConsole(stderr=json, soft_wrap=not sys.stdout.isatty())
        self.quiet = json
        self.notes: list[str] = []
        self.bars: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        in_notebook = any(name in os.environ for name in NOTEBOOK)
        self.live = self.console.is_terminal and not in_notebook  # `!brats-unet` in a notebook writes to a terminal
        self.seconds_between = IN_NOTEBOOKS if in_notebook else SECONDS_BETWEEN_LINES
        self.said = time.monotonic()  # when the last line of progress was printed

    def log(self, sentence: str) -> None:
        """Print one sentence, above the progress bars; with json=true, only keep it in `notes`."""
        self.notes.append(sentence)
        if not self.quiet:
            (self.bars.console if self.bars else self.console).print(sentence)

    def progress(self, what: str, done: int, total: int) -> None:
        """Show `done` of `total` parts of `what`; the bar appears at the first call and vanishes when all are done."""
        if self.quiet:
            return
        if not self.live:
            if done < total and self.line_is_due():
                self.console.print(f"{what}: {done} of {total}")
            return
        if done >= total and what not in self.tasks:
            return
        if self.bars is None:
            self.bars = Progress(
                plain_column("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bars.start()
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(visible(what), total=total)
        self.bars.update(self.tasks[what], completed=done, total=total)
        if done >= total:
            self.bars.remove_task(self.tasks.pop(what))
            if not self.tasks:
                self.close()

    def line_is_due(self) -> bool:
        """Whether a line of progress should be printed now, so that long work is seen to be alive."""
        now = time.monotonic()
        if due := now - self.said >= self.seconds_between:
            self.said = now
        return due

    def close(self) -> None:
        """Remove all progress bars."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None
            self.tasks.clear()


@contextmanager
def open_display(*, json: bool) -> Iterator[Display]:
    """A display whose progress bars are removed when the block ends, also after an exception."""
    display = Display(json=json)
    try:
        yield display
    finally:
        display.close()


@contextmanager
def open_shared_display(
    *, json: bool, device: str, deadline_seconds: float = DEADLINE_SECONDS
) -> Iterator[tuple[Display, Workers]]:
    """A display and the workers of this command, of which only the chief displays anything.

    Args:
        json: See `Display`.
        device: Device of the settings; "workers" for several processes, which may be `deadline_seconds` late.
        deadline_seconds: How long a worker may be late or silent.
    """
    together = device == "workers"
    with (
        open_display(json=json) as display,
        joined(together, deadline_seconds=deadline_seconds, log=display.log) as workers,
    ):
        display.quiet |= not workers.is_chief
        yield display, workers


class TrainingDisplay:
    """The progress bar of a training: step, smoothed loss, Dice of whole volumes and of patches, speed, time left.

    Args:
        display: Display on whose console the bar is drawn.
        done: Steps done before this start.
        steps: Steps of the whole budget; None if unknown.
    """

    def __init__(self, display: Display, done: int, steps: int | None) -> None:
        self.display = display
        self.loss: float | None = None
        width = display.console.width
        self.bar = Progress(
            *([plain_column("Training")] if width >= WIDE else []),
            BarColumn(bar_width=40 if width >= WIDEST else 10 if width >= WIDE else 5),
            MofNCompleteColumn(),
            plain_column("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=display.console,
            transient=True,
            disable=display.quiet or not display.live,
        )
        facts = "first step: building the graph …"
        self.task = self.bar.add_task("", total=steps, completed=done, facts=facts)
        self.dice = self.patch_dice = ""
        self.done, self.began = done, time.monotonic()

    def __enter__(self) -> "TrainingDisplay":
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def step(self, step: int, steps: int | None, loss: float, patches_per_second: float) -> None:
        """Update the bar; called after each step."""
        self.loss = loss if self.loss is None else 0.95 * self.loss + 0.05 * loss
        patch_dice = self.patch_dice if self.display.console.width >= WIDE else ""
        facts = f"loss {self.loss:.3f}{self.dice}{patch_dice}  {patches_per_second:.2f} patches/s"
        self.bar.update(self.task, completed=step, total=steps, facts=facts)
        if not self.display.live and not self.display.quiet and self.display.line_is_due():
            of = "" if steps is None else f" of {steps}"
            self.display.console.print(f"step {step}{of}  {facts}{self._left(step, steps)}")

    def _left(self, step: int, steps: int | None) -> str:
        """The time left by the mean speed of this start, as "  3 min left"; "" while unknown."""
        done = step - self.done
        if steps is None or done <= 0:
            return ""
        return f"  about {duration_text((time.monotonic() - self.began) / done * (steps - step))} left"

    def patches(self, running_mean_dice: float | None) -> None:
        """Show the running mean of the Dice of held-out patches in the bar, from the next step on."""
        self.patch_dice = "" if running_mean_dice is None else f"  patch Dice {running_mean_dice:.3f}"

    def validation(self, step: int, steps: int | None, dice: Mapping[str, float], seconds: float, best: bool) -> None:
        """Print one line of scores; called after each validation on the held-out cases."""
        scores = "  ".join(f"{region} {value:.3f}" for region, value in dice.items())
        self.dice = f"  Dice {sum(dice.values()) / len(dice):.3f}"
        mark = "  (best so far)" if best else ""
        if not self.display.quiet:
            self.bar.console.print(
                f"step {step:>{len(str(steps))}} of {steps}  loss {self.loss or 0:.3f}  held-out Dice {scores}{mark}"
            )

    def spike(self, sentence: str) -> None:
        """Print a sentence above the bar; called when the run goes back to a checkpoint."""
        if not self.display.quiet:
            self.bar.console.print(sentence)
