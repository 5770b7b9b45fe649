"""What the training loop tells a display."""

from typing import Protocol


class ProgressReporter(Protocol):
    """Display of the progress. `step` counts from 1; `steps` is the length of the whole run, None if unknown."""

    def step(self, step: int, steps: int | None, loss: float, patches_per_second: float) -> None: ...

    def patches(self, running_mean_dice: float | None) -> None: ...

    def validation(self, step: int, steps: int | None, dice: dict[str, float], seconds: float, best: bool) -> None: ...

    def spike(self, sentence: str) -> None: ...
