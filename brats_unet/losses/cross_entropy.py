"""Cross-entropy alone, on labels: the seed notebook's loss."""

from brats_unet.losses.loss import Loss
from brats_unet.losses.weighted_sum import weighted_sum
from brats_unet.parts import contract_options


@contract_options({}, {"focus": 2.0})
def label_ce(*, focus: float = 0.0) -> Loss:
    """Cross-entropy over the four classes, the seed notebook's; focal if `focus` is above 0, see `entropy`."""
    return weighted_sum("labels", "tversky", 0.0, ("ce", 1.0), focus)
