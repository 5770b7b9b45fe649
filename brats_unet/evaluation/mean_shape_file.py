"""Cache of the mean tumour shape of a run's training cases, so that it is computed only once per run."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from brats_unet.errors import DataError
from brats_unet.evaluation.trivial import FRAME, LEVELS, MeanShape, mean_shape_of
from brats_unet.file_kinds.saved_arrays import arrays_in
from brats_unet.files import atomic_path
from brats_unet.scan_files import stamp
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case


def cached_mean_shape(
    file: Path,
    cases: Sequence[Case],
    convention: Convention,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MeanShape:
    """`trivial.mean_shape_of`, cached in `file`.

    Args:
        file: NPZ file. It is rewritten if it is missing or broken, or if the cases or their files have changed.
        cases: Training cases.
        convention: What the integers of the training masks mean.
        workers: Processes that read the cases; 0 starts one per core.
        progress: Called with (done, total) after each case that is read.

    Raises:
        DataError: Files cannot be read; every such case is named.
        MachineError: The disk is full.
    """
    state = _state(cases, convention)
    if (cached := _read(file, state)) is not None:
        return cached
    shape = mean_shape_of(cases, convention, workers=workers, progress=progress)
    with atomic_path(file) as temporary, open(temporary, "wb") as out:
        np.savez_compressed(
            out, state=state, probabilities=shape.probabilities, levels=shape.levels, training=shape.training
        )
    return shape


def _state(cases: Sequence[Case], convention: Convention) -> str:
    """Hash of all that the shape depends on: paths, sizes and modification times of the files, convention, regions."""
    try:
        files = [
            (str(path), *stamp(path))
            for case in cases
            for path in (case.mask, next(iter(case.images.values())).path)
            if path is not None
        ]
    except OSError as problem:
        raise DataError(f"{problem.filename}: {problem.strerror}. Expected a file of a training case.") from problem
    known = sorted((integer, int(label)) for integer, label in convention.to_label.items())
    regions = _regions(convention.scheme)
    scheme = [] if regions == _regions(builtin()) else [regions]  # files from before there were schemes are of glioma
    return hashlib.blake2b(json.dumps([FRAME, LEVELS, known, files, *scheme]).encode(), digest_size=16).hexdigest()


def _regions(scheme: Scheme) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, scheme.values(name)) for name in scheme.predicted]


def _read(file: Path, state: str) -> MeanShape | None:
    """The cached shape, or None if the file is missing, broken or of another state."""
    try:
        found, probabilities, levels, training = arrays_in(file, ("state", "probabilities", "levels", "training"))
        if str(found) != state:
            return None
        return MeanShape(probabilities, tuple(float(level) for level in levels), int(training))
    except (ValueError, TypeError):
        return None
