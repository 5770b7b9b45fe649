"""The mean shape of a run's training cases, kept beside the run: it is the same each time that the run is evaluated."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from brats_unet.data.labels.convention import Convention
from brats_unet.errors import DataError
from brats_unet.evaluation.trivial import FRAME, LEVELS, MeanShape, mean_shape_of
from brats_unet.files import atomic_path
from brats_unet.volume import Case


def cached_mean_shape(
    file: Path,
    cases: Sequence[Case],
    convention: Convention,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MeanShape:
    """`trivial.mean_shape_of`, read from `file` where that was made from the same files in the same state.

    Args:
        file: NPZ file; written if it is not there, is broken, or was made from others.
        cases: Training cases.
        convention: What the integers of their masks mean.
        workers: Processes that read; 0 takes one a core.
        progress: Called with (done, total) after each case that is read.

    Raises:
        DataError: A file cannot be read; every such case is named.
        MachineError: The disk is full.
    """
    state = _state(cases, convention)
    if (kept := _read(file, state)) is not None:
        return kept
    shape = mean_shape_of(cases, convention, workers=workers, progress=progress)
    with atomic_path(file) as temporary, open(temporary, "wb") as out:
        np.savez_compressed(
            out, state=state, probabilities=shape.probabilities, levels=shape.levels, training=shape.training
        )
    return shape


def _state(cases: Sequence[Case], convention: Convention) -> str:
    """Hash of all that the shape follows from: which files, their sizes and times of change, and how they are read."""
    try:
        files = [
            (str(path), found.st_size, found.st_mtime_ns)
            for case in cases
            for path in (case.mask, next(iter(case.images.values())).path)
            if path is not None and (found := path.stat())
        ]
    except OSError as problem:
        raise DataError(f"{problem.filename}: {problem.strerror}. Expected a training case's file.") from problem
    known = sorted((integer, int(label)) for integer, label in convention.to_label.items())
    return hashlib.blake2b(json.dumps([FRAME, LEVELS, known, files]).encode(), digest_size=16).hexdigest()


def _read(file: Path, state: str) -> MeanShape | None:
    try:
        with np.load(file) as kept:
            if str(kept["state"]) != state:
                return None
            levels = tuple(float(level) for level in kept["levels"])
            return MeanShape(kept["probabilities"], levels, int(kept["training"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
