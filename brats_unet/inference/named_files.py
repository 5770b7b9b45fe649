"""Files that another file names: plain names in the same folder, so that a network opens nothing else."""

from pathlib import Path
from typing import Any

from brats_unet.errors import CheckpointError


def file_in(folder: Path, name: Any, *, named_by: Path) -> Path:
    """The file of a folder that another file names; it need not exist.

    Args:
        folder: The folder.
        name: What the other file says.
        named_by: The other file, for the message.

    Raises:
        CheckpointError: `name` is not a plain file name, or is that of a link to another folder.
    """
    plain = isinstance(name, str) and name not in ("", ".", "..") and not any(sign in name for sign in "/\\:\0")
    if not plain:
        raise CheckpointError(
            f"{named_by} names the file {name!r}. Expected a plain file name in the same folder, not a path. Do not "
            f"trust this network: ask those who made it for another copy."
        )
    file = folder / name
    if file.is_symlink() and file.resolve().parent != folder.resolve():
        raise CheckpointError(
            f"{file} is a link to {file.resolve()}, in another folder. Expected the file itself, or a link within the "
            f"folder. Copy the file into the folder if you know who made the link."
        )
    return file
