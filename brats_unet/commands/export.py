"""`brats-unet export`: write a trained network for other programs, with instructions and a model card."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from brats_unet.assembly.networks import postprocessing_of, run_paths
from brats_unet.assembly.provenance import facts_of_run
from brats_unet.commands.display import Display, open_display
from brats_unet.errors import SettingsError, some
from brats_unet.evaluation.record import SCORES
from brats_unet.file_kinds.json_kinds import ExportFile
from brats_unet.files import atomic_folder, entries, is_leftover, remove_file, size_text
from brats_unet.hardware import quiet_tensorflow
from brats_unet.inference.exported import (
    CARD,
    DESCRIPTION,
    FILES,
    OURS,
    describe_export,
    description_of,
    open_exported,
    refuse_format,
)
from brats_unet.inference.network_files import network_hashes
from brats_unet.json_files import recorded_json, write_json
from brats_unet.report.model_card import card
from brats_unet.run import ENSEMBLE, PREDICTIONS_MARK, Run
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.settings import Export


def main(settings: Export) -> int:
    """Export one network; always exit code 0.

    Raises:
        SettingsError: An unknown format, several runs, or an output folder that may not be written.
        MachineError: A package is missing, or the disk is full.
        CheckpointError: The run is missing or broken, or the exported network gives other probabilities than it.
    """
    with open_display(json=settings.json) as display:
        refuse_format(settings.format)
        members = _paths(settings.run)
        if len(members) == 1:
            _print_json(settings, {**_export(settings, members[0], display), "notes": display.notes})
            return 0
        output = Path(settings.output)
        into = [_settings_of(settings, output, member) for member in members]
        _refuse_ensemble_folder(output, into)
        remove_file(output / ENSEMBLE)
        done = [_export(one, member, display) for one, member in zip(into, members, strict=True)]
        write_json(output / ENSEMBLE, {"members": [member.name for member in members]})
        display.log(f"{output}: an ensemble of {len(members)} networks.")
        display.log(f"Next: brats-unet predict {output} input=… output=…")
        _print_json(settings, {"output": str(output), "members": done, "notes": display.notes})
        return 0


def _print_json(settings: Export, document: dict[str, Any]) -> None:
    if settings.json:
        print(json.dumps(document, indent=2))


def _export(settings: Export, path: Path, display: Display) -> dict[str, Any]:
    """Export one network; returns what was written, in plain types."""
    if path.suffix == ".keras" and settings.checkpoint != "last":
        raise SettingsError(f"{path} holds one set of weights. Give the run folder to export checkpoint=best.")
    output = Path(settings.output)
    _refuse_folder(output, overwrite=settings.overwrite)
    with quiet_tensorflow():
        from brats_unet.inference.export_network import refuse_other_answers, write_network
        from brats_unet.inference.keras_network import network_of, trained_model
        from brats_unet.inference.runtimes import exported_network

    model, recipe = trained_model(path, which=settings.checkpoint, policies={})
    scheme = scheme_in(recipe)
    rules = postprocessing_of([path], settings.postprocess, scheme, display.log)
    rank = len(model.inputs[0].shape) - 2
    run = Run(path if path.is_dir() else path.resolve().parent)
    source = facts_of_run(run, path, settings.checkpoint) | {"weights": int(model.count_params())}
    with atomic_folder(output, OURS) as folder:
        stride = write_network(
            model, recipe["outputs"], scheme, recipe["stride"], folder, settings.format, log=display.log
        )
        hashes = network_hashes(folder / FILES[settings.format], settings.format)
        content = describe_export(
            recipe, rules, form=settings.format, rank=rank, stride=stride, source=source, hashes=hashes
        )
        write_json(folder / DESCRIPTION, content)
        written = open_exported(folder, folder / DESCRIPTION)  # trusted: it was written a moment ago
        exported = exported_network(written, device="cpu", trust=True, log=display.log)
        difference = refuse_other_answers(network_of(model, recipe, display.log), exported)
        content["largest_difference_from_training_framework"] = difference
        write_json(folder / DESCRIPTION, content)
        (folder / CARD).write_text(card(run, content, settings.checkpoint), encoding="utf-8")
    return _result(settings, output, content, display)


def _paths(run: Any) -> list[Path]:
    """One run, or the members of one ensemble."""
    if isinstance(run, list) and len(run) != 1:
        raise SettingsError(
            f"run names {len(run)} runs, and one network or one ensemble is exported at a time. Export each into its "
            f"own folder; `brats-unet predict` also accepts several exported networks as an ensemble."
        )
    paths = run_paths(run)
    if exported := next((path for path in paths if description_of(path) is not None), None):
        raise SettingsError(f"run={exported} is an exported network. Give the run folder that it was exported from.")
    return paths


def _settings_of(settings: Export, output: Path, member: Path) -> Export:
    """The settings that export one network of an ensemble; what an interrupted export left of it is replaced."""
    folder = output / member.name
    left = not (output / ENSEMBLE).exists() and _is_export_of(folder, member, settings)
    return replace(settings, output=str(folder), overwrite=settings.overwrite or left)


def _is_export_of(folder: Path, member: Path, settings: Export) -> bool:
    """Whether a folder holds the network of this run and checkpoint in this format, by its description."""
    made = recorded_json(folder / DESCRIPTION, ExportFile)
    facts = facts_of_run(Run(member), member, settings.checkpoint)
    origin = ("run", "checkpoint", "steps", "trained_by_commit")
    return (
        made is not None
        and made["network"]["format"] == settings.format
        and all(made.get("source", {}).get(name) == facts[name] for name in origin)
    )


def _refuse_ensemble_folder(output: Path, into: Sequence[Export]) -> None:
    """Raise SettingsError unless the folder is new, empty, or that of an exported ensemble with these networks."""
    if output.is_file():
        raise SettingsError(f"output={output} is a file. Give a new or empty folder.")
    names = [Path(one.output).name for one in into]
    if foreign := [one.name for one in entries(output) if one.name not in (*names, ENSEMBLE)]:
        raise SettingsError(f"output={output} holds {some(sorted(foreign))}. Give a new or empty folder.")
    for one in into:
        _refuse_folder(Path(one.output), overwrite=one.overwrite)


def _refuse_folder(output: Path, *, overwrite: bool) -> None:
    """Raise SettingsError unless the folder is new, empty, or an exported network that may be replaced."""
    if output.is_file():
        raise SettingsError(f"output={output} is a file. Give a new or empty folder.")
    if not (found := entries(output)):
        return
    if any((output / name).exists() for name in ("recipe.json", PREDICTIONS_MARK, SCORES)):
        raise SettingsError(
            f"output={output} is a run folder, or a folder of masks or scores. Give a new or empty folder."
        )
    # The temporary folder of an export that was interrupted while it replaced the files.
    interrupted = any(is_leftover(path, of=output.name) and path.is_dir() for path in output.iterdir())
    if interrupted and all(path.name in OURS for path in found):
        return
    exported = interrupted or (output / DESCRIPTION).exists()
    if not overwrite:
        content = "holds an exported network" if exported else "is not empty"
        raise SettingsError(f"output={output} {content}. Choose another folder, or write there with overwrite=true.")
    taken = [name for name in OURS if (output / name).exists()]
    if taken and not exported:
        raise SettingsError(
            f"output={output} holds {', '.join(taken)}, but no {DESCRIPTION}, so these files were not exported "
            f"by brats-unet and are not replaced. Choose another folder."
        )


def _result(settings: Export, output: Path, content: dict[str, Any], display: Display) -> dict[str, Any]:
    files = sorted(path for path in (output / name for name in OURS) if path.exists())
    contained = (file for path in files for file in (path.rglob("*") if path.is_dir() else [path]))
    size = sum(file.stat().st_size for file in contained if file.is_file())
    difference = content["largest_difference_from_training_framework"]
    names = ", ".join(path.name for path in files)
    display.log(f"{output}: {names} ({size_text(size)}).")
    agreement = f"differ by at most {difference:.1g} from" if difference else "equal"
    display.log(f"On noise of two sizes its probabilities {agreement} those of the trained network in float32.")
    display.log(f"Next: brats-unet predict run={output} input=… output=…")
    return {
        "output": str(output),
        "format": settings.format,
        "files": [path.name for path in files],
        "bytes": size,
        "largest_difference": difference,
    }
