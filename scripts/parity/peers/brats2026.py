"""Score pairs of masks with the official scorer of BraTS 2026; runs in the environment of scripts/brats_evaluation.sh.

    .venv-brats-evaluation/bin/python scripts/parity/peers/brats2026.py FOLDER CONFIG

FOLDER holds <name>_r.nii.gz and <name>_p.nii.gz. Writes FOLDER/scores.json: what it returns by name and region.
"""

import contextlib
import io
import json
import sys
import warnings
from importlib.resources import files
from pathlib import Path

from panoptica import Panoptica_Evaluator


def main() -> None:
    folder, config = Path(sys.argv[1]), sys.argv[2]
    warnings.filterwarnings("ignore")
    found = {}
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = Panoptica_Evaluator.load_from_config(
            str(files("brats_evaluation").joinpath("configs", f"config_{config}.yaml"))
        )
        for reference in sorted(folder.glob("*_r.nii.gz")):
            name = reference.name.removesuffix("_r.nii.gz")
            result = evaluator.evaluate(str(folder / f"{name}_p.nii.gz"), str(reference))
            found[name] = {
                region: {
                    key: None if value is None else float(value)
                    for key, value in one.to_dict(True).items()
                    if not isinstance(value, list | dict)
                }
                for region, one in result.items()
            }
    (folder / "scores.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
