"""Checkpoints: weights, average, optimizer and step as safetensors keyed by layer names; no pickle, written whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """What a checkpoint holds beside its tensors.

    Attributes:
        step: Updates done.
        loss_scale: [value, updates since it changed] of float16 training, else None.
        best: Highest mean validation Dice so far, or None.
        seconds: Of its time limit that are spent; None where steps decide.
    """

    step: int
    loss_scale: list[float] | None = None
    best: float | None = None
    seconds: float | None = None


def save(
    path: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    state: State,
    average: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint under its final name once it is whole; `average` lies beside the weights, by their paths."""
    tensors = {key: np.asarray(variable) for key, variable in named(model, optimizer, average).items()}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"state": json.dumps(vars(state))})
        except SafetensorError as problem:  # a full disk, in its own words
            raise OSError(str(problem)) from problem


def restore(
    path: Path,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | None,
    average: Mapping[str, Any] | None = None,
) -> State:
    """Put a checkpoint's tensors into the model: to go on training with an optimizer, to predict without one.

    For prediction the model is given the averaged weights, where the checkpoint holds them; for training it is given
    the weights themselves, and `average`, by their paths, the averages.

    Raises:
        CheckpointError: No such file, not readable, or of another network; the first layers that differ are named.
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
    """Every variable by a key made of layer names: the same for the same settings in any process."""
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
