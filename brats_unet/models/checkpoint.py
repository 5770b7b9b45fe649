"""Checkpoints: weights, average, optimizer and step as safetensors keyed by layer names; no pickle, atomic writes."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from brats_unet.binding import value_of
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.file_kinds.json_kinds import CheckpointKeys
from brats_unet.files import atomic_path
from brats_unet.hand_written import json_values


@dataclass(frozen=True)
class State:
    """What a checkpoint holds in addition to its tensors.

    Attributes:
        step: Number of steps done, with those left out.
        loss_scale: [value, updates since it changed] of float16 training, else None.
        best: Highest value so far of what chooses the checkpoint "best", or None: `running_mean`, or else the mean Dice
            of whole held-out volumes.
        seconds: Seconds of the time limit that are used; None if the run has a number of steps instead.
        left_out: Steps that the run leaves out after a spike (see `training.spikes`), ascending, counted from 1.
        running_mean: Running mean of the Dice of held-out patches, see `training.pseudo_dice`; None before the first
            measurement, or if nothing is measured on patches.
        validation_pending: Whether the validation after this step was broken off, so that it is still to be done.
    """

    step: int
    loss_scale: list[float] | None = None
    best: float | None = None
    seconds: float | None = None
    left_out: list[int] = field(default_factory=list)
    running_mean: float | None = None
    validation_pending: bool = False


class DamagedCheckpointError(CheckpointError):
    """A checkpoint that is not whole, or whose content is not what was written."""


def copies(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, average: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Copies of all tensors of a checkpoint by their keys, which later updates of the variables do not change.

    `average` is stored beside the weights, under their paths.
    """
    return {key: np.array(np.asarray(variable)) for key, variable in named(model, optimizer, average).items()}


def write(
    path: Path, tensors: Mapping[str, np.ndarray], state: State, before: Callable[[], None] = lambda: None
) -> None:
    """Write a checkpoint atomically, with hashes of its state and of each group of tensors.

    Args:
        path: The file.
        tensors: Tensors by key, as `copies` gives them.
        state: What the checkpoint holds in addition.
        before: Called when the new file is complete on disk, before it gets the name `path`.

    Raises:
        MachineError: The disk is full, or the folder is not writable; `path` is as it was before.
    """
    # What is at its default is left out, as earlier versions did not know it.
    newer = ("left_out", "running_mean", "validation_pending")
    facts = {key: value for key, value in vars(state).items() if key not in newer or value not in ([], None, False)}
    hashes = {"facts": _facts_hash(facts), **_group_hashes(tensors)}
    told = {"state": json.dumps(facts | {"blake2b": hashes})}  # one key: safetensors writes several in any order
    with atomic_path(path) as temporary:
        mode = temporary.stat().st_mode
        try:
            save_file(dict(tensors), temporary, metadata=told)
        except SafetensorError as problem:  # such as a full disk
            raise OSError(str(problem)) from problem
        temporary.chmod(mode)  # safetensors puts a file of its own there, which only its owner may read
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # else a power failure may leave an empty file under the final name
        before()


def _group_hashes(tensors: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Hash of the tensors of each group: weights, optimizer, average."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for key, tensor in tensors.items():
        groups.setdefault(_group(key), {})[key] = tensor
    return {group: tensors_hash(inside) for group, inside in sorted(groups.items())}


def _group(key: str) -> str:
    return key.split("/", 1)[0]


def _facts_hash(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def tensors_hash(tensors: Mapping[str, np.ndarray]) -> str:
    """BLAKE2b hash, 32 hexadecimal digits, of the keys, types, shapes and values of some tensors, in any order."""
    found = hashlib.blake2b(digest_size=16)
    for key, tensor in sorted(tensors.items()):
        found.update(f"{key} {tensor.dtype} {tensor.shape}\n".encode())
        found.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def restore(
    path: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | None,
    average: Mapping[str, Any] | None = None,
) -> State:
    """Load a checkpoint into the model: with an optimizer to resume training, without one to predict.

    For prediction the model gets the averaged weights if the checkpoint has them. For training it gets the weights
    themselves, and `average` gets the averages, by the weights' paths. What is used is compared with its hash first;
    files of earlier versions have none, or one of all tensors, which is compared to resume only.

    Raises:
        DamagedCheckpointError: The file is cut short, or its content is not what was written.
        CheckpointError: The file does not exist, cannot be read, or is of another network; the message names the first
            layers that differ.
    """
    wanted = named(model, optimizer, average)
    try:
        with safe_open(path, framework="numpy") as file:
            told = json_values((file.metadata() or {})["state"])
            facts = value_of(CheckpointKeys, told, "")
            written = facts.pop("blake2b", {})
            of_all, hashes = (written, {}) if isinstance(written, str) else (None, written)  # one in earlier versions
            if hashes and hashes.get("facts") != _facts_hash({key: told[key] for key in facts}):
                raise _damaged(path, "its state")
            state = State(**facts)
            stored = list(file.keys())
            used = {"weights", "average"} if optimizer is None else {_group(key) for key in stored}
            read = {key: file.get_tensor(key) for key in stored if _group(key) in used}
        found = _group_hashes(read)
        if hashes and found != {group: text for group, text in hashes.items() if group in used}:
            wrong = sorted(group for group in found.keys() | used if found.get(group) != hashes.get(group))
            raise _damaged(path, f"its {' and '.join(wrong)}")
        if optimizer is not None and of_all is not None and tensors_hash(read) != of_all:
            raise _damaged(path, "its tensors")
        here, there = set(wanted), {key for key in read if optimizer is not None or _group(key) == "weights"}
        differ = sorted(here ^ there)
        shapes = [key for key in sorted(here & there) if read[key].shape != tuple(wanted[key].shape)]
        if differ or shapes:
            shown = ", ".join(key.split("/", 1)[1] for key in (differ + shapes)[:3])
            raise CheckpointError(
                f"{path}: holds another network: {len(differ) + len(shapes)} tensors differ, the first of them "
                f"{shown}. Expected a checkpoint of the same model settings."
            )
        for key, variable in wanted.items():
            averaged = key.replace("weights/", "average/", 1)
            variable.assign(read[averaged if optimizer is None and averaged in read else key])
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint. Train first, or name another run.") from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or problem}. Expected a readable checkpoint.") from problem
    except (SafetensorError, KeyError, TypeError, ValueError, SettingsError) as problem:
        raise DamagedCheckpointError(
            f"{path}: not readable as a checkpoint ({problem}). Use another, or train again."
        ) from None
    return state


def _damaged(path: Path, what: str) -> DamagedCheckpointError:
    return DamagedCheckpointError(
        f"{path}: damaged: by its hash, {what} is not what was written. Use another checkpoint, such as "
        f"checkpoint=best, restore the file from a backup, or train again."
    )


def named(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | None,
    average: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Every variable by a key made of layer names, which is the same for the same settings in any process."""
    groups: list[tuple[str, Sequence[Any]]] = [("weights", model.variables)]
    if optimizer is not None:
        groups.append(("optimizer", optimizer.variables))
    found: dict[str, Any] = {}
    for group, variables in groups:
        for variable in variables:
            key = f"{group}/{variable.path}"
            if key in found:
                raise ValueError(f"Two variables are called {key}: name the layers apart.")
            found[key] = variable
    return found | {f"average/{path}": mean for path, mean in (average or {}).items()}
