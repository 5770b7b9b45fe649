"""Charts of Dice against the size of the reference, as SVG: every case is a point, on a logarithmic axis."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.report.charts import LEFT, RIGHT, TOP, WIDTH, open_svg, svg_text
from brats_unet.report.cohort_words import THIN_SPACE
from brats_unet.report.looks import css_class, marker
from brats_unet.schemes.scheme import Scheme

HEIGHT, BOTTOM = 250, 40
NONE_WIDTH = 64  # of the column of cases whose reference is empty
THIRDS = 3
LEAST_IN_THIRD = 5  # cases, for a median
TICKS = (1, 2, 5)  # of a decade that spans much of the axis
SMALL = 0.8  # size of a point


@dataclass(frozen=True)
class Third:
    """Cases of about equal number, by the size of the reference.

    Attributes:
        low: Smallest size.
        high: Largest size.
        median: Median Dice.
        n: Number of cases.
    """

    low: float
    high: float
    median: float
    n: int


def thirds(sizes: Sequence[float], dice: Sequence[float]) -> list[Third]:
    """Cases with a reference in three groups by its size, the smallest first; empty if a group has under five cases.

    Args:
        sizes: Size of the reference of each case; 0 is left out.
        dice: Dice of each case; NaN is left out.
    """
    known = sorted((size, score) for size, score in zip(sizes, dice, strict=True) if size > 0 and not math.isnan(score))
    if len(known) < THIRDS * LEAST_IN_THIRD:
        return []
    parts = np.array_split(np.array(known), THIRDS)
    return [Third(float(p[0, 0]), float(p[-1, 0]), float(np.median(p[:, 1])), len(p)) for p in parts]


def dice_by_size(
    cases: Sequence[tuple[str, float, float]],
    *,
    region: str,
    scheme: Scheme,
    unit: str,
    worst: Collection[str] = (),
) -> str:
    """Chart of the Dice of one region against the size of its reference.

    Cases without the region stand in a column at the left. Lines mark the median of each third of the others.

    Args:
        cases: (case, size of the reference, Dice) of every case with a defined Dice.
        region: Region of the scheme.
        scheme: Scheme of the region.
        unit: Unit of the sizes.
        worst: Cases that get a ring.
    """
    sizes = [size for _, size, _ in cases if size > 0]
    low, high = (min(sizes), max(sizes)) if sizes else (1.0, 10.0)
    first, last = math.log10(low) - 0.05, max(math.log10(high) + 0.05, math.log10(low) + 0.3)
    has_none = any(size == 0 for _, size, _ in cases)
    left = LEFT + (NONE_WIDTH if has_none else 0)

    def x(size: float) -> float:
        if size == 0:
            return LEFT + NONE_WIDTH / 2 - 8
        return round(left + (WIDTH - RIGHT - left) * (math.log10(size) - first) / (last - first), 1)

    def y(dice: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * dice, 1)

    parts = [open_svg(HEIGHT, f"Dice of {region} against the size of its reference: every case")]
    for dice in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(dice)}" y2="{y(dice)}"/>')
        parts.append(svg_text(LEFT - 7, y(dice) + 4, f"{dice:g}", "end"))
    for tick in _ticks(first, last):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(svg_text(x(tick), HEIGHT - BOTTOM + 15, f"{tick:,g}".replace(",", THIN_SPACE), "middle"))
    if has_none:
        parts.append(svg_text(x(0), HEIGHT - BOTTOM + 15, "absent", "middle"))
    parts.append(svg_text((left + WIDTH - RIGHT) / 2, HEIGHT - 6, f"size of the reference, {unit}", "middle"))
    parts.append(f'<g class="{css_class(scheme, region)}">')
    for third in thirds([size for _, size, _ in cases], [dice for *_, dice in cases]):
        at = y(third.median)
        title = f"{third.n} cases from {third.low:.3g} to {third.high:.3g} {unit}: median Dice {third.median:.3f}"
        ends = f'x1="{x(third.low)}" x2="{x(third.high)}" y1="{at}" y2="{at}"'
        parts.append(f'<line class="median" {ends}><title>{title}</title></line>')
    for case, size, dice in cases:
        title = f"{case}: Dice {dice:.3f}, {size:.3g} {unit}"
        kind = "point worst" if case in worst else "point"
        parts.append(marker(scheme, region, x(size), y(dice), title, SMALL, kind))
    return "".join([*parts, "</g></svg>"])


def _ticks(first: float, last: float) -> list[float]:
    """Round sizes between two exponents of ten: whole decades, and 2 and 5 of each if there are few decades."""
    factors = TICKS if last - first < 2.2 else (1,)
    exponents = range(math.floor(first), math.ceil(last) + 1)
    return [f * 10.0**e for e in exponents for f in factors if first <= math.log10(f * 10.0**e) <= last]
