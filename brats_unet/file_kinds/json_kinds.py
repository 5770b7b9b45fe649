"""Long because every JSON file of ours is listed: what it must hold, of what this program reads from it.

Types for `json_files.read_json`. Other keys may stand beside these. NotRequired: earlier versions lack it.
"""

from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union

from brats_unet.binding import Range

FromZero = Annotated[float, Range(0)]
Count = Annotated[int, Range(0)]
AboveZero = Annotated[int, Range(1)]
Loss = Annotated[float, Range(-3.5e38, 3.5e38)]  # of float32
Dice = Annotated[float, Range(-0.01, 1.01)]  # from 0 to 1, rounded


class Part(TypedDict):
    """The name of a part; its options stand beside it."""

    name: str


class _PreparationKeys(TypedDict):
    modalities: list[str]
    spacing_mm: Optional[list[float]]
    crop: str
    normalise: str


class _InferenceKeys(TypedDict):
    mode: str
    tile: list[AboveZero]
    overlap: float
    tile_batch: NotRequired[AboveZero]
    mirror: NotRequired[Any]


class RecipeFile(TypedDict):
    """recipe.json of a run; see `inference.network.recipe`."""

    model: Part
    outputs: Literal["regions", "labels"]
    logits: AboveZero
    stride: list[AboveZero]
    preparation: _PreparationKeys
    inference: _InferenceKeys
    scheme: NotRequired[dict[str, Any]]
    convention: str
    precision: str
    modality_dropout: NotRequired[FromZero]
    files: NotRequired[Optional[dict[str, Any]]]
    postprocessing: NotRequired[dict[str, Any]]


class _NetworkFileKeys(TypedDict):
    file: Any  # checked by `named_files.file_in`
    format: str
    rank: int
    multiple_of: list[AboveZero]
    blake2b: NotRequired[dict[str, str]]


class _LabelKeys(TypedDict):
    convention: str


class _ExportedInferenceKeys(TypedDict):
    mode: str
    tile: list[AboveZero]
    overlap: float
    tile_batch: AboveZero
    mirror: Any


class ExportFile(TypedDict):
    """prediction.json of an exported network."""

    network: _NetworkFileKeys
    preparation: _PreparationKeys
    inference: _ExportedInferenceKeys
    labels: _LabelKeys
    modality_dropout: FromZero
    postprocessing: dict[str, Any]
    scheme: NotRequired[dict[str, Any]]
    files: NotRequired[Optional[dict[str, Any]]]
    model: NotRequired[dict[str, Any]]
    source: NotRequired[dict[str, Any]]


class _DataKeys(TypedDict):
    name: str
    root: Optional[str]
    modalities: list[str]
    leave_out: list[str]
    cache: str
    files: NotRequired[Optional[dict[str, Any]]]
    spacing_mm: NotRequired[Optional[list[FromZero]]]
    validation_root: NotRequired[Optional[str]]
    fold: NotRequired[Union[int, str]]
    folds: NotRequired[Optional[int]]
    fold_seed: NotRequired[int]
    splits: NotRequired[Optional[str]]


class _SamplingKeys(TypedDict):
    batch: NotRequired[AboveZero]


class DataFile(TypedDict):
    """settings.json of a run, for what finds its cases again."""

    data: _DataKeys


class SettingsFile(TypedDict):
    """settings.json of a run."""

    data: NotRequired[dict[str, Any]]
    model: NotRequired[Part]
    sampling: NotRequired[_SamplingKeys]
    steps: NotRequired[Optional[int]]
    rules: NotRequired[Optional[int]]
    init: NotRequired[Optional[str]]
    scheme: NotRequired[dict[str, Any]]


class PlacesFile(TypedDict):
    """settings.json of a run or of an evaluation of loose masks, as far as it names folders."""

    data: NotRequired[dict[str, Any]]
    folders: NotRequired[dict[str, Any]]


class CheckpointKeys(TypedDict):
    """The metadata of a checkpoint; see `models.checkpoint.State`."""

    step: Count
    loss_scale: NotRequired[Optional[list[float]]]
    best: NotRequired[Optional[float]]
    seconds: NotRequired[Optional[float]]
    left_out: NotRequired[list[int]]
    running_mean: NotRequired[Optional[float]]
    validation_pending: NotRequired[bool]
    blake2b: NotRequired[Union[str, dict[str, str]]]


class _SubjectKeys(TypedDict):
    case: str
    patient: str
    stratum: str
    duplicates: str


class DivisionFile(TypedDict):
    """folds.json of a run."""

    train: list[str]
    validation: list[str]
    subjects: NotRequired[list[_SubjectKeys]]
    contents: NotRequired[dict[str, str]]


class FoldsFile(TypedDict):
    """folds.json as `data.splits`."""

    folds: AboveZero
    assignment: dict[str, int]


class AllFoldsFile(FoldsFile):
    """The folds of a dataset in the cache."""

    seed: int
    digest: str
    subjects: list[_SubjectKeys]


class EnvironmentFile(TypedDict):
    """environment.json of a run."""

    command: NotRequired[list[str]]
    packages: NotRequired[Optional[dict[str, Any]]]
    plugins: NotRequired[dict[str, dict[str, str]]]


class InitFile(TypedDict):
    """init.json of a run; see `assembly.init_record.Transfer`."""

    source: str
    taken: list[str]
    channels: dict[str, dict[str, Any]]
    new: dict[str, str]
    left_out: dict[str, str]
    notes: list[str]


class _NetworkKeys(TypedDict):
    weights: NotRequired[str]
    recipe: dict[str, Any]


