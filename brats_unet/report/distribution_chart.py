"""Chart of a score over cases, as SVG: every case is a point, with quartiles, mean and interval; see `charts`."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from brats_unet.report.charts import CHARACTER, LEFT, RIGHT, TOP, WIDTH, open_svg, short_name, svg_text
from brats_unet.report.looks import css_class, marker
from brats_unet.schemes.scheme import Scheme

STRIP, TALL_STRIP = 62, 116  # height of the strip of one region, and with more than HIGH_STACK points in a stack
HIGH_STACK = 8
COLUMN = 6  # width in which points are stacked, and the largest distance between two of them
DISTANCE_TICKS = (0, 1, 3, 10, 30, 100, 300)
# Name and mean score of a trivial predictor.
Baseline = tuple[str, float]
# Mean of a score, and both ends of its confidence interval.
Mean = tuple[float, float, float]


def distribution(
    what: str,
    values: Mapping[str, Sequence[tuple[str, float]]],
    *,
    scheme: Scheme,
    distance: str = "",
    trivial: Mapping[str, Sequence[Baseline]] | None = None,
    means: Mapping[str, Mean] | None = None,
) -> str:
    """Chart of a score: every case as a point, stacked where many are equal, and the quartiles as a box, by region.

    Args:
        what: Name of the score, for screen readers.
        values: (case, value) by region, without undefined values.
        scheme: Scheme of the regions.
        distance: Unit of distances, on a logarithmic axis; "" for shares from 0 to 1.
        trivial: (name, mean score) of the trivial predictors by region, drawn as triangles.
        means: Mean and its interval by region, drawn as a bar below the points.
    """
    shown = [value for points in (*values.values(), *(trivial or {}).values()) for _, value in points]
    longest = max([300.0, *shown])
    left = max([LEFT, *(12 + CHARACTER * len(short_name(region)) for region in values)])
    span = WIDTH - left - RIGHT

    def x(value: float) -> float:
        share = math.log1p(value) / math.log1p(longest) if distance else value
        return round(left + span * share, 1)

    stacks = [Counter(_column(x(value)) for _, value in points) for points in values.values()]
    highest = max((count for stack in stacks for count in stack.values()), default=0)
    strip = TALL_STRIP if highest > HIGH_STACK else STRIP
    half_box = 13 if strip == STRIP else strip / 2 - 14
    height = TOP + strip * len(values) + 26
    parts = [open_svg(height, f"{what}: every case, by region")]
    bottom = height - 26
    for tick in DISTANCE_TICKS if distance else (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(svg_text(x(tick), bottom + 15, f"{tick:g}", "middle"))
    for row, (region, points) in enumerate(values.items()):
        middle = TOP + strip * row + strip / 2
        parts.append(f'<g class="{css_class(scheme, region)}">')
        parts.append(svg_text(left - 10, middle + 4, short_name(region), "end", "name"))
        if points:
            q1, median, q3 = np.percentile([value for _, value in points], (25, 50, 75))
            width, top = max(1.0, x(q3) - x(q1)), middle - half_box
            parts.append(f'<rect class="box" x="{x(q1)}" y="{top}" width="{width:.1f}" height="{2 * half_box}"/>')
        for name, value in (trivial or {}).get(region, ()):
            parts.append(
                f'<path class="trivial" d="M{x(value)} {middle - strip / 2 + 7:g}l5 -7h-10z">'
                f"<title>{escape(name)}: {value:.3g}</title></path>"
            )
        heights, size = _stacked([x(value) for _, value in points], middle, strip / 2 - 10)
        for (case, value), y in zip(points, heights, strict=True):
            title = f"{case}: {value:.1f} {distance}" if distance else f"{case}: {value:.3f}"
            parts.append(marker(scheme, region, x(value), y, title, size))
        if points:  # above the points, which may cover the whole strip
            ends = f'y1="{middle - half_box - 4}" y2="{middle + half_box + 4}"'
            parts.append(f'<line class="median" x1="{x(median)}" x2="{x(median)}" {ends}/>')
        if means and region in means:
            parts.append(_mean_bar(means[region], [x(end) for end in means[region]], middle + strip / 2 - 4))
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _mean_bar(values: Mean, xs: Sequence[float], y: float) -> str:
    mean, low, high = xs
    title = "mean {:.3g}, 95 % interval {:.3g} – {:.3g}".format(*values)
    return (
        f'<g class="mean"><path d="M{low} {y - 3}v6M{low} {y}H{high}m0 -3v6"/><circle cx="{mean}" cy="{y}" r="3.2"/>'
        f"<title>{title}</title></g>"
    )


def _column(x: float) -> int:
    """Number of the stack that a point at x belongs to."""
    return int(x // COLUMN)


def _stacked(xs: Sequence[float], middle: float, half: float) -> tuple[list[float], float]:
    """y coordinates that stack points with nearly equal x around `middle`, and the size of a point, 1 if there is room.

    Args:
        xs: x coordinates.
        middle: y coordinate of the middle of the strip.
        half: Largest distance from it.
    """
    taken: dict[int, int] = {}
    places = []
    for x in xs:
        column = _column(x)
        n = taken[column] = taken.get(column, 0) + 1
        places.append((n // 2) * (1 if n % 2 else -1))
    step = min(COLUMN, half / max([1, *map(abs, places)]))
    return [round(middle + step * place, 1) for place in places], max(0.5, min(1.0, step / COLUMN * 1.2))
