"""Write the masks of cases with one network or several; what `predict` and `evaluate` have in common."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.anatomy import Region, labels_from_regions
from brats_unet.data.label_convention import Convention
from brats_unet.data.preprocess import Preparation, Prepared, prepare
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.loading import open_network
from brats_unet.inference.network import Network
from brats_unet.nifti import write_volume
from brats_unet.run import Run, read_json, write_json
from brats_unet.training.strategy import choose_devices
from brats_unet.volume import Case, Volume

MARK = "predictions.json"  # says which networks the masks of a folder come from
PROBABILITIES = "probabilities"  # sub-folder


def mask_file(folder: Path, case_id: str) -> Path:
    """Where the mask of a case goes, named as BraTS wants it."""
    return folder / f"{case_id}.nii.gz"


def run_paths(run: str | Sequence[str] | None) -> list[Path]:
    """One path or several as a list."""
    if not run:
        raise SettingsError("run is not set. Give a run folder: run=runs/….")
    return [Path(path) for path in ([run] if isinstance(run, str) else run)]


def open_networks(paths: Sequence[Path], *, checkpoint: str, device: str, say: Callable[[str], None]) -> list[Network]:
    """The networks of an ensemble, on one device, in the precision they were trained in where it has that."""
    if device not in ("auto", "cpu", "gpu"):
        raise SettingsError(f"device={device} is none of the choices: auto, cpu, gpu.")
    devices = choose_devices(device=device, precision="auto", jit="auto", replicas=None)
    policies = {devices.precision: devices.policy}
    return [open_network(path, which=checkpoint, policies=policies, say=say) for path in paths]


def probabilities_of(networks: Sequence[Network], case: Case) -> np.ndarray:
    """Mean region probabilities of the networks, float32 (X, Y, Z, 3), on the case's own grid."""
    prepared: dict[Preparation, Prepared] = {}
    total: Any = 0.0
    for network in networks:
        if network.preparation not in prepared:
            prepared[network.preparation] = prepare(case, network.preparation, None)
        seen = prepared[network.preparation]
        total = total + network.on_case_grid(seen.image, seen.grid)
    return total / len(networks)


@dataclass(frozen=True)
class Predicted:
    """What became of the cases.

    Attributes:
        written: Ids of the cases whose masks are there now, in order.
        found: How many of them were there before.
        failed: Sentence by case id.
    """

    written: tuple[str, ...]
    found: int
    failed: dict[str, str]


# Given a case and its region probabilities (X, Y, Z, 3) on its own grid, before its mask is written.
Keep = Callable[[Case, np.ndarray], None]


def keep_nothing(case: Case, probabilities: np.ndarray) -> None:
    """Only the masks are wanted."""


def keep_regions(folder: Path) -> Keep:
    """Write each region's probability as float32 into `folder`, named `<id>_<region>.nii.gz`."""

    def keep(case: Case, probabilities: np.ndarray) -> None:
        for index, region in enumerate(Region):
            volume = Volume(np.ascontiguousarray(probabilities[..., index]))
            write_volume(probability_file(folder, case.id, region), volume, like=scan_of(case))

    return keep


def probability_file(folder: Path, case_id: str, region: Region) -> Path:
    """Where the probability of a region goes."""
    return folder / f"{case_id}_{region}.nii.gz"


def predict_cases(
    networks: Sequence[Network],
    cases: Sequence[Case],
    output: Path,
    convention: Convention,
    *,
    origin: dict[str, Any],
    overwrite: bool = False,
    keep: Keep = keep_nothing,
    progress: Callable[[int, int], None],
) -> Predicted:
    """Predict cases one by one; each mask gets its name once it is whole, so an interrupted run can go on.

    Args:
        networks: Averaged.
        cases: To predict.
        output: Folder of the masks; made if need be.
        convention: To write labels in.
        origin: Which networks and what is kept, in plain types; a folder of masks of another origin is refused.
        overwrite: Replace what is there.
        keep: What else to keep of each case.
        progress: Told how many are done.

    Returns:
        What became of them: a case that cannot be read does not stop the others.
    """
    enter(output, origin, overwrite=overwrite)
    written, failed, found = [], {}, 0
    for count, case in enumerate(cases, 1):
        target = mask_file(output, case.id)
        if target.exists():
            found += 1
            written.append(case.id)
        else:
            try:
                probabilities = probabilities_of(networks, case)
            except DataError as problem:
                failed[case.id] = str(problem)
            else:
                keep(case, probabilities)
                labels = convention.encode(labels_from_regions(probabilities >= 0.5))
                write_volume(target, Volume(labels), like=scan_of(case))
                written.append(case.id)
        progress(count, len(cases))
    return Predicted(tuple(written), found, failed)


def scan_of(case: Case) -> Path:
    """The scan whose grid and header the mask of a case takes."""
    return next(iter(case.images.values())).path


def enter(output: Path, origin: dict[str, Any], *, overwrite: bool) -> None:
    """Make the output folder ours: empty, or holding masks of the same origin, or emptied of ours because told to.

    Raises:
        SettingsError: It holds something else, or masks of other networks.
    """
    mark = output / MARK
    if mark.exists():
        if overwrite:
            for path in (*output.glob("*.nii.gz"), mark):
                path.unlink()
            shutil.rmtree(output / PROBABILITIES, ignore_errors=True)
        elif is_stale(output, origin):
            raise SettingsError(
                f"{output} holds masks of other networks or settings. Choose another output, or replace them with "
                f"overwrite=true."
            )
    elif output.exists() and any(output.iterdir()):
        raise SettingsError(f"{output} is not empty and holds no predictions of ours. Choose another output folder.")
    write_json(mark, origin)


def is_stale(output: Path, origin: dict[str, Any]) -> bool:
    """Whether a folder holds masks of ours that come from elsewhere."""
    mark = output / MARK
    return mark.exists() and read_json(mark, what=f"{output} is no folder of predictions") != origin


def origin_of(
    paths: Sequence[Path], networks: Sequence[Network], *, checkpoint: str, convention: str, kept: str | None
) -> dict[str, Any]:
    """What makes masks what they are: the networks with their weights' state, the convention, and what else is kept."""
    described = []
    for path, network in zip(paths, networks, strict=True):
        file = path if path.suffix == ".keras" else Run(path).checkpoint_file(checkpoint)
        described.append({"weights": str(file), "modified_ns": file.stat().st_mtime_ns, "recipe": dict(network.recipe)})
    return {"networks": described, "convention": convention, "kept": kept}
