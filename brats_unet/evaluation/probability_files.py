"""The probability files that `predict` writes beside the masks of a folder, for the calibration of loose masks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from brats_unet.errors import DataError
from brats_unet.evaluation.folders import listed
from brats_unet.evaluation.probabilities import read_probabilities
from brats_unet.evaluation.score import Pair
from brats_unet.processes import map_in_processes
from brats_unet.run import PROBABILITIES, probability_file
from brats_unet.scan_files import read_mask
from brats_unet.volume import given_spacing_mm


def with_probabilities(pairs: Sequence[Pair], predictions: Path, *, workers: int = 0) -> list[Pair]:
    """Add to each pair the probability files that `predict probabilities=true` wrote beside the masks.

    Args:
        pairs: Pairs whose predictions lie in `predictions`; one without a prediction is returned unchanged.
        predictions: Output folder of `predict`.
        workers: Processes that read the files; 0 starts one per core.

    Raises:
        DataError: Files are missing. The message lists them, and all problems in the files that exist. If no file is
            missing, their contents are checked later, during scoring.
    """
    folder = predictions / PROBABILITIES
    found = []
    for pair in pairs:
        files = {region: probability_file(folder, pair.case_id, region) for region in pair.scheme.predicted}
        found.append(pair if pair.prediction is None else replace(pair, probabilities=files, softmax=False))
    missing = sum(not path.is_file() for pair in found for path in (pair.probabilities or {}).values())
    if missing:
        by_pair = map_in_processes(_probability_problems, found, seconds_each=0.3, workers=workers)
        lines = listed([line for problems in by_pair for line in problems])
        files_are = "1 probability file is" if missing == 1 else f"{missing} probability files are"
        raise DataError(
            f"calibration=true, but {files_are} missing. Run `brats-unet predict` again with probabilities=true, or "
            f"set calibration=false.\n{lines}"
        )
    return found


def _probability_problems(pair: Pair) -> list[str]:
    if pair.probabilities is None:
        return []
    try:
        reference = read_mask(pair.reference, given_spacing_mm(pair.images))
        read_probabilities(
            pair.case_id, pair.probabilities, pair.scheme, pair.reference, reference.array.shape, reference.affine
        )
    except DataError as problem:
        return str(problem).splitlines()
    return []
