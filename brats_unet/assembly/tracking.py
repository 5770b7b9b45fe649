"""Who is told what a training measures, and what they are told about it: its settings, and a picture of one case."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import yaml

from brats_unet.assembly.resume import FREE
from brats_unet.assembly.run_record import recorded_settings
from brats_unet.binding import flat
from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.inference.exported import refuse_absent
from brats_unet.json_files import read_json, write_json
from brats_unet.private_paths import short_values
from brats_unet.report.snapshot import case_snapshot
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.settings import Train
from brats_unet.training.background import InBackground
from brats_unet.training.event_file import EventFile
from brats_unet.training.tracker import TrackedRun, Tracker, Trackers
from brats_unet.training.trackers import TRACKERS

LENGTH = {"steps", "minutes"}  # settings that may change on resume and still decide what is computed


def refuse_absent_tracker(settings: Train) -> None:
    """Raise MachineError with the pip command if the package of `tracking=` is not installed."""
    if settings.tracking != "none":
        refuse_absent(settings.tracking, wanted_by=f"tracking={settings.tracking}")


def trackers_of(settings: Train, run: Run, log: Callable[[str], None]) -> Trackers:
    """TensorBoard's event files in the run folder and the tracker of `tracking=`; none if this process writes nothing.

    Args:
        settings: Settings of the training.
        run: The run folder.
        log: Prints a sentence.
    """
    if not run.writes:
        return Trackers()
    found: list[Tracker] = [EventFile(run.tensorboard_folder)]
    if settings.tracking != "none":
        tracker, name = TRACKERS[settings.tracking](), f"tracking={settings.tracking}"
        found.append(InBackground(tracker, name, log, pictures=settings.tracking_pictures))
    return Trackers(found)


def tracked_run(settings: Train, run: Run) -> TrackedRun:
    """What trackers are told at the start: no paths but their last components, and no case ids.

    The id at an earlier start is taken only from the same tracker and project.
    """
    values = short_values(recorded_settings(settings))
    values["scheme"] = settings.scheme["name"]
    del values["data"]["leave_out"]  # ids of cases may name patients
    del values["planned_for"]
    told = {key: value for key, value in flat(values).items() if key not in FREE - LENGTH and value is not None}
    place = f"{settings.tracking} {settings.tracking_project}"
    known = read_json(run.tracking_file, what=str(run.folder)) if run.tracking_file.is_file() else {}

    def remember(name: str) -> None:
        if known.get(place) != name:
            write_json(run.tracking_file, known | {place: name})

    return TrackedRun(
        name=run.name,
        project=settings.tracking_project,
        settings={key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in told.items()},
        text=yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True),
        id=known.get(place),
        remember=remember,
    )


class FirstCase:
    """Draws the first held-out case with its latest prediction, of which it keeps the labels only.

    Args:
        case: The case.
        modalities: Names of the channels of its image.
        scheme: What is segmented; the scan that shows the first scored region best is drawn.
    """

    def __init__(self, case: PreparedCase, modalities: list[str], scheme: Scheme) -> None:
        self.case = case
        self.scheme = scheme
        best = scheme.regions[scheme.scored[0]].seen_on
        self.channel = modalities.index(best) if best in modalities else 0

    def keep(self, prediction: np.ndarray, dice: Mapping[str, float]) -> None:
        """Keep the predicted labels, as in memory, and their Dice by region, until the next ones."""
        self.prediction, self.dice = prediction, dice

    def draw(self, step: int) -> bytes:
        """The picture after so many steps, as a PNG file."""
        scores = ", ".join(f"{region} {value:.3f}" for region, value in self.dice.items())
        return case_snapshot(
            np.asarray(self.case.image[..., self.channel], np.float32),
            np.asarray(self.case.labels),
            self.prediction,
            f"first held-out case, step {step}: Dice {scores}",
            scheme=self.scheme,
            spacing_mm=self.case.grid.prepared_spacing_mm,
            spacing_known=self.case.grid.spacing_known,
        )
