"""Long because all commands are here: what each may be told, as dataclasses of plain types; values stand in conf/.

A section whose options depend on a part chosen by name (`model`, `loss`, …) is a plain mapping with the key `name`; its
options are held against that part's signature before any data is read.
"""

from dataclasses import dataclass
from typing import Any, Literal, Optional

Options = dict[str, Any]


@dataclass
class Data:
    """Where the scans are, what they mean, how they are prepared and divided (conf/data/)."""

    name: str  # reader: brats | phantom
    root: Optional[str]
    labels: str  # label convention, or auto
    modalities: list[str]
    leave_out: list[str]  # case ids to pass over
    cache: str  # folder of the prepared volumes
    preparation: Options  # see data.preprocess.Preparation
    folds: int
    fold: Any  # 0 … folds-1, or "all"
    fold_seed: int
    splits: Optional[str]  # a split file of the user's own
    validation_root: Optional[str]  # an external validation folder
    cases: int  # phantoms only: how many, and from which seed
    seed: int


@dataclass
class Sampling:
    """Patches and batches."""

    patch: list[int]  # voxels of the prepared grid along x, y, z; a 1 makes a slice
    batch: int  # patches of one update, over all replicas
    accumulate: int  # parts of it that a replica computes one after another
    foreground: float  # share of patches centred on a region
    regions: dict[str, float]  # weight of each region in that choice
    keep: Literal["auto", "disk", "memory", "device"]  # where the prepared cases stay while training
    slices: Optional[list[int]]  # half-open range of axial slices to draw from, on the case's own grid


@dataclass
class Inference:
    """How whole volumes are predicted; part of the run."""

    mode: Literal["whole", "tiles"]
    tile: list[int]
    overlap: float
    tile_batch: int
    mirror: Any  # none, all, or a list of axes


@dataclass
class Validation:
    """When and on how much the run looks at its held-out cases."""

    every: float  # share of the budget between validations
    cases: Optional[int]  # at most so many held-out cases, None for all


@dataclass
class Hardware:
    """What computes, in which precision (conf/hardware/)."""

    device: Literal["auto", "cpu", "gpu", "mirrored"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    jit: Literal["auto", "on", "off"]
    replicas: Optional[int]  # logical CPU devices to mirror on, for trying it without GPUs


@dataclass
class Train:
    """`brats-unet train`."""

    experiment: str
    name: Optional[str]
    tag: Optional[str]  # added to the run's name
    runs: str
    seed: int
    steps: Optional[int]
    minutes: Optional[float]
    init: Optional[str]
    plan: Optional[str]  # a plan's file, or auto
    planned_for: Optional[Options]  # the dataset of the plan, see data.fingerprint
    overwrite: bool
    json: bool
    data: Data
    model: Options
    loss: Options
    augmentation: Options
    optimizer: Options
    schedule: Options
    sampling: Sampling
    inference: Inference
    validation: Validation
    hardware: Hardware


@dataclass
class Plan(Train):
    """`brats-unet plan`: what train is told, and how far the plan may go."""

    output: Optional[str]
    memory_gib: Optional[float]
    largest_batch: Optional[int]
    probe: bool
    choices: dict[str, str]  # of the groups, for the file to name them


@dataclass
class Doctor(Train):
    """`brats-unet doctor`: what train is told, and whether to measure."""

    measure: bool
    seconds: float  # of each measurement


@dataclass
class Evaluate:
    """`brats-unet evaluate`: a run, several (out-of-fold), or two folders of masks."""

    run: Any  # path, list of paths, or None
    checkpoint: Literal["last", "best"]
    mode: Literal["auto", "whole", "tiles"]
    mirror: Any  # auto, none, all, or a list of axes
    postprocess: str  # auto, none, or a JSON file
    predictions: Optional[str]
    references: Optional[str]
    output: Optional[str]
    labels: str
    protocol: str  # brats2020, brats2023, nnunet or seed
    tolerances_mm: Any  # millimetres, one or a list
    calibration: bool
    allow_missing: bool
    figures: bool
    seed_scores: bool
    device: str
    workers: int
    json: bool


@dataclass
class Compare:
    """`brats-unet compare`."""

    runs: Any  # list of run folders, folders of evaluations or scores.csv
    metrics: list[str]
    output: Optional[str]  # JSON file to write
    json: bool


@dataclass
class Report:
    """`brats-unet report`."""

    run: str  # run folder, or folder of an evaluation
    output: Optional[str]  # HTML file to write
    viewer: int  # cases that can be scrolled
    cases: Optional[list[str]]  # their ids instead
    pictures: int  # cases that are drawn at either end
    json: bool


@dataclass
class Predict:
    """`brats-unet predict`."""

    run: Any  # run folder, exported network, .keras file with its recipe.json beside it, or a list (ensemble)
    input: Optional[str]
    flair: Optional[str]
    t1: Optional[str]
    t1ce: Optional[str]
    t2: Optional[str]
    case: Optional[str]  # name of the case whose files are given one by one
    output: str
    checkpoint: Literal["last", "best"]
    mode: Literal["auto", "whole", "tiles"]
    mirror: Any  # auto, none, all, or a list of axes
    postprocess: str  # auto, none, or a JSON file
    labels: str  # convention to write; auto: that of the run's training data
    probabilities: bool
    uncertainty: bool
    overwrite: bool
    device: str
    json: bool


@dataclass
class Tune:
    """`brats-unet tune`."""

    run: Any  # run folder, or list of those of different folds
    checkpoint: Literal["last", "best"]
    metric: Literal["dice", "hd95", "rank"]
    folds: int
    rules: list[str]  # names of `inference.postprocess.Postprocessing`, in the order they are searched
    mode: Literal["auto", "whole", "tiles"]
    mirror: Any  # auto, none, all, or a list of axes
    device: str
    seed: int
    json: bool


@dataclass
class Export:
    """`brats-unet export`."""

    run: Any  # run folder, or a .keras file with its recipe.json beside it; one alone
    output: str
    format: str  # keras, savedmodel, onnx or openvino
    checkpoint: Literal["last", "best"]
    postprocess: str  # auto, none, or a JSON file
    overwrite: bool
    json: bool


@dataclass
class Fuse:
    """`brats-unet fuse`."""

    inputs: list[str]  # folders of masks, or masks of one case
    output: str
    method: str  # majority, staple, simple
    per: Literal["regions", "labels"]
    labels: Any  # convention of the inputs, or auto; or a list, one for each
    write: str  # convention to write; auto: that of the first input
    references: Optional[str]
    allow_missing: bool
    overwrite: bool
    json: bool


@dataclass
class Check:
    """`brats-unet check`."""

    data: Data
    json: bool
    report: Optional[str]  # JSON file to write


@dataclass
class Phantom:
    """`brats-unet phantom`."""

    output: str
    cases: int
    seed: int
    workers: int
    json: bool
