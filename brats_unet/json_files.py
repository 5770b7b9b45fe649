"""JSON files that later commands trust: written whole, with a hash of their content, and compared with it when read."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brats_unet.binding import value_of
from brats_unet.errors import CheckpointError, SettingsError, some
from brats_unet.files import atomic_path
from brats_unet.hand_written import json_values, what_is

SEAL = "blake2b_of_the_rest"  # key of a written object that holds the hash of all others; earlier versions lack it


def read_json(
    path: Path, kind: Any = dict[str, Any], *, what: str, advice: str = "Train again under another name."
) -> dict[str, Any]:
    """The content of a JSON file.

    Args:
        path: The file.
        kind: What it must hold, one of `json_kinds`.
        what: First words of the message if the file does not exist.
        advice: Last sentence of the message if the file is not valid JSON or holds something else.

    Raises:
        CheckpointError: The file is missing, unreadable or not valid JSON, holds a key twice, differs from what was
            written, or lacks a value or has one of another type.
    """
    try:
        content = json_values(path.read_bytes())
        if not isinstance(content, dict):
            raise CheckpointError(f"{path}: found {what_is(content)}. Expected a JSON object. {advice}")
        return value_of(kind, unsealed(content), "")
    except FileNotFoundError:
        raise CheckpointError(
            f"{what}: there is no {path.name}. Expected a folder that `brats-unet train` made."
        ) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or problem}. Expected a readable file.") from problem
    except SettingsError as problem:
        raise CheckpointError(f"{path}: {problem} {advice}") from None
    except ValueError as problem:
        raise CheckpointError(f"{path}: not readable as JSON ({problem}). {advice}") from None


def recorded_json(path: Path, kind: Any) -> Any:
    """The content of a JSON file that can be made again; None if it is missing or altered, or does not hold `kind`."""
    try:
        return value_of(kind, unsealed(json_values(path.read_bytes())), "")
    except (OSError, ValueError, SettingsError):
        return None


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write a JSON file atomically, an object with its `SEAL`; create its folder if it does not exist."""
    if not isinstance(content, list):
        rest = {key: value for key, value in content.items() if key != SEAL}
        content = {**rest, SEAL: _hash(json.loads(json.dumps(rest)))}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def unsealed(content: Any) -> Any:
    """The content of a JSON file without its seal; unchanged if it has none, as those of earlier versions.

    Raises:
        SettingsError: It differs from what was written.
    """
    if not isinstance(content, dict) or SEAL not in content:
        return content
    rest = {key: value for key, value in content.items() if key != SEAL}
    if content[SEAL] != _hash(rest):
        raise SettingsError(
            f"it differs from what was written: its {SEAL} does not match. Restore it from a backup; if you changed it "
            f"yourself, delete the line of {SEAL}."
        )
    return rest


def without_hashes(files: Iterable[Path]) -> str:
    """A sentence about those of these JSON files that have no hash, as earlier versions wrote them; "" if all have."""
    folders = [str(file.parent) for file in files if SEAL not in json_values(file.read_bytes())]
    if not folders:
        return ""
    return (
        f"{some(folders)}: an earlier version wrote these files, without hashes: damage to them may go unnoticed. They "
        f"are used as they are, and get hashes when they are written again."
    )


def _hash(content: Any) -> str:
    """BLAKE2b hash, 32 hexadecimal digits, of plain values, in whatever order keys stand."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
