"""The commands that scripts/faults.py disturbs, each with a small recipe on four phantoms at 5 mm."""

from dataclasses import dataclass

TINY = (
    "experiment=quick",
    "data=brats",
    "data.root=phantoms",
    "data.cache=cache",
    "data.folds=2",
    "data.preparation.spacing_mm=[5,5,5]",
    "model.features=[4,8]",
    "model.strides=[1,2]",
    "sampling.patch=[16,16,16]",
    "inference.overlap=0.25",
    "hardware.precision=float32",
)


@dataclass(frozen=True)
class Command:
    """One command line, started in an otherwise empty folder.

    Attributes:
        arguments: What follows `brats-unet`; paths are relative to that folder.
        after: Name of the command whose results lie in the folder; None for an empty folder.
        disturbed: Whether it is tried itself, or only makes what others need.
        stops: Whether a signal lets it save its work and end with 75.
    """

    arguments: tuple[str, ...]
    after: str | None = None
    disturbed: bool = True
    stops: bool = False


PHANTOM = ("phantom", "output=phantoms", "cases=4", "seed=7", "grid=[48,48,31]", "spacing_mm=[5,5,5]", "workers=1")
TRAIN = (*TINY, "runs=runs", "name=a", "steps=4", "validation.every=0.5", "validation.patches_every=2")
COMMANDS = {
    "phantom": Command(PHANTOM),
    "check": Command(("check", *TINY[1:5], "report=check.json", "pictures=pictures"), "phantom"),
    "train": Command(("train", *TRAIN, "checkpoint.every_steps=1"), "phantom", stops=True),
    "crossval": Command(
        ("crossval", *TINY[:4], *TINY[5:], "folds=2", "runs=runs", "name=cv", "steps=2", "figures=false"), "phantom"
    ),
    "plan": Command(("plan", *TINY[:5], "output=plan.yaml", "probe=false"), "phantom"),
    "evaluate": Command(("evaluate", "run=runs/a"), "train"),
    "evaluate best": Command(("evaluate", "run=runs/a", "checkpoint=best", "output=best"), "evaluate", disturbed=False),
    "compare": Command(("compare", "runs=[runs/a,best]", "output=compare.json"), "evaluate best"),
    "report": Command(("report", "run=runs/a", "paper=single"), "evaluate"),
    "runs": Command(("runs", "folder=runs", "output=runs.csv"), "evaluate"),
    "predict": Command(
        ("predict", "run=runs/a", "input=phantoms", "output=masks", "probabilities=true", "uncertainty=true"), "train"
    ),
    "predict best": Command(
        ("predict", "run=runs/a", "input=phantoms", "output=best", "checkpoint=best"), "predict", disturbed=False
    ),
    "fuse": Command(("fuse", "inputs=[masks,best]", "output=fused", "references=phantoms"), "predict best"),
    "evaluate masks": Command(("evaluate", "predictions=masks", "references=phantoms", "output=scores"), "predict"),
    "tune": Command(("tune", "run=runs/a"), "train"),
    "export keras": Command(("export", "run=runs/a", "output=exported", "format=keras"), "train"),
    "export onnx": Command(("export", "run=runs/a", "output=exported", "format=onnx"), "train"),
    "export savedmodel": Command(("export", "run=runs/a", "output=exported", "format=savedmodel"), "train"),
}
