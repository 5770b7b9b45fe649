"""Metrics of the distances between the surfaces of two masks: HD95, average surface distance, surface Dice."""

from brats_unet.metrics.metric import POSITIVE, SHARE, Metric
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import SURFACE_DICE


def hd95(pair: MaskPair) -> float:
    """See `surface.hausdorff95_mm`; the definition is the protocol's."""
    ruled = pair.ruled_distance(pair.protocol.hd95_mm)
    return pair.surfaces.hausdorff95_mm(pair.protocol.hd95_definition) if ruled is None else ruled


def assd(pair: MaskPair) -> float:
    """See `surface.Surfaces.average_mm`; definition "pooled"."""
    ruled = pair.ruled_distance(pair.protocol.assd_mm)
    return pair.surfaces.average_mm("pooled") if ruled is None else ruled


def surface_dice(pair: MaskPair, *, tolerance_mm: float) -> float:
    """See `surface.Surfaces.dice`; the definition is the protocol's."""
    ruled = pair.ruled_distance(pair.protocol.surface_dice)
    return pair.surfaces.dice(tolerance_mm, pair.protocol.surface_dice_definition) if ruled is None else ruled


HD95 = Metric(
    name="hd95",
    function=hd95,
    unit="mm",
    range=POSITIVE,
    better="low",
    definition="95th percentile of the distances between the two surfaces, by one of three definitions; 0 if the masks "
    "are identical.",
    source="Huttenlocher et al. 1993, doi:10.1109/34.232073",
    rule="hd95_mm",
)
ASSD = Metric(
    name="assd",
    function=assd,
    unit="mm",
    range=POSITIVE,
    better="low",
    definition="Average symmetric surface distance: the mean of the distances from each surface voxel of either mask "
    "to the surface of the other; 0 if the masks are identical.",
    source="Heimann et al. 2009, doi:10.1109/TMI.2009.2013851",
    rule="assd_mm",
)
NSD = Metric(
    name=SURFACE_DICE,
    function=surface_dice,
    unit="1",
    range=SHARE,
    better="high",
    definition="Surface Dice, or normalised surface Dice: share of both surfaces, by their area, that lies within "
    "that many millimetres of the other surface; under brats2026 the mean of the shares of their voxels.",
    source="Nikolov et al. 2021, doi:10.2196/26151",
    rule="surface_dice",
    per_tolerance=True,
    needs_mm=True,
)
