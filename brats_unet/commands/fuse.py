"""`brats-unet fuse`: fuse several masks of each case, of any origin, into one; does not need TensorFlow."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from brats_unet.commands.display import Display, open_display
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
from brats_unet.file_kinds.json_kinds import MasksFile
from brats_unet.files import entries, remove_file
from brats_unet.json_files import read_json, write_json
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import protocol_named
from brats_unet.private_paths import short_text
from brats_unet.run import FUSION_MARK, mask_file
from brats_unet.scan_files import mask_suffix, read_mask, write_like
from brats_unet.scan_formats import WRITTEN
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Fuse
from brats_unet.spelling import suggestion
from brats_unet.volume import ImageFile

FUSION = "fusion"  # name of the fused masks among the inputs, in tables and JSON


def main(settings: Fuse) -> int:
    """Fuse masks; exit code 1 if a case could not be fused, else 0.

    Raises:
        SettingsError: Settings that do not fit together, or an output folder that may not be written.
        DataError: A folder or a mask is missing.
    """
    with open_display(json=settings.json) as display:
        return _fuse(settings, display)


def _fuse(settings: Fuse, display: Display) -> int:
    # Find the masks of each case, and check all settings before anything is written.
    output = Path(settings.output)
    _refuse_invalid(settings, output)
    fuse = fused_by_region if settings.per == "regions" else fused_by_label
    given = None if settings.scheme is None else scheme_of(settings.scheme)
    inputs = sources_of(settings.inputs, _labels_of_inputs(settings), given, display.log)
    scheme = inputs[0].convention.scheme
    written = _convention_to_write(settings.write, inputs)
    cases = cases_of(inputs, settings.allow_missing)
    references = None
    if settings.references is not None:
        references = references_of(Path(settings.references), cases, inputs, display.log)
    origin = {
        "inputs": {one.name: next(iter(one.masks.values())).absolute().parent.name for one in inputs},
        "method": settings.method,
        "per": settings.per,
        "convention": written.name,
        "scheme": scheme.as_dict(),
    }
    _prepare_folder(output, origin, overwrite=settings.overwrite)

    # Fuse case by case, and score the inputs against the reference, or against the fusion if there is none.
    weights: dict[str, dict[str, dict[str, float]]] = {}
    scores: dict[str, list[list[float]]] = {name: [] for name in (*(one.name for one in inputs), FUSION)}
    failed: dict[str, str] = {}
    for done, case_id in enumerate(cases, 1):
        present = [one for one in inputs if case_id in one.masks]
        try:
            labels, reference = _read_case(case_id, present, references)
        except DataError as problem:
            failed[case_id] = str(problem)
        else:
            fused, weight = fuse(labels, settings.method, scheme)
            weights[case_id] = {
                part: {one.name: round(w, 6) for one, w in zip(present, values, strict=True)}
                for part, values in weight.items()
            }
            against = fused if reference is None else reference
            for one, mask in zip(present, labels, strict=True):
                scores[one.name].append(_dice(against, mask, scheme))
            scores[FUSION].append(_dice(against, fused, scheme))
            like = present[0].masks[case_id]
            file = mask_file(output, case_id, mask_suffix(settings.mask_format, like))
            write_like(file, written.encode(fused), ImageFile(like))
        display.progress("Fusing", done, len(cases))

    means = {name: _mean(rows, scheme) for name, rows in scores.items()}
    folders = [path.parent for one in (*inputs, *([references] if references else [])) for path in one.masks.values()]
    told = {case_id: short_text(sentence, set(folders)) for case_id, sentence in failed.items()}
    write_json(output / FUSION_MARK, {**origin, "weights": weights, "dice": means, "failed": told})
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
            raise DataError(f"inputs: there is no {source}. Give folders of masks, or several masks of one case.")
        if output.resolve() == Path(source).resolve():
            raise SettingsError(f"output={output} is one of the inputs. Give another folder.")


def _labels_of_inputs(settings: Fuse) -> list[str]:
    """The setting `labels` with one entry per input."""
    labels = [settings.labels] * len(settings.inputs) if isinstance(settings.labels, str) else settings.labels
    if not isinstance(labels, list) or len(labels) != len(settings.inputs):
        raise SettingsError(
            f"labels={labels}: expected one convention, or one for each of the {len(settings.inputs)} inputs."
        )
    return labels


def _convention_to_write(setting: str, inputs: Sequence[Source]) -> Convention:
    if setting == "auto":
        return inputs[0].convention
    known = conventions(inputs[0].convention.scheme)
    if setting not in known:
        raise SettingsError(f"There is no label convention named {setting}. {suggestion(setting, known)}")
    return known[setting]


def _prepare_folder(output: Path, origin: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write `fusion.json` into the output folder; with overwrite=True, first delete the masks of an earlier fusion.

    A fusion of the same masks that was interrupted is done again, also without `overwrite`.

    Raises:
        SettingsError: The folder is not empty and `overwrite` is False.
    """
    if output.is_file():
        raise SettingsError(f"output={output} is a file. Give a new or empty folder.")
    mark = output / FUSION_MARK
    before = read_json(mark, MasksFile, what=str(output)) if mark.exists() else {}
    if entries(output) and before != origin:  # without weights, the mark is that of an interrupted fusion
        if not overwrite:
            raise SettingsError(f"{output} is not empty. Choose another output folder, or add overwrite=true.")
        for case_id in before.get("weights", {}):
            for suffix in WRITTEN:
                remove_file(mask_file(output, Path(case_id).name, suffix))
    write_json(mark, dict(origin))


