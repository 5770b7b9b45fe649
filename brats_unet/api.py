"""The Python interface: a trained network as a function from one case to labels, for notebooks.

    from brats_unet import load

    segment = load("runs/mine")
    result = segment("/scans/Phantom20_001")
    result.volumes_ml, result.labels.shape
    result.save("mask.nii.gz")

The result equals what `brats-unet predict` writes: both call the same functions.
"""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.assembly.networks import open_for_prediction, run_paths
from brats_unet.data.readers.incomplete import cases_to_predict, named_case
from brats_unet.errors import DataError, SettingsError
from brats_unet.heat_map import HeatMap
from brats_unet.inference.ensemble import predict_ensemble
from brats_unet.inference.grad_cam import explain_case
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.predicting import known_scans, outcome_of, prepared_for, trained_patterns
from brats_unet.inference.probability_maps import scan_of
from brats_unet.modality import Modality
from brats_unet.picture import AnyPath
from brats_unet.schemes.convention import Convention
from brats_unet.segmentation import Segmentation
from brats_unet.spelling import suggestion
from brats_unet.volume import Case


class Segmenter:
    """One network or an ensemble as a function from a case to its segmentation; made by `load`.

    Args:
        networks: Networks to average.
        rules: Post-processing, from probabilities to labels.
        convention: Label convention of the results.
        log: Called with one sentence about anything the user should know.
    """

    def __init__(
        self, networks: Sequence[Network], rules: Postprocessing, convention: Convention, log: Callable[[str], None]
    ) -> None:
        self.networks = tuple(networks)
        self.rules = rules
        self.convention = convention
        self.log = log

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that at least one network takes."""
        return tuple(map(str, known_scans(self.networks)[0]))

    def __repr__(self) -> str:
        return f"<Segmenter of {len(self.networks)}: {', '.join(self.modalities)} -> {self.convention.name} labels>"

    def __call__(self, case: AnyPath | Mapping[str, AnyPath], *, name: str | None = None) -> Segmentation:
        """Segment one case.

        Args:
            case: Folder of the case, with any file names that `brats-unet predict` reads; or its files by modality,
                such as {"flair": …, "t1": …, "t1ce": …, "t2": …}.
            name: Name of the case if files are given; None takes it from the first file's name.

        Raises:
            DataError: A scan is missing or unreadable, the scans do not share a grid, or the folder does not hold
                exactly one case.
            SettingsError: An unknown modality, or a scan that the networks need was not given.
        """
        opened = self._case(case, name)
        prepared = prepared_for(self.networks, opened)
        warnings = next(iter(prepared.values())).warnings
        for sentence in warnings:
            self.log(sentence)
        answer = predict_ensemble(self.networks, prepared)
        outcome = outcome_of(answer, warnings, self.rules, self.convention.scheme)
        facts = {fact.region: fact for fact in outcome.facts}
        return Segmentation(
            case=opened.id,
            labels=self.convention.encode(outcome.labels),
            probabilities=outcome.probabilities,
            affine=np.array(answer.shares[0].grid.case_affine),
            volumes_ml={region: fact.volume_mm3 / 1000 for region, fact in facts.items()},
            mean_probability={region: fact.mean_probability for region, fact in facts.items()},
            agreement={region: fact.agreement for region, fact in facts.items()},
            review=tuple(outcome.review),
            scheme=self.convention.scheme,
            convention=self.convention.name,
            scans=(scan_of(opened).path, *(file.path for file in opened.images.values())),
            images=opened.images,
        )

    def grad_cam(
        self, case: AnyPath | Mapping[str, AnyPath], region: str, *, layer: str | None = None, name: str | None = None
    ) -> HeatMap:
        """Which parts of a case make the networks predict a region, by Grad-CAM.

        A map of what raises the region, not of where it is, and no evidence that the mask is right.

        Args:
            case: As in a call.
            region: One of the regions that the networks predict, such as "ET".
            layer: Name of a layer of features; None is the last one of the encoder.
            name: As in a call.

        Returns:
            The mean over the networks; without mirroring.

        Raises:
            DataError: As in a call.
            SettingsError: There is no such region or layer, or a network was exported and has no gradients.
        """
        opened = self._case(case, name)
        prepared = prepared_for(self.networks, opened)
        found = explain_case(self.networks, prepared, region, layer)
        if found.probability.max() < 0.5:
            self.log(f"{opened.id}: no voxel of {region} is predicted; the map is about where it comes closest.")
        return HeatMap(
            case=opened.id,
            region=region,
            layer=found.layer,
            values=found.heat,
            probability=found.probability,
            affine=np.array(next(iter(prepared.values())).grid.case_affine),
            scheme=self.convention.scheme,
            images=opened.images,
        )

    def _case(self, case: AnyPath | Mapping[str, AnyPath], name: str | None) -> Case:
        modalities, fill = known_scans(self.networks)
        if isinstance(case, Mapping):
            known = {str(modality): modality for modality in (*Modality, *modalities)}
            for key in case:
                if key not in known:
                    raise SettingsError(f"There is no modality named {key}. {suggestion(str(key), known)}")
            files = {known[key]: str(path) for key, path in case.items()}
            return named_case(files, modalities, name=name, fill_missing=fill)
        dataset = cases_to_predict(Path(case), modalities, fill_missing=fill, trained=trained_patterns(self.networks))
        for note in dataset.notes:
            self.log(note)
        if len(dataset.cases) != 1:
            hint = f" The first is {dataset.cases[0].id}." if dataset.cases else ""
            raise DataError(
                f"{case} holds {len(dataset.cases)} cases.{hint} Expected one case: give its own folder, or predict a "
                f"folder of cases with `brats-unet predict`."
            )
        return dataset.cases[0]


def load(
    run: AnyPath | Sequence[AnyPath],
    *,
    checkpoint: str = "last",
    mode: str = "auto",
    mirror: Any = "auto",
    postprocess: str = "auto",
    labels: str = "auto",
    device: str = "auto",
    trust: bool = False,
    log: Callable[[str], None] = print,
) -> Segmenter:
    """Load a trained network as a function from a case to its segmentation.

    "auto" means the same as for `brats-unet predict`.

        >>> segment = load("runs/small")
        >>> result = segment("scans/Phantom20_001")
        >>> result.labels.dtype, list(result.volumes_ml)
        (dtype('uint8'), ['WT', 'TC', 'ET'])
        >>> result.save("mask.nii.gz").name
        'mask.nii.gz'

    Args:
        run: A run folder, its `.keras` file, or an exported network (its folder or its file); a list makes an ensemble.
            An ONNX network needs neither TensorFlow nor Keras.
        checkpoint: Checkpoint of a run folder, "last" or "best".
        mode: "whole" or "tiles"; "auto": the mode of the run.
        mirror: "none", "all" or a list of axes such as ["x", "y"]: also predict mirrored volumes and average; "auto":
            the mirroring of the run.
        postprocess: "none", a JSON file, or "auto": the thresholds saved beside the network.
        labels: Label convention of the networks' scheme, such as "brats2023"; "auto": that of the training data.
        device: "auto", "cpu" or "gpu".
        trust: Whether a SavedModel may run. It is a program that can read and write your files: True only if you know
            who made it. Other formats never run code and ignore this.
        log: Called with one sentence about anything the user should know. Use `lambda sentence: None` for silence.

    Raises:
        CheckpointError: `run` does not exist, cannot be read, or is not safe to open.
        SettingsError: Unknown value of an argument.
        MachineError: The package that runs the network is not installed, or the device does not exist.
    """
    paths = run_paths([fspath(path) for path in ([run] if isinstance(run, (str, PathLike)) else run)])
    networks, rules, convention = open_for_prediction(
        paths,
        checkpoint=checkpoint,
        mode=mode,
        mirror=mirror,
        postprocess=postprocess,
        labels=labels,
        device=device,
        trust=trust,
        log=log,
    )
    return Segmenter(networks, rules, convention, log)
