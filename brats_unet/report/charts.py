"""Charts of the HTML page, as SVG text. They follow the page's dark mode, and every point has its case as a tooltip.

Regions differ in colour, marker and dash (see `looks`), so the charts can be read without colour.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from brats_unet.report.looks import SVG_DASHES, css_class, marker
from brats_unet.schemes.scheme import Scheme

WIDTH, LEFT, RIGHT, TOP = 420, 44, 14, 12
POINTS = 300  # most points of a line
CHARACTER = 9  # widest letter of a region's name
LONGEST = 14  # characters of a region's name
LINE_HEIGHT = 14  # least distance between the labels at the line ends


def smoothed(values: np.ndarray) -> np.ndarray:
    """Centred moving average over about a twentieth of the values; the window is cut at both ends."""
    half = max(1, len(values) // 40)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def apart(positions: Sequence[float], least: float, *, last: float) -> list[float]:
    """Rising positions moved until they are at least `least` apart: up, and down again from `last`."""
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + least) if moved else position)
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], last - least * (len(moved) - 1 - index))
    return moved


def loss_curve(steps: Mapping[int, float]) -> str:
    """Chart of the loss of each step and its moving average."""
    at = np.array(sorted(steps), float)
    losses = np.array([steps[int(step)] for step in at])
    low, high = np.percentile(losses, (0, 99.5))
    margin = 0.06 * (high - low) + 1e-6
    frame = _Frame(at, low - margin, high + margin)
    parts = [
        open_svg(_Frame.HEIGHT, f"Loss over {len(at)} steps, from {losses[0]:.3f} to {losses[-1]:.3f}"),
        frame.axes("step"),
    ]
    parts.append(f'<path class="raw" d="{frame.path(at, np.clip(losses, low - margin, high + margin))}"/>')
    parts.append(f'<path class="line loss" d="{frame.path(at, smoothed(losses))}"/>')
    return "".join([*parts, "</svg>"])


def dice_curves(
    validations: Mapping[str, Sequence[tuple[int, float]]],
    patches: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    *,
    scheme: Scheme,
) -> str:
    """Chart of the mean Dice of the held-out cases at each validation, one line per region.

    Args:
        validations: (step, mean Dice of the cases) by region.
        patches: (step, Dice of held-out patches) by region, drawn as thin lines; None for none.
        scheme: Scheme of the regions.
    """
    patches = patches or {}
    steps = [step for points in (*validations.values(), *patches.values()) for step, _ in points]
    margin = max([_Frame.MARGIN, *(12 + CHARACTER * (len(short_name(region)) + 4) for region in validations)])
    frame = _Frame(np.array([0, *steps], float), 0.0, 1.0, margin)
    ends = ", ".join(f"{region} {points[-1][1]:.2f}" for region, points in validations.items() if points)
    label = f"Mean Dice of the held-out cases during training; last validation: {ends}"
    parts = [open_svg(_Frame.HEIGHT, label), frame.axes("step")]
    for region, points in patches.items():
        if points:
            at, dice = (np.array(numbers, float) for numbers in zip(*points, strict=True))
            parts.append(f'<g class="{css_class(scheme, region)}"><path class="thin" d="{frame.path(at, dice)}"/></g>')
    ended = sorted((item for item in validations.items() if item[1]), key=lambda item: -item[1][-1][1])
    heights = apart([frame.y(points[-1][1]) + 4 for _, points in ended], LINE_HEIGHT, last=frame.y(0.0) + 4)
    for (region, points), height in zip(ended, heights, strict=True):
        at, dice = (np.array(numbers, float) for numbers in zip(*points, strict=True))
        dash = SVG_DASHES[scheme.regions[region].outline]
        parts.append(f'<g class="{css_class(scheme, region)}">')
        parts.append(f'<path class="line" stroke-dasharray="{dash}" d="{frame.path(at, dice)}"/>')
        for step, value in points:
            parts.append(marker(scheme, region, frame.x(step), frame.y(value), f"{region} at step {step}: {value:.3f}"))
        parts.append(svg_text(WIDTH - margin + 10, height, f"{short_name(region)} {dice[-1]:.2f}", "start", "name"))
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


class _Frame:
    """Axes of a curve; the right margin holds the labels at the line ends."""

    HEIGHT, BOTTOM, MARGIN = 236, 40, 74

    def __init__(self, steps: np.ndarray, low: float, high: float, margin: int = MARGIN) -> None:
        self.first, self.last = float(steps.min()), max(float(steps.max()), float(steps.min()) + 1)
        self.low, self.high, self.margin = low, high, margin

    def x(self, step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - self.margin) * (step - self.first) / (self.last - self.first), 1)

    def y(self, value: float) -> float:
        return round(
            self.HEIGHT - self.BOTTOM - (self.HEIGHT - self.BOTTOM - TOP) * (value - self.low) / (self.high - self.low),
            1,
        )

    def path(self, steps: np.ndarray, values: np.ndarray) -> str:
        few = np.unique(np.linspace(0, len(steps) - 1, min(POINTS, len(steps))).astype(int))
        return "M" + "L".join(f"{self.x(steps[i])} {self.y(values[i])}" for i in few)

    def axes(self, below: str) -> str:
        parts = []
        for value in _ticks(self.low, self.high):
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - self.margin}" y1="{self.y(value)}" y2="{self.y(value)}"/>'
            )
            parts.append(svg_text(LEFT - 7, self.y(value) + 4, f"{value:g}", "end"))
        for step in _ticks(self.first, self.last):
            parts.append(svg_text(self.x(step), self.HEIGHT - self.BOTTOM + 16, f"{step:g}", "middle"))
        parts.append(svg_text((LEFT + WIDTH - self.margin) / 2, self.HEIGHT - 6, below, "middle"))
        return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between `low` and `high`."""
    rough = (high - low) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [round(step * i, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def short_name(region: str) -> str:
    """A region's name, cut to LONGEST characters."""
    return region if len(region) <= LONGEST else f"{region[: LONGEST - 1]}…"


def open_svg(height: float, label: str) -> str:
    """The start of a chart of the page; the label is read aloud by screen readers."""
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label, quote=True)}">'


def svg_text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    """A text in a chart, escaped."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