class MasksFile(TypedDict):
    """predictions.json or fusion.json beside masks."""

    networks: NotRequired[list[_NetworkKeys]]
    convention: NotRequired[str]
    scheme: NotRequired[dict[str, Any]]
    postprocessing: NotRequired[dict[str, Any]]
    weights: NotRequired[dict[str, Any]]
    data: NotRequired[str]


class _StepKeys(TypedDict):
    adopted: bool


class TunedFile(TypedDict):
    """postprocessing.json, or a file of `postprocess=`, which may hold the rules alone."""

    postprocessing: NotRequired[dict[str, Any]]
    n: NotRequired[int]
    gain: NotRequired[float]
    metric: NotRequired[str]
    steps: NotRequired[list[_StepKeys]]


class _StatisticsKeys(TypedDict):
    unit: str
    n: Count
    undefined: Count
    mean: Optional[float]
    median: Optional[float]
    q1: Optional[float]
    q3: Optional[float]
    interval: NotRequired[Optional[list[float]]]


class _RegionKeys(TypedDict):
    all_cases: dict[str, _StatisticsKeys]
    empty_references: NotRequired[Count]
    empty_predictions: NotRequired[Count]


class EmptyRule(TypedDict):
    """Scores of a protocol for a region that is absent: from both masks, or all but one."""

    both: Optional[float]
    reference: Optional[float]
    prediction: Optional[float]


class _ProtocolKeys(TypedDict):
    name: str
    hd95_definition: NotRequired[str]
    metrics: NotRequired[list[str]]
    absent_ranks_first: NotRequired[bool]


class _MaskKeys(TypedDict):
    path: str
    channel: Optional[Count]
    spacing_mm: NotRequired[Optional[list[float]]]


class _FileKeys(TypedDict):
    reference: str
    prediction: Optional[str]
    reference_labels: str
    prediction_labels: str
    images: dict[str, _MaskKeys]


class _SeedKeys(TypedDict):
    n: NotRequired[Count]
    means: NotRequired[dict[str, dict[str, dict[str, float]]]]


class _PackageMetricKeys(TypedDict):
    better: str
    definition: str
    range: str
    package: str
    version: str


class _IntervalKeys(TypedDict, total=False):
    level: float
    method: str
    draws: Count
    seed: int
    least_cases: Count


class SummaryFile(TypedDict):
    """summary.json of an evaluation; `evaluation.record.require_whole` says what a whole one has."""

    title: NotRequired[str]
    note: NotRequired[str]
    cases: NotRequired[Count]
    regions: NotRequired[dict[str, _RegionKeys]]
    trivial_predictors: NotRequired[dict[str, dict[str, Union[Count, dict[str, _StatisticsKeys], str]]]]
    interval: NotRequired[_IntervalKeys]
    protocol: NotRequired[_ProtocolKeys]
    references: NotRequired[dict[str, str]]
    scheme: NotRequired[dict[str, Any]]
    files: NotRequired[dict[str, _FileKeys]]
    figures: NotRequired[list[str]]
    command: NotRequired[list[str]]
    seed: NotRequired[_SeedKeys]
    package_metrics: NotRequired[dict[str, _PackageMetricKeys]]


class _CachedFileKeys(TypedDict):
    bytes: int
    blake2b: str


class _TurnKeys(TypedDict):
    axes: list[int]
    reverse: list[bool]


class _BoxKeys(TypedDict):
    start: list[int]
    stop: list[int]


class _StraightKeys(TypedDict):
    shape: list[int]
    affine: list[list[float]]


class GridKeys(TypedDict):
    """See `data.prepare.grid.Grid`."""

    case_shape: list[AboveZero]
    case_affine: list[list[float]]
    turn: _TurnKeys
    box: _BoxKeys
    ratio: list[float]
    lead: list[float]
    straight: NotRequired[Optional[_StraightKeys]]
    spacing_known: NotRequired[bool]


class ManifestFile(TypedDict):
    """prepared.json of a prepared case."""

    files: dict[str, _CachedFileKeys]
    grid: GridKeys
    regions: NotRequired[list[str]]
    warnings: NotRequired[list[str]]


class _PresentKeys(TypedDict):
    present: Count
    median_mm3: Optional[float]


class FingerprintFile(TypedDict):
    """See `data.fingerprint.fingerprint`."""

    key: str
    cases: Count
    median_shape: list[float]
    largest_shape: list[int]
    case_spacing_mm: list[float]
    voxels: int
    intensities: dict[str, dict[str, float]]
    regions: dict[str, _PresentKeys]


class PhantomFile(TypedDict):
    """phantom.json in a folder of phantoms."""

    cases: Count
    varieties: NotRequired[dict[str, str]]


class Line(TypedDict):
    """A line of the journal of a training."""

    event: str
    step: NotRequired[Count]


class _StepLine(TypedDict):
    event: str
    step: Count
    loss: Optional[Loss]
    patches_per_second: NotRequired[FromZero]


class _PatchesLine(TypedDict):
    event: str
    step: Count
    loss: Optional[Loss]
    dice: dict[str, Optional[Dice]]
    seconds: NotRequired[Optional[FromZero]]


class _ValidationLine(TypedDict):
    event: str
    step: Count
    dice: dict[str, Dice]
    seconds: NotRequired[Optional[FromZero]]


class _EndLine(Line):
    state: str
    seconds: FromZero
    sentence: NotRequired[str]


LINES: dict[str, Any] = {"step": _StepLine, "patches": _PatchesLine, "validation": _ValidationLine, "end": _EndLine}
