"""Checkpoints: weights, average, optimizer and step as safetensors keyed by layer names; no pickle, atomic writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from brats_unet.errors import CheckpointError
from brats_unet.files import atomic_path


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
    """

    step: int
    loss_scale: list[float] | None = None
    best: float | None = None
    seconds: float | None = None
    left_out: list[int] = field(default_factory=list)
    running_mean: float | None = None


def save(
    path: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    state: State,
    average: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint atomically; `average` is stored beside the weights, under their paths."""
    tensors = {key: np.asarray(variable) for key, variable in named(model, optimizer, average).items()}
    # A run without spikes and without patches has the checkpoints of earlier versions, to the last byte.
    newer = ("left_out", "running_mean")
    facts = {key: value for key, value in vars(state).items() if key not in newer or value not in ([], None)}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"state": json.dumps(facts)})
        except SafetensorError as problem:  # such as a full disk
            raise OSError(str(problem)) from problem


def restore(
    path: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | None,
    average: Mapping[str, Any] | None = None,
) -> State:
    """Load a checkpoint into the model: with an optimizer to resume training, without one to predict.

    For prediction the model gets the averaged weights if the checkpoint has them. For training it gets the weights
    themselves, and `average` gets the averages, by the weights' paths.

    Raises:
        CheckpointError: The file does not exist, cannot be read, or is of another network; the message names the first
            layers that differ.
    """
    wanted = named(model, optimizer, average)
    try:
        with safe_open(path, framework="numpy") as file:
            state = State(**json.loads(file.metadata()["state"]))
            stored = list(file.keys())
            here, there = set(wanted), {k for k in stored if optimizer is not None or k.startswith("weights/")}
            differ = sorted(here ^ there)
            shapes = [k for k in sorted(here & there) if tuple(file.get_slice(k).get_shape()) != tuple(wanted[k].shape)]
            if differ or shapes:
                shown = ", ".join(key.split("/", 1)[1] for key in (differ + shapes)[:3])
                raise CheckpointError(
                    f"{path}: holds another network: {len(differ) + len(shapes)} tensors differ, the first of them "
                    f"{shown}. Expected a checkpoint of the same model settings."
                )
            for key, variable in wanted.items():
                averaged = key.replace("weights/", "average/", 1)
                variable.assign(file.get_tensor(averaged if optimizer is None and averaged in stored else key))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint. Train first, or name another run.") from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or problem}. Expected a readable checkpoint.") from problem
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as problem:
        raise CheckpointError(
            f"{path}: not readable as a checkpoint ({problem}). Use another, or train again."
        ) from None
    return state


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
