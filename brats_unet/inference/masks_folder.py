"""The folder that predictions go to: what lies in it, by which name, and which networks it belongs to."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.files import read_json, write_json
from brats_unet.inference.loading import weights_file
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.run import PREDICTIONS_MARK, PROBABILITIES, UNCERTAINTY, VOLUMES, mask_file


def prepare_masks_folder(
    output: Path, origin: dict[str, Any], case_ids: Sequence[str] = (), *, overwrite: bool
) -> None:
    """Make the output folder ours: empty, or holding masks of the same origin, or emptied of ours because told to.

    Of files that are not ours, `overwrite` takes away only masks of the very cases that are to be predicted.

    Raises:
        SettingsError: It holds something else, or masks of other networks.
    """
    mark = output / PREDICTIONS_MARK
    if mark.exists():
        if overwrite:
            for path in (*output.glob("*.nii.gz"), output / VOLUMES, mark):
                path.unlink(missing_ok=True)
            for folder in (PROBABILITIES, UNCERTAINTY):
                shutil.rmtree(output / folder, ignore_errors=True)
        elif is_stale(output, origin):
            raise SettingsError(
                f"{output} holds masks of other networks or settings. Choose another output, or replace them with "
                f"overwrite=true."
            )
    elif output.is_file():
        raise SettingsError(f"output={output} is a file. Give a folder, new or empty.")
    elif output.exists() and any(output.iterdir()):
        if not overwrite:
            raise SettingsError(
                f"{output} is not empty and holds no predictions of ours. Choose another output folder, or write among "
                f"those files with overwrite=true."
            )
        for case_id in case_ids:
            mask_file(output, case_id).unlink(missing_ok=True)
    write_json(mark, origin)


def is_stale(output: Path, origin: dict[str, Any]) -> bool:
    """Whether a folder holds masks of ours that come from elsewhere."""
    mark = output / PREDICTIONS_MARK
    return mark.exists() and read_json(mark, what=str(output), advice="Choose another folder.") != origin


def origin_of(
    paths: Sequence[Path],
    networks: Sequence[Network],
    *,
    checkpoint: str,
    convention: str,
    rules: Postprocessing,
    kept: Sequence[str],
) -> dict[str, Any]:
    """What makes masks what they are: the networks with their weights' state and all that was done to get masks."""
    described = []
    for path, network in zip(paths, networks, strict=True):
        file = weights_file(path, checkpoint)
        described.append(
            {"weights": str(file.resolve()), "modified_ns": file.stat().st_mtime_ns, "recipe": dict(network.recipe)}
        )
    return {
        "networks": described,
        "convention": convention,
        "postprocessing": rules.as_dict(),
        "kept": list(kept),
    }
