"""Hashes of the files of an exported network: those of `prediction.json` show whether one was damaged or changed."""

from pathlib import Path

from brats_unet.data.prepare.content_hash import file_hash
from brats_unet.errors import CheckpointError
from brats_unet.inference.exported import Exported
from brats_unet.json_files import SEAL


def network_hashes(file: Path, form: str) -> dict[str, str]:
    """Hash of each file of an exported network by name; of a single file by "network", and by "weights" beside it.

    Args:
        file: The network: a file, or the folder of a SavedModel.
        form: Key of `FILES`.
    """
    if file.is_dir():
        inside = sorted(path for path in file.rglob("*") if path.is_file())
        return {path.relative_to(file).as_posix(): file_hash(path) for path in inside}
    weights = {"weights": file_hash(file.with_suffix(".bin"))} if form == "openvino" else {}
    return {"network": file_hash(file), **weights}


def refuse_altered(exported: Exported) -> None:
    """Raise CheckpointError if a file of an exported network is not what was exported."""
    if not exported.hashes:
        return
    found = network_hashes(exported.file, exported.format)
    if found != exported.hashes:
        raise CheckpointError(
            f"{exported.file}: damaged or changed: by its hash, it is not the network that was exported. Export it "
            f"again; if you changed it yourself, delete blake2b under network, and {SEAL}, in {exported.description}."
        )
