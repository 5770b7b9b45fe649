"""The output folder of predictions, and the record of the networks and settings that made its masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.file_kinds.json_kinds import MasksFile
from brats_unet.files import entries, remove, remove_file
from brats_unet.inference.loading import weights_file
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing, named_as_now
from brats_unet.json_files import read_json, write_json
from brats_unet.run import PREDICTIONS_MARK, PROBABILITIES, UNCERTAINTY, VOLUMES
from brats_unet.scan_formats import WRITTEN


def prepare_masks_folder(
    output: Path, origin: dict[str, Any], masks: Sequence[Path] = (), *, overwrite: bool, record: bool = True
) -> None:
    """Prepare the output folder and write the record of where its masks come from.

    The folder may be new, empty, or hold masks of the same origin. With `overwrite`, earlier predictions of this
    program are deleted; of other files, only the masks of the cases to predict are deleted. Of links, only the links
    are deleted. The record is replaced last, so that an interrupted deletion is continued by the same command.

    Args:
        output: Output folder.
        origin: Networks and settings that make the masks, in plain types; see `origin_of`.
        masks: Files of the masks of the cases to predict.
        overwrite: Replace what is in the folder.
        record: Write the record. Without it, the folder must be new or empty, or `overwrite` set.

    Raises:
        SettingsError: Without `overwrite`, the folder holds other files, or masks of another origin; or `output` is a
            file.
        MachineError: A file cannot be deleted or written.
    """
    mark = output / PREDICTIONS_MARK
    if mark.exists():
        if overwrite:
            for mask in output.iterdir():
                if mask.name.lower().endswith(WRITTEN) and (mask.is_symlink() or not mask.is_dir()):
                    remove_file(mask)
            for path in (*output.glob(f"{VOLUMES}*"), output / PROBABILITIES, output / UNCERTAINTY):
                remove(path)
        elif not record:
            raise SettingsError(
                f"{output} holds earlier predictions, which masks_only=true cannot continue. Choose another output, or "
                f"replace them with overwrite=true."
            )
        elif is_stale(output, origin):
            raise SettingsError(
                f"{output} holds masks of other networks or settings. Choose another output, or replace them with "
                f"overwrite=true."
            )
    elif output.is_file():
        raise SettingsError(f"output={output} is a file. Give a folder, new or empty.")
    elif entries(output):
        if not overwrite:
            raise SettingsError(
                f"{output} is not empty and was not written by `brats-unet predict`. Choose another output folder, or "
                f"add the masks to it with overwrite=true."
            )
        for mask in masks:
            remove_file(mask)
        for folder in (output / PROBABILITIES, output / UNCERTAINTY):
            if folder.is_symlink():  # else maps would be written through it
                remove_file(folder)
    if record:
        write_json(mark, origin)
    elif mark.exists():
        remove_file(mark)


def is_stale(output: Path, origin: dict[str, Any]) -> bool:
    """Whether a folder holds masks of this program with another origin."""
    mark = output / PREDICTIONS_MARK
    if not mark.exists():
        return False
    before = read_json(mark, MasksFile, what=str(output), advice="Choose another folder.")
    if "postprocessing" in before:
        before["postprocessing"] = named_as_now(before["postprocessing"])
    return {**before, "networks": _as_now(before.get("networks", []), origin["networks"])} != origin


def _as_now(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Recorded networks with the paths of earlier versions, which were absolute, cut to the length of today's."""
    cut = list(before)
    for i, (old, new) in enumerate(zip(before, now, strict=False)):
        recorded = Path(old.get("weights", ""))
        if recorded.is_absolute():
            cut[i] = {**old, "weights": str(Path(*recorded.parts[-len(Path(new["weights"]).parts) :]))}
    return cut


def origin_of(
    paths: Sequence[Path],
    networks: Sequence[Network],
    *,
    checkpoint: str,
    convention: str,
    rules: Postprocessing,
    kept: Sequence[str],
) -> dict[str, Any]:
    """Everything that determines the masks, in plain types.

    Args:
        paths: Paths of the networks.
        networks: The opened networks, in the same order.
        checkpoint: Checkpoint of run folders, "last" or "best".
        convention: Name of the label convention of the masks.
        rules: Post-processing.
        kept: What is kept besides the masks, such as "probabilities".

    Returns:
        "networks" (weights as <folder>/<file inside it>, their modification time, recipe), "convention",
        "postprocessing" and "kept".
    """
    described = []
    for path, network in zip(paths, networks, strict=True):
        file = weights_file(path, checkpoint)
        described.append(
            {
                "weights": _short_weights(path, file),
                "modified_ns": file.stat().st_mtime_ns,
                "recipe": dict(network.recipe),
            }
        )
    return {
        "networks": described,
        "convention": convention,
        "postprocessing": rules.as_dict(networks[0].scheme),
        "kept": list(kept),
    }


def _short_weights(network: Path, file: Path) -> str:
    """A weights file as <folder of the network>/<file inside it>, such as quick-fold0/checkpoints/last.safetensors."""
    folder, resolved = (network if network.is_dir() else network.parent).resolve(), file.resolve()
    inside = resolved.is_relative_to(folder)
    return str(resolved.relative_to(folder.parent if inside else resolved.parents[1]))
