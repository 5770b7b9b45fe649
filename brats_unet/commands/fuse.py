"""`brats-unet fuse`: one mask from several of the same case, of any origin; without TensorFlow."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from brats_unet.anatomy import Region, region_masks
from brats_unet.commands.display import Display, open_display
from brats_unet.data.labels.convention import CONVENTIONS, Convention
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.fusion import METHODS, MOST_INPUTS, fused_by_label, fused_by_region
from brats_unet.evaluation.mask_sources import (
    Source,
    cases_of,
    reference_of,
    references_of,
    refuse_other_grids,
    sources_of,
)
from brats_unet.files import read_json, write_json
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import protocol_named
from brats_unet.nifti import read_integers, write_volume
from brats_unet.parts import suggestion
from brats_unet.settings import Fuse
from brats_unet.volume import Volume

MARK = "fusion.json"  # says what the masks of a folder were fused from, and what each input weighs
FUSION = "fusion"


def main(settings: Fuse) -> int:
    """Fuse; 1 if a case could not be fused, else 0."""
    with open_display(json=settings.json) as display:
        return _fuse(settings, display)


def _fuse(settings: Fuse, display: Display) -> int:
    output = Path(settings.output)
    fuse = fused_by_region if settings.per == "regions" else fused_by_label
    _refuse_invalid(settings, output)
    labels = [settings.labels] * len(settings.inputs) if isinstance(settings.labels, str) else settings.labels
    if not isinstance(labels, list) or len(labels) != len(settings.inputs):
        raise SettingsError(f"labels={labels}: expected one convention, or one for each of the inputs.")
    inputs = sources_of(settings.inputs, labels, display.log)
    written = _convention_to_write(settings.write, inputs)
    cases = cases_of(inputs, settings.allow_missing)
    references = None
    if settings.references is not None:
        references = references_of(Path(settings.references), cases, inputs, display.log)
    origin = {
        "inputs": {one.name: str(next(iter(one.masks.values())).parent) for one in inputs},
        "method": settings.method,
        "per": settings.per,
        "convention": written.name,
    }
    _prepare_folder(output, origin, overwrite=settings.overwrite)

    weights: dict[str, dict[str, dict[str, float]]] = {}
    scores: dict[str, list[list[float]]] = {name: [] for name in (*(one.name for one in inputs), FUSION)}
    failed: dict[str, str] = {}
    for done, case_id in enumerate(cases, 1):
        here = [one for one in inputs if case_id in one.masks]
        try:
            volumes = [read_integers(one.masks[case_id]) for one in here]
            refuse_other_grids(case_id, here, volumes)
            labels = np.stack(
                [
                    one.convention.decode(v.array, where=str(one.masks[case_id]))
                    for one, v in zip(here, volumes, strict=True)
                ]
            )
            truth = None if references is None else reference_of(case_id, references, volumes[0])
        except DataError as problem:
            failed[case_id] = str(problem)
        else:
            fused, weight = fuse(labels, settings.method)
            weights[case_id] = {
                part: {one.name: round(w, 6) for one, w in zip(here, values, strict=True)}
                for part, values in weight.items()
            }
            against = region_masks(fused if truth is None else truth)
            for one, mask in (*zip(here, labels, strict=True), (None, fused)):
                scores[FUSION if one is None else one.name].append(_dice(against, region_masks(mask)))
            like = here[0].masks[case_id]
            write_volume(output / f"{case_id}.nii.gz", Volume(written.encode(fused)), like=like)
        display.progress("Fusing", done, len(cases))
    means = {name: _mean(rows) for name, rows in scores.items()}
    write_json(output / MARK, {**origin, "weights": weights, "dice": means, "failed": failed})
    display.close()
    _print_result(settings, display, output, written, means, len(cases) - len(failed), failed, references is not None)
    return 1 if failed else 0


def _refuse_invalid(settings: Fuse, output: Path) -> None:
    if settings.method not in METHODS:
        raise SettingsError(f"There is no method={settings.method}. {suggestion(settings.method, METHODS)}")
    if not 2 <= len(settings.inputs) <= MOST_INPUTS:
        raise SettingsError(
            f"inputs has {len(settings.inputs)} entries. Give from 2 to {MOST_INPUTS} folders of masks."
        )
    for source in settings.inputs:
        if not Path(source).exists():
            raise DataError(f"inputs: there is no {source}. Give folders of masks, or the masks of one case.")
        if output.resolve() == Path(source).resolve():
            raise SettingsError(f"output={output} is one of the inputs. Give another folder.")


def _convention_to_write(setting: str, inputs: Sequence[Source]) -> Convention:
    if setting == "auto":
        return inputs[0].convention
    if setting not in CONVENTIONS:
        raise SettingsError(f"There is no label convention named {setting}. {suggestion(setting, CONVENTIONS)}")
    return CONVENTIONS[setting]


def _prepare_folder(output: Path, origin: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the output folder ours: new, empty, or to be replaced because told to; only our own masks go.

    Raises:
        SettingsError: It holds something.
    """
    if output.is_file():
        raise SettingsError(f"output={output} is a file. Give a folder, new or empty.")
    if output.exists() and any(output.iterdir()):
        if not overwrite:
            raise SettingsError(f"{output} is not empty. Choose another output folder, or replace with overwrite=true.")
        if (output / MARK).exists():
            for case_id in read_json(output / MARK, what=str(output)).get("weights", {}):
                (output / f"{case_id}.nii.gz").unlink(missing_ok=True)
    write_json(output / MARK, dict(origin))


def _dice(reference: np.ndarray, masks: np.ndarray) -> list[float]:
    rule = protocol_named("brats2020").dice
    return [dice(count(reference[..., i], masks[..., i]), rule) for i in range(len(Region))]


def _mean(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    if not rows:
        return {"n": 0} | {str(region): None for region in Region}
    return {"n": len(rows)} | dict(zip(map(str, Region), map(float, np.mean(rows, axis=0).round(6)), strict=True))


def _print_result(
    settings: Fuse,
    display: Display,
    output: Path,
    written: Convention,
    means: Mapping[str, Mapping[str, Any]],
    count_fused: int,
    failed: Mapping[str, str],
    referenced: bool,
) -> None:
    if settings.json:
        print(json.dumps({"output": str(output), "fused": count_fused, "dice": means, "failed": failed}, indent=2))
        return
    against = "the references" if referenced else "the fusion"
    table = Table(box=box.SIMPLE, title=f"Mean Dice against {against}", title_justify="left")
    table.add_column("masks")
    for heading in ("n", *Region):
        table.add_column(str(heading), justify="right")
    for name, mean in means.items():
        if name != FUSION or referenced:
            style = "bold" if name == FUSION else ""
            numbers = ["–" if mean[str(r)] is None else f"{mean[str(r)]:.3f}" for r in Region]
            label = f"{settings.method} of all" if name == FUSION else name
            table.add_row(label, str(mean["n"]), *numbers, style=style)
    display.console.print(table)
    how = f"{settings.method} by {settings.per}, labels: {written.name}"
    display.log(f"Masks fused: {count_fused}, in {output} ({how}).")
    for sentence in failed.values():
        display.log(f"Not fused: {sentence}")
