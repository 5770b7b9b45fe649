"""What scripts/bench/gpu.sh measures: one row for each configuration, and one file with its result."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

PRESETS = ("nnunet", "resenc_m", "resenc_l", "isensee2020", "nvidia21")
STATES = ("on", "off")
# An interrupted or failed row is measured again; these are answers.
FINAL = ("measured", "out of memory", "time limit")
SMALLEST_MAP = 4  # voxels of the coarsest feature map of a shrunk network
SMALLEST_STAGE = 4  # features


@dataclass(frozen=True)
class Row:
    """A configuration.

    Attributes:
        kind: "step" for a training step, "predict" for the prediction of one case in tiles.
        preset: Name in conf/experiment.
        jit: Whether XLA compiles the step: "on" or "off".
        augmentation: "on" (that of the preset) or "off".
        mirror: "none" or "all", for a prediction.
    """

    kind: str
    preset: str
    jit: str = "off"
    augmentation: str = "off"
    mirror: str = "none"

    @property
    def key(self) -> str:
        """Name of the row; its result is in KEY.json."""
        if self.kind == "predict":
            return f"predict-{self.preset}-mirror_{self.mirror}"
        return f"step-{self.preset}-xla_{self.jit}-augmentation_{self.augmentation}"


def rows(presets: Sequence[str], only: str = "") -> list[Row]:
    """All rows of some presets whose key contains `only`; prediction is that of `nnunet`."""
    found = [Row("step", *each) for each in product(presets, STATES, STATES)]
    if "nnunet" in presets:
        found += [Row("predict", "nnunet", mirror=mirror) for mirror in ("none", "all")]
    return [row for row in found if only in row.key]


def shrunk(patch: Sequence[int], features: Sequence[int], divisor: int) -> tuple[list[int], list[int]]:
    """Patch and features divided by `divisor`, with as many stages as leave 4 voxels along each edge."""
    edges = [max(2 * SMALLEST_MAP, edge // divisor) for edge in patch]
    stages = min(len(features), (min(edges) // SMALLEST_MAP).bit_length())
    step = 2 ** (stages - 1)
    return [edge // step * step for edge in edges], [max(SMALLEST_STAGE, f // divisor) for f in features[:stages]]


def shrunk_words(settings: Any, divisor: int) -> list[str]:
    """Words on the command line of `train` that make a preset smaller; [] for a divisor of 1.

    Args:
        settings: Settings of the preset.
        divisor: Divisor of patch and features, 1 or more.
    """
    if divisor == 1:
        return []
    from brats_unet.assembly.topology import complete_options

    options = complete_options(settings.model)
    patch, features = shrunk(settings.sampling.patch, options["features"], divisor)
    words = [f"model.features={features}", f"sampling.patch={patch}"]
    if "blocks" in options:
        words.append(f"model.blocks={[min(2, count) for count in options['blocks'][: len(features)]]}")
    return words


def finished(folder: Path, key: str) -> dict[str, Any] | None:
    """The result of a row; None if it must be measured."""
    path = folder / f"{key}.json"
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    sides = [side for side in (result["ours"], result["peer"]) if side is not None]
    return result if all(side["outcome"] in FINAL for side in sides) else None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    """What differs between the conditions of two measurements, in words; results under both must not be mixed."""
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"{name}: {before.get(name)} before, {now.get(name)} now"
