"""Figures of cases in the HTML report, as WebP: outlines of both masks, and Grad-CAM maps."""

import base64
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.evaluation.cohort import cohort_of
from brats_unet.evaluation.record import FIGURES, Evaluation
from brats_unet.evaluation.score import Pair
from brats_unet.report import page_cohort, page_facts
from brats_unet.report.drawing import Drawing, case_title, draw_case

WIDTH, QUALITY = 1400, 82  # WebP pictures have a fifth of the bytes of PNG
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class HeatPicture:
    """A Grad-CAM map of a case as a picture.

    Attributes:
        region: What the map explains.
        layer: Layer of the map.
        path: PNG file.
        predicted: Whether the region is predicted in this case.
    """

    region: str
    layer: str
    path: Path
    predicted: bool


def pictured(evaluation: Evaluation, pictures: int | None) -> list[str]:
    """The cases that a page shows as figures; see `write_page` for `pictures`."""
    groups = page_cohort.drawn_groups(cohort_of(evaluation.rows, evaluation.facts), pictures)
    return [case for _, chosen in groups for case in chosen]


def case_pictures(
    evaluation: Evaluation, pairs: Mapping[str, Pair], chosen: Sequence[str], synthetic: bool, log: Progress
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Figures of cases as WebP, and a sentence for each case without one. Missing figures are drawn."""
    values, problems = evaluation.values(), []
    drawn: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for done, case in enumerate(chosen, 1):
            path = evaluation.file.parent / FIGURES / f"{case}.png"
            kinds = [
                (region, metric) for region in evaluation.scheme.scored for metric in page_facts.charted(evaluation)
            ]
            scores = {kind: values[case, *kind] for kind in kinds}
            pair = pairs.get(case)
            lacking = [] if pair is None else [p for p in (pair.reference, pair.prediction) if p and not p.exists()]
            if not path.is_file() and pair is not None and not lacking:
                path = Path(folder) / f"{case}.png"
                draw_case(Drawing(pair, scores, path, case_title(case, synthetic=synthetic)))
            if path.is_file():
                dice = ", ".join(f"{region} {scores[region, 'dice']:.3f}" for region in evaluation.scheme.scored)
                drawn[case] = {"case": case, "dice": dice, **_embedded(path)}
            else:
                problems.append(
                    f"{case}: no figure, and none can be drawn without {lacking[0] if lacking else 'its masks'}."
                )
            log("Pictures", done, len(chosen))
    return drawn, problems


def heat_picture(one: HeatPicture) -> dict[str, Any]:
    """A Grad-CAM map for the template."""
    return {"region": one.region, "layer": one.layer, "predicted": one.predicted, **_embedded(one.path)}


def _embedded(path: Path) -> dict[str, Any]:
    """A PNG file as WebP in base64, with its width and height."""
    from PIL import Image

    with Image.open(path) as image, io.BytesIO() as small:
        rgb = image.convert("RGB")
        rgb.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
        rgb.save(small, "WEBP", quality=QUALITY, method=4)
        return {"data": base64.b64encode(small.getvalue()).decode(), "width": rgb.width, "height": rgb.height}
