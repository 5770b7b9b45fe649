"""Trained networks, opened as the settings of `predict`, `evaluate`, `tune` and `export` say."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.file_kinds.json_kinds import TunedFile
from brats_unet.hardware import quiet_tensorflow
from brats_unet.inference.exported import refuse_absent
from brats_unet.inference.loading import needs_tensorflow, open_network, recipe_file, rules_file
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.tta import axes_of
from brats_unet.json_files import read_json, without_hashes
from brats_unet.run import RECIPE, ensemble_members
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.differences import differences
from brats_unet.schemes.scheme import Scheme
from brats_unet.spelling import suggestion


def run_paths(run: str | Sequence[str] | None) -> list[Path]:
    """The setting `run`, one path or several, as a list; an ensemble stands for its members.

    Raises:
        SettingsError: It is not set.
        CheckpointError: An ensemble lacks a member.
    """
    if not run:
        raise SettingsError("run is not set. Give a run folder: run=runs/….")
    return [member for path in ([run] if isinstance(run, str) else run) for member in ensemble_members(Path(path))]


def open_networks(
    paths: Sequence[Path], *, checkpoint: str, device: str, trust: bool = False, log: Callable[[str], None]
) -> list[Network]:
    """Open the networks of an ensemble on one device of this process, in the precision of their training if it can.

    A SavedModel is refused without `trust`, because it can run any program of those who made it.

    Raises:
        SettingsError: `device` is not auto, cpu, gpu or workers.
        MachineError: A package or a device is missing.
        CheckpointError: A run or exported network is missing, broken or not safe to open.
    """
    if device not in ("auto", "cpu", "gpu", "workers"):
        raise SettingsError(f"device={device} is none of the choices: auto, cpu, gpu, workers.")
    device = "auto" if device == "workers" else device  # each worker predicts its share of the cases by itself
    policies: dict[str, str] = {}
    for_tensorflow = [path for path in paths if needs_tensorflow(path)]
    if for_tensorflow:
        refuse_absent("tensorflow", wanted_by=str(for_tensorflow[0]))
        with quiet_tensorflow():
            from brats_unet.training.strategy import choose_devices

        devices = choose_devices(device=device, precision="auto", jit="auto", replicas=None)
        policies = {devices.precision: devices.policy}
    networks = [
        open_network(path, which=checkpoint, policies=policies, device=device, trust=trust, log=log) for path in paths
    ]
    if sentence := without_hashes(map(recipe_file, paths)):
        log(sentence)
    return networks


def open_for_prediction(
    paths: Sequence[Path],
    *,
    checkpoint: str,
    mode: str,
    mirror: Any,
    postprocess: str,
    labels: str,
    device: str,
    trust: bool,
    log: Callable[[str], None],
) -> tuple[list[Network], Postprocessing, Convention]:
    """All that predicting new cases needs: networks with their options, post-processing and the label convention."""
    if mirror != "auto":
        axes_of(mirror, key="mirror")
    networks = with_inference_options(
        open_networks(paths, checkpoint=checkpoint, device=device, trust=trust, log=log), mode=mode, mirror=mirror
    )
    convention = convention_to_write(labels, networks)
    return networks, postprocessing_of(paths, postprocess, convention.scheme, log), convention


def convention_to_write(setting: str, networks: Sequence[Network]) -> Convention:
    """The label convention for new masks: that of the training data ("auto"), or the named one.

    Raises:
        SettingsError: There is no such convention, "auto" is ambiguous because the networks learnt different ones, or
            the networks segment different things.
    """
    refuse_other_schemes([network.scheme for network in networks])
    trained = sorted({network.recipe["convention"] for network in networks})
    if setting == "auto" and len(trained) > 1:
        raise SettingsError(
            f"The networks were trained with different label conventions: {' and '.join(trained)}. "
            f"Choose one with labels=…."
        )
    name = trained[0] if setting == "auto" else setting
    known = conventions(networks[0].scheme)
    if name not in known:
        raise SettingsError(f"There is no label convention named {name}. {suggestion(name, known)}")
    return known[name]


def refuse_other_schemes(schemes: Sequence[Scheme]) -> None:
    """Raise SettingsError unless all schemes have the same labels and regions."""
    other = next((scheme for scheme in schemes if not scheme.means_the_same(schemes[0])), None)
    if other is not None:
        found = differences(schemes[0], other, "in the first", "in the other")
        raise SettingsError(
            f"The networks were trained for different schemes, {schemes[0].name} and {other.name} ({found}). Give "
            f"networks of one scheme."
        )


def postprocessing_of(
    paths: Sequence[Path], setting: str, scheme: Scheme, log: Callable[[str], None]
) -> Postprocessing:
    """The rules that turn probabilities into masks.

    Args:
        paths: Run folders or exported networks.
        setting: "auto" (the rules that `brats-unet tune` wrote beside each network, else those that it was trained
            with), "none", or the path of a JSON file.
        scheme: What the networks segment.
        log: Called with one sentence if "auto" finds rules that change anything.

    Raises:
        SettingsError: The networks were tuned separately and their rules differ.
        CheckpointError: A file cannot be read or holds something else.
    """
    if setting == "none":
        return Postprocessing()
    if setting != "auto":
        return _rules_in(Path(setting), scheme)
    files = [rules_file(path) for path in paths]
    found = [_rules_beside(file, scheme) for file in files]
    if any(rules != found[0] for rules in found):
        raise SettingsError(
            "The networks were not tuned together: their post-processing differs. Tune them together with "
            "`brats-unet tune run=[…]`, or choose: postprocess=none, or postprocess=<one of the JSON files>."
        )
    if found[0] != Postprocessing():
        log(f"Masks are made by the rules in {files[0]}.")
    return found[0]


def _rules_beside(file: Path, scheme: Scheme) -> Postprocessing:
    """The rules in a file beside a network; a recipe may have none."""
    if file.name != RECIPE:
        return _rules_in(file, scheme)
    rules = read_json(file, TunedFile, what=str(file)).get("postprocessing", {}) if file.exists() else {}
    return Postprocessing.from_dict(rules, scheme, where=str(file))


def _rules_in(file: Path, scheme: Scheme) -> Postprocessing:
    content = read_json(
        file, TunedFile, what=f"postprocess={file}: no such file", advice="Tune again, or postprocess=none."
    )
    return Postprocessing.from_dict(content.get("postprocessing", content), scheme, where=str(file))


def with_inference_options(networks: Sequence[Network], *, mode: str, mirror: Any) -> list[Network]:
    """The networks with `mode` and `mirror` replaced, where these are not "auto"."""
    changes = {key: value for key, value in (("mode", mode), ("mirror", mirror)) if value != "auto"}
    return [network.with_options(**changes) for network in networks]