def _read_case(
    case_id: str, inputs: Sequence[Source], references: Source | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels of all inputs, stacked on a first axis, and of the reference, None without references.

    Raises:
        DataError: A mask is broken or lies on another grid.
    """
    volumes = [read_mask(one.masks[case_id]) for one in inputs]
    refuse_other_grids(case_id, inputs, volumes)
    labels = np.stack(
        [
            one.convention.decode(volume.array, where=str(one.masks[case_id]))
            for one, volume in zip(inputs, volumes, strict=True)
        ]
    )
    return labels, None if references is None else reference_of(case_id, references, volumes[0])


def _dice(reference: np.ndarray, labels: np.ndarray, scheme: Scheme) -> list[float]:
    rule, masks = protocol_named("brats2020").dice, scheme.region_mask
    return [dice(count(masks(reference, region), masks(labels, region)), rule) for region in scheme.scored]


def _mean(rows: Sequence[Sequence[float]], scheme: Scheme) -> dict[str, Any]:
    if not rows:
        return {"n": 0} | dict.fromkeys(scheme.scored)
    return {"n": len(rows)} | dict(zip(scheme.scored, map(float, np.mean(rows, axis=0).round(6)), strict=True))


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
        document = {
            "output": str(output),
            "fused": count_fused,
            "scheme": written.scheme.as_dict(),
            "convention": written.name,
            "dice": means,
            "failed": failed,
            "notes": display.notes,
        }
        print(json.dumps(document, indent=2))
        return
    against = "the references" if referenced else "the fused masks"
    table = Table(box=box.SIMPLE, title=f"Mean Dice against {against}", title_justify="left")
    table.add_column("masks")
    for heading in ("n", *written.scheme.scored):
        table.add_column(heading, justify="right")
    for name, mean in means.items():
        if name != FUSION or referenced:
            style = "bold" if name == FUSION else ""
            numbers = ["–" if mean[r] is None else f"{mean[r]:.3f}" for r in written.scheme.scored]
            label = f"{settings.method} of all" if name == FUSION else name
            table.add_row(label, str(mean["n"]), *numbers, style=style)
    display.console.print(table)
    how = f"{settings.method} by {settings.per}, labels: {written.name}"
    display.log(f"{count_fused} fused masks in {output} ({how}).")
    for sentence in failed.values():
        display.log(f"Not fused: {sentence}")
