"""`brats-unet plan`: choose patch, batch, depth and features for a dataset and a machine; write them for train."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from brats_unet import models
from brats_unet.assembly.number_checks import check_numbers, check_parts
from brats_unet.assembly.topology import planned_model, topology_of
from brats_unet.commands.display import Display, open_display
from brats_unet.data.augment import known as known_augmentations
from brats_unet.data.fingerprint import fingerprint, identity
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.study import open_study
from brats_unet.errors import MachineError, SettingsError
from brats_unet.files import atomic_path, size_text
from brats_unet.parts import build, options_of
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Plan, Train
from brats_unet.training.planning import Proposal, propose
from brats_unet.training.step_memory import step_bytes
from brats_unet.trial.memory_limit import memory_limit
from brats_unet.trial.plan_file import Planned, plan_text, seconds_text
from brats_unet.trial.trial import Trial, trial_in_subprocess

LARGEST_BATCH = {True: 5, False: 2}  # with a GPU (batch of the winner of BraTS 2020), without
TRIES = 5
SHRINK = 0.7  # after a failed trial, the next plan may use this share of the memory for its patches


def main(settings: Plan) -> int:
    """Make a plan, test it in a few real steps, and write it; exit code 0.

    Raises:
        SettingsError: The file exists, or a training would refuse these settings.
        DataError: Scans or masks that are missing or broken.
        MachineError: No plan fits into memory.
    """
    with open_display(json=settings.json) as display:
        file = plan_file(settings)
        _refuse_file(file, settings.overwrite)
        planned = make_plan(settings, display)
        write_plan(file, planned, settings)
        if settings.json:
            print(json.dumps({"file": str(file), **planned.as_dict()}, indent=2))
        else:
            display.log(f"Written to {file}, which you can read and edit.\nNext: brats-unet train plan={file}")
    return 0


def plan_if_missing(settings: Plan) -> Path:
    """The plan file for these settings, written if it does not exist; `train plan=auto` calls this."""
    file = plan_file(settings)
    with open_display(json=settings.json) as display:
        if file.exists():
            display.log(f"Using the plan {file}.")
        else:
            write_plan(file, make_plan(settings, display), settings)
            display.log(f"Wrote the plan {file}.")
    return file


def plan_file(settings: Plan) -> Path:
    """Path of the plan: `output`, or a name made of the dataset folder and the experiment."""
    if settings.output:
        return Path(settings.output)
    return Path("plans") / f"{Path(settings.data.root or 'data').resolve().name}-{settings.experiment}.yaml"


def _refuse_file(file: Path, overwrite: bool) -> None:
    if file.is_dir():
        raise SettingsError(f"output={file} is a folder. Give the name of a YAML file.")
    if file.exists() and not overwrite:
        raise SettingsError(
            f"{file} exists and may have been edited. Add overwrite=true to plan again, or output=… for another file."
        )


def make_plan(settings: Plan, display: Display) -> Planned:
    """Measure the dataset, make a plan, and test it; make smaller plans until one fits into memory.

    Raises:
        SettingsError: A training would refuse these settings, or the network cannot be planned.
        DataError: Broken or missing cases.
        MachineError: No plan fits into memory.
    """
    # Check all settings before any data are read.
    described = models.describe(settings.model["name"], options_of(settings.model))
    if topology_of(settings.model, described) is None:
        raise SettingsError(
            f"model={settings.model['name']} has no option with the features of each stage, so it cannot be planned. "
            f"Use model=unet3d."
        )
    planned_model(settings.model, described.strides, settings.model.get("features", [1] * len(described.strides)))
    check_parts(settings)
    augmentation = build("augmentation", known_augmentations(), settings.augmentation)
    preparation = Preparation.of(settings.data.modalities, settings.data.preparation, settings.data.files)
    limit = memory_limit(settings)
    check_numbers(
        replace(settings, sampling=replace(settings.sampling, batch=limit.replicas, accumulate=1)), limit.replicas
    )

    # Find, prepare and measure the cases.
    identities: list[dict[str, Any]] = []
    study = open_study(
        **vars(settings.data),
        scheme=scheme_of(settings.scheme),
        log=display.log,
        progress=display.progress,
        accept=lambda dataset: identities.append(identity(dataset, preparation)),
    )
    cases = list(study.prepared.values())
    (made_for,) = identities
    name = f"fingerprint-{made_for['dataset']}-{made_for['case_list']}.json"
    facts = fingerprint(
        cases,
        settings.data.modalities,
        study.convention.scheme,
        Path(settings.data.cache) / name,
        progress=lambda done, total: display.progress("Measuring cases", done, total),
    )
    _log_fingerprint(display, facts, settings)

    # Propose plans until one fits into memory.
    def cost(patch: Sequence[int], batch: int, strides: Sequence[Sequence[int]], features: Sequence[int]) -> int:
        model = planned_model(settings.model, [s[: described.rank] for s in strides], features)
        topology = topology_of(model, models.describe(model["name"], options_of(model)))
        assert topology is not None
        margin = augmentation.for_patches(patch, facts["largest_shape"], settings.sampling.overhang).margin
        channels = len(settings.data.modalities)
        return step_bytes(
            topology, patch, batch, channels=channels, precision=limit.precision, margin=margin, program=not limit.gpu
        )

    budget = limit.bytes
    trial: Trial | None = None
    for _ in range(TRIES):
        proposal = propose(
            facts["median_shape"],
            preparation.spacing_mm or facts["case_spacing_mm"],
            rank=described.rank,
            first_stride=described.strides[0],
            first_features=_first_features(settings.model, described),
            voxels=facts["voxels"],
            cost=cost,
            budget_bytes=budget,
            largest_batch=settings.largest_batch or max(settings.sampling.batch, LARGEST_BATCH[limit.gpu]),
            replicas=limit.replicas,
        )
        features = ", ".join(map(str, proposal.features))
        display.log(
            f"Patch {_shape_text(proposal.patch)}, batch {proposal.batch}, features {features}: "
            f"expected to use {size_text(proposal.bytes)} of {size_text(limit.bytes)} ({limit.why})."
        )
        if not settings.probe:
            break
        display.log("Testing the plan in a few real steps …")
        trial = trial_in_subprocess(planned_settings(settings, proposal), largest=facts["largest_shape"])
        if trial.fits and trial.peak_bytes <= limit.bytes:
            display.log(f"It fits: {size_text(trial.peak_bytes)} at peak, {seconds_text(trial.seconds)} per step.")
            break
        problem = f"used {size_text(trial.peak_bytes)}" if trial.fits else "ran out of memory"
        display.log(f"It does not fit: it {problem}. Making a smaller plan …")
        # Only the memory for patches shrinks; weights and program stay.
        fixed = cost(proposal.patch, 0, proposal.strides, proposal.features)
        budget = fixed + round(SHRINK * (min(budget, proposal.bytes) - fixed))
    else:
        raise MachineError(
            f"{TRIES} plans in a row did not fit into {size_text(limit.bytes)} ({limit.why}). "
            f"Close other programs, or set a smaller memory_gib=…."
        )
    return Planned(made_for, facts, proposal, planned_settings(settings, proposal), limit.bytes, limit.why, trial)


def write_plan(file: Path, planned: Planned, settings: Plan) -> None:
    """Write the plan atomically."""
    with atomic_path(file) as temporary:
        temporary.write_text(plan_text(planned, settings.choices), encoding="utf-8")


def planned_settings(settings: Plan, proposal: Proposal) -> Train:
    """The settings of `train` that follow the plan."""
    rank = models.describe(settings.model["name"], options_of(settings.model)).rank
    model = planned_model(
        settings.model,
        [stride[:rank] for stride in proposal.strides],
        proposal.features,
    )
    sampling = replace(settings.sampling, patch=list(proposal.patch), batch=proposal.batch)
    inference = replace(settings.inference, tile=list(proposal.patch))
    own = {field.name: getattr(settings, field.name) for field in fields(Train)}
    return Train(**{**own, "model": model, "sampling": sampling, "inference": inference, "plan": None})


def _first_features(model: dict[str, Any], described: Any) -> int:
    topology = topology_of(model, described)
    assert topology is not None
    return topology.features[0]


def _shape_text(shape: Sequence[float]) -> str:
    return "×".join(f"{n:g}" for n in shape)


def _log_fingerprint(display: Display, facts: dict[str, Any], settings: Plan) -> None:
    own, grid = facts["case_spacing_mm"], settings.data.preparation["spacing_mm"]
    regions = ", ".join(
        f"{name} in {fact['present']}" + (f" ({fact['median_mm3'] / 1000:.0f} ml)" if fact["median_mm3"] else "")
        for name, fact in facts["regions"].items()
    )
    at = "on the grids of the scans" if grid is None else f"at {_shape_text(grid)} mm"
    display.log(f"{facts['cases']} cases, median size {_shape_text(facts['median_shape'])} voxels {at}; {regions}.")
    if grid is not None and any(abs(a / b - 1) > 0.25 for a, b in zip(own, grid, strict=True)):
        display.log(
            f"The scans have voxels of {_shape_text([round(s, 2) for s in own])} mm; the recipe resamples them. "
            f"To plan on their own grid, set data.preparation.spacing_mm=[{','.join(f'{s:g}' for s in own)}]."
        )
