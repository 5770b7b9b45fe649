"""The data are only read: a folder that a command writes to must not lie in them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from brats_unet.errors import SettingsError


def refuse_writing_into_data(roots: Iterable[str | None], written: Mapping[str, str]) -> None:
    """Raise SettingsError if a folder to write to is a folder of the data, or lies in one.

    Args:
        roots: Folders of scans; None for one that is not set.
        written: Folders to write to, by the setting that names each.
    """
    for root in filter(None, roots):
        for setting, folder in written.items():
            if Path(folder).resolve().is_relative_to(Path(root).resolve()):
                raise SettingsError(
                    f"{setting}={folder} lies in the data, {root}, which are only read. Give a folder outside of them: "
                    f"{setting}=…."
                )
