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
from brats_unet.errors import CheckpointError, DataError, SettingsError
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


def probability_file(folder: Path, case_id: str, region: Region) -> Path:
    """Where the probability of a region goes."""
    return folder / PROBABILITIES / f"{case_id}_{region}.nii.gz"


def open_networks(paths: Sequence[Path], *, checkpoint: str, device: str, say: Callable[[str], None]) -> list[Network]:
    """The networks of an ensemble, on one device, in the precision they were trained in where it has that."""
    if device not in ("auto", "cpu", "gpu"):
        raise SettingsError(f"device={device} is none of the choices: auto, cpu, gpu.")
    devices = choose_devices(device=device, precision="auto", jit="auto", replicas=None)
    policies = {devices.precision: devices.policy}
    return [open_network(path, which=checkpoint, policies=policies, say=say) for path in paths]


def probabilities_of(networks: Sequence[Network], case: Case) -> tuple[np.ndarray, Prepared]:
    """Mean region probabilities float32 (X, Y, Z, 3) on the case's own grid, and the case as the last network saw it."""
    prepared: dict[Preparation, Prepared] = {}
    total: np.ndarray | None = None
    for network in networks:
        seen = prepared.setdefault(network.preparation, None) or prepare(case, network.preparation, None)  # type: ignore[arg-type]
        prepared[network.preparation] = seen
        probabilities = network.on_case_grid(seen.image, seen.grid)
        total = probabilities if total is None else total + probabilities
    if total is None:
        raise ValueError("An ensemble needs a network.")
    return total / len(networks), seen


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


def predict_cases(
    networks: Sequence[Network],
    cases: Sequence[Case],
    output: Path,
    convention: Convention,
    *,
    origin: dict[str, Any],
    overwrite: bool,
    probabilities: bool,
    progress: Callable[[int, int], None],
) -> Predicted:
    """Predict cases one by one; each mask gets its name once it is whole, so an interrupted run can go on.

    Args:
        networks: Averaged.
        cases: To predict.
        output: Folder of the masks; made if need be.
        convention: To write labels in.
        origin: Which networks, in plain types; a folder of masks of another origin is refused.
        overwrite: Replace what is there.
        probabilities: Also write each region's probability as float32.
        progress: Told how many are done.

    Returns:
        What became of them: a case that cannot be read does not stop the others.
    """
    enter(output, origin, overwrite=overwrite)
    written, failed, found = [], {}, 0
    for count, case in enumerate(cases, 1):
        target = mask_file(output, case.id)
        if target.exists() and not (probabilities and not probability_file(output, case.id, Region.ET).exists()):
            found += 1
            written.append(case.id)
        else:
            try:
                mean, _ = probabilities_of(networks, case)
            except DataError as problem:
                failed[case.id] = str(problem)
            else:
                like = case.images[networks[0].preparation.modalities[0]].path
                if probabilities:
                    for index, region in enumerate(Region):
                        file = probability_file(output, case.id, region)
                        file.parent.mkdir(exist_ok=True)
                        write_volume(file, Volume(np.ascontiguousarray(mean[..., index])), like=like)
                labels = convention.encode(labels_from_regions(mean >= 0.5))
                write_volume(target, Volume(labels), like=like)
                written.append(case.id)
        progress(count, len(cases))
    return Predicted(tuple(written), found, failed)


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
        elif read_json(mark, what=f"{output} is no folder of predictions") != origin:
            raise SettingsError(
                f"{output} holds masks of other networks or settings. Choose another output, or replace them with "
                f"overwrite=true."
            )
    elif output.exists() and any(output.iterdir()):
        raise SettingsError(f"{output} is not empty and holds no predictions of ours. Choose another output folder.")
    write_json(mark, origin)


def origin_of(paths: Sequence[Path], networks: Sequence[Network], checkpoint: str, convention: str) -> dict[str, Any]:
    """What makes masks what they are: the networks with their weights' state, and the convention."""
    described = []
    for path, network in zip(paths, networks, strict=True):
        file = path if path.suffix == ".keras" else Run(path).checkpoint_file(checkpoint)
        if not file.exists():
            raise CheckpointError(f"{file}: no such checkpoint.")
        described.append({"weights": str(file), "modified_ns": file.stat().st_mtime_ns, "recipe": dict(network.recipe)})
    return {"networks": described, "convention": convention}
