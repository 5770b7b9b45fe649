"""A plan as a commented YAML file: each line is a setting of `train`, written as on the command line."""

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

YAML_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # YAML reads these as booleans or null


@dataclass(frozen=True)
class Planned:
    """A plan and the facts behind it.

    Attributes:
        made_for: Identity of the dataset, from `data.fingerprint.identity`.
        facts: Measurements of the dataset, from `data.fingerprint.fingerprint`.
        proposal: The planned patch, batch, features and strides.
        settings: The settings of `train` that follow the plan.
        budget_bytes: Memory that a step may use on one device.
        budget_why: Origin of that limit, in words.
        trial: Time and memory of a few real steps; None if none were run.
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
        """Estimated time of all steps; None if no step was timed or the number of steps is not set."""
        if self.trial is None or self.settings.steps is None:
            return None
        return self.trial.seconds * self.settings.steps

    def as_dict(self) -> dict[str, Any]:
        """The plan in plain types, for JSON."""
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
    """The content of the file: config groups first, then the planned settings, then the identity of the dataset."""
    settings, proposal, data = planned.settings, planned.proposal, planned.settings.data
    shape = "×".join(f"{n:g}" for n in planned.facts["median_shape"])
    blocks: list[tuple[str, dict[str, Any]]] = [
        ("The recipe of this plan.", dict(choices)),
        (
            "The cases, and the grid on which they are prepared.",
            {
                "data.root": data.root,
                "data.labels": data.labels,
                "data.modalities": data.modalities,
                "data.leave_out": data.leave_out,
                **(
                    {f"data.{key}": getattr(data, key) for key in ("cases", "seed", "grid", "spacing_mm")}
                    if data.name == "phantom"
                    else {}
                ),
                **{f"data.preparation.{key}": value for key, value in data.preparation.items()},
            },
        ),
        (
            f"Voxels along x, y, z: as much of the median case ({shape}) as fits into memory; a multiple of the "
            "network's total stride.",
            {"sampling.patch": settings.sampling.patch},
        ),
        (
            "Patches per update, over all devices; larger if memory is left.",
            {"sampling.batch": settings.sampling.batch},
        ),
        (
            "One entry per stage, the finest first. The features double up to a limit; an axis is halved as long as at "
            "least 4 voxels remain. All other options of the network are those of the recipe.",
            {f"model.{key}": value for key, value in options_of(settings.model).items()},
        ),
        (
            "`train` refuses other cases or another grid; null accepts any.",
            {"planned_for": planned.made_for},
        ),
    ]
    lines = [
        "# Written by brats-unet plan, for: brats-unet train plan=THIS_FILE",
        "# Each line is a setting, written as on the command line, which overrides it. Edit as you like.",
        "#",
        f"# Memory: a step may use {size_text(planned.budget_bytes)} ({planned.budget_why});",
        f"#         expected {size_text(proposal.bytes)}, {_measured(planned.trial)}",
        *([f"# Time:   {_expected_time(planned)}"] if planned.trial else []),
    ]
    for comment, values in blocks:
        lines += ["", *_comment_lines(comment), *(f"{key}: {_flow(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def seconds_text(seconds: float) -> str:
    """A human-readable time: "0.21 s", "12 s", "3.5 minutes", "1.9 hours", "4.2 days"."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s"


def _measured(trial: Trial | None) -> str:
    if trial is None:
        return "not measured."
    return f"measured {size_text(trial.peak_bytes)} on {trial.devices} in {trial.precision}."


def _expected_time(planned: Planned) -> str:
    assert planned.trial is not None
    each = f"{seconds_text(planned.trial.seconds)} per step"
    if planned.settings.minutes is not None:
        steps = int(planned.settings.minutes * 60 / planned.trial.seconds)
        return f"{each}; minutes={planned.settings.minutes:g} allows about {steps:,} steps, without validation."
    assert planned.total_seconds is not None
    return (
        f"{each}; steps={planned.settings.steps} takes about {seconds_text(planned.total_seconds)}, without validation."
    )


def _comment_lines(comment: str) -> list[str]:
    return textwrap.wrap(comment, 110, initial_indent="# ", subsequent_indent="# ")


def _flow(value: Any) -> str:
    """A value as one line of YAML; text that YAML could read as another type is quoted."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w/.-]*", value) and value.lower() not in YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
