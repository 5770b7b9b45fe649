"""Training curves as a figure: loss, and Dice of the held-out cases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.report.charts import apart, smoothed
from brats_unet.report.looks import line_style
from brats_unet.report.paper import SCREEN, Look, new_figure, save_figure
from brats_unet.schemes.scheme import Scheme

# Okabe and Ito's palette: colour-blind readers can distinguish these colours, also in print.
ORANGE, SKY, BLUE = "#E69F00", "#56B4E9", "#0072B2"
SCREEN_CURVES = replace(SCREEN, ground="#ffffff", ink="#1c1e21", muted="#5c6168", width_inches=9.0)
HEIGHT_INCHES, NARROW_INCHES = 3.6, 5.0
LABEL_HEIGHT = 0.045  # least distance between the labels at the curve ends, in Dice
LOWEST_LABEL = 0.0  # of these labels, in Dice


def training_curves(
    journal: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    scheme: Scheme,
    synthetic: bool = False,
    look: Look = SCREEN_CURVES,
) -> None:
    """Draw the loss of every step and the mean Dice of the held-out cases, over the steps of a training.

    Loss and Dice of held-out patches, if the run measured them, are drawn as thin lines.

    Args:
        journal: Lines of a run's journal. Drawn are {"event": "step", "step", "loss", …}, {"event": "validation",
            "step", "dice": {region: mean}, "cases": n} and {"event": "patches", "step", "loss", "dice": {region: Dice},
            …}, whose values may be None; other lines are ignored. If a resumed run repeated a step, its last line
            counts.
        path: PNG, PDF or SVG file to write.
        scheme: Scheme of the regions; other names in the journal are ignored.
        synthetic: Whether the cases are phantoms.
        look: Width and scale of the figure; a narrow one has the charts below one another.
    """
    steps = {line["step"]: line["loss"] for line in journal if line["event"] == "step" and line["loss"] is not None}
    validations = {line["step"]: line for line in journal if line["event"] == "validation"}
    patches = {line["step"]: line for line in journal if line["event"] == "patches"}
    scale, narrow = look.scale, look.width_inches < NARROW_INCHES
    figure = new_figure(look, HEIGHT_INCHES * scale * (2 if narrow else 1))
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(2 if narrow else 1, 1 if narrow else 2, sharex=True, squeeze=False).flat
    if steps:
        at, losses = (np.array(values, float) for values in zip(*sorted(steps.items()), strict=True))
        left.plot(at, losses, color="#c4c4c4", linewidth=0.7 * scale, label="each step")
        left.plot(at, smoothed(losses), color=BLUE, linewidth=1.8 * scale, label="moving average")
        patch_losses = [(step, line["loss"]) for step, line in sorted(patches.items()) if line["loss"] is not None]
        if patch_losses:
            left.plot(*zip(*patch_losses, strict=True), color=ORANGE, linewidth=1.0 * scale, label="held-out patches")
            losses = np.append(losses, [loss for _, loss in patch_losses])
        low, high = np.percentile(losses, (0, 99.5))
        left.set_ylim(low - 0.06 * (high - low) - 1e-6, high + 0.06 * (high - low) + 1e-6)
        left.legend(frameon=False, fontsize=8 * scale)
    ends = []
    for region in scheme.regions:
        style = line_style(scheme, region)
        thin = sorted((s, line["dice"][region]) for s, line in patches.items() if line["dice"].get(region) is not None)
        if thin:
            right.plot(*zip(*thin, strict=True), color=style["color"], linewidth=0.7 * scale, alpha=0.45)
        points = sorted((step, line["dice"][region]) for step, line in validations.items() if region in line["dice"])
        if points:
            validated, dice = zip(*points, strict=True)
            right.plot(validated, dice, **style, linewidth=1.5 * scale, markersize=4.5 * scale, label=region)
            ends.append((dice[-1], validated[-1], region, style["color"]))
    ends.sort(reverse=True)
    falling = apart([-value for value, *_ in ends], LABEL_HEIGHT, last=-LOWEST_LABEL)
    for (value, step, region, colour), below in zip(ends, falling, strict=True):
        right.annotate(
            f"{region} {value:.2f}",
            (step, -below),
            xytext=(6 * scale, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8 * scale,
            va="center",
            annotation_clip=False,
        )
    cases = max((line["cases"] for line in validations.values() if "cases" in line), default=0)
    of = f"{cases} " if cases else ""
    of += f"held-out{' synthetic' if synthetic else ''} case{'s' if cases != 1 else ''}"
    of += " (thin: held-out patches)" if patches else ""
    right.set_ylim(-0.02, 1.02)
    for axes, what in ((left, "loss"), (right, f"mean Dice of {of}")):
        axes.set_xlabel("step", fontsize=9 * scale)
        axes.set_title(what, loc="left", fontsize=10 * scale)
        axes.grid(axis="y", color="#e8e8e8", linewidth=0.7 * scale)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8 * scale)
    if ends:
        right.margins(x=0.09)
    save_figure(figure, path)
