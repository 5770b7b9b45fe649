"""`brats-unet plan`: from a dataset and a machine to patch, batch, depth and features, as a file that train takes."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from brats_unet import models
from brats_unet.assembly.number_checks import check_numbers
from brats_unet.assembly.topology import planned_model, topology_of
from brats_unet.commands.display import Display, open_display
from brats_unet.data.augment.augmentation import AUGMENTATIONS
from brats_unet.data.fingerprint import fingerprint, identity
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.study import open_study
from brats_unet.errors import MachineError, SettingsError
from brats_unet.files import atomic_path, size_text
from brats_unet.losses import known as known_losses
from brats_unet.parts import build, options_of
from brats_unet.settings import Plan, Train
from brats_unet.training.planning import Proposal, propose
from brats_unet.training.step_memory import step_bytes
from brats_unet.trial.memory_limit import memory_limit
from brats_unet.trial.plan_file import Planned, plan_text, seconds_text
from brats_unet.trial.trial import Trial, trial_in_subprocess

LARGEST_BATCH = {True: 5, False: 2}  # on a GPU (that of the winner of BraTS 2020), on a CPU
TRIES = 5
SHRINK = 0.7  # of what the last plan was to take for its patches, for the next one


def main(settings: Plan) -> int:
    """Plan, try the plan, write it."""
    with open_display(json=settings.json) as display:
        file = plan_file(settings)
        _refuse_file(file, settings.overwrite)
        planned = make_plan(settings, display)
        write_plan(file, planned, settings)
        if settings.json:
            print(json.dumps({"file": str(file), **planned.as_dict()}, indent=2))
        else:
            display.log(f"Written: {file}, to be read and edited.\nNext: brats-unet train plan={file}")
    return 0


def plan_if_missing(settings: Plan) -> Path:
    """The plan's file for these settings, made if it is not there yet: what plan=auto means to train."""
    file = plan_file(settings)
    with open_display(json=settings.json) as display:
        if file.exists():
            display.log(f"Plan: {file}, made before.")
        else:
            write_plan(file, make_plan(settings, display), settings)
            display.log(f"Plan: {file}, made now.")
    return file


def plan_file(settings: Plan) -> Path:
    """Where the plan is written: by default named for the dataset and the recipe."""
    if settings.output:
        return Path(settings.output)
    return Path("plans") / f"{Path(settings.data.root or 'data').resolve().name}-{settings.experiment}.yaml"


def _refuse_file(file: Path, overwrite: bool) -> None:
    if file.is_dir():
        raise SettingsError(f"output={file} is a folder. Give the name of a YAML file.")
    if file.exists() and not overwrite:
        raise SettingsError(
            f"{file} is there already, perhaps edited. Add overwrite=true to plan anew, or output=… for another file."
        )


