"""Print a Markdown table of the seed notebook's scores and the region scores, for a network and for no tumour found.

    python scripts/seed_protocol.py references=/data/BraTS2021
    python scripts/seed_protocol.py 'run=[runs/a,runs/b]' output=scores
    python scripts/seed_protocol.py predictions=masks references=/data/BraTS2021
    python scripts/seed_protocol.py runs/a

With references= alone, empty masks are scored and no network is needed. Other settings are passed to `brats-unet
evaluate`. A path reads an evaluation that exists already. docs/METRICS.md defines all scores.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.data.readers.discovery import find_masks
from brats_unet.errors import BratsError, DataError
from brats_unet.evaluation.record import open_evaluation
from brats_unet.evaluation.trivial import MEAN_SHAPE
from brats_unet.metrics.seed import ALL_BACKGROUND, CLAIM, HARD, PREDICTION, SOFT
from brats_unet.nifti import read_integers, write_volume
from brats_unet.volume import Volume

# Seed-notebook scores in the table, and their row names.
SEED_ROWS = {
    "accuracy": "accuracy",
    "precision_micro": "precision",
    "sensitivity_micro": "sensitivity",
    "specificity_micro": "specificity",
    "dice_macro4_s1": "Dice, mean of four classes",
    "dice_micro_all": "Dice, four classes pooled",
    "dice_slice_mean_s1": "Dice WT, mean over slices",
}
REGION_ROWS = (("dice", "Dice {}", 3), ("hd95", "HD95 {}, mm", 1))


def table(summary: dict[str, Any], *, network: bool = True) -> str:
    """The table, as Markdown.

    Args:
        summary: Content of a summary.json with seed-notebook scores.
        network: Whether the predictions come from a network; False leaves their columns out.

    Raises:
        DataError: The summary has no seed-notebook scores.
    """
    means = summary.get("seed", {}).get("means", {})
    if not means:
        raise DataError("The evaluation has no seed-notebook scores. Evaluate again with seed_scores=true.")
    trivial = summary["trivial_predictors"]
    # For each column: name, seed-notebook scores, and the mean of (region, metric) or None.
    RegionMean = Callable[[str, str], float | None]
    columns: list[tuple[str, dict[str, float], RegionMean]] = [
        ("no tumour found", means[ALL_BACKGROUND][HARD], lambda r, m: trivial[ALL_BACKGROUND][r][m]["mean"])
    ]
    if MEAN_SHAPE in trivial:
        columns.append(("mean shape of the training cases", {}, lambda r, m: trivial[MEAN_SHAPE][r][m]["mean"]))
    if network:
        regions = summary["regions"]
        columns.append(("network", means[PREDICTION][HARD], lambda r, m: regions[r]["all_cases"][m]["mean"]))
        if SOFT in means[PREDICTION]:
            columns.append(("network, its probabilities", means[PREDICTION][SOFT], lambda r, m: None))
    lines = [["mean over cases", "the notebook", *[name for name, *_ in columns]]]
    for metric, name in SEED_ROWS.items():
        claim = CLAIM.get(metric)
        lines.append([name, _number(claim, None), *[_number(seed.get(metric), 4) for _, seed, _ in columns]])
    lines.append(["Dice, kind unknown", _number(CLAIM["dice"], None), *["–"] * len(columns)])
    for metric, name, decimals in REGION_ROWS:
        for region in summary["regions"]:
            lines.append(
                [
                    f"**{name.format(region)}**",
                    "–",
                    *[_number(region_mean(region, metric), decimals) for *_, region_mean in columns],
                ]
            )
    counts = summary["cases"], summary["seed"]["n"]
    cases = f"{counts[0]}" if len(set(counts)) == 1 else f"{counts[0]}, the notebook's numbers {counts[1]}"
    lines.append(["n", "–", *[cases] * len(columns)])
    rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([rows[0], f"|---|{'---|' * (len(columns) + 1)}", *rows[1:]])


def _number(value: float | None, decimals: int | None) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if decimals is None else f"{value:.{decimals}f}"


def evaluated(arguments: Sequence[str]) -> dict[str, Any] | int:
    """Summary of `brats-unet evaluate` with these settings; its exit code if it fails (it prints the reason)."""
    command = [
        sys.executable,
        "-m",
        "brats_unet",
        "evaluate",
        *arguments,
        "figures=false",
        "seed_scores=true",
        "--json",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode or json.loads(done.stdout)


def evaluated_empty(references: Path) -> dict[str, Any] | int:
    """Summary of an evaluation of empty masks for all references of a folder; its exit code if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        for case_id, path in find_masks(references).items():
            reference = read_integers(path)
            empty = np.zeros(reference.array.shape, np.uint8)
            write_volume(Path(folder) / f"{case_id}.nii.gz", Volume(empty, reference.affine))
        return evaluated([f"predictions={folder}", f"references={references}"])


def main(arguments: Sequence[str]) -> int:
    """Print the table; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    named = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    try:
        if not named:
            found: dict[str, Any] | int = dict(open_evaluation(Path(arguments[0])).summary)
        elif set(named) == {"references"}:
            found = evaluated_empty(Path(named["references"]))
        else:
            found = evaluated(arguments)
        if isinstance(found, int):
            return found
        print(table(found, network=set(named) != {"references"}))
    except BratsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
