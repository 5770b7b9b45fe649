"""Write the masks of cases with one network or several; what `predict` and `evaluate` have in common."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.anatomy import Modality
from brats_unet.data.labels.convention import CONVENTIONS, Convention
from brats_unet.data.prepare.preprocess import Preparation, Prepared, prepare
from brats_unet.errors import DataError, SettingsError
from brats_unet.hardware import tensorflow_starts_quietly
from brats_unet.inference.confidence import RegionFacts, facts_of, reasons_to_look
from brats_unet.inference.ensemble import Answer, ask
from brats_unet.inference.exported import refuse_absent
from brats_unet.inference.loading import needs_tensorflow, open_network, rules_file
from brats_unet.inference.masks_folder import enter, mask_file
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing, labels_of
from brats_unet.inference.probability_maps import Keep, keep_nothing, scan_of
from brats_unet.inference.tta import axes_of
from brats_unet.inference.volumes_csv import read_rows, rows_of, write_rows
from brats_unet.nifti import write_volume
from brats_unet.parts import suggestion
from brats_unet.prefetch import conveyed
from brats_unet.run import read_json
from brats_unet.volume import Case, Volume


def run_paths(run: str | Sequence[str] | None) -> list[Path]:
    """One path or several as a list."""
    if not run:
        raise SettingsError("run is not set. Give a run folder: run=runs/….")
    return [Path(path) for path in ([run] if isinstance(run, str) else run)]


def open_networks(paths: Sequence[Path], *, checkpoint: str, device: str, say: Callable[[str], None]) -> list[Network]:
    """The networks of an ensemble, on one device, in the precision they were trained in where it has that."""
    if device not in ("auto", "cpu", "gpu"):
        raise SettingsError(f"device={device} is none of the choices: auto, cpu, gpu.")
    policies: dict[str, str] = {}
    for_tensorflow = [path for path in paths if needs_tensorflow(path)]
    if for_tensorflow:
        refuse_absent("tensorflow", wanted_by=str(for_tensorflow[0]))
        with tensorflow_starts_quietly():
            from brats_unet.training.strategy import choose_devices

        devices = choose_devices(device=device, precision="auto", jit="auto", replicas=None)
        policies = {devices.precision: devices.policy}
    return [open_network(path, which=checkpoint, policies=policies, device=device, say=say) for path in paths]


def opened(
    paths: Sequence[Path],
    *,
    checkpoint: str,
    mode: str,
    mirror: Any,
    postprocess: str,
    labels: str,
    device: str,
    say: Callable[[str], None],
) -> tuple[list[Network], Postprocessing, Convention]:
    """What predicts new cases: the networks, told how; how masks are made; the convention to write them in."""
    if mirror != "auto":
        axes_of(mirror, key="mirror")
    rules = tuned_rules(paths, postprocess, say)
    networks = told_how(open_networks(paths, checkpoint=checkpoint, device=device, say=say), mode=mode, mirror=mirror)
    return networks, rules, convention_to_write(labels, networks)


def prepared_for(networks: Sequence[Network], case: Case) -> dict[Preparation, Prepared]:
    """The case as each of the networks wants it; those that want the same share it."""
    fill = {network.preparation: network.fills_missing for network in networks}
    return {wanted: prepare(case, wanted, None, fill_missing=may) for wanted, may in fill.items()}


def scans_known(networks: Sequence[Network]) -> tuple[list[Modality], bool]:
    """The scans that any of the networks knows, and whether all can do without some of them."""
    known = {modality for network in networks for modality in network.preparation.modalities}
    return [m for m in Modality if m in known], all(network.fills_missing for network in networks)


def convention_to_write(setting: str, networks: Sequence[Network]) -> Convention:
    """The convention of the training data, or the one that was asked for."""
    learnt = sorted({network.recipe["convention"] for network in networks})
    if setting == "auto" and len(learnt) > 1:
        raise SettingsError(f"The networks were trained on labels of {' and '.join(learnt)}. Choose with labels=….")
    name = learnt[0] if setting == "auto" else setting
    if name not in CONVENTIONS:
        raise SettingsError(f"There is no label convention named {name}. {suggestion(name, CONVENTIONS)}")
    return CONVENTIONS[name]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What networks make of one case, on its own grid.

    Attributes:
        probabilities: Of WT, TC and ET, float32, shape (X, Y, Z, 3).
        labels: uint8 of `anatomy.Label`, shape (X, Y, Z).
        facts: Of each region.
        look: Why a person should look at the case; empty where nothing is odd.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    facts: Sequence[RegionFacts]
    look: Sequence[str]


def outcome_of(answer: Answer, doubts: Sequence[str], rules: Postprocessing) -> Outcome:
    """From what the networks say to labels and numbers; `doubts` are about the scans."""
    probabilities = answer.probabilities()
    spacing_mm = answer.shares[0].grid.case_spacing_mm
    labels = labels_of(probabilities, spacing_mm, rules)
    facts = facts_of(labels, probabilities, answer.agreement(), spacing_mm)
    return Outcome(probabilities, labels, facts, reasons_to_look(facts, doubts))


@dataclass(frozen=True)
class Predicted:
    """What became of the cases.

    Attributes:
        written: Ids of the cases whose masks are there now, in order.
        found: How many of them were there before.
        failed: Sentence by case id.
        look: Why a person should look at a case, by case id; only those with a reason.
    """

    written: tuple[str, ...]
    found: int
    failed: dict[str, str]
    look: dict[str, str]


def predict_cases(
    networks: Sequence[Network],
    cases: Sequence[Case],
    output: Path,
    convention: Convention,
    *,
    rules: Postprocessing,
    origin: dict[str, Any],
    overwrite: bool = False,
    keep: Keep = keep_nothing,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Predicted:
    """Predict cases: the next is read and the last written while one is computed, the first while networks are traced.

    Each mask gets its name once it is whole and all else of its case is there, so an interrupted run can go on.

    Args:
        networks: Averaged.
        cases: To predict.
        output: Folder of the masks; made if need be. volumes.csv lies beside them.
        convention: To write labels in.
        rules: From probabilities to labels.
        origin: Which networks and what is kept, in plain types; a folder of masks of another origin is refused.
        overwrite: Replace what is there.
        keep: What else to keep of each case.
        say: Told what looks wrong with the scans.
        progress: Told how many are done.

    Returns:
        What became of them: a case that cannot be read does not stop the others.
    """
    enter(output, origin, [case.id for case in cases], overwrite=overwrite)
    here = {case.id for case in cases if mask_file(output, case.id).exists()}
    rows = read_rows(output)
    failed: dict[str, str] = {}
    progress(done := len(here), len(cases))

    def fetch(case: Case) -> dict[Preparation, Prepared]:
        return prepared_for(networks, case)

    def work(case: Case, prepared: dict[Preparation, Prepared]) -> tuple[Answer, tuple[str, ...]]:
        doubts = next(iter(prepared.values())).doubts
        for sentence in doubts:
            say(sentence)
        for ready in traced:
            ready.result()
        return ask(networks, prepared), doubts

    def put_away(case: Case, found: tuple[Answer, tuple[str, ...]]) -> list[dict[str, str]]:
        outcome = outcome_of(*found, rules)
        keep(case, outcome.probabilities)
        lines = rows_of(case.id, outcome.facts, outcome.look)
        write_rows(output, {**rows, case.id: lines})
        write_volume(mask_file(output, case.id), Volume(convention.encode(outcome.labels)), like=scan_of(case))
        return lines

    waiting = [case for case in cases if case.id not in here]
    with ThreadPoolExecutor(1, "trace") as tracing:
        traced = [tracing.submit(network.warm_up) for network in networks if waiting]
        for case, result in conveyed(waiting, fetch, work, put_away, refused=DataError):
            if isinstance(result, DataError):
                failed[case.id] = str(result)
            else:
                rows[case.id] = result
            progress(done := done + 1, len(cases))
    written = tuple(case.id for case in cases if case.id not in failed)
    look = {name: rows[name][0]["look"] for name in written if name in rows and rows[name][0]["look"]}
    return Predicted(written, len(here), failed, look)


def tuned_rules(paths: Sequence[Path], setting: str, say: Callable[[str], None]) -> Postprocessing:
    """How masks are made of probabilities.

    Args:
        paths: Of the networks.
        setting: "auto": as `brats-unet tune` left it beside each of them, else plainly; "none"; or a JSON file.
        say: Told what applies, where anything does.

    Raises:
        SettingsError: The networks were tuned apart, and differ.
        CheckpointError: A file that cannot be read or holds something else.
    """
    if setting == "none":
        return Postprocessing()
    if setting != "auto":
        return _rules_in(Path(setting))
    files = [rules_file(path) for path in paths]
    found = [_rules_in(file) if file.exists() else Postprocessing() for file in files]
    if any(rules != found[0] for rules in found):
        raise SettingsError(
            "The networks were not tuned together: their post-processing differs. Tune them in one go with "
            "`brats-unet tune run=[…]`, or choose: postprocess=none, or postprocess=<one of the JSON files>."
        )
    if found[0] != Postprocessing():
        say(f"Masks are made with the thresholds of {files[0]}.")
    return found[0]


def _rules_in(file: Path) -> Postprocessing:
    content = read_json(file, what=f"postprocess={file}: no such file", advice="Tune again, or postprocess=none.")
    return Postprocessing.from_dict(content.get("postprocessing", content), where=str(file))


def told_how(networks: Sequence[Network], *, mode: str, mirror: Any) -> list[Network]:
    """The networks, told to predict otherwise than their runs say where the settings are not "auto"."""
    asked = {key: value for key, value in (("mode", mode), ("mirror", mirror)) if value != "auto"}
    return [network.told(**asked) for network in networks]
