"""What a job of a sweep tells the process that started it, by way of a small file."""

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "BRATS_UNET_JOB_REPORT"  # environment variable that names the file


def tell(**facts: Any) -> None:
    """Add facts to the report of this job; nothing happens if no sweep asked for one."""
    if name := os.environ.get(VARIABLE):
        file = Path(name)
        file.write_text(json.dumps(told(file) | facts), encoding="utf-8")


def told(file: Path) -> dict[str, Any]:
    """The facts that a job has told; {} if it told none or was killed while it did."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
