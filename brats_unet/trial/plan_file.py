"""A plan as a commented YAML file: each line is a setting of train, written as on the command line."""

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from brats_unet.files import size_text
from brats_unet.parts import options_of
from brats_unet.settings import Train
from brats_unet.training.planning import Proposal
from brats_unet.trial.trial import Trial

YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # which it takes for something else


@dataclass(frozen=True)
class Planned:
    """A plan with its grounds.

    Attributes:
        made_for: Which dataset, see `data.fingerprint.identity`.
        facts: What it is like, see `data.fingerprint.fingerprint`.
        proposal: What was planned.
        settings: What train is told.
        budget_bytes: What a step may take of one device.
        budget_why: Where that comes from, in words.
        trial: What a few steps took; None if they were not run.
    """

    made_for: Mapping[str, Any]
    facts: Mapping[str, Any]
    proposal: Proposal
    settings: Train
    budget_bytes: int
    budget_why: str
    trial: Trial | None

    @property
    def total_seconds(self) -> float | None:
        """Of all steps; None where that is not known."""
        if self.trial is None or self.settings.steps is None:
            return None
        return self.trial.seconds * self.settings.steps

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "planned_for": dict(self.made_for),
            "fingerprint": dict(self.facts),
            "patch": list(self.proposal.patch),
            "batch": self.proposal.batch,
            "features": list(self.proposal.features),
            "strides": [list(stride) for stride in self.proposal.strides],
            "expected_bytes": self.proposal.bytes,
            "budget_bytes": self.budget_bytes,
            "trial": None if self.trial is None else asdict(self.trial),
            "total_seconds": self.total_seconds,
        }


def plan_text(planned: Planned, choices: Mapping[str, str]) -> str:
    """The file. Groups come first, then what was planned, then the dataset that it was made for."""
    settings, proposal, data = planned.settings, planned.proposal, planned.settings.data
    shape = "×".join(f"{n:g}" for n in planned.facts["median_shape"])
    blocks: list[tuple[str, dict[str, Any]]] = [
        ("The recipe that the plan is made for.", dict(choices)),
        (
            "The cases, and the grid that they are prepared on.",
            {
                "data.root": data.root,
                "data.labels": data.labels,
                "data.modalities": data.modalities,
                "data.leave_out": data.leave_out,
                **({"data.cases": data.cases, "data.seed": data.seed} if data.name == "phantom" else {}),
                **{f"data.preparation.{key}": value for key, value in data.preparation.items()},
            },
        ),
        (
            f"Voxels along x, y, z: as much of the median case ({shape}) as fits into memory, a whole number of what "
            "the network shrinks to one.",
            {"sampling.patch": settings.sampling.patch},
        ),
        (
            "Patches of one update, over all devices; more where memory is left.",
            {"sampling.batch": settings.sampling.batch},
        ),
        (
            "One entry a stage, the finest first: channels double up to a limit; an edge is halved while it leaves "
            "4 voxels. Other options of the network are the recipe's.",
            {f"model.{key}": value for key, value in options_of(settings.model).items()},
        ),
        (
            "Train refuses other cases or another grid; null takes any.",
            {"planned_for": planned.made_for},
        ),
    ]
    lines = [
        "# Written by brats-unet plan, for: brats-unet train plan=THIS_FILE",
        "# Each line is a setting as on the command line, where it can still be overridden. Edit what you like.",
        "#",
        f"# Memory: a step may take {size_text(planned.budget_bytes)} ({planned.budget_why});",
        f"#         expected {size_text(proposal.bytes)}, {_tried(planned.trial)}",
        *([f"# Time:   {_time(planned)}"] if planned.trial else []),
    ]
    for comment, values in blocks:
        lines += ["", *_wrapped(comment), *(f"{key}: {_flow(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def seconds_text(seconds: float) -> str:
    """A time for people: "0.21 s", "12 s", "3.5 minutes", "1.9 hours", "4.2 days"."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s"


def _tried(trial: Trial | None) -> str:
    if trial is None:
        return "not tried."
    return f"measured {size_text(trial.peak_bytes)} on {trial.devices} in {trial.precision}."


def _time(planned: Planned) -> str:
    assert planned.trial is not None
    each = f"{seconds_text(planned.trial.seconds)} a step"
    if planned.settings.minutes is not None:
        steps = int(planned.settings.minutes * 60 / planned.trial.seconds)
        return f"{each}; minutes={planned.settings.minutes:g} hold about {steps:,} steps, without validations."
    assert planned.total_seconds is not None
    return (
        f"{each}; steps={planned.settings.steps} take about {seconds_text(planned.total_seconds)}, without validations."
    )


def _wrapped(comment: str) -> list[str]:
    return textwrap.wrap(comment, 110, initial_indent="# ", subsequent_indent="# ")


def _flow(value: Any) -> str:
    """A value in YAML on one line; text that YAML could take for something else stands in quotes."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w/.-]*", value) and value.lower() not in YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
