"""Long because all commands are here: the settings of each as dataclasses of plain types with their limits.

The values stand in conf/. A section whose options depend on a part chosen by name (`model`, `loss`, …) is a plain
mapping with the key `name`; its options are held against the signature of that part before any data is read.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, Union

from brats_unet.binding import Range
from brats_unet.training.rules import NEWEST

Options = dict[str, Any]
MOST_STEPS = 2**31 - 1  # steps are keys of random draws
Seed = Annotated[int, Range(0, 2**32 - 1)]
FromZero = Annotated[int, Range(0)]
FromOne = Annotated[int, Range(1)]
Share = Annotated[float, Range(0, 1)]
AboveZero = Annotated[float, Range(0, above_least=True)]
Paths = Union[str, list[str]]


@dataclass
class Data:
    """Where the scans are, what they mean, how they are prepared and divided into folds (conf/data/)."""

    name: str  # reader: brats, files, lgg or phantom
    root: Optional[str]
    files: Optional[Options]  # patterns by scan, see data.readers.file_patterns; None unless name is files
    labels: str  # label convention, or auto
    modalities: list[str]
    leave_out: list[str]  # case ids to leave out
    cache: str  # folder for the prepared volumes
    preparation: Options  # see data.prepare.preprocess.Preparation
    folds: Optional[int]  # 2 or more, unless `fold`, `splits` or `validation_root` does without
    fold: Any  # 0 to folds-1, or "all"
    fold_seed: Seed
    splits: Optional[str]  # JSON file with the user's own folds
    validation_root: Optional[str]  # folder of cases to hold out instead of a fold
    cases: FromOne  # phantoms only: how many to make
    seed: Seed  # phantoms only
    grid: Optional[list[FromOne]]  # phantoms only: voxels along x, y, z; None: the usual grid of the scheme
    spacing_mm: Optional[list[AboveZero]]  # voxel edge lengths along x, y, z, of phantoms and of TIFF slices


@dataclass
class Sampling:
    """Patches and batches."""

    patch: list[int]  # voxels of the prepared grid along x, y, z; a 1 makes an axial slice
    batch: FromOne  # patches of one update, over all devices
    accumulate: FromOne  # parts of it that a device computes one after another
    rate_for_batch: Optional[FromOne]  # batch that the learning rate was chosen for; None: this one
    foreground: Share  # share of patches centred on a region
    regions: Optional[dict[str, Annotated[float, Range(0)]]]  # weight of each region in that choice; None: equal
    overhang: bool  # whether such a patch may extend beyond the far border of the volume
    keep: Literal["auto", "disk", "memory", "device"]  # where the prepared cases are kept while training
    slices: Optional[list[FromZero]]  # half-open range of axial slices to draw from, on the case's own grid


@dataclass
class Inference:
    """How whole volumes are predicted; stored with the run."""

    mode: Literal["whole", "tiles"]
    tile: list[int]  # voxels along x, y, z
    overlap: Annotated[float, Range(0, 1, below_most=True)]  # share of a tile that neighbours have in common
    tile_batch: FromOne
    mirror: Any  # none, all, or a list of axes


@dataclass
class Validation:
    """How often the run validates, on how many held-out cases, and on how many of their patches."""

    every: Annotated[float, Range(0, 1, above_least=True)]  # share of the steps between validations
    cases: Optional[FromZero]  # held-out cases at most; None for all
    patches_every: Optional[FromOne]  # steps between validations on patches; None for none
    patch_batches: FromOne  # batches of patches in each


@dataclass
class Checkpoint:
    """How often a training saves its state, what it keeps, and how long a stop may take."""

    every_steps: Optional[FromOne]  # None: each hundredth of the run
    every_minutes: Optional[AboveZero]  # None: no limit
    keep: FromOne  # last checkpoints
    stop_seconds: Optional[AboveZero]  # None: no limit


@dataclass
class Hardware:
    """Devices and precision (conf/hardware/)."""

    device: Literal["auto", "cpu", "gpu", "mirrored", "workers"]
    precision: Literal["auto", "float32", "bfloat16", "float16"]
    jit: Literal["auto", "on", "off"]
    replicas: Optional[FromOne]  # logical CPU devices to mirror on, for trying it without GPUs
    synchronized_norm: bool  # whether batch normalisation uses the patches of all devices
    deadline_seconds: AboveZero  # how long a worker may be late or silent


@dataclass
class Train:
    """Settings of `brats-unet train`."""

    experiment: str
    name: Optional[str]
    tag: Optional[str]  # added to the run's name
    runs: str
    seed: Seed
    steps: Optional[Annotated[int, Range(1, MOST_STEPS)]]
    minutes: Optional[AboveZero]
    until: Optional[FromOne]
    sweep: Optional[Literal["random", "halving"]]
    trials: FromOne
    sweep_seed: Seed
    rungs: Optional[list[FromOne]]
    over: Optional[Options]  # ranges by setting, see cli.search_space
    init: Optional[str]  # run folder, .keras file or exported folder
    init_freeze_steps: FromZero
    rules: Optional[Annotated[int, Range(1, NEWEST)]]  # see training.rules
    scheme: Options  # what is segmented, see schemes.scheme_file (conf/scheme/)
    plan: Optional[str]  # a plan's file, or auto
    planned_for: Optional[Options]  # dataset that the plan was made for, see data.fingerprint
    tracking: Literal["none", "mlflow", "wandb", "trackio"]  # who is told besides TensorBoard, see training.trackers
    tracking_project: str
    tracking_pictures: bool
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
    postprocessing: Optional[Options]  # rules by name and region, see inference.postprocess; None for none
    validation: Validation
    checkpoint: Checkpoint
    hardware: Hardware


@dataclass
class Plan(Train):
    """Settings of `brats-unet plan`: those of train, and the limits of the plan."""

    output: Optional[str]
    memory_gib: Optional[AboveZero]
    largest_batch: Optional[FromOne]
    probe: bool
    choices: dict[str, str]  # choice of each group, written into the file


@dataclass
class Crossval(Train):
    """Settings of `brats-unet crossval`: those of train, and the number of folds."""

    folds: Annotated[int, Range(2)]
    figures: bool
    report: bool


@dataclass
class Doctor(Train):
    """Settings of `brats-unet doctor`: those of train, and what to measure."""

    measure: bool
    seconds: AboveZero  # length of each measurement


@dataclass
class OtherData:
    """Cases for `brats-unet evaluate run=…` to score instead of those that the run held out; all None: those."""

    root: Optional[str]
    labels: Optional[str]  # label convention of the masks in `root`; None: that of the run if they are its own, or auto
    leave_out: Optional[list[str]]  # case ids
    cache: Optional[str]  # folder that remembers hashes of scans; None: that of the run
    spacing_mm: Optional[list[AboveZero]]  # as in Data; None: that of the run for its own cases, else unknown
    files: Optional[Options]  # patterns by scan, as in Data; None: those of the run


@dataclass
class MovedData:
    """Where the data of a run are now, for `brats-unet tune` and `reproduce`; None: where they were."""

    root: Optional[str]
    cache: Optional[str]  # folder that remembers hashes of scans


@dataclass
class MovedScans:
    """Where the scored scans are now, for `brats-unet report`; None: where they were."""

    root: Optional[str]


@dataclass
class SideLabels:
    """Label conventions of two folders of masks; "auto" detects one."""

    references: str
    predictions: str


@dataclass
class Evaluate:
    """Settings of `brats-unet evaluate`: one run, several (out-of-fold), or two folders of masks."""

    run: Optional[Paths]
    checkpoint: Literal["last", "best"]
    mode: Literal["auto", "whole", "tiles"]
    mirror: Any  # auto, none, all, or a list of axes
    postprocess: str  # auto, none, or a JSON file
    data: OtherData
    predictions: Optional[str]
    references: Optional[str]
    output: Optional[str]
    scheme: Optional[Options]  # what the masks show; None: that of the run, or decided from the masks
    labels: Union[str, SideLabels]  # text: of both folders
    spacing_mm: Optional[list[AboveZero]]  # of masks that are NumPy arrays
    protocol: str  # auto, brats2020, brats2023, brats2026, nnunet or seed
    tolerances_mm: Any  # millimetres, one number or a list; None: those of the protocol
    calibration: bool
    allow_missing: bool
    figures: bool
    seed_scores: bool
    device: str
    workers: FromZero  # 0: one for each core
    json: bool


@dataclass
class Compare:
    """Settings of `brats-unet compare`."""

    runs: Paths  # run folders, folders of evaluations or scores.csv
    metrics: Optional[list[str]]  # None: Dice and HD95
    output: Optional[str]  # JSON file to write
    json: bool


@dataclass
class Report:
    """Settings of `brats-unet report`."""

    run: str  # run folder, or folder of an evaluation
    data: MovedScans
    output: Optional[str]  # HTML file to write
    viewer: FromZero  # cases whose scans can be scrolled
    cases: Optional[list[str]]  # ids of these cases, instead of `viewer`
    pictures: Optional[FromZero]  # cases drawn from the worst and from the best; None: by the number of cases
    grad_cam: Any  # none, all, or regions: Grad-CAM of the cases in the pictures
    layer: Optional[str]  # layer of Grad-CAM; None: the last one of the encoder
    paper: Literal["none", "single", "middle", "double"]  # width of figures for a paper, which are drawn too
    json: bool


@dataclass
class Predict:
    """Settings of `brats-unet predict`."""

    run: Optional[Paths]  # run folder, exported network, or .keras file with its recipe.json; a list is an ensemble
    input: Optional[str]
    files: Optional[Options]  # patterns by scan, as in Data
    spacing_mm: Optional[list[AboveZero]]  # voxel edge lengths of scans that do not hold them
    flair: Optional[str]
    t1: Optional[str]
    t1ce: Optional[str]
    t2: Optional[str]
    case: Optional[str]  # name of the case whose four files are given
    output: str
    checkpoint: Literal["last", "best"]
    mode: Literal["auto", "whole", "tiles"]
    mirror: Any  # auto, none, all, or a list of axes
    postprocess: str  # auto, none, or a JSON file
    labels: str  # label convention to write; auto: that of the training data
    probabilities: bool
    uncertainty: bool
    masks_only: bool  # neither volumes.csv nor the record of the networks
    mask_format: Literal["nifti", "input"]
    overwrite: bool
    device: str
    trust: bool  # run a SavedModel, which can hold any program
    json: bool


@dataclass
class Tune:
    """Settings of `brats-unet tune`."""

    run: Optional[Paths]  # run folder, or a list of runs of different folds
    checkpoint: Literal["last", "best"]
    data: MovedData
    metric: Literal["dice", "hd95", "rank"]
    folds: Annotated[int, Range(2)]
    rules: list[str]  # names of `inference.postprocess.Postprocessing`, in the order they are searched
    mode: Literal["auto", "whole", "tiles"]
    mirror: Any  # auto, none, all, or a list of axes
    device: str
    seed: Seed
    json: bool


@dataclass
class Export:
    """Settings of `brats-unet export`."""

    run: Optional[Paths]  # one run folder, or one .keras file with its recipe.json beside it
    output: str
    format: str  # keras, savedmodel, onnx or openvino
    checkpoint: Literal["last", "best"]
    postprocess: str  # auto, none, or a JSON file
    overwrite: bool
    json: bool


@dataclass
class Fuse:
    """Settings of `brats-unet fuse`."""

    inputs: list[str]  # folders of masks, or masks of one case
    output: str
    scheme: Optional[Options]  # what the masks show; None: as recorded beside them, or decided from them
    method: str  # majority, staple, simple
    per: Literal["regions", "labels"]
    labels: Any  # label convention of the inputs, or auto; or a list with one for each input
    write: str  # label convention to write; auto: that of the first input
    mask_format: Literal["nifti", "input"]
    references: Optional[str]
    allow_missing: bool
    overwrite: bool
    json: bool


@dataclass
class Runs:
    """Settings of `brats-unet runs`."""

    folder: str
    sort: str  # key of report.run_table.SORTS
    state: Optional[str]  # one of report.run_facts.STATES
    match: Optional[str]  # text in the name or the settings
    output: Optional[str]  # CSV file to write
    json: bool


@dataclass
class Reproduce:
    """Settings of `brats-unet reproduce`."""

    run: str  # run folder of a training that is done
    output: Optional[str]  # folder of the repetition
    data: MovedData
    json: bool


@dataclass
class Check:
    """Settings of `brats-unet check`."""

    scheme: Options  # what the masks show, see schemes.scheme_file
    data: Data
    json: bool
    report: Optional[str]  # JSON file to write
    pictures: Optional[str]  # folder for a picture of each case with an error or a warning


@dataclass
class Phantom:
    """Settings of `brats-unet phantom`."""

    output: str
    scheme: Options  # what the masks show, see schemes.scheme_file
    cases: FromOne
    seed: Seed
    grid: Optional[list[FromOne]]  # voxels along x, y, z; None: the usual grid of the scheme
    spacing_mm: Optional[list[AboveZero]]  # voxel edge lengths along x, y, z
    workers: FromOne
    json: bool