def make_plan(settings: Plan, display: Display) -> Planned:
    """Look at the dataset, plan, and try the plan.

    Raises:
        SettingsError: Settings that no training would take, or a network that cannot be planned.
        DataError: Broken or missing cases.
        MachineError: Nothing fits.
    """
    described = models.describe(settings.model["name"], options_of(settings.model))
    if topology_of(settings.model, described) is None:
        raise SettingsError(
            f"model={settings.model['name']} does not name the features of its stages, so it cannot be planned."
        )
    planned_model(settings.model, described.strides, settings.model.get("features", [1] * len(described.strides)))
    build("loss", known_losses(), settings.loss)
    augmentation = build("augmentation", AUGMENTATIONS, settings.augmentation)
    if settings.largest_batch is not None and settings.largest_batch < 1:
        raise SettingsError(f"largest_batch={settings.largest_batch}: expected 1 or more.")
    preparation = Preparation.of(settings.data.modalities, settings.data.preparation)
    limit = memory_limit(settings)
    check_numbers(
        replace(settings, sampling=replace(settings.sampling, batch=limit.replicas, accumulate=1)), limit.replicas
    )

    found: list[dict[str, Any]] = []
    study = open_study(
        **vars(settings.data),
        log=display.log,
        progress=display.progress,
        accept=lambda dataset: found.append(identity(dataset, preparation)),
    )
    cases = list(study.prepared.values())
    name = f"fingerprint-{found[0]['dataset']}-{found[0]['case_list']}.json"
    facts = fingerprint(
        cases,
        settings.data.modalities,
        Path(settings.data.cache) / name,
        progress=lambda done, total: display.progress("Looking at cases", done, total),
    )
    _log_fingerprint(display, facts, settings)

    def cost(patch: Sequence[int], batch: int, strides: Sequence[Sequence[int]], features: Sequence[int]) -> int:
        model = planned_model(settings.model, [s[: described.rank] for s in strides], features)
        topology = topology_of(model, models.describe(model["name"], options_of(model)))
        assert topology is not None
        margin = augmentation.for_patches(patch, facts["largest_shape"]).margin
        channels = len(settings.data.modalities)
        return step_bytes(
            topology, patch, batch, channels=channels, precision=limit.precision, margin=margin, program=not limit.gpu
        )

    budget = limit.bytes
    trial: Trial | None = None
    for _ in range(TRIES):
        proposal = propose(
            facts["median_shape"],
            preparation.spacing_mm,
            rank=described.rank,
            first_stride=described.strides[0],
            first_features=_first_features(settings.model, described),
            voxels=facts["voxels"],
            cost=cost,
            budget_bytes=budget,
            largest_batch=settings.largest_batch or max(settings.sampling.batch, LARGEST_BATCH[limit.gpu]),
            replicas=limit.replicas,
        )
        display.log(
            f"Patch {_by(proposal.patch)}, batch {proposal.batch}, features {', '.join(map(str, proposal.features))}: "
            f"expected to take {size_text(proposal.bytes)} of {size_text(limit.bytes)} ({limit.why})."
        )
        if not settings.probe:
            break
        display.log("Trying it: a few real steps …")
        trial = trial_in_subprocess(planned_settings(settings, proposal), largest=facts["largest_shape"])
        if trial.fits and trial.peak_bytes <= limit.bytes:
            display.log(f"It fits: {size_text(trial.peak_bytes)} at the most, {seconds_text(trial.seconds)} a step.")
            break
        took = f"it took {size_text(trial.peak_bytes)}" if trial.fits else "it ran out of memory"
        display.log(f"That is too much: {took}. Planning smaller.")
        # The weights and the program itself do not shrink with the patch.
        fixed = cost(proposal.patch, 0, proposal.strides, proposal.features)
        budget = fixed + round(SHRINK * (min(budget, proposal.bytes) - fixed))
    else:
        raise MachineError(
            f"{TRIES} plans in a row did not fit into {size_text(limit.bytes)} ({limit.why}). "
            f"Close other programs, or give memory_gib=… less."
        )
    return Planned(found[0], facts, proposal, planned_settings(settings, proposal), limit.bytes, limit.why, trial)


def write_plan(file: Path, planned: Planned, settings: Plan) -> None:
    """The plan under its final name once it is whole."""
    with atomic_path(file) as temporary:
        temporary.write_text(plan_text(planned, settings.choices), encoding="utf-8")


def planned_settings(settings: Plan, proposal: Proposal) -> Train:
    """What train will be told by the plan."""
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


def _by(shape: Sequence[float]) -> str:
    return "×".join(f"{n:g}" for n in shape)


def _log_fingerprint(display: Display, facts: dict[str, Any], settings: Plan) -> None:
    own, grid = facts["case_spacing_mm"], settings.data.preparation["spacing_mm"]
    regions = ", ".join(
        f"{name} in {fact['present']}" + (f" ({fact['median_mm3'] / 1000:.0f} ml)" if fact["present"] else "")
        for name, fact in facts["regions"].items()
    )
    display.log(f"{facts['cases']} cases of {_by(facts['median_shape'])} voxels at {_by(grid)} mm (median); {regions}.")
    if any(abs(a / b - 1) > 0.25 for a, b in zip(own, grid, strict=True)):
        display.log(
            f"Their own voxels are {_by([round(s, 2) for s in own])} mm: the recipe works on another grid. "
            f"data.preparation.spacing_mm=[{','.join(f'{s:g}' for s in own)}] plans for theirs."
        )
