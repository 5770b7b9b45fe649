"""How an evaluation makes its masks, in a sentence, beside how `brats-unet predict` would make them."""

from collections.abc import Sequence

from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.tta import axes_of
from brats_unet.run import Run
from brats_unet.settings import Evaluate

LEFT_ALONE = {"checkpoint": "last", "mode": "auto", "mirror": "auto", "postprocess": "auto"}  # as predict leaves them


def prediction_sentence(settings: Evaluate, runs: Sequence[Run], rules: Sequence[Postprocessing]) -> str:
    """Whether mirroring, ensemble and thresholds are those that `predict` will use.

    Args:
        settings: Settings of the evaluation.
        runs: The runs that are scored.
        rules: Post-processing of the masks of each run.
    """
    mirror = settings.mirror
    if mirror == "auto":
        mirror = runs[0].recipe()["inference"].get("mirror", "none")
    axes = axes_of(mirror)
    made = f"averaged over {2 ** len(axes)} mirrorings" if axes else "without mirroring"
    if any(one != rules[0] for one in rules):
        thresholds = "the rules of each run, which differ, so that `predict` would refuse to average them"
    elif rules[0] == Postprocessing():
        thresholds = "a threshold of 0.5"
    elif settings.postprocess == "auto":
        thresholds = "the rules of tune" if runs[0].postprocessing_file.exists() else "the rules of the training"
    else:
        thresholds = f"the rules of {settings.postprocess}"
    typed = [
        f"{key}={_text(getattr(settings, key))}" for key in LEFT_ALONE if getattr(settings, key) != LEFT_ALONE[key]
    ]
    same = f"as `predict` makes them with {' '.join(typed)}" if typed else "as `predict` makes them"
    if len(runs) > 1:
        return (
            f"Masks are made {made}, by {thresholds}, each by the one network that held its case out. `predict` "
            f"averages all {len(runs)} networks: such masks are not scored here."
        )
    return f"Masks are made {same}: by one network, {made}, by {thresholds}."


def _text(value: object) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
