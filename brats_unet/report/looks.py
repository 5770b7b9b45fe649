"""How regions look in every figure and chart: colour, line style and marker, so that they differ without colour too."""

import colorsys
from collections.abc import Iterable
from html import escape
from typing import Any, Literal

from brats_unet.schemes.region import Outline
from brats_unet.schemes.scheme import Scheme

WHITE, DARK_CARD = "#ffffff", "#1b1e22"  # grounds of curves and charts, in light and dark mode
LINE, TEXT, DARK_TEXT = 3.0, 4.8, 4.5  # least contrast of lines, and of text in the two modes (WCAG 2.2, 1.4.3 and .11)
SVG_DASHES: dict[Outline, str] = {"solid": "", "dashed": "7 3", "dotted": "2 3", "dashdot": "8 3 2 3"}
Dash = Literal["solid"] | tuple[float, tuple[float, ...]]
DASHES: dict[Outline, Dash] = {
    "solid": "solid",
    "dashed": (0, (5, 1.5)),
    "dotted": (0, (1.5, 1.2)),
    "dashdot": (0, (5, 1.5, 1.5, 1.5)),
}
# Marker in matplotlib, and its corners on a circle's scale (x to the right, y down); None is a circle.
Corners = tuple[tuple[float, float], ...]
TRIANGLE: Corners = ((0, -1), (1, 0.74), (-1, 0.74))
PLUS: Corners = (
    (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35),
    (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35),
)  # fmt: skip
MARKS: tuple[tuple[str, Corners | None], ...] = (
    ("o", None),
    ("s", ((-0.74, -0.74), (0.74, -0.74), (0.74, 0.74), (-0.74, 0.74))),
    ("^", TRIANGLE),
    ("D", ((0, -1.1), (1.1, 0), (0, 1.1), (-1.1, 0))),
    ("v", tuple((x, -y) for x, y in TRIANGLE)),
    ("P", PLUS),
    ("X", tuple((0.78 * (x - y), 0.78 * (x + y)) for x, y in PLUS)),
    ("*", ((0, -1.2), (0.3, -0.4), (1.14, -0.37), (0.48, 0.15), (0.7, 0.97), (0, 0.5),
           (-0.7, 0.97), (-0.48, 0.15), (-1.14, -0.37), (-0.3, -0.4))),
)  # fmt: skip
RADIUS, CIRCLE = 4.6, 3.8  # of a marker in a chart of the page, in pixels


def number(scheme: Scheme, region: str) -> int:
    """Index of a region's marker in `MARKS`."""
    return list(scheme.regions).index(region) % len(MARKS)


def line_style(scheme: Scheme, region: str) -> dict[str, Any]:
    """Keyword arguments of matplotlib's `plot` on white: colour, marker and dash of a region."""
    one = scheme.regions[region]
    return {
        "color": readable(one.colour, WHITE, LINE),
        "marker": MARKS[number(scheme, region)][0],
        "linestyle": DASHES[one.outline],
    }


def readable(colour: str, ground: str, contrast: float) -> str:
    """The colour itself if its contrast to the ground suffices, else a darker or lighter one of the same hue.

    Args:
        colour: "#rrggbb".
        ground: Colour of the background, "#rrggbb".
        contrast: Least contrast ratio, 1 to 21 (WCAG 2.2); one that the ground allows.

    Raises:
        ValueError: Neither black nor white reaches this contrast on the ground.
    """
    darker = _luminance(ground) > 0.18
    if _contrast("#000000" if darker else "#ffffff", ground) < contrast:
        raise ValueError(f"No colour has a contrast of {contrast:g} on {ground}. Expected at most 4.5 on any ground.")
    hue, lightness, saturation = colorsys.rgb_to_hls(*_shares(colour))
    found = colour
    if not darker:
        saturation *= 0.8  # bright colours on a dark ground dazzle
    while _contrast(found, ground) < contrast:
        lightness = min(1.0, max(0.0, lightness + (-0.01 if darker else 0.01)))
        rgb = colorsys.hls_to_rgb(hue, lightness, saturation)
        found = "#" + "".join(f"{round(share * 255):02x}" for share in rgb)
    return found


def css_class(scheme: Scheme, region: str) -> str:
    """Classes of the page's elements that show a region: its colour and its marker."""
    return f"look-{scheme.regions[region].colour[1:].lower()} mark-{number(scheme, region)}"


def css(schemes: Iterable[Scheme]) -> str:
    """The rules of these classes, for light and dark mode: `--region` for markers and lines, `--name` for text.

    In light mode, a colour that is too light for a line is darkened less for markers than for text: more would make
    yellow olive, and light blue the blue of another region.
    """
    colours = sorted({region.colour.lower() for scheme in schemes for region in scheme.regions.values()})
    light, dark = [], []
    for colour in colours:
        name = readable(colour, WHITE, TEXT)
        mark = name if readable(colour, WHITE, LINE) == colour else readable(colour, WHITE, LINE)
        light.append(f".look-{colour[1:]} {{ --region: {mark}; --name: {name}; }}")
        both = readable(colour, DARK_CARD, DARK_TEXT)
        dark.append(f".look-{colour[1:]} {{ --region: {both}; --name: {both}; }}")
    marks = [f".mark-{index} i {{ {_css_shape(corners)} }}" for index, (_, corners) in enumerate(MARKS)]
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}", *marks])


def marker(scheme: Scheme, region: str, x: float, y: float, title: str, size: float = 1.0, kind: str = "point") -> str:
    """A region's marker with a tooltip, as SVG, of a size (1: the usual one) and a class of the style sheet."""
    corners = MARKS[number(scheme, region)][1]
    shape, attributes = "circle", f'cx="{x}" cy="{y}" r="{CIRCLE * size:.3g}"'
    if corners is not None:
        points = "L".join(f"{x + RADIUS * size * right:.1f} {y + RADIUS * size * down:.1f}" for right, down in corners)
        shape, attributes = "path", f'd="M{points}z"'
    return f'<{shape} {attributes} class="{kind}"><title>{escape(title)}</title></{shape}>'


def _css_shape(corners: Corners | None) -> str:
    """Clip path that fills its box with a marker."""
    if corners is None:
        return "border-radius: 50%;"
    (left, right), (top, bottom) = ((min(at), max(at)) for at in zip(*corners, strict=True))
    points = (f"{(x - left) / (right - left):.0%} {(y - top) / (bottom - top):.0%}" for x, y in corners)
    return f"clip-path: polygon({', '.join(points)});"


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1, by WCAG 2.2."""
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in _shares(colour)]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _shares(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
