"""How similar two volumes are, wherever their voxels lie."""

from brats_unet.metrics.metric import SHARE, Metric
from brats_unet.metrics.pair import MaskPair


def volume_similarity(pair: MaskPair) -> float:
    """1 for equal volumes; `pair` also has the masks, spacing_mm, surfaces and lesions."""
    reference, prediction = pair.counts.reference_voxels, pair.counts.prediction_voxels
    return 1 - abs(reference - prediction) / (reference + prediction) if reference + prediction else 1.0


VOLUME_SIMILARITY = Metric(
    name="volume_similarity",
    function=volume_similarity,
    unit="1",
    range=SHARE,
    better="high",
    definition="One minus the volume difference as a share of both volumes: 1 - abs(FN - FP) / (2 TP + FP + FN).",
    source="Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x",
    when_empty="both empty: 1; one empty: 0",
)
