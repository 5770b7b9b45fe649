"""Take from a trained network what fits a new one: all layers between the ends, and of the ends what means the same.

The first layer's kernel is matched by the names of its channels, and heads of other outputs start anew. Between the
ends every weight must fit: a network of another depth, width, kernel size or kind is refused.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from brats_unet import models
from brats_unet.assembly.init_record import Transfer, layer_of
from brats_unet.assembly.pretrained import Pretrained, open_pretrained
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.errors import SettingsError, some
from brats_unet.file_kinds.json_kinds import InitFile
from brats_unet.json_files import read_json
from brats_unet.losses.loss import Loss
from brats_unet.models.ends import FOREGROUND_LAYER, head_layers, input_layers
from brats_unet.models.network_shape import NetworkShape
from brats_unet.private_paths import short_path
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Train

FOREGROUND = "foreground"  # name of the channel that the network adds to the image
# Options of a network that change its ends only, or nothing that has weights.
FITTING = ("name", "deep_supervision", "foreground_channel", "slope", "groups")


def start_weights(
    run: Run, settings: Train, model: keras.Model, shape: NetworkShape, loss: Loss, preparation: Preparation
) -> Transfer | None:
    """Give a new run's network the weights of `init=`; a run that is resumed has its own, and its record is read.

    Args:
        run: The run folder; nothing is written.
        settings: Settings of the training.
        model: The network with its initial weights.
        shape: Its shape.
        loss: The loss, which says what the logits mean.
        preparation: How the scans are prepared.

    Returns:
        What was taken; None without `init=`.

    Raises:
        SettingsError: `init_freeze_steps` without `init=` or without new parts; `init=` names the run that
            `overwrite=true` would delete, or a network of another depth, width, kernel size or kind.
        CheckpointError: `init=` cannot be read, see `open_pretrained`.
    """
    if settings.init is None:
        if settings.init_freeze_steps:
            raise SettingsError(
                f"init_freeze_steps={settings.init_freeze_steps} trains only what a network of init= lacked, and init "
                f"is not set. Set init=…, or init_freeze_steps=0."
            )
        return None
    source = Path(settings.init)
    if settings.overwrite and source.resolve().is_relative_to(run.folder.resolve()):
        raise SettingsError(
            f"overwrite=true would delete init={source}, which lies in {run.folder}. Choose another name=…."
        )
    if run.last_checkpoints() and not settings.overwrite:
        if not settings.init_freeze_steps:
            return None
        lacking = f"init_freeze_steps={settings.init_freeze_steps}: no {run.init_file.name}"
        return Transfer(**read_json(run.init_file, InitFile, what=lacking))
    with keras.device("cpu:0"):
        pretrained = open_pretrained(source)
    transfer = take(pretrained, model, settings.model, shape, loss.outputs, scheme_of(settings.scheme), preparation)
    if settings.init_freeze_steps and not transfer.new_parts(model):
        raise SettingsError(
            f"init_freeze_steps={settings.init_freeze_steps}, but all weights come from {source}, so nothing is new. "
            f"Set init_freeze_steps=0."
        )
    return transfer


def take(
    source: Pretrained,
    model: keras.Model,
    options: Mapping[str, Any],
    shape: NetworkShape,
    outputs: str,
    scheme: Scheme,
    preparation: Preparation,
) -> Transfer:
    """Assign to `model` all weights of `source` that fit; its other weights stay as they are.

    Channels that the source lacks start at 0, so that at first the network gives the source's answers; with no channel
    in common the kernel stays as it was initialised, because a network that sees nothing learns little.

    Args:
        source: The trained network.
        model: The new network with its initial weights.
        options: Setting `model` of the new network.
        shape: Shape of the new network.
        outputs: Meaning of its logits, "regions" or "labels".
        scheme: What it segments.
        preparation: How its scans are prepared.

    Raises:
        SettingsError: The networks differ between their ends; nothing is assigned.
    """
    modalities = [str(modality) for modality in preparation.modalities]
    here = {variable.path: variable for variable in model.variables}
    there = {variable.path: np.asarray(variable) for variable in source.network.variables}
    heads, old_heads, inputs = head_layers(model), head_layers(source.network), input_layers(model)
    other = _other_logits(source, outputs, scheme)
    lacking = "the source has no such head" if source.all_heads else "an exported network has its first head only"
    values: dict[str, np.ndarray] = {}
    channels: dict[str, dict[str, Any]] = {}
    new: dict[str, str] = {}
    left_out: dict[str, str] = {}
    differ: list[str] = []
    for path, variable in here.items():
        found, wanted = there.get(path), tuple(variable.shape)
        if layer_of(path) in heads and (other is not None or found is None):
            new[path] = other or lacking
        elif found is None and not keras.backend.is_float_dtype(variable.dtype):
            new[path] = "it holds no weights"  # the state of a random generator
        elif found is None:
            differ.append(f"{path} (lacking in the source)")
        elif (
            layer_of(path) in inputs
            and path.endswith("/kernel")
            and (kernel := _by_channel(model, source, found, np.asarray(variable), modalities))
        ):
            values[path], channels[path] = kernel
        elif found.shape == wanted:
            values[path] = found
        else:
            differ.append(f"{path} ({_times(found.shape)} in the source, {_times(wanted)} here)")
    for path in there.keys() - here.keys():
        if layer_of(path) in old_heads:
            left_out[path] = other or "this run has no such head"
        elif keras.backend.is_float_dtype(there[path].dtype.name):
            differ.append(f"{path} (lacking here)")
    if source.modalities != modalities and not channels:
        differ.append(f"the image ({', '.join(source.modalities)} in the source, {', '.join(modalities)} here)")
    if other and not heads:
        differ.append(f"the logits ({other})")
    if differ or list(source.stride) != list(shape.stride):
        raise SettingsError(_refusal(source, differ, options, shape))
    for path, value in values.items():
        here[path].assign(value)
    return Transfer(
        source=short_path(str(source.path)),
        taken=sorted(values.keys() - channels.keys()),
        channels=dict(sorted(channels.items())),
        new=dict(sorted(new.items())),
        left_out=dict(sorted(left_out.items())),
        notes=_notes(source, options, preparation),
    )


def _by_channel(
    model: keras.Model, source: Pretrained, found: np.ndarray, initial: np.ndarray, modalities: Sequence[str]
) -> tuple[np.ndarray, dict[str, Any]] | None:
    """The kernel of a layer that reads the image, matched by channel, and its record; None where that is not needed."""
    order = _channel_names(model, modalities, initial.shape)
    old = _channel_names(source.network, source.modalities, found.shape)
    if order == old or order is None or old is None:
        return None
    if (*found.shape[:-2], found.shape[-1]) != (*initial.shape[:-2], initial.shape[-1]):
        return None
    shared = any(name in old for name in modalities)
    kernel = np.zeros_like(initial) if shared else initial.copy()
    for index, name in enumerate(order):
        if name in old:
            kernel[..., index, :] = found[..., old.index(name), :]
    return kernel, {
        "channels": order,
        "new": [name for name in order if name not in old],
        "start": "at 0" if shared else "anew",
        "left_out": [name for name in old if name not in order],
    }


def _channel_names(network: keras.Model, modalities: Sequence[str], kernel: Sequence[int]) -> list[str] | None:
    """Names of the channels that a kernel (…, channels, features) reads; None if it reads others."""
    added = [FOREGROUND] if FOREGROUND_LAYER in {layer.name for layer in network.layers} else []
    names = [*modalities, *added]
    return names if len(kernel) > 2 and kernel[-2] == len(names) else None


def _other_logits(source: Pretrained, outputs: str, scheme: Scheme) -> str | None:
    """A clause if the logits of the source stand for other regions or classes, or for them in another order."""
    if source.outputs != outputs:
        return f"the source predicts {source.outputs} and this run {outputs}"
    there, here = (one.of_channels(outputs) for one in (source.scheme, scheme))
    same = list(there.items()) == list(here.items())
    return None if same else f"the source predicts {', '.join(there)} and this run {', '.join(here)}"


def _refusal(source: Pretrained, differ: Sequence[str], options: Mapping[str, Any], shape: NetworkShape) -> str:
    """What the source has, what the settings ask for, and which setting to change."""
    old, options = _complete(source.options) or {"name": source.network.name}, _complete(options)
    if old["name"] != options["name"]:
        facts, advice = [f"model is {old['name']} in the source, {options['name']} here"], [f"model={old['name']}"]
    else:
        changed = [key for key in _changed(old, options) if key not in FITTING]
        facts = [f"model.{key} is {_text(old[key])} in the source, {_text(options[key])} here" for key in changed]
        advice = [f"model.{key}={_text(old[key])}" for key in changed]
    if list(source.stride) != list(shape.stride) and not facts:
        facts = [f"its stride is {_times(source.stride)} in the source, {_times(shape.stride)} here"]
    because = f": {'; '.join(facts)}" if facts else ""
    weights = f" {len(differ)} of the weights differ: {some(sorted(differ))}." if differ else ""
    remedy = f"Set {' '.join(advice)}" if advice else "Give model=, its options and data.modalities as in the source"
    return (
        f"init={source.path} holds another network{because}.{weights} Expected the same depth, width, kernel size and "
        f"kind of network; only modalities and outputs may differ. {remedy}, or leave out init=."
    )


def _notes(source: Pretrained, options: Mapping[str, Any], preparation: Preparation) -> list[str]:
    """One sentence about settings that differ although the weights fit, if there are any."""
    ends, old, new = ("name", "deep_supervision", "foreground_channel"), _complete(source.options), _complete(options)
    pairs = {f"model.{key}": (old[key], new[key]) for key in _changed(old, new) if key not in ends}
    prepared = preparation.as_dict()
    for key in ("spacing_mm", "crop", "normalise"):
        if _text(source.preparation[key]) != _text(prepared[key]):
            pairs[f"data.preparation.{key}"] = (source.preparation[key], prepared[key])
    listed = "; ".join(f"{key} is {_text(old)} in the source, {_text(here)} here" for key, (old, here) in pairs.items())
    return [f"Other settings than those the weights were trained with: {listed}."] if pairs else []


def _complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a network with their defaults; those of a network that is not installed here, as they are."""
    builder = models.known().get(options.get("name", ""))
    return dict(options) if builder is None else models.with_defaults(builder, options)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in new if key in old and _text(old[key]) != _text(new[key])]


def _text(value: Any) -> str:
    """A value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _times(lengths: Iterable[int]) -> str:
    return "×".join(map(str, lengths)) or "one number"
