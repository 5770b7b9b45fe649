"""Checkpoints: weights, optimizer and step as safetensors keyed by layer names; no pickle, never half-written."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from brats_unet.errors import CheckpointError
from brats_unet.run import atomic_path


@dataclass(frozen=True)
class State:
    """What a checkpoint holds beside its tensors.

    Attributes:
        step: Updates done.
        loss_scale: [value, updates since it changed] of float16 training, else None.
        best: Highest mean validation Dice so far, or None.
    """

    step: int
    loss_scale: list[float] | None = None
    best: float | None = None


def save(path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer, state: State) -> None:
    """Write a checkpoint under its final name once it is whole."""
    tensors = {key: np.asarray(variable) for key, variable in named(model, optimizer).items()}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"state": json.dumps(vars(state))})
        except SafetensorError as problem:  # a full disk, in its own words
            raise OSError(str(problem)) from problem


def restore(path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer | None) -> State:
    """Put a checkpoint's tensors into the model, and the optimizer if one is given.

    Raises:
        CheckpointError: No such file, not readable, or of another network; the first layers that differ are named.
    """
    wanted = named(model, optimizer)
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
                variable.assign(file.get_tensor(key))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint. Train first, or name another run.") from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or problem}. Expected a readable checkpoint.") from problem
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as problem:
        raise CheckpointError(
            f"{path}: not readable as a checkpoint ({problem}). Use another, or train again."
        ) from None
    return state


def named(model: keras.Model, optimizer: keras.optimizers.Optimizer | None) -> dict[str, Any]:
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
    return found
